"""Scheduled steps: at which optimizer updates a run is evaluated."""

import math
from collections.abc import Sequence

from diffmem.errors import ConfigError

#: The evaluation steps of the paper's code up to 10M updates (arXiv 2505.17638).
PAPER_STEPS = (
    0, 250, 500, 750, 1250, 1750, 2750, 4250, 6500, 10000,
    *range(15000, 115001, 5000),
    125000, 130000, 135000, 145000, 155000, 160000, 170000, 180000, 190000, 200000, 210000, 220000, 230000,
    245000, 260000, 270000, 285000, 300000, 320000, 335000, 355000, 370000, 390000, 410000, 435000, 460000,
    480000, 510000, 535000, 565000, 595000, 625000, 660000, 695000, 730000, 770000, 810000, 855000, 900000,
    945000, 1000000, 1290000, 1665000, 2150000, 2780000, 3590000, 4640000, 5990000, 7740000, 10000000,
)  # fmt: skip

_MOST = 1_000_000
_FORMS = "'log:PER_DECADE', 'log:PER_DECADE:FIRST', 'every:STEPS', 'paper' or a list of steps"


def scheduled_steps(spec: str | Sequence[int], max_steps: int) -> tuple[int, ...]:
    """Ascending steps in [0, max_steps], always with both ends.

    Args:
        spec: ``"log:10"`` puts 10 steps in each decade from 10 on, ``"log:10:100"`` from 100 on: the grid does
            not depend on ``max_steps``, so runs of different lengths share their steps. ``"every:500"``,
            ``"paper"`` (:data:`PAPER_STEPS`), or the steps themselves.
        max_steps: Number of optimizer updates of the run.

    Raises:
        ConfigError: ``spec`` has none of these forms, or asks for more than a million steps.
    """
    if isinstance(spec, str):
        steps = _from_name(spec, max_steps)
    elif all(isinstance(step, int) and step >= 0 for step in spec):
        steps = list(spec)
    else:
        steps = None
    if steps is None:
        key = "evaluation.steps"
        raise ConfigError(key, got=repr(spec), expected=_FORMS, remedy=f"set --{key}, e.g. --{key}=log:10:100")
    return tuple(sorted({0, max_steps, *(step for step in steps if step <= max_steps)}))


def _check_number(spec: str, count: float) -> None:
    if count > _MOST:
        raise ConfigError(
            "evaluation.steps",
            got=f"{spec!r}, {count:.3g} steps",
            expected=f"at most {_MOST:,}",
            remedy="set --evaluation.steps, e.g. --evaluation.steps=log:10:100",
        )


def _from_name(spec: str, max_steps: int) -> list[int] | None:
    kind, *rest = spec.split(":")
    if kind == "paper" and not rest:
        return list(PAPER_STEPS)
    if not all(part.isdecimal() and int(part) > 0 for part in rest):
        return None
    numbers = [int(part) for part in rest]
    if kind == "every" and len(numbers) == 1:
        _check_number(spec, max_steps / numbers[0])
        return list(range(0, max_steps, numbers[0]))
    if kind == "log" and len(numbers) in (1, 2):
        per_decade, first = (*numbers, 10)[:2]
        count = max(0, math.ceil(per_decade * math.log10(max(max_steps, 1) / first))) + 1
        _check_number(spec, count)
        return [round(first * 10 ** (k / per_decade)) for k in range(count)]
    return None
