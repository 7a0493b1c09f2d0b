"""Measurements in the features of a module given by class path."""

import pytest
import torch
from hand_made import snapshot
from small_run import SMALL

from diffmem.callbacks import Copying, Hits, Memorization
from diffmem.callbacks.feature_space import FeatureSpace
from diffmem.config.parser import CLI
from diffmem.errors import ConfigError
from diffmem.metrics.principal_components import PrincipalComponents

TRAIN, HELD_OUT = [[0.0, 5.0], [10.0, 5.0], [20.0, -7.0]], [[3.0, 1.0], [4.0, 1.0], [50.0, 1.0]]
SAMPLES = [[0.1, 900.0], [15.0, 5.0], [3.5, 2.0]]


class First(torch.nn.Module):
    """The first value of a vector; counts the vectors it sees."""

    seen = 0

    def forward(self, images):
        self.seen += len(images)
        return images[:, :1]


def first(points):
    return [each[:1] for each in points]


def test_columns_are_those_of_the_features(tmp_path):
    features = First()
    now = snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path, mean=2.0)
    of_features = snapshot(first(SAMPLES), first(TRAIN), first(HELD_OUT), tmp_path)
    measured = Memorization(features=features)
    assert measured.measure(now) == pytest.approx(Memorization().measure(of_features))
    assert measured.measure(now)["f_mem"] != Memorization().measure(now)["f_mem"]
    assert features.seen == 2 * 3 + 3 + 3, "samples each time, images once"
    assert Hits(features=First()).measure(now) == Hits().measure(of_features)
    tests = ["authenticity", "calibrated_l2"]
    assert Copying(tests, features=First()).measure(now) == pytest.approx(Copying(tests).measure(of_features))


def test_pixels_and_a_rank_without_samples():
    now = snapshot(SAMPLES, TRAIN, HELD_OUT)
    assert FeatureSpace(None)(now) is now
    empty = snapshot(torch.empty(0, 2), TRAIN, HELD_OUT)
    assert FeatureSpace(First())(empty).train_neighbors.distances.shape == (0, 2)


def test_features_that_are_no_rows_are_refused():
    with pytest.raises(ConfigError, match="a vector for each image"):
        FeatureSpace(torch.nn.Flatten(0))(snapshot(SAMPLES, TRAIN, HELD_OUT))
    with pytest.raises(ConfigError, match="features: got Module, which computes nothing"):
        FeatureSpace(torch.nn.Module())


def test_one_key_sets_the_features_of_all(tmp_path):
    cli = CLI([*SMALL, f"--run_root={tmp_path}", "--memorization.features=torch.nn.Flatten"])
    for group in ("memorization", "ratios", "hits", "copying", "prdc"):
        assert isinstance(cli.config_init[group]._space.features, torch.nn.Flatten)


def test_features_that_are_fitted_see_training_and_held_out_images_and_no_samples():
    features = PrincipalComponents(2)
    now = snapshot(SAMPLES, TRAIN, HELD_OUT, mean=2.0)
    measured = Memorization(features=features).measure(now)
    both = torch.tensor(TRAIN + HELD_OUT) + 2.0
    assert features.mean.tolist() == pytest.approx(both.mean(0).tolist(), rel=1e-5)
    assert measured == pytest.approx(Memorization().measure(now), rel=1e-4), "all directions: the distances of pixels"
    with pytest.raises(ConfigError, match=r"memorization.features.init_args.num_components: got 3"):
        Memorization(features=PrincipalComponents(3)).measure(now)
