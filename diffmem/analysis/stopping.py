"""The stopping rule as an object, for a training loop of one's own."""

from typing import Literal

from diffmem.analysis.window import PLATEAU_FACTOR, Rule, Window, check_rule, generalization_window
from diffmem.errors import DataError, ParameterError

#: What to do at a step: train on; keep these weights, the best so far; stop, for copying has begun.
Decision = Literal["go on", "keep", "stop"]


class StoppingRule:
    """Says at each evaluation whether to keep the weights or to stop; see :func:`generalization_window`.

    Args:
        rule: ``"f_mem"``, which reads ``f_mem_low``, or ``"loss_split"``, which reads ``loss_train`` and ``loss_test``.
        level: Threshold at which copying has begun; None for the rule's default.
        quality_level: Largest FID or Fréchet distance that counts as good; None for no bound.
        plateau_factor: Largest ratio to the best quality that counts as equally good.

    Attributes:
        window: Where to stop and why, as far as the evaluations tell; None before the first.

    Raises:
        ParameterError: An unknown rule, a level that is not positive, or a factor below 1.
    """

    def __init__(
        self,
        rule: Rule = "f_mem",
        level: float | None = None,
        quality_level: float | None = None,
        plateau_factor: float = PLATEAU_FACTOR,
    ) -> None:
        check_rule(rule, level, plateau_factor, quality_level)
        self.rule, self.level = rule, level
        self.quality_level, self.plateau_factor = quality_level, plateau_factor
        self.window: Window | None = None
        self._rows: list[dict[str, float]] = []

    def update(self, step: int, **measured: float) -> Decision:
        """Take the measurements of a step into account, steps ascending.

        Args:
            step: Number of updates.
            **measured: Columns of ``evaluations.csv``, the same at every step: those that the rule reads and, where
                there is one, the quality, ``fid`` or ``frechet_<features>``; without it every step before the onset is
                kept.

        Raises:
            ParameterError: A step that is not above the last one.
            DataError: A number that the rule reads is missing, or other columns than at the steps before.
        """
        if self._rows:
            last = self._rows[-1]
            if not step > last["step"]:
                raise ParameterError("step", got=step, expected=f"above {last['step']}, the last one")
            if measured.keys() != last.keys() - {"step"}:
                raise DataError(
                    f"step {step}",
                    got=", ".join(sorted(measured)) or "nothing",
                    expected=f"{', '.join(sorted(last.keys() - {'step'}))}, as before",
                    remedy="give the same measurements at every step",
                )
        rows = [*self._rows, {"step": step, **measured}]
        self.window = generalization_window(rows, self.rule, self.level, self.quality_level, self.plateau_factor)
        self._rows = rows
        if self.window.onset is not None:
            return "stop"
        return "keep" if self.window.best == step else "go on"
