import torch

from diffmem.metrics.memorization import memorization_fraction, nearest_neighbors
from diffmem.metrics.versions import nearest_over_versions

GENERATOR = torch.Generator().manual_seed(0)
VERSIONS = torch.randn(6, 30, 3, 2, generator=GENERATOR)
SAMPLES = torch.randn(50, 3, 2, generator=GENERATOR)


def test_an_image_is_as_near_as_its_nearest_version():
    all_distances = torch.cdist(SAMPLES.flatten(1).double(), VERSIONS.flatten(2).flatten(0, 1).double())
    of_images = all_distances.reshape(50, 6, 30).min(1).values
    expected, order = of_images.topk(2, largest=False)
    distances, indices = nearest_over_versions(SAMPLES, VERSIONS)
    torch.testing.assert_close(distances, expected)
    assert torch.equal(indices, order)


def test_a_copy_of_any_version_is_one_though_another_version_is_as_near():
    twins = torch.cat([VERSIONS, VERSIONS[2:3] + 1e-3])
    copies = VERSIONS[2, :5] + 4e-4
    distances, indices = nearest_over_versions(copies, twins)
    assert indices[:, 0].tolist() == list(range(5))
    assert (distances[:, 0] / distances[:, 1] < 1 / 3).all()
    pooled = twins.flatten(0, 1)
    assert memorization_fraction(copies, pooled) == 0, "all versions as so many images would hide it"


def test_one_version_is_the_plain_search():
    expected = nearest_neighbors(SAMPLES, VERSIONS[0])
    assert all(map(torch.equal, nearest_over_versions(SAMPLES, VERSIONS[:1]), expected))
