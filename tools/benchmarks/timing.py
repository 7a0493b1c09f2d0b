"""Times implementations in turn, so that all of them meet the same machine."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import torch

from diffmem.models.ddpm import CompileMode

#: Name of the implementation that the others are compared with.
PLAIN = "plain"


@dataclass
class Measurement:
    """Seconds a unit of work of several implementations, round by round.

    Attributes:
        title: What was done, with its sizes.
        unit: What the seconds are for: an image, a step, a sample …
        seconds: For each implementation, ``"plain"`` among them, one value a round.
        notes: What has to be said beside the numbers.
    """

    title: str
    unit: str
    seconds: dict[str, list[float]]
    notes: list[str] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Median of the rounds, seconds a unit."""
        return statistics.median(self.seconds[name])

    def speedup(self, name: str) -> float:
        """How many times as fast as plain: the median over the rounds of the ratio within a round."""
        return statistics.median(a / b for a, b in zip(self.seconds[PLAIN], self.seconds[name], strict=True))

    def as_dict(self) -> dict[str, object]:
        """For JSON, with medians and ratios."""
        figures = {name: {"median": self.median(name), "speedup": self.speedup(name)} for name in self.seconds}
        return {**asdict(self), "figures": figures}


@dataclass(frozen=True)
class Work:
    """An implementation: ``call`` does ``amount`` units of work."""

    call: Callable[[], object]
    amount: float = 1


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        quick: Tiny sizes and one round: shows that everything runs.
        rounds: Rounds over all implementations.
        device: Where the networks and metrics run.
        compile: Mode of ``torch.compile`` to measure as well, or None.
    """

    quick: bool
    rounds: int
    device: torch.device
    compile: CompileMode | None = None

    def pick(self, full: int, quick: int) -> int:
        """The size to use."""
        return quick if self.quick else full


def interleave(works: Mapping[str, Work], scale: Scale) -> dict[str, list[float]]:
    """Seconds a unit of each implementation: one call each to warm up, then ``rounds`` rounds over all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(scale.rounds + 1):
        for name, work in works.items():
            start = now(scale.device)
            work.call()
            if turn:
                seconds[name].append((now(scale.device) - start) / work.amount)
    return seconds


def now(device: torch.device) -> float:
    """Seconds, when the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def missing(*packages: str) -> list[str]:
    """A note on each package that is not installed."""
    lost = [each for each in packages if importlib.util.find_spec(each) is None]
    return [f"{each} is not installed (pip install -e '.[bench]')" for each in lost]
