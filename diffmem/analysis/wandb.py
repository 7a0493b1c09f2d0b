"""Weights & Biases: runs read from a project, and a comparison uploaded to one.

Uploading replays local tables into runs whose id is the name of the run's folder, the id they also get while they
train, and only the rows that are not there yet. So an upload after an online training adds nothing, and neither does
a second upload.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from diffmem.analysis.comparison import Comparison
from diffmem.analysis.report import HEADER, csv_row, rule_lines, table_rows, text_table
from diffmem.analysis.runs import IDENTITY, Run, run_of_table
from diffmem.errors import ConfigError, DataError

Mode = Literal["online", "offline"]

_COMPARISON = "comparison"
_LOGIN = "log in with `wandb login`, or set WANDB_MODE=offline to upload later with `wandb sync`"


class Api(Protocol):
    """The part of ``wandb.Api`` in use."""

    def runs(self, path: str) -> Iterable[Any]: ...

    def reports(self, path: str, name: str | None = None) -> Iterable[Any]: ...


def read_project(target: str, api: Api | None = None) -> list[Run]:
    """The runs of ``ENTITY/PROJECT`` that have evaluations, as they were mirrored or uploaded.

    Args:
        target: Entity and project.
        api: Stands in for ``wandb.Api()``.

    Raises:
        DataError: The project cannot be read, holds no evaluations, or a run's config does not say what it is.
    """
    import pandas as pd

    runs = []
    for remote in _remote_runs(target, api):
        if remote.job_type == _COMPARISON:
            continue
        rows = [row for row in remote.scan_history() if row.get("f_mem") is not None and row.get("step") is not None]
        if not rows:
            continue
        table = pd.DataFrame(rows)
        table = table[[column for column in table.columns if not str(column).startswith("_")]]
        table = table.drop_duplicates("step", keep="last").sort_values("step", ignore_index=True)
        runs.append(run_of_table(f"{target}/{remote.id}", table.assign(**_identity(remote))))
    if not runs:
        raise DataError(
            f"wandb:{target}", got="no run with f_mem", expected="mirrored runs", remedy="name another project"
        )
    return runs


def upload(
    comparison: Comparison, target: str, folder: Path, figures: Sequence[Path], api: Api | None = None
) -> list[str]:
    """Replay the runs read from folders into ``ENTITY/PROJECT``, beside a summary run and a report.

    With ``WANDB_MODE=offline`` everything is written below ``folder`` for ``wandb sync``, without the report, which
    can only be made on the server.

    Args:
        comparison: What to upload.
        target: Entity and project.
        folder: Where wandb keeps its files.
        figures: PNG files to log with the summary run.
        api: Stands in for ``wandb.Api()``.

    Returns:
        What was done, line by line.

    Raises:
        ConfigError: W&B is disabled by its environment variable.
        DataError: The project cannot be reached, or two runs would share an id.
    """
    wanted = os.environ.get("WANDB_MODE", "online")
    if wanted not in ("online", "offline"):
        raise ConfigError("WANDB_MODE", got=wanted, expected="online or offline to upload", remedy="change or unset it")
    mode = cast(Mode, wanted)
    remote = {}
    if mode == "online":
        api = api or _api(target)
        remote = {run.id: run for run in _remote_runs(target, api, missing_is_empty=True)}
    runs = [each.run for group in comparison.groups for each in group.runs if each.run.folder is not None]
    _refuse_shared_ids(runs)
    num_rows = sum(_replay(run, target, mode, folder, remote.get(_run_id(run))) for run in runs)
    lines = [f"{num_rows} rows of {len(runs)} runs uploaded to {target} ({mode})"]
    digest = hashlib.sha256(repr([csv_row(comparison, cell) for cell in comparison.cells]).encode()).hexdigest()[:8]
    if f"{_COMPARISON}-{digest}" in remote:
        return [*lines, "this comparison is there already"]
    _upload_summary(comparison, target, mode, folder, figures, f"{_COMPARISON}-{digest}")
    lines.append(f"summary run {_COMPARISON}-{digest}")
    if api is None:
        return [*lines, "no report: it can only be made online"]
    return [*lines, _save_report(comparison, target, api)]


def report(comparison: Comparison, target: str) -> Any:
    """``wandb_workspaces`` report with the table, all groups in one grid, and each group in a grid of its own.

    Raises:
        ConfigError: wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        raise ConfigError(
            "report", got="no wandb-workspaces", expected="the package", remedy="pip install 'diffmem[reports]'"
        ) from error
    entity, project = target.split("/")
    ids = {group.name: [_run_id(each.run) for each in group.runs] for group in comparison.groups}
    runsets = {
        name: reports.Runset(entity=entity, project=project, name=name, filters=f'Metric("ID") in {members}')
        for name, members in ids.items()
    }

    def grid(shown: Sequence[Any]) -> Any:
        curves = (("f_mem", False), (comparison.quality, True), ("loss_test", False))
        panels = [
            reports.LinePlot(
                x="step", y=[name], log_x=True, log_y=log, title=name, layout=reports.Layout(x=8 * place, y=0, w=8, h=8)
            )
            for place, (name, log) in enumerate(curves)
        ]
        return reports.PanelGrid(runsets=list(shown), panels=panels)

    blocks = [
        reports.MarkdownBlock(text="\n".join(f"- {line}" for line in rule_lines(comparison))),
        reports.MarkdownBlock(text=text_table(HEADER, table_rows(comparison))),
        reports.H2(text="All groups"),
        grid(list(runsets.values())),
    ]
    for name, runset in runsets.items():
        blocks += [reports.H2(text=name), grid([runset])]
    return reports.Report(entity=entity, project=project, title=_title(comparison), blocks=blocks, width="fluid")


