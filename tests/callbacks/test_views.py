"""Several views of one training: what they share, and that neither ranks, kills nor extension change them."""

import math
import signal
from types import SimpleNamespace

import pytest
import torch
from same_run import assert_same_run
from small_run import SMALL, only_run

from diffmem.callbacks import Average, Evaluation, EvaluationObserver
from diffmem.callbacks.measurement import RunAtStep
from diffmem.callbacks.views import View
from diffmem.data.subset import Batch
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ConfigError
from diffmem.files import read_table
from diffmem.models import DDPM
from diffmem.networks import ResidualMLP

VIEWS = '[{"weights":0},{"weights":0.9},{"guidance":1},{"guidance":3,"weights":0.9,"sampler":"ddpm"}]'
CONDITIONAL = [
    *SMALL,
    "--data.labels=true",
    "--model.network.num_classes=10",
    "--average.decay=[0,0.9]",
    f"--evaluation.views={VIEWS}",
    "--evaluation.num_samples=10",
    "--losses.num_draws=1",
    "--pictures.num_samples=2",
    "--evaluation.steps=[2,3]",
]
NAMES = ["average0", "average0.9", "guidance1", "average0.9-guidance3-ddpm"]


@pytest.fixture(scope="module")
def runs(launch, tmp_path_factory):
    """A run that two ranks begin, are killed in, end, and extend; the undisturbed one; the same by one rank."""
    root = tmp_path_factory.mktemp("views")
    disturbed, whole, one = ([*CONDITIONAL, f"--run_root={root / name}"] for name in ("disturbed", "whole", "one"))
    two = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    short = [*disturbed, *two, "--trainer.max_steps=3"]
    # when two of the five views of step 3 have their rows
    assert -signal.SIGKILL in launch(short, 2, ["SIGKILL", "row", 12, 0])
    assert launch(short, 2) == launch([*disturbed, *two], 2) == launch([*whole, *two], 2) == [0, 0]
    assert launch(one) == [0]
    return {name: only_run(root / name) for name in ("disturbed", "whole", "one")}


@pytest.mark.slow
def test_a_run_of_two_ranks_that_is_killed_and_extended_has_the_same_views_bit_for_bit(runs):
    assert_same_run(runs["disturbed"], runs["whole"])
    for name in NAMES:
        for table in ("evaluations.csv", "per_class.csv"):
            here, there = (runs[run] / "views" / name / table for run in ("disturbed", "whole"))
            assert [row["step"] for row in read_table(here)][-1] == "6"
            assert here.read_bytes() == there.read_bytes(), (name, table)
    states = [
        torch.load(runs[run] / "checkpoints/last.ckpt", weights_only=True)["callbacks"]["Average"]
        for run in ("disturbed", "whole")
    ]
    assert list(states[0]) == ["0.0", "0.9"]
    assert all(
        torch.equal(*both) for decay in states[0] for both in zip(*(each[decay] for each in states), strict=True)
    )


@pytest.mark.slow
def test_one_rank_has_the_same_views_to_rounding(runs):
    for name in NAMES:
        one, two = (read_table(runs[run] / "views" / name / "evaluations.csv") for run in ("one", "whole"))
        for a, b in zip(one, two, strict=True):
            for column in ("f_mem", "nn_train", "loss_train", "loss_test"):
                assert math.isclose(float(a[column]), float(b[column]), rel_tol=1e-4), (name, column)


@pytest.mark.slow
def test_an_average_of_decay_0_is_the_raw_view_bit_for_bit(runs):
    raw, average = (read_table(runs["whole"] / place / "evaluations.csv") for place in (".", "views/average0"))
    told = {"setting", "weights"}
    assert [{k: v for k, v in row.items() if k not in told} for row in raw] == [
        {k: v for k, v in row.items() if k not in told} for row in average
    ]
    assert {row["weights"] for row in raw} == {"raw"}
    assert {row["weights"] for row in average} == {"0.0"}


@pytest.mark.slow
def test_pictures_of_a_view_lie_beside_its_table(runs):
    for name in NAMES:
        folder = runs["whole"] / "views" / name / "samples"
        assert {path.name for path in folder.glob("*.png")} == {f"step-{step:08d}.png" for step in (0, 2, 3, 6)}


class Counts(EvaluationObserver):
    """Counts its measurements, and keeps the samples of one that needs them."""

    def __init__(self, needs_samples):
        self.needs_samples, self.seen = needs_samples, []

    def measure(self, snapshot):
        self.seen.append(snapshot)
        return {f"count_{self.needs_samples}": len(self.seen)}


def measured(evaluation, *callbacks):
    """Rows of a small conditional model of vectors."""
    torch.manual_seed(0)
    module = DDPM(ResidualMLP(4, 16, 1, num_steps=20, num_classes=3), num_steps=20)
    data = SimpleNamespace(train_images=torch.randn(6, 4), test_images=torch.randn(6, 4), batch_size=6)
    plugin = SimpleNamespace(forward_context=torch.no_grad)
    trainer = SimpleNamespace(
        callbacks=[*callbacks], accumulate_grad_batches=1, strategy=SimpleNamespace(precision_plugin=plugin)
    )
    for each in callbacks:
        if isinstance(each, Average):
            each.begin(module, fresh=True)
    return evaluation.measure_views(RunAtStep(trainer, module, data, 5, None)), module


