"""Whether both clocks of a run are known, so that nothing is left to train for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from diffmem.analysis.timescales import MEMORIZATION_LEVEL, tau_gen, tau_mem
from diffmem.analysis.window import has_value, quality_of_all
from diffmem.errors import DataError


def clocks_are_known(
    rows: Sequence[Mapping[str, Any]], quality_level: float, mem_level: float = MEMORIZATION_LEVEL
) -> bool:
    """Whether τ_gen and τ_mem have been passed, by their rules, with intervals that have two ends.

    Args:
        rows: Rows of ``evaluations.csv`` in the order of ``step``.
        quality_level: Level q of τ_gen.
        mem_level: Level c of τ_mem.

    Raises:
        DataError: There is no quality that every row has.
    """
    if not rows or (quality := quality_of_all(rows)) is None:
        raise DataError(
            "evaluations",
            got="no quality that every row has",
            expected="fid or frechet_<features>",
            remedy="measure it at every step",
        )
    steps = [float(row["step"]) for row in rows]

    def column(name: str) -> list[float]:
        return [float(row[name]) for row in rows]

    has_error = all(has_value(row, f"{quality}_std") for row in rows)
    try:
        mem = tau_mem(steps, column("f_mem"), column("num_samples"), level=mem_level)
        gen = tau_gen(steps, column(quality), quality_level, column(f"{quality}_std") if has_error else None)
    except DataError:  # too few evaluations yet, or none that is short of a level
        return False
    return not (mem.censored or gen.censored) and math.isfinite(mem.high) and math.isfinite(gen.high)
