"""The phase diagram over n and the number of parameters p, from runs of finite length.

Every run falls in one phase by what its own curves, and the law τ_mem(n) of its group at its p, allow to say:

- *memorizing*: τ_mem ≤ τ_gen, or copies before the end of the evaluations while the quality was never reached: there is
  no time at which samples are good and new.
- *protected by training time*: τ_gen < τ_mem, with τ_mem seen, or to come by the law: one may stop in between.
- *protected by architecture*: trained beyond the upper end of the τ_mem that the law of smaller n predicts, and still
  no copies.
- *undecided*: neither copies nor good samples yet, a τ_gen known only to exceed a bound that lies before τ_mem, or no
  law to say whether copies would come, as where the times of smaller n are no power law.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from diffmem.analysis.estimate import Estimate
from diffmem.analysis.scaling import PowerLaw


class Phase(str, Enum):
    """What keeps a model from copying its training images, or does not."""

    MEMORIZING = "memorizing"
    TRAINING_TIME = "protected by training time"
    ARCHITECTURE = "protected by architecture"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class PhasePoint:
    """The phase of one cell."""

    group: str
    n: int
    num_parameters: int
    phase: Phase


def phase_of(gen: Estimate | None, mem: Estimate, of_runs: Sequence[Estimate], law: PowerLaw | None, n: int) -> Phase:
    """Phase of a cell.

    Args:
        gen: τ_gen; None where the curve could not support one.
        mem: τ_mem.
        of_runs: τ_mem of each of its runs; one that copied is enough to rule architecture out.
        law: τ_mem(n) fitted to uncensored runs of the same group and p at *smaller* n; None where there is none, or
            where they are seen to be no power law.
        n: Number of training images.
    """
    if mem.censored:
        if law is None:
            return Phase.UNDECIDED
        if all(run.censored and run.last > law.predict(n).high for run in of_runs):
            return Phase.ARCHITECTURE
        return Phase.UNDECIDED if gen is None or gen.censored else Phase.TRAINING_TIME
    if gen is None:
        return Phase.UNDECIDED
    if gen.bound >= mem.value:
        return Phase.MEMORIZING
    return Phase.UNDECIDED if gen.censored else Phase.TRAINING_TIME
