"""What makes a training image be copied early: its neighbours, its class, how often it comes.

    python -m diffmem.fit --config configs/digits/unet.yaml --config configs/digits/atlas.yaml --data.n=64
    python tools/draw_hits.py RUN --out hits

By the rule of hits.csv, which needs the second nearest image to be far, images on their own count earlier as a matter
of geometry. So the same is read by a second rule, from samples of the saved checkpoints: a copy is nearer to an image
than a third of the median distance between neighbours. Writes first_copied.csv (a row an image) and hits.png.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from diffmem.analysis.estimate import Array
from diffmem.analysis.hits import draw_hits, first_copied, rank_correlation
from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, ConfigError, DataError
from diffmem.files import read_table, write_table
from diffmem.metrics.copying import spacing
from diffmem.metrics.memorization import nearest_neighbors
from diffmem.revisit.reopen import ReopenedRun, saved_steps

RADIUS = 1 / 3


def within_radius(run: ReopenedRun, num: int, radius: float) -> Array:
    """First saved step at which one of ``num`` samples is within ``radius`` of each training image, (n,)."""
    train = run.data.to_unit(run.data.train_images).to(run.model.device)
    first = np.full(len(train), np.inf)
    for step, path in saved_steps(run.folder).items():
        run.load(path)
        distances, indices = nearest_neighbors(run.sample(num), train, 1)
        hit = indices[distances[:, 0] < radius, 0].unique().cpu().numpy()
        first[hit] = np.minimum(first[hit], step)
    return first


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _main(_parser().parse_args(args)))


def _main(options: argparse.Namespace) -> int:
    run = ReopenedRun(options.run)
    table = options.run / "hits.csv"
    if not table.exists():
        raise DataError(str(table), got="no copies yet", expected="a run that copies", remedy="train it longer")
    data = run.data
    spacings = spacing(data.to_unit(data.train_images)).numpy()
    times_in_an_epoch = np.where(np.arange(data.n) < data.num_duplicated, data.num_copies, 1)
    labels = data.true_labels("train")
    radius = RADIUS * float(np.median(spacings))
    rules = {
        "ratio below 1/3": first_copied(data.n, read_table(table)),
        f"within {radius:.2f}": within_radius(run, options.num, radius),
    }
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        write_table(options.out / "first_copied.csv", [
            {"image": image, "spacing": spacings[image], "label": None if labels is None else labels[image].item(),
             "times_in_an_epoch": times_in_an_epoch[image],
             **{name: _step(first[image]) for name, first in zip(("ratio", "radius"), rules.values(), strict=True)}}
            for image in range(data.n)
        ])  # fmt: skip
        picture = options.out / "hits.png"
        draw_hits(rules, spacings, None if labels is None else labels.numpy(), times_in_an_epoch, picture)
    except OSError as error:
        raise ConfigError(
            "--out", got=f"{options.out} ({error.strerror})", expected="a folder to write in", remedy="set --out"
        ) from error
    for rule, first in rules.items():
        seen = np.isfinite(first)
        print(f"{rule}: {seen.sum()} of {data.n} images copied")
        print(f"  rank correlation with the distance to the nearest other image {rank_correlation(spacings, first)}")
        if data.num_duplicated:
            print(f"  rank correlation with its times in an epoch {rank_correlation(times_in_an_epoch, first)}")
    return EXIT_DONE


def _step(first: float) -> int | None:
    return int(first) if np.isfinite(first) else None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python tools/draw_hits.py", description="What makes a training image be copied early.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    parser.add_argument("--num", type=int, default=500, metavar="N", help="samples a checkpoint (default: 500)")
    parser.add_argument("--out", type=Path, default=Path("hits"), help="folder to write to (default: hits)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
