import hashlib
import sys

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import NoTrainInceptionV3

from diffmem.errors import ConfigError, DataError
from diffmem.metrics.features import InceptionFeatures


@pytest.fixture(scope="module")
def weights(inception_weights):
    return inception_weights


@pytest.fixture(scope="module")
def inception(weights):
    with pytest.warns(UserWarning, match=r"SHA-256 \w{12}…, expected 6726825d0af5…"):
        return InceptionFeatures(weights)


@pytest.fixture
def images():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_inception_equals_torch_fidelity(inception, weights, images):
    network = FeatureExtractorInceptionV3("any", ["2048"], feature_extractor_weights_path=str(weights))
    pixels = (images * 255).round().byte()
    features = inception(images)
    assert features.shape == (3, inception.dimension)
    torch.testing.assert_close(features, network(pixels)[0], rtol=1e-5, atol=1e-6)
    assert features.std(0).mean() > 1e-3, "features that all images share would hide every difference"


def test_inception_equals_torchmetrics_without_its_own_resize(inception, weights, images):
    network = NoTrainInceptionV3("any", ["2048"], str(weights), antialias=False)
    torch.testing.assert_close(inception(images), network((images * 255).round().byte()), rtol=1e-5, atol=1e-6)


def test_gray_images_are_repeated_clamped_and_rounded(inception):
    gray = torch.tensor([-0.7, 0.2, 100.4 / 255, 100.6 / 255, 1.3])[:, None, None, None].expand(-1, 1, 8, 8)
    same = torch.tensor([0, 51, 100, 101, 255])[:, None, None, None].expand(-1, 3, 8, 8) / 255
    torch.testing.assert_close(inception(gray), inception(same), rtol=0, atol=0)


def test_inception_is_frozen_and_ignores_the_surrounding_mode(inception, images):
    before = inception(images[:1])
    inception.train()
    assert not any(module.training for module in inception.modules())
    assert not any(parameter.requires_grad for parameter in inception.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        during = inception(images[:1].requires_grad_())
    assert during.equal(before)
    assert not during.requires_grad


def test_an_image_that_is_not_finite_gets_nan(inception, images):
    images[1, 0, 3, 3] = torch.nan
    features = inception(images)
    assert features[1].isnan().all()
    assert features[[0, 2]].isfinite().all()


def test_inception_protocol_tells_the_weights_apart(inception, weights):
    assert inception.protocol["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_bad_weights_end_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"none\.pth: got no such file.*weights-inception"):
        InceptionFeatures(tmp_path / "none.pth")
    wrong = tmp_path / "wrong.pth"
    torch.save(nn.Linear(2, 2).state_dict(), wrong)
    text = tmp_path / "text.pth"
    text.write_text("not found")
    for path in (wrong, text):
        with pytest.raises(DataError, match="Inception weights") as caught:
            InceptionFeatures(path)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ConfigError, match=r"diffmem\[fid\]"):
        InceptionFeatures(wrong)


def test_inception_refuses_two_channels(inception):
    with pytest.raises(ConfigError, match="1 or 3"):
        inception(torch.zeros(2, 2, 8, 8))
