"""From the folders of small runs to the table, the figure and the departures; a model that is a known score."""

import re
import shutil
import warnings

import pytest
import torch
from small_run import ROOT, SMALL, only_run

from diffmem import fit, regions
from diffmem.diffusion.scores import empirical_law
from diffmem.files import read_table
from diffmem.models import DDPM
from diffmem.revisit import reopen


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    root = tmp_path_factory.mktemp("twin")
    assert fit.main([*SMALL, f"--run_root={root}", "--data.index=1"]) == 0
    return only_run(root)


def fit_mixture(root, *more):
    config = ["--config", str(ROOT / "configs/gaussian/mixture.yaml"), "--model.network.width=16", "--data.n=12"]
    short = ["--data.num_test=16", "--trainer.max_steps=2", "--trainer.accelerator=cpu", "--evaluation.steps=[]"]
    cheap = ["--evaluation.num_samples=4", "--evaluation.sampling_steps=4", "--checkpoint.every_n_steps=1"]
    off = ["--scores.t=null", "--likelihood.num_points=null"]
    assert fit.main([*config, *short, *cheap, *off, f"--run_root={root}", *more]) == 0
    return only_run(root)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return fit_mixture(tmp_path_factory.mktemp("mixture"))


def test_tables_and_figure_of_two_runs(finished_run, twin, tmp_path, capsys):
    out = tmp_path / "regions"
    with pytest.warns(UserWarning, match="weights of seed 0"):
        assert regions.main([str(finished_run), str(twin), "--num=10", "--times=2", f"--out={out}"]) == 0
    rows = read_table(out / "regions.csv")
    assert {(row["place"], row["reference"]) for row in rows} == {
        (place, reference) for place in ("train", "heldout", "trajectory") for reference in ("empirical", "twin")
    }
    assert {row["step"] for row in rows} == {"2", "4", "6"}
    assert len({row["t"] for row in rows}) == 2
    assert len(rows) == 3 * 2 * 6
    assert all(float(row["distance"]) > 0 and row["num_points"] == "10" for row in rows)
    assert {path.name for path in out.iterdir()} == {"regions.csv", "departures.csv", "regions.png"}
    assert "heldout, from the twin" in capsys.readouterr().out


def test_where_the_law_is_known_a_twin_is_compared_with_the_population(mixture, tmp_path, capsys):
    twin = fit_mixture(tmp_path / "twin", "--data.index=1", "--seed=1")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="both runs began")
        assert regions.main([str(mixture), str(twin), "--num=10", "--times=2", f"--out={tmp_path}/out"]) == 0
    rows = {(row["step"], row["place"], row["t"], row["reference"]): float(row["distance"])
            for row in read_table(tmp_path / "out/regions.csv")}  # fmt: skip
    table = read_table(tmp_path / "out/stand_in.csv")
    assert len(table) == 6
    for row in table:
        for name, step in (("share_first", "1"), ("share_last", "2")):
            here, there = (rows[step, row["place"], row["t"], reference] for reference in ("twin", "population"))
            assert float(row[name]) == pytest.approx(here / 2 / there)
    assert "heldout: twin with population, rank correlation" in capsys.readouterr().out


@pytest.mark.parametrize("own", ["population", "empirical"])
def test_a_model_that_is_a_known_score_is_at_distance_zero_from_it(mixture, monkeypatch, own):
    def exact(self, x, index):
        law = self.law if own == "population" else empirical_law(self.points)
        t = self.schedule.time[index[0]].item()
        return (-((1 - self.schedule.alpha_bar[index[0]].item()) ** 0.5) * law.score(x, t)).to(x)

    load = reopen.ReopenedRun.load

    def load_and_replace(self, checkpoint):
        self.model.law, self.model.points = self.data.law, self.data.train_images
        monkeypatch.setattr(type(self.model), "forward", exact)
        return load(self, checkpoint)

    monkeypatch.setattr(reopen.ReopenedRun, "load", load_and_replace)
    rows = regions.compare_scores(mixture, num=60, num_times=3)
    (other,) = {"population", "empirical"} - {own}
    for row in rows:
        if row["reference"] == own:
            assert row["distance"] == pytest.approx(0, abs=1e-9)
    at_smallest = min(row["t"] for row in rows)
    apart = {row["place"]: row["distance"] for row in rows if row["t"] == at_smallest and row["reference"] == other}
    assert apart["heldout"] > 0.1, "fresh points lie between the training points, where the two scores differ"