def test_views_share_noise_and_labels_and_what_needs_no_samples_is_measured_once_for_each_weights():
    of_samples, of_weights = Counts(True), Counts(False)
    views = [View(weights=0.5), View(guidance=2.0), View(weights=0.5, guidance=2.0), View(guidance=1e-9)]
    evaluation = Evaluation(num_samples=7, sampling_steps=5, views=views)
    rows, _ = measured(evaluation, of_weights, of_samples, Average([0.5]))
    assert (len(of_samples.seen), len(of_weights.seen)) == (5, 2)
    assert [row["count_False"] for row in rows.values()] == [1, 2, 1, 2, 1]
    by_view = {each.view: each.samples for each in of_samples.seen}
    assert [each.labels.tolist() for each in of_samples.seen] == [[0, 1, 2, 0, 1, 2, 0]] * 5
    assert torch.equal(by_view["average0.5"], by_view[""]), "the average of step 0 is its weights"
    assert torch.equal(by_view["average0.5-guidance2"], by_view["guidance2"])
    torch.testing.assert_close(by_view["guidance1e-09"], by_view[""])
    assert not torch.allclose(by_view["guidance2"], by_view[""])


def test_guidance_of_a_view_acts_at_the_sampling_steps_inside_its_interval_alone():
    """The sampler visits the diffusion steps 19, 14, 9, 4, 0 of a schedule of 20."""
    time = LinearSchedule(20).time
    intervals = {"all": None, "covers": (0.0, 99.0), "beyond": (90.0, 99.0), "two": (time[4].item(), time[9].item())}
    views = {name: View(guidance=2.0, interval=interval) for name, interval in intervals.items()}
    seen = Counts(True)
    evaluation = Evaluation(num_samples=7, sampling_steps=5, views=[*views.values()])
    _, module = measured(evaluation, seen)
    by_view = {each.view: each.samples for each in seen.seen}
    found = {name: by_view[view.name] for name, view in views.items()}
    assert torch.equal(found["covers"], found["all"])
    assert torch.equal(found["beyond"], by_view[""]), "unguided"
    assert not torch.allclose(found["two"], found["all"]) and not torch.allclose(found["two"], found["beyond"])
    calls = []
    module.network.register_forward_pre_hook(lambda _, inputs: calls.append((int(inputs[1][0]), len(inputs[0]))))
    with torch.no_grad():
        again = evaluation.samples.draw(module, range(7), (4,), evaluation.views[views["two"].name])
    assert torch.equal(again, found["two"])
    assert calls == [(19, 7), (14, 7), (9, 14), (4, 14), (0, 7)], "both ends count, and nothing outside"


def test_the_raw_view_is_what_it_is_alone():
    alone, _ = measured(Evaluation(num_samples=7, sampling_steps=5), Counts(True))
    among, _ = measured(Evaluation(num_samples=7, sampling_steps=5, views=[View(guidance=2.0)]), Counts(True))
    assert list(alone) == [""]
    assert alone[""].items() <= among[""].items()
    assert set(among[""]) - set(alone[""]) == {"weights", "guidance"}


def test_a_sample_of_a_conditional_model_does_not_depend_on_batch_or_rank():
    evaluation = Evaluation(num_samples=7, sampling_steps=5, views=[View(guidance=2.0)])
    _, module = measured(evaluation, Counts(True))
    view = evaluation.views["guidance2"]
    with torch.no_grad():
        whole, part = (evaluation.samples.draw(module, numbers, (4,), view) for numbers in (range(7), range(3, 7)))
    torch.testing.assert_close(part, whole[3:])


def test_label_dropout_does_not_depend_on_the_number_of_ranks(monkeypatch):
    model = DDPM(ResidualMLP(4, 16, 1, num_classes=3), label_dropout=0.5)
    images, labels = torch.randn(8, 4), torch.arange(8) % 3
    whole = model.training_step(Batch(3, images, torch.arange(8), labels), 0)
    halves = []
    for rank in (0, 1):
        monkeypatch.setattr("diffmem.ranks.rank_and_world", lambda rank=rank: (rank, 2))
        half = slice(4 * rank, 4 * rank + 4)
        halves.append(model.training_step(Batch(3, images[half], torch.arange(8)[half], labels[half]), 0))
    torch.testing.assert_close(sum(halves) / 2, whole)


def test_label_dropout_is_fresh_in_every_batch_and_as_often_as_asked_for(monkeypatch):
    told = []
    network = ResidualMLP(4, 16, 1, num_classes=3)
    monkeypatch.setattr(network, "forward", lambda x, t, labels: told.append(labels) or x)
    model = DDPM(network, label_dropout=0.25)
    for number in range(40):
        model.training_step(Batch(number, torch.randn(50, 4), torch.arange(50), torch.zeros(50, dtype=torch.int64)), 0)
    dropped = torch.stack(told) == 3
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert len(dropped.unique(dim=0)) == 40


@pytest.mark.parametrize(
    ("views", "what"),
    [
        ([View()], "the default view, which is always there"),
        ([View(guidance=1.0), View(guidance=1.0)], "guidance1, guidance1"),
        ([View(guidance=-3.0)], r"evaluation\.views\[guidance-3\]\.guidance: got -3.*; set --evaluation\.views$"),
        (
            [View(guidance=1.0, sampling_steps=0)],
            r"views\[guidance1-steps0\]\.sampling_steps: got 0, expected at least 1",
        ),
        ([View(guidance=1.0, sampler="")], r"views\[guidance1\]\.sampler: got ''"),
        ([View(sampler="euler")], r"evaluation\.views\[euler\]\.sampler: got 'euler', .*; set --evaluation\.views$"),
    ],
)
def test_impossible_views_are_refused(views, what):
    with pytest.raises(ConfigError, match=what):
        Evaluation(views=views)


def test_a_view_needs_no_identity_beyond_what_was_given():
    evaluation = Evaluation(views=[View(weights=0.5)])
    for given, named in (({"n": 64}, set()), ({"n": 64, "setting": "ab"}, {"setting"})):
        evaluation.identity = given
        assert evaluation._columns("average0.5").keys() - evaluation._columns("").keys() == named
