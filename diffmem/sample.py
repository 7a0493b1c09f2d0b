"""``python -m diffmem.sample RUN_DIR [--checkpoint last|generalization|STEP] [--num 64] [--seed 0] [--out FILE|DIR]``.

Samples of a trained run, as a picture (``.png``), an array (``.npz``, in the units of the data, not clamped) or a
folder with a picture each. Sample i starts from noise i of the seed: with the run's own seed they are those of its
evaluations. ``--view`` draws them in a view of the run, e.g. ``guidance3``. Those of a conditional model have labels
0 … K − 1 in turn.

Exit codes: 0 done, 2 bad option, 3 no run or no such checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffmem.command_line import Parser, add_sampling, exit_code_of, writing
from diffmem.errors import EXIT_DONE, ConfigError, parameters_of, require_at_least

if TYPE_CHECKING:
    from diffmem.revisit.reopen import ReopenedRun

_COLUMNS = 8


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _sample(_parser().parse_args(args)))


def _sample(options: argparse.Namespace) -> int:
    with parameters_of():
        require_at_least(1, num=options.num)
    if options.out.suffix not in ("", ".png", ".npz"):
        raise ConfigError(
            "--out", got=options.out, expected="a .png, a .npz or a folder", remedy="e.g. --out=samples.png"
        )
    from diffmem.revisit.reopen import load_run

    run = load_run(options.run, options.checkpoint, options.trust)
    with parameters_of(), writing(options.out, "a place to write to"):
        _write(run, options)
    print(f"done: {options.out}, {options.num} samples of step {run.step}")
    return EXIT_DONE


def _write(run: ReopenedRun, options: argparse.Namespace) -> None:
    import io

    import numpy as np
    from torchvision.utils import save_image

    from diffmem.files import write_atomic

    out: Path = options.out
    samples = run.sample(options.num, options.seed, options.view).cpu()
    buffer = io.BytesIO()
    if out.suffix == ".npz":
        np.savez_compressed(buffer, samples=samples.numpy(), step=run.step, seed=options.seed)
        write_atomic(out, buffer.getvalue())
        return
    if samples.ndim != 4:
        raise ConfigError("--out", got=out, expected="a .npz: the data are no images", remedy="--out=samples.npz")
    if out.suffix == ".png":
        save_image(samples.clamp(0, 1), buffer, format="png", nrow=_COLUMNS, padding=2, pad_value=1.0)
        write_atomic(out, buffer.getvalue())
        return
    for number, each in enumerate(samples.clamp(0, 1)):
        buffer = io.BytesIO()
        save_image(each, buffer, format="png")
        write_atomic(out / f"{number:05d}.png", buffer.getvalue())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m diffmem.sample", description="Draw samples of a trained run.", allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    parser.add_argument("--checkpoint", default="last", help="last, generalization or a saved step (default: last)")
    parser.add_argument("--view", default="", metavar="NAME", help="a view of the run (default: raw and unguided)")
    add_sampling(parser, 64, Path("samples.png"), "a .png, a .npz or a folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
