"""What is on a page: trainings with their views, and the comparison of all, where they can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffmem.analysis.comparable import columns_apart
from diffmem.analysis.comparison import TIMES, Comparison, Rules, RunTimes, compare
from diffmem.analysis.effects import Effects, effects_against
from diffmem.analysis.pages.names import named
from diffmem.analysis.per_class import ClassTimes, class_times
from diffmem.analysis.runs import Run
from diffmem.errors import DataError, ParameterError


@dataclass(frozen=True)
class Member:
    """One training on the page.

    Attributes:
        views: The ways in which it was looked at, each with its times; the table beside ``config.yaml`` first.
    """

    views: tuple[RunTimes, ...]

    @property
    def run(self) -> Run:
        """The run of the first view."""
        return self.views[0].run

    @property
    def folder(self) -> Path | None:
        """The folder of the training; None for a run read from W&B."""
        return _training_folder(self.run)


@dataclass(frozen=True)
class Content:
    """The runs of a page.

    Attributes:
        members: Each training with the times of its views.
        rules: By which the times were read.
        comparison: The runs together, their groups named by what sets them apart; None where they cannot be compared.
        effects: What each setting does against a baseline; None where that was not asked for.
        classes: Times of each class; empty for unconditional runs.
        refusal: Why there is no comparison; empty where there is one.
    """

    members: tuple[Member, ...]
    rules: Rules
    comparison: Comparison | None
    effects: Effects | None
    classes: tuple[ClassTimes, ...]
    refusal: str


def content_of(runs: Sequence[Run], rules: Rules, against: str | None = None) -> Content:
    """``runs`` with what they give together, or why they give nothing together.

    Args:
        runs: Whose tables have ``step`` and ``n`` at least.
        rules: By which times are read; without columns ``by``, the groups are those that tell the runs apart.
        against: The baseline of the effects, as :func:`~diffmem.analysis.effects.effects_against` takes it.

    Raises:
        ParameterError: Columns ``by``, a quality or a baseline that there is not.
        DataError: Runs without effects against it.
    """
    if not rules.by:
        rules = replace(rules, by=columns_apart(runs))
    comparison, refusal = _compared(runs, rules)
    if comparison is None:
        return Content(_members([_alone(run, rules) for run in runs]), rules, None, None, (), refusal)
    effects = effects_against(comparison, against) if against else None
    renamed = named(comparison, effects)
    members = _members([each for group in renamed.groups for each in group.runs])
    classes = _classes(runs, rules, _new_names(comparison, renamed))
    return Content(members, rules, renamed, effects, classes, "")


def _members(runs: Sequence[RunTimes]) -> tuple[Member, ...]:
    """Runs by the folder of their training, in the order of their first views."""
    found: dict[object, list[RunTimes]] = {}
    for each in runs:
        found.setdefault(_training_folder(each.run) or each.run.name, []).append(each)
    return tuple(Member(tuple(sorted(views, key=lambda each: _view(each.run)))) for views in found.values())


def _training_folder(run: Run) -> Path | None:
    return run.folder.parent.parent if _view(run) and run.folder else run.folder


def _view(run: Run) -> str:
    """Name of the view; empty for the one whose table lies beside ``config.yaml``."""
    return run.folder.name if run.folder is not None and run.folder.parent.name == "views" else ""


def _compared(runs: Sequence[Run], rules: Rules) -> tuple[Comparison | None, str]:
    for run in runs:
        if "f_mem" not in run.table.columns:
            return None, f"{run.name} has no f_mem, from which τ_mem is read"
    try:
        return compare(runs, rules), ""
    except DataError as refusal:
        return None, str(refusal)
    except ParameterError as error:
        if getattr(rules, error.what, None):  # asked for, and not there
            raise
        return None, str(error)


def _alone(run: Run, rules: Rules) -> RunTimes:
    """The run with the times that it gives by itself."""
    comparison, _ = _compared([run], rules)
    return comparison.groups[0].runs[0] if comparison else RunTimes(run, dict.fromkeys(TIMES))


def _new_names(before: Comparison, after: Comparison) -> dict[str, str]:
    new = {id(group.runs[0]): group.name for group in after.groups}
    return {group.name: new[id(group.runs[0])] for group in before.groups}


def _classes(runs: Sequence[Run], rules: Rules, names: Mapping[str, str]) -> tuple[ClassTimes, ...]:
    try:
        return tuple(replace(each, group=names[each.group]) for each in class_times(runs, rules))
    except DataError:
        return ()
