"""What makes a training image be copied early and often: its neighbours, its class, how often it comes.

    for d in null 8:8; do python -m diffmem.fit --config configs/digits/unet.yaml --config configs/digits/atlas.yaml \\
      --data.n=64 --data.duplicates=$d --checkpoint.every_n_steps=40 --checkpoint.keep=null; done
    python tools/draw_hits.py RUN … --out hits

By the rule of hits.csv, which needs the second nearest image to be far, images on their own count earlier as a matter
of geometry. So the same is read by a second rule, from samples of the saved checkpoints: a copy is nearer to an image
than a third of the median distance between neighbours. Images that come several times in an epoch of one run and once
in that of another on the same images are compared with themselves; neighbours and classes are read where every image
comes once. Writes first_copied.csv (a row for each run and image) and hits.png.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffmem.analysis.estimate import Array
from diffmem.analysis.hits import copies_by_image, draw_hits, first_copied, paired, rank_correlation
from diffmem.command_line import Parser, add_sampling, exit_code_of, writing
from diffmem.config.trust import trusting
from diffmem.errors import EXIT_DONE, DataError, parameters_of, require_at_least
from diffmem.files import read_table, write_table
from diffmem.metrics.copying import spacing
from diffmem.metrics.memorization import nearest_neighbors
from diffmem.revisit.reopen import ReopenedRun, saved_steps

RADIUS = 1 / 3
#: The rules by their columns.
RULES = {"ratio": "ratio below 1/3", "radius": "within a third of the spacing"}


def hits_within(run: ReopenedRun, num: int, radius: float, seed: int) -> list[dict[str, str]]:
    """Rows as of ``hits.csv``: how many of ``num`` samples of each saved step are within ``radius`` of which image."""
    train = run.data.to_unit(run.data.train_images).to(run.model.device)
    rows = []
    for step, path in saved_steps(run.folder).items():
        run.load(path)
        distances, indices = nearest_neighbors(run.sample(num, seed), train, 1)
        counts = indices[distances[:, 0] < radius, 0].bincount(minlength=len(train)).tolist()
        rows += [{"step": str(step), "image": str(k), "copies": str(count)} for k, count in enumerate(counts) if count]
    return rows


def images_of(folder: Path, num: int, seed: int = 0) -> list[dict[str, Any]]:
    """A row for each training image of a run: what it is, and by each rule when it is first copied and how often."""
    run = ReopenedRun(folder)
    table = folder / "hits.csv"
    if not table.exists():
        raise DataError(str(table), got="no copies yet", expected="a run that copies", remedy="train it longer")
    data = run.data
    spacings = spacing(data.to_unit(data.train_images)).numpy()
    labels = data.true_labels("train")
    radius = RADIUS * float(np.median(spacings))
    hits = {"ratio": read_table(table), "radius": hits_within(run, num, radius, seed)}
    first = {rule: first_copied(data.n, rows) for rule, rows in hits.items()}
    copies = {rule: copies_by_image(data.n, rows) for rule, rows in hits.items()}
    return [
        {
            "run": folder.name,
            "image": image,
            "position": data.train_positions[image],
            "spacing": spacings[image],
            "label": None if labels is None else labels[image].item(),
            "times_in_an_epoch": data.num_copies if image < data.num_duplicated else 1,
            **{rule: first[rule][image] for rule in RULES},
            **{f"{rule}_copies": copies[rule][image] for rule in RULES},
        }
        for image in range(data.n)
    ]


def describe(rows: Sequence[dict[str, Any]], rule: str) -> list[str]:
    """What the ``rows`` of :func:`images_of` say by ``rule``, in lines."""
    times = _column(rows, "times_in_an_epoch")
    first, copies = _column(rows, rule), _column(rows, f"{rule}_copies")
    lines = [f"{RULES[rule]}: {np.isfinite(first).sum()} of {len(rows)} images copied"]
    once = alone(rows)
    correlation = rank_correlation(_column(rows, "spacing")[once], first[once])
    lines.append(f"  rank correlation with the distance to the nearest other image {correlation}")
    if np.ptp(times) > 0:
        for each in sorted(set(times.tolist())):
            mine, seen = times == each, np.isfinite(first[times == each])
            median = f"{np.median(first[mine]):.0f}" if seen.mean() > 0.5 else "not reached"
            lines.append(
                f"  {each:.0f} times in an epoch: {seen.sum()} of {mine.sum()} copied, first at update {median} "
                f"(median), {copies[mine].mean():.1f} copies an image"
            )
    for name, column in (("earlier", rule), ("more often", f"{rule}_copies")):
        pairs = _pairs(rows, column)
        if pairs:
            found = paired(*_sooner(name, *np.array(pairs).T))
            lines.append(f"  the same image, {name} where it comes more often: {found}")
    return lines


def alone(rows: Sequence[dict[str, Any]]) -> NDArray[np.bool_]:
    """Which rows are of runs where every image comes once, (N,); where there is no such run, of images that do."""
    duplicated = {row["run"] for row in rows if row["times_in_an_epoch"] > 1}
    found = np.array([row["run"] not in duplicated for row in rows])
    return found if found.any() else _column(rows, "times_in_an_epoch") == 1


def _pairs(rows: Sequence[dict[str, Any]], column: str) -> list[tuple[float, float]]:
    """Values of the same image where it comes several times, and where it comes once."""
    once: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["times_in_an_epoch"] == 1:
            once.setdefault(row["position"], []).append(row)
    pairs = []
    for row in rows:
        others = once.get(row["position"], []) if row["times_in_an_epoch"] > 1 else []
        if len(others) > 1:
            raise DataError(
                f"{others[0]['run']} and {others[1]['run']}",
                got="two runs on the same images, of which one would be the pair",
                expected="one run without duplicates on each subset",
                remedy="leave one out",
            )
        pairs += [(row[column], other[column]) for other in others]
    return pairs


def _sooner(name: str, several: Array, once: Array) -> tuple[Array, Array]:
    """Both, so that the first is the smaller where the claim holds."""
    return (several, once) if name == "earlier" else (-several, -once)


def _column(rows: Sequence[dict[str, Any]], name: str) -> Array:
    return np.array([row[name] for row in rows], dtype=float)


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _main(_parser().parse_args(args)))


def _main(options: argparse.Namespace) -> int:
    with parameters_of():
        require_at_least(1, num=options.num)
    with trusting(options.trust):
        rows = [row for folder in options.runs for row in images_of(folder, options.num, options.seed)]
    lines = [line for rule in RULES for line in describe(rows, rule)]
    labels = None if any(row["label"] is None for row in rows) else _column(rows, "label").astype(int)
    with writing(options.out, "a folder to write in"):
        options.out.mkdir(parents=True, exist_ok=True)
        write_table(options.out / "first_copied.csv", [{**row, **{r: _step(row[r]) for r in RULES}} for row in rows])
        rules = {name: _column(rows, rule) for rule, name in RULES.items()}
        times = _column(rows, "times_in_an_epoch")
        draw_hits(rules, _column(rows, "spacing"), labels, times, options.out / "hits.png", alone(rows))
    print("\n".join(lines))
    return EXIT_DONE


def _step(first: float) -> int | None:
    return int(first) if np.isfinite(first) else None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python tools/draw_hits.py", description="What makes a training image be copied early.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="folders of runs")
    add_sampling(parser, 500, Path("hits"), "folder for table and figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
