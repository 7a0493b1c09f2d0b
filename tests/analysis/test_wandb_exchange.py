"""Runs to W&B and back, against a stand-in for its server."""

import sys
from types import SimpleNamespace

import pytest
import wandb
from synthetic_runs import evaluations, log_steps, write_run, write_study

from diffmem.analysis import wandb as exchange
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.report import table_rows
from diffmem.analysis.runs import read_runs, run_of_table
from diffmem.errors import ConfigError, DataError

STEPS = log_steps(10_000)


class Server:
    """Keeps what is logged, as the server does: by run id, in the order of arrival."""

    def __init__(self):
        self.stored, self.inits, self.saved_reports = {}, [], []

    def init(self, *, id, resume, config=None, group=None, job_type=None, **settings):
        self.inits.append((id, resume, settings["mode"]))
        run = self.stored.setdefault(
            id, SimpleNamespace(id=id, config=config, group=group, job_type=job_type, rows=[], summary={})
        )
        run.scan_history = lambda: iter(run.rows)

        class Context:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return False

            def define_metric(self, *args, **kwargs):
                pass

            def log(self, row):
                run.rows.append({"_step": len(run.rows), **row})
                run.summary.update(row)

        return Context()

    def runs(self, path):
        if not self.stored:
            raise ValueError(f"Could not find project {path}")
        return list(self.stored.values())

    def reports(self, path, name=None):
        return self.saved_reports


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(wandb, "init", server.init)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    return server


@pytest.fixture
def study(tmp_path):
    write_study(tmp_path / "study", (32, 64), steps=STEPS)
    return tmp_path / "study"


def compared(source):
    return compare(source, Rules(quality_level=6.0, num_draws=200))


def test_what_is_uploaded_reads_back_as_the_same_comparison(server, study, tmp_path):
    local = compared(read_runs([study]))
    exchange.upload(local, "me/project", tmp_path, [], api=server)
    remote = compared(exchange.read_project("me/project", server))
    for a, b in zip(local.cells, remote.cells, strict=True):
        assert a.times["mem"].value == b.times["mem"].value
        assert a.times["gen"].value == b.times["gen"].value
    assert table_rows(remote) == table_rows(local)


def test_a_second_upload_changes_nothing(server, study, tmp_path):
    comparison = compared(read_runs([study]))
    first = exchange.upload(comparison, "me/project", tmp_path, [], api=server)
    rows = {name: list(run.rows) for name, run in server.stored.items()}
    num_inits = len(server.inits)
    second = exchange.upload(comparison, "me/project", tmp_path, [], api=server)
    assert {name: run.rows for name, run in server.stored.items()} == rows
    assert len(server.inits) == num_inits
    assert first[0].startswith(f"{2 * len(STEPS)} rows")
    assert second[0].startswith("0 rows")


def test_an_upload_goes_on_where_the_mirror_stopped(server, study, tmp_path):
    folder = sorted(study.iterdir())[0]
    with server.init(id=folder.name, resume="allow", config={}, mode="online") as mirror:
        mirror.log({"step": 0, "f_mem": 0.0})
        mirror.log({"step": int(STEPS[1]), "f_mem": 0.0})
    exchange.upload(compared(read_runs([study])), "me/project", tmp_path, [], api=server)
    steps = [row["step"] for row in server.stored[folder.name].rows]
    assert steps == list(STEPS)


def test_a_run_mirrored_while_it_trained_is_named_by_its_config(server):
    config = {
        "study": "digits",
        "seed": 3,
        "model": {
            "class_path": "diffmem.models.DDPM",
            "init_args": {"network": {"class_path": "diffmem.networks.UNet"}},
        },
        "data": {"init_args": {"n": 64, "index": 0}},
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.001}},
        "trainer": {"max_steps": 10},
    }
    table = evaluations(64, 3, steps=STEPS).select_dtypes("number")
    with server.init(id="unet-n64", resume="allow", config=config, mode="online") as mirror:
        for row in table.to_dict("records"):
            mirror.log(row)
    (run,) = exchange.read_project("me/project", server)
    assert (run.identity["optimizer"], run.identity["model"], run.n) == ("Adam", "UNet", 64)
    assert run.identity["num_parameters"] == 270_000


def test_rows_logged_twice_are_read_once(server, study, tmp_path):
    exchange.upload(compared(read_runs([study])), "me/project", tmp_path, [], api=server)
    for run in server.stored.values():
        run.rows += run.rows[-3:]
    assert [len(run.table) for run in exchange.read_project("me/project", server)] == [len(STEPS)] * 2


def test_a_project_without_evaluations_is_refused(server):
    server.stored["other"] = SimpleNamespace(id="other", job_type=None, scan_history=lambda: [{"loss": 1.0}])
    with pytest.raises(DataError, match="no run with f_mem"):
        exchange.read_project("me/project", server)


def test_a_missing_project_is_refused_when_read(server):
    with pytest.raises(DataError, match="Could not find project"):
        exchange.read_project("me/project", server)


def test_two_runs_of_one_folder_name_are_refused(server, tmp_path):
    for study, seed in (("a", 0), ("b", 1)):
        table = evaluations(64, seed, steps=STEPS)
        write_run(tmp_path / study, table).rename(tmp_path / study / "run")
    with pytest.raises(DataError, match="W&B run id run"):
        exchange.upload(compared(read_runs([tmp_path])), "me/project", tmp_path, [], api=server)


def test_runs_read_from_wandb_are_not_uploaded_again(server, tmp_path):
    runs = [run_of_table(f"me/p/n{n}", evaluations(n, 0, steps=STEPS)) for n in (32, 64)]
    exchange.upload(compared(runs), "me/project", tmp_path, [], api=server)
    assert [run.job_type for run in server.stored.values()] == ["comparison"]


def test_disabled_wandb_uploads_nothing(server, study, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(ConfigError, match="WANDB_MODE"):
        exchange.upload(compared(read_runs([study])), "me/project", tmp_path, [], api=server)


def test_a_missing_report_package_is_said(server, study, tmp_path):
    lines = exchange.upload(compared(read_runs([study])), "me/project", tmp_path, [], api=server)
    assert "no wandb-workspaces" in lines[-1]


def test_offline_runs_keep_their_fixed_ids(study, tmp_path, monkeypatch):
    """The real client, without a network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    lines = exchange.upload(compared(read_runs([study])), "me/project", tmp_path, [])
    assert "no report: it can only be made online" in lines
    ids = sorted(path.name.split("-", 3)[3] for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert [name for name in ids if not name.startswith("comparison-")] == sorted(path.name for path in study.iterdir())
    assert len(ids) == 3


def test_the_report_lays_the_groups_side_by_side(tmp_path):
    pytest.importorskip("wandb_workspaces")
    write_study(tmp_path, (32, 64), steps=STEPS)
    write_study(tmp_path, (32, 64), steps=STEPS, optimizer="SGD", setting="sgd", lr=0.01)
    made = exchange.report(compared(read_runs([tmp_path])), "me/project")
    grids = [block for block in made.blocks if type(block).__name__ == "PanelGrid"]
    assert [[runset.name for runset in grid.runsets] for grid in grids] == [["Adam", "SGD"], ["Adam"], ["SGD"]]
    assert "sgd-n32" in grids[2].runsets[0].filters.lower()
    assert [panel.y for panel in grids[0].panels] == [["f_mem"], ["frechet_pixels"], ["loss_test"]]
