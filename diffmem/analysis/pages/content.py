"""What is on a page: the comparison of its runs, or each run by itself where they cannot be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from diffmem.analysis.comparison import TIMES, Comparison, Rules, RunTimes, compare
from diffmem.analysis.effects import Effects, effects_against
from diffmem.analysis.runs import Run
from diffmem.errors import UserError


@dataclass(frozen=True)
class Content:
    """The runs of a page.

    Attributes:
        members: Each run with its times.
        clock: One of :data:`~diffmem.analysis.runs.CLOCKS`.
        comparison: The runs together; None where they cannot be compared.
        effects: What sets each setting apart from a baseline, and what it does; None where that was not asked for.
        refusal: Why they cannot; empty where they can.
    """

    members: tuple[RunTimes, ...]
    clock: str
    comparison: Comparison | None
    effects: Effects | None
    refusal: str


def content_of(runs: Sequence[Run], rules: Rules, against: str | None = None) -> Content:
    """``runs`` with what they give together, or why they give nothing together.

    Args:
        runs: Whose tables have ``step`` and ``n`` at least.
        rules: By which times are read.
        against: The baseline of the effects, as :func:`~diffmem.analysis.effects.effects_against` takes it.

    Raises:
        ConfigError: A baseline that there is not.
        DataError: Runs without effects against it.
    """
    comparison, refusal = _compared(runs, rules)
    if comparison is not None:
        members = tuple(each for group in comparison.groups for each in group.runs)
        effects = effects_against(comparison, against) if against else None
        return Content(members, rules.clock, comparison, effects, "")
    return Content(tuple(_alone(run, rules) for run in runs), rules.clock, None, None, refusal)


def _compared(runs: Sequence[Run], rules: Rules) -> tuple[Comparison | None, str]:
    for run in runs:
        if "f_mem" not in run.table.columns:
            return None, f"{run.name} has no f_mem, from which τ_mem is read"
    try:
        return compare(runs, rules), ""
    except UserError as refusal:
        return None, str(refusal)


def _alone(run: Run, rules: Rules) -> RunTimes:
    """The run with the times that it gives by itself."""
    comparison, _ = _compared([run], rules)
    return comparison.groups[0].runs[0] if comparison else RunTimes(run, dict.fromkeys(TIMES))