def test_batches_do_not_change_a_distance(mixture, monkeypatch):
    load, score, sizes, found = reopen.ReopenedRun.load, DDPM.score, [], {}

    def load_for_batches(self, checkpoint):
        self.evaluation.samples.batch_size = batch_size
        return load(self, checkpoint)

    monkeypatch.setattr(reopen.ReopenedRun, "load", load_for_batches)
    monkeypatch.setattr(DDPM, "score", lambda self, x, index: sizes.append(len(x)) or score(self, x, index))
    for batch_size in (10, 3):
        sizes.clear()
        found[batch_size] = regions.compare_scores(mixture, num=10, num_times=2)
        assert set(sizes) == ({10} if batch_size == 10 else {3, 1})
    for whole, parts in zip(found[10], found[3], strict=True):
        assert parts["distance"] == pytest.approx(whole["distance"], rel=1e-4)


def test_the_trajectory_starts_from_noise_and_is_the_samplers_own(mixture):
    from diffmem.diffusion.sampling import make_sampler, trajectory
    from diffmem.diffusion.schedule import LinearSchedule

    schedule, sampler, noise = LinearSchedule(), make_sampler("ddim", 4), torch.randn(3, 2)
    predict = lambda x, index: 0.1 * x  # noqa: E731
    states = trajectory(sampler, predict, noise, schedule, lambda index: noise)
    assert list(states) == [999, 666, 333, 0]
    assert torch.equal(states[999], noise)
    now, following = (schedule.alpha_bar[index].item() for index in (999, 666))
    clean = (noise - (1 - now) ** 0.5 * predict(noise, 0)) / now**0.5
    expected = following**0.5 * clean + (1 - following) ** 0.5 * predict(noise, 0)
    assert torch.allclose(states[666], expected, atol=1e-4)


def test_a_class_of_ones_own_needs_trust(finished_run, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_networks.py").write_text("from diffmem.networks import UNet\n\n\nclass Own(UNet):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = shutil.copytree(finished_run, tmp_path / "root" / finished_run.parent.name / finished_run.name)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(re.sub(r"class_path: diffmem\.networks\S*UNet$", "class_path: own_networks.Own",
                                               config, flags=re.MULTILINE))  # fmt: skip
    command = [str(folder), "--num=4", "--times=2", f"--out={tmp_path}/out"]
    assert regions.main(command) == 2
    assert "own_networks.Own" in capsys.readouterr().err
    assert regions.main([*command, "--trust"]) == 3
    assert "a checkpoint of run" in capsys.readouterr().err, "another network, other weights: the class was taken"


def test_what_cannot_be_compared_is_one_line(finished_run, tmp_path, capsys):
    assert regions.main([str(finished_run), str(finished_run)]) == 3
    assert "16 training images in both" in capsys.readouterr().err
    assert regions.main([str(finished_run), "--times=1"]) == 2
    assert regions.main([str(tmp_path / "none")]) in (2, 3)
    bare = shutil.copytree(finished_run, tmp_path / "root" / finished_run.parent.name / finished_run.name)
    shutil.rmtree(bare / "checkpoints")
    capsys.readouterr()
    assert regions.main([str(bare), f"--out={tmp_path}/out"]) == 3
    assert "no saved step" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scores_and_trajectories_are_those_of_the_precision_of_the_run(tmp_path, monkeypatch):
    folder = fit_mixture(tmp_path, "--trainer.precision=bf16-mixed")
    seen, original = [], DDPM.score

    def score(self, *given):
        seen.append(torch.is_autocast_enabled("cpu"))
        return original(self, *given)

    monkeypatch.setattr(DDPM, "score", score)
    regions.compare_scores(folder, num=4, num_times=2)
    assert seen and all(seen) and not torch.is_autocast_enabled("cpu")
