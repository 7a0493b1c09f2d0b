import numpy as np
import pytest
import torch

from diffmem.errors import ConfigError
from diffmem.metrics import prdc as module
from diffmem.metrics.prdc import prdc, radii


def by_numpy(real, fake, k):
    """The four definitions on whole distance matrices."""

    def matrix(a, b):
        return np.linalg.norm(a[:, None].astype("f8") - b[None], axis=2)

    real_radii, fake_radii = (np.sort(matrix(each, each), axis=1)[:, k] for each in (real, fake))
    between = matrix(real, fake)
    in_real, in_fake = between < real_radii[:, None], between < fake_radii[None]
    return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()


@pytest.mark.parametrize("k", [1, 5])
def test_values_are_those_of_the_definitions(k, monkeypatch):
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=(60, 2, 2)).astype("f4"), generator.normal(0.5, 1.2, (45, 2, 2)).astype("f4")
    expected = by_numpy(real.reshape(60, 4), fake.reshape(45, 4), k)
    assert tuple(prdc(torch.from_numpy(real), torch.from_numpy(fake), k)) == pytest.approx(expected)
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert tuple(prdc(torch.from_numpy(real), torch.from_numpy(fake), k)) == pytest.approx(expected)


def test_known_cases():
    """Real points: two clusters. All copies, one cluster alone, far outside."""
    generator = torch.Generator().manual_seed(0)
    real = torch.cat([torch.randn(50, 2, generator=generator), torch.randn(50, 2, generator=generator) + 50])
    assert prdc(real, real.clone()) == (1, 1, 1, 1), "a ball holds its point and four others"
    one = prdc(real, real[:50] + 1e-4)
    assert one.precision == 1
    assert one.recall == one.coverage == 0.5
    far = prdc(real, real - 500)
    assert (far.precision, far.density, far.coverage) == (0, 0, 0)


def test_too_few_points_are_refused():
    with pytest.raises(ConfigError, match="k: got 3, expected below the 3 points"):
        radii(torch.zeros(3, 2), 3)
    with pytest.raises(ConfigError, match="k: got 0, expected at least 1"):
        radii(torch.zeros(3, 2), 0)
