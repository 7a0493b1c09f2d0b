"""``python -m diffmem.twins RUN_A RUN_B [--num 500] [--seed 0] [--out DIR]``: when two models cease to agree.

The runs differ in their training images alone (``--data.index=0`` and ``1``). At every step that both have saved, both
are sampled from the same noise. ``twins.csv`` gets the agreement of their samples and that of each sample with its own
model's nearest training image; ``twins.png`` the curves; ``twins-pairs.png`` pairs of samples at the last step, each
between its nearest training images. The time τ_twin, from which on more than half of the samples lie nearer to their
own training images than to their twin, is printed with its 95% interval. Correlations are taken around the mean of
run A's held-out images.

Exit codes: 0 done, 2 bad option, 3 no runs of one kind, or no step that both have saved.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffmem.command_line import Parser, add_sampling, exit_code_of, require_folder, writing
from diffmem.errors import EXIT_DONE, parameters_of, require_at_least

if TYPE_CHECKING:
    from torch import Tensor

    from diffmem.metrics.twins import Agreement

_LEVEL = 0.5
_PAIRS = 8
_FEWEST_STEPS = 3


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _twins(_parser().parse_args(args)))


def _twins(options: argparse.Namespace) -> int:
    with parameters_of():
        require_at_least(2, num=options.num)
    require_folder(options.out)
    from diffmem.config.trust import trusting
    from diffmem.files import write_table

    with trusting(options.trust):
        rows, pairs = compare_twins(options.runs[0], options.runs[1], options.num, options.seed)
    with writing(options.out, "a folder to write in"):
        options.out.mkdir(parents=True, exist_ok=True)
        write_table(options.out / "twins.csv", rows)
        _draw(rows, options.out / "twins.png")
        if pairs is not None:
            _draw_pairs(pairs, options.out / "twins-pairs.png")
    print(f"tau_twin {tau_twin(rows)}\ndone: {options.out}")
    return EXIT_DONE


def compare_twins(
    folder_a: Path, folder_b: Path, num: int = 500, seed: int = 0
) -> tuple[list[dict[str, Any]], Tensor | None]:
    """Agreement of two runs at every step that both have saved.

    Args:
        folder_a: Folder of a run.
        folder_b: Folder of another run of the same model on other training images.
        num: Number of samples of each.
        seed: Seed of the noise that sample i of both starts from.

    Returns:
        Rows of ``twins.csv``; and of the first pairs at the last step the nearest training image of A, the sample of A,
        that of B and the nearest training image of B, (pairs · 4, C, H, W) in [0, 1], None for vectors.

    Raises:
        DataError: A folder is no run, the runs' training images overlap, or they have no saved step in common.
    """
    import torch

    from diffmem.metrics.twins import twin_agreement
    from diffmem.revisit.pairs import check_disjoint, steps_of_both
    from diffmem.revisit.reopen import ReopenedRun, saved_steps

    runs = ReopenedRun(folder_a), ReopenedRun(folder_b)
    check_disjoint(*runs)
    saved = saved_steps(folder_a), saved_steps(folder_b)
    steps = steps_of_both(folder_a, folder_b)
    trains = tuple(run.data.to_unit(run.data.train_images).to(run.model.device) for run in runs)
    mean = runs[0].data.to_unit(runs[0].data.test_images).mean(0).to(runs[0].model.device)
    rows: list[dict[str, Any]] = []
    for step in steps:
        for run, checkpoints in zip(runs, saved, strict=True):
            run.load(checkpoints[step])
        samples = tuple(run.sample(num, seed) for run in runs)
        agreement, nearest = twin_agreement(samples, trains, mean)  # type: ignore[arg-type]
        rows.append({"step": step, "num_samples": num, **_columns(agreement)})
        print(f"step {step}: correlation {rows[-1]['correlation']:.3f}", flush=True)
    if samples[0].ndim != 4:
        return rows, None
    columns = (trains[0][nearest[0]], *samples, trains[1][nearest[1]])
    return rows, torch.stack([each[:_PAIRS] for each in columns], 1).flatten(0, 1).clamp(0, 1).cpu()


def _columns(agreement: Agreement) -> dict[str, float]:
    """Means, their standard errors, and the share of the samples nearer to a training image than to the twin."""
    columns = {}
    for name, values in agreement._asdict().items():
        columns[name] = values.mean().item()
        columns[f"{name}_std"] = (values.std() / len(values) ** 0.5).item()
    columns["share_own"] = (agreement.train_distance < agreement.distance).double().mean().item()
    return columns


def tau_twin(rows: list[dict[str, Any]]) -> str:
    """The time after which more than half of the samples are nearer to their own training images than to the twin.

    In updates, with its 95% interval, as text; why it is not known from fewer than three rows of ``twins.csv``.
    """
    from diffmem.analysis.timescales import tau_mem

    steps, shares = [row["step"] for row in rows], [row["share_own"] for row in rows]
    if len(steps) < _FEWEST_STEPS:
        return f"not known: {len(steps)} steps that both have saved, expected at least {_FEWEST_STEPS}"
    return str(tau_mem(steps, shares, rows[0]["num_samples"], level=_LEVEL))


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    from diffmem.analysis.style import GROUP_COLORS, new_figure, save, styled

    @styled
    def draw() -> None:
        figure, (axes,) = new_figure(1, 3, sharex=True)
        steps, labels = [row["step"] for row in rows], ("with the twin", "with its training set")
        for ax, names, title in (
            (axes[0], ("correlation", "train_correlation"), "correlation"),
            (axes[1], ("distance", "train_distance"), "L2 distance"),
        ):
            for name, color, label in zip(names, GROUP_COLORS[:2], labels, strict=True):
                values = [row[name] for row in rows]
                ax.errorbar(steps, values, [2 * row[f"{name}_std"] for row in rows], color=color, label=label)
            ax.set_title(title)
        axes[1].set_yscale("log")
        axes[2].plot(steps, [row["share_own"] for row in rows], color=GROUP_COLORS[2])
        axes[2].axhline(_LEVEL, color="0.45", ls=":")
        axes[2].set_title("share nearer to a training image")
        axes[0].legend()
        for ax in axes:
            ax.set_xscale("log")
            ax.set_xlabel("updates")
        save(figure, path)

    draw()


def _draw_pairs(pairs: Tensor, path: Path) -> None:
    from torch.nn.functional import interpolate
    from torchvision.utils import save_image

    from diffmem.files import write_atomic

    buffer = io.BytesIO()
    scale = max(1, 48 // pairs.shape[-1])
    save_image(interpolate(pairs, scale_factor=scale), buffer, format="png", nrow=4, padding=4, pad_value=1.0)
    write_atomic(path, buffer.getvalue())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m diffmem.twins",
        description="Agreement of two models trained on disjoint images, sampled from the same noise.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", type=Path, nargs=2, metavar="RUN_DIR", help="folders of the two runs")
    add_sampling(parser, 500, Path("twins"), "folder for table and figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
