"""Reading runs: a folder with an ``evaluations.csv`` is a run, whatever else it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffmem.analysis.estimate import Array
from diffmem.errors import DataError, ParameterError
from diffmem.files import folders_with, read_steps, read_table, values_of
from diffmem.runs.identity import read_identity
from diffmem.text import one_line

if TYPE_CHECKING:
    import pandas as pd

TABLE = "evaluations.csv"
#: Columns that a comparison needs; a page does without the second.
NEEDED = ("step", "f_mem", "n")
#: Rows measured again with more samples, or between the scheduled steps.
REFINED = "refined.csv"
IDENTITY = (
    "study", "model", "num_parameters", "n", "index", "optimizer", "lr", "seed", "schema", "setting", "config_hash",
    "labels", "weights", "guidance", "sampler", "test_index",
)  # fmt: skip
#: What tables say that do not name the labels, the view or the held-out set.
DEFAULT_VIEW: Mapping[str, int | float | str] = {"labels": "none", "weights": "raw", "guidance": 0, "test_index": 0}
_TEXT = ("study", "setting", "config_hash")  # hexadecimal digits such as 12e45678 look like numbers
CLOCKS = {
    "updates": "updates",
    "images": "images seen",
    "epochs": "epochs",
    "lr": "learning rate × updates",
}
_WILSON_Z = 1.959963984540054


@dataclass(frozen=True)
class Run:
    """One training run as its evaluations show it.

    Attributes:
        name: Study and folder name.
        folder: Where it was read; None for a run read from W&B.
        table: One row per scheduled step, ascending; numbers, with NaN where a field is empty.
        identity: The identity columns that exist, and :data:`DEFAULT_VIEW` where they do not.
    """

    name: str
    folder: Path | None
    table: pd.DataFrame
    identity: Mapping[str, int | float | str]

    @property
    def n(self) -> int:
        """Number of training images."""
        return int(self.identity["n"])

    def column(self, name: str) -> Array:
        """The values (S,) of a column of the table."""
        return self.table[name].to_numpy(dtype=np.float64)

    def clock(self, clock: str = "updates") -> Array:
        """The evaluation times (S,) on one of :data:`CLOCKS`.

        Raises:
            DataError: The column behind the clock is missing.
        """
        name = {"updates": "step", "images": "images_seen", "epochs": "epochs", "lr": "lr"}[clock]
        if name not in self.table.columns and name not in self.identity:
            raise DataError(
                f"{self.name}: column {name}",
                got="none",
                expected=f"one, for the clock {clock!r}",
                remedy="choose another clock",
            )
        return self.column("step") * float(self.identity["lr"]) if clock == "lr" else self.column(name)

    def config(self) -> Mapping[str, Any]:
        """The run's ``config.yaml``; {} where there is none.

        Raises:
            DataError: The file is not YAML.
        """
        if self.folder is None or not (path := self.folder / "config.yaml").is_file():
            return {}
        import yaml

        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            got = " ".join(str(error).split())
            raise DataError(str(path), got=got, expected="a YAML file", remedy="fix or delete it") from error
        return config if isinstance(config, dict) else {}

    def training(self) -> Mapping[str, Any]:
        """Keys that shape the weights and differ from their defaults, and weights and guidance where they differ.

        {} where the folder of the run has no ``identity.json``.

        Raises:
            DataError: The file is damaged.
        """
        if self.folder is None:
            return {}
        in_views = self.folder.parent.name == "views"
        training = read_identity(self.folder.parent.parent if in_views else self.folder).get("training", {})
        view = {name: self.identity[name] for name in ("weights", "guidance")}
        return {**training, **{name: value for name, value in view.items() if value != DEFAULT_VIEW[name]}}

    @property
    def num_samples(self) -> Array | None:
        """Generated samples (S,) behind each f_mem; where no column says, those that its Wilson interval implies.

        A refined row pools several sets of as many samples as the others have. At an end e of the interval of f with N
        samples, (f - e)² = z² e (1 - e) / N. None where neither is there.

        Raises:
            DataError: Counts that are missing, or no multiples of the smallest.
        """
        if "num_samples" in self.table.columns:
            counts = self.column("num_samples")
            if not (counts >= 1).all() or (counts % counts.min()).any():
                raise DataError(
                    f"{self.name}: num_samples",
                    got=", ".join(f"{each:g}" for each in np.unique(counts)),
                    expected="the same count at every step, or multiples of it",
                    remedy="evaluate every step with as many samples",
                )
            return counts
        if "f_mem_high" not in self.table.columns:
            return None
        f, high = self.column("f_mem"), self.column("f_mem_high")
        inside = (high > f) & (high < 1)
        if not inside.any():
            return None
        count = float(np.median(_WILSON_Z**2 * high[inside] * (1 - high[inside]) / (high - f)[inside] ** 2))
        return np.full(len(f), float(round(count)))


def read_runs(sources: Iterable[str | Path], needed: Sequence[str] = NEEDED) -> list[Run]:
    """Every run at or below the given folders, in the order of their paths; ``needed`` are columns that all must have.

    Raises:
        DataError: A folder does not exist or holds no run, or a table cannot be used.
    """
    folders: dict[Path, None] = {}
    for source in map(Path, sources):
        if not source.is_dir():
            raise DataError(
                str(source),
                got="no such folder",
                expected=f"a folder with {TABLE} in or below it",
                remedy="correct the path",
            )
        found = _outermost(sorted(path.resolve() for path in folders_with(TABLE, source)))
        if not found:
            raise DataError(
                str(source),
                got=f"no {TABLE}",
                expected="at least one run in or below the folder",
                remedy="name a run folder or the folder of a study",
            )
        folders.update(dict.fromkeys(found))
    return [read_run(folder, needed) for folder in folders]


def _outermost(folders: Sequence[Path]) -> list[Path]:
    """Without those inside a run that are none of its views: what was measured again lies there."""
    known = set(folders)
    return [
        folder
        for folder in folders
        if not any(above in known and folder != above / "views" / folder.name for above in folder.parents)
    ]


def read_run(folder: Path, needed: Sequence[str] = NEEDED) -> Run:
    """The run in ``folder``.

    Raises:
        DataError: ``evaluations.csv`` is missing, is not a table, or breaks a rule of :func:`run_of_table`.
    """
    import pandas as pd

    path = folder / TABLE
    rows = read_table(path)  # pandas would fill a line cut short with empty fields
    if refined := read_steps(folder / REFINED):
        by_step = {**read_steps(path), **refined}
        rows = [by_step[step] for step in sorted(by_step)]
    if not rows:
        raise DataError(str(path), got="no rows", expected="one per evaluation", remedy="train the run further")
    columns = {name: values_of([row[name] for row in rows], text=name in _TEXT) for name in rows[0]}
    return run_of_table(one_line(_name(folder)), pd.DataFrame(columns), folder, needed)


def _name(folder: Path) -> str:
    """Study and folder of a run, or folder of the run and name of a view."""
    above = folder.parent.parent if folder.parent.name == "views" else folder.parent
    return f"{above.name}/{folder.name}"


def run_of_table(name: str, table: pd.DataFrame, folder: Path | None = None, needed: Sequence[str] = NEEDED) -> Run:
    """A run of its evaluations, with everything the analysis relies on checked.

    Raises:
        DataError: A ``needed`` column is missing, a column of numbers holds something else, steps repeat or
            descend, or identity columns change within the table.
    """
    import pandas as pd

    def refuse(what: str, got: str, expected: str, remedy: str) -> DataError:
        return DataError(f"{name}: {what}", got=got, expected=expected, remedy=remedy)

    for column in needed:
        if column not in table.columns:
            found = ", ".join(map(str, table.columns[:5]))
            raise refuse(f"column {column}", f"only {found}, …", f"{column} in {TABLE}", f"add it to {TABLE}")
    if table.empty:
        raise refuse(TABLE, "no rows", "one per evaluation", "train the run further or leave it out")
    identity = dict(DEFAULT_VIEW)
    for column in [column for column in IDENTITY if column in table.columns]:
        values = table[column].dropna().unique()
        if len(values) > 1:
            shown = ", ".join(map(str, values[:3]))
            raise refuse(f"column {column}", shown, "one value: one run", "give each run a folder of its own")
        if len(values):
            identity[column] = _plain_value(values[0])
    if not isinstance(n := identity.get("n"), int) or n < 1:
        raise refuse("column n", str(identity.get("n", "empty")), "the number of training images", f"fix {TABLE}")
    numbers = table.drop(columns=[*identity], errors="ignore").copy()
    for column in numbers.select_dtypes(exclude="number"):
        numeric = pd.to_numeric(numbers[column], errors="coerce")
        broken = numbers[column][numeric.isna() & numbers[column].notna()]
        if len(broken) and _is_number_column(str(column)):
            got = f"{broken.iloc[0]!r} in row {broken.index[0] + 1}"
            raise refuse(f"column {column}", got, "numbers", f"fix {TABLE}")
        if not len(broken):
            numbers[column] = numeric
    if (
        numbers["step"].isna().any()
        or not numbers["step"].is_monotonic_increasing
        or numbers["step"].duplicated().any()
    ):
        raise refuse("column step", "a step missing, repeated or out of order", "ascending steps", f"fix {TABLE}")
    return Run(name, folder, numbers.reset_index(drop=True), identity)


def quality_columns(columns: Iterable[str]) -> list[str]:
    """Those of ``columns`` that measure the quality of samples: ``fid`` first, then ``frechet_<features>``."""
    found = [name for name in columns if name == "fid" or name.startswith("frechet_")]
    return sorted((name for name in found if not name.endswith(("_std", "_train"))), key=lambda name: name != "fid")


def quality_column(runs: Sequence[Run], wanted: str | None = None) -> str:
    """The quality that all runs share: ``wanted``, else ``fid``, else their one ``frechet_<features>``.

    Raises:
        ParameterError: No such column in a run, or several to choose from.
    """
    shared = [column for column in runs[0].table.columns if all(column in run.table.columns for run in runs)]
    choices = quality_columns(shared)
    if wanted is None and (len(choices) == 1 or choices[:1] == ["fid"]):
        return choices[0]
    if wanted in shared:
        return str(wanted)
    raise ParameterError(
        "quality",
        got=wanted
        or (f"{len(choices)} columns to choose from" if choices else "no quality column that all runs share"),
        expected=f"one of {', '.join(choices)}" if choices else "fid or frechet_<features> in every run",
        remedy=None if choices else "compare runs with the same quality metric",
    )


def _is_number_column(name: str) -> bool:
    return name in ("step", "images_seen", "epochs", "num_samples") or name.startswith(
        ("f_mem", "fid", "frechet_", "loss_")
    )


def _plain_value(value: object) -> int | float | str:
    if isinstance(value, (np.integer, int)):
        return int(value)
    if isinstance(value, (np.floating, float)):
        return int(value) if float(value).is_integer() else float(value)
    return one_line(value)