def _replay(run: Run, target: str, mode: Mode, folder: Path, remote: Any) -> int:
    """Log the rows of ``run`` that are not in ``remote``; returns their number."""
    last = -math.inf if remote is None else float(remote.summary.get("step", -math.inf))
    rows = run.table[run.table["step"] > last]
    if len(rows):
        config = dict(run.config() or run.identity)
        with _init(target, mode, folder, id=_run_id(run), group=_group(run), config=config) as mirror:
            mirror.define_metric("step")
            mirror.define_metric("*", step_metric="step")
            for _, row in rows.iterrows():
                mirror.log(
                    {name: value for name, value in row.items() if isinstance(value, int | float) and value == value}
                )
    return len(rows)


def _upload_summary(
    comparison: Comparison, target: str, mode: Mode, folder: Path, figures: Sequence[Path], run_id: str
) -> None:
    import wandb

    config = {**asdict(comparison.rules), "quality": comparison.quality, "quality_level": comparison.quality_level}
    with _init(target, mode, folder, id=run_id, job_type=_COMPARISON, config=config) as summary:
        summary.log(
            {
                _COMPARISON: wandb.Table(columns=list(HEADER), data=[list(row) for row in table_rows(comparison)]),
                **{path.stem: wandb.Image(str(path)) for path in figures},
            }
        )


def _save_report(comparison: Comparison, target: str, api: Api) -> str:
    """Save the report in place of one with the same title."""
    try:
        made = report(comparison, target)
    except ConfigError as error:
        return f"no report: {error}"
    made.id = next((old.id for old in api.reports(target) if old.display_name == made.title), made.id)
    made.save()
    return f"report {made.title!r}"


def _title(comparison: Comparison) -> str:
    return f"diffmem by {', '.join(comparison.rules.by)} ({comparison.rules.clock})"


def _init(target: str, mode: Mode, folder: Path, **what: Any) -> Any:
    import wandb

    entity, project = target.split("/")
    return wandb.init(
        entity=entity,
        project=project,
        mode=mode,
        name=what["id"],
        resume="allow" if mode == "online" else None,
        dir=str(folder),
        settings=wandb.Settings(console="off", silent=True),
        **what,
    )


def _api(target: str) -> Api:
    import wandb

    try:
        return wandb.Api()
    except wandb.errors.Error as error:
        raise DataError(f"wandb:{target}", got=_one_line(error), expected="access to W&B", remedy=_LOGIN) from error


def _remote_runs(target: str, api: Api | None, missing_is_empty: bool = False) -> list[Any]:
    import wandb

    api = api or _api(target)
    try:
        return list(api.runs(target))
    except (wandb.errors.Error, ValueError, OSError) as error:
        if missing_is_empty and isinstance(error, ValueError):  # wandb's way to say that there is no such project
            return []
        raise DataError(
            f"wandb:{target}", got=_one_line(error), expected="a project that can be read", remedy=_LOGIN
        ) from error


def _identity(remote: Any) -> Mapping[str, Any]:
    """Identity columns from a run's config: those of an uploaded or a mirrored run, or what a mirrored config says."""
    config = dict(remote.config)
    columns = config if "n" in config else config.get("identity")
    if columns:
        return {name: columns[name] for name in IDENTITY if name in columns}
    try:
        data, optimizer = config["data"]["init_args"], config["optimizer"]
        return {
            "study": config["study"],
            "model": (config["model"]["init_args"].get("network") or config["model"])["class_path"].rpartition(".")[2],
            "n": data["n"],
            "index": data["index"],
            "optimizer": optimizer["class_path"].rpartition(".")[2],
            "lr": optimizer["init_args"]["lr"],
            "seed": config["seed"],
        }
    except (KeyError, TypeError) as error:
        raise DataError(
            f"wandb run {remote.id}",
            got=f"a config without {error}",
            expected="the config of diffmem.fit",
            remedy="delete it",
        ) from error


def _run_id(run: Run) -> str:
    return run.name.rpartition("/")[2]


def _group(run: Run) -> str:
    return str(run.identity.get("study", run.name.partition("/")[0]))


def _refuse_shared_ids(runs: Sequence[Run]) -> None:
    seen: dict[str, Run] = {}
    for run in runs:
        other = seen.setdefault(_run_id(run), run)
        if other is not run:
            raise DataError(
                f"W&B run id {_run_id(run)}",
                got=f"two runs, {other.folder} and {run.folder}",
                expected="a folder name of its own for each run",
                remedy="rename one folder",
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
