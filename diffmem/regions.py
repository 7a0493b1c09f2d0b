"""``python -m diffmem.regions RUN_DIR [TWIN_DIR] [--num 500] [--times 12] [--out DIR]``: where a score departs.

At every step that was saved, the learned score is compared with the empirical score of the run's training images, with
the population score where the law of the data is known, and with the score of a twin, a run on other training images
(``--data.index=0`` and ``1``), which stands in for the population where it is not. They are compared at noised training
images, at noised held-out images and along the trajectories of the run's own sampler, at diffusion times that the
sampler visits. ``regions.csv`` gets every mean, ``regions.png`` a heat map t × τ of each pair, and ``departures.csv``,
for each t, the step from which on the distance to the population or the twin stays 10% above its lowest. Where the law
is known and a twin is given, ``stand_in.csv`` says how well the one stands in for the other.

Of a conditional model it is the score without a label. Half of the squared distance to a twin is, in expectation, the
variance of the score over training sets; a bias that both share does not show. Twins of one seed begin with the same
weights, and are near each other at first whatever they have learned: give the twin a seed of its own.

Exit codes: 0 done, 2 bad option, 3 no runs of one kind, or nothing saved.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffmem.command_line import Parser, add_trust, exit_code_of, require_folder, writing
from diffmem.errors import EXIT_DONE, DataError, parameters_of, require_at_least

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from diffmem.metrics.regions import ScoreAt
    from diffmem.revisit.reopen import ReopenedRun

RISE = 0.1
_SHARES = ("share_first", "share_last")


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _regions(_parser().parse_args(args)))


def _regions(options: argparse.Namespace) -> int:
    with parameters_of():
        require_at_least(2, num=options.num, times=options.times)
    require_folder(options.out)
    from diffmem.analysis.regions import departures, draw_regions, stand_in
    from diffmem.config.trust import trusting
    from diffmem.files import write_table

    with trusting(options.trust):
        rows = compare_scores(options.run, options.twin, options.num, options.times, options.seed)
    found, both = departures(rows, RISE), stand_in(rows)
    with writing(options.out, "a folder to write in"):
        options.out.mkdir(parents=True, exist_ok=True)
        write_table(options.out / "regions.csv", rows)
        write_table(options.out / "departures.csv", found)
        if both:
            write_table(options.out / "stand_in.csv", both)
        draw_regions(rows, found, options.out / "regions.png")
    for row in found:
        print(f"t {row['t']:.4f}, {row['place']}, from the {row['reference']}: {row['text']}")
    for row in both:
        values = ("–" if row[name] is None else f"{row[name]:.2f}" for name in ("rank_correlation", *_SHARES))
        print("t {:.4f}, {}: twin with population, rank correlation {}, share {} at first, {} at last".format(
            row["t"], row["place"], *values
        ))  # fmt: skip
    print(f"done: {options.out}")
    return EXIT_DONE


def compare_scores(
    folder: Path, twin: Path | None = None, num: int = 500, num_times: int = 12, seed: int = 0
) -> list[dict[str, Any]]:
    """Distances of a run's score to others at every step it has saved, or both have.

    Args:
        folder: Folder of the run.
        twin: Folder of a run of the same model on other training images; None for none.
        num: Number of points of each kind; where there are fewer images, each is noised more than once.
        num_times: Number of diffusion times, of those that the run's sampler visits.
        seed: Seed of the noise, the same at every step.

    Returns:
        Rows of ``regions.csv``: step, t, place, reference, mean distance and its standard error, number of points.

    Raises:
        DataError: A folder is no run or has nothing saved, or the runs share training images.
        ConfigError: A model of one diffusion time, which has no trajectories.
    """

    from diffmem.callbacks.measurement import evaluating
    from diffmem.diffusion.sampling import trajectory
    from diffmem.metrics.regions import score_regions, spread_indices
    from diffmem.revisit.pairs import check_disjoint, steps_of_both
    from diffmem.revisit.reopen import ReopenedRun, saved_steps

    run = ReopenedRun(folder)
    other = None if twin is None else ReopenedRun(twin)
    run.require_sampling()
    if other is not None:
        check_disjoint(run, other)
        _warn_of_shared_weights(run, other)
    steps = list(saved_steps(folder)) if twin is None else steps_of_both(folder, twin)
    if not steps:
        raise DataError(
            str(folder), got="no saved step", expected="checkpoints", remedy="set --checkpoint.every_n_steps"
        )

    schedule = run.model.schedule
    references: dict[str, ScoreAt] = _known_scores(run)
    if other is not None:
        references["twin"] = _score_of(other)
    places: dict[str, Mapping[int, Tensor]] = {}
    noise = _normal(run, seed, "start", num)
    rows: list[dict[str, Any]] = []
    for step in steps:
        for each in (run,) if other is None else (run, other):
            each.load(saved_steps(each.folder)[step])
        with contextlib.ExitStack() as in_their_precision:
            for each in (run,) if other is None else (run, other):
                in_their_precision.enter_context(evaluating(each.trainer, each.model))
            states = trajectory(
                run.evaluation.views[""].sampler,
                run.model,
                noise,
                schedule,
                lambda index: _normal(run, seed, f"step/{index}", num),
            )
            indices = spread_indices(schedule.time, list(states), num_times)
            if not places:
                points = {"train": run.data.train_images, "heldout": _heldout(run, num)}
                places = {name: _noised(run, images, num, indices, seed) for name, images in points.items()}
            places["trajectory"] = {index: states[index] for index in indices}
            for region in score_regions(_score_of(run), references, places, schedule.time):
                distances = region.distances
                rows.append({
                    "step": step, "t": schedule.time[region.diffusion_step].item(), "place": region.place,
                    "reference": region.reference, "distance": distances.mean().item(),
                    "distance_std": distances.std().item() / len(distances) ** 0.5, "num_points": len(distances),
                })  # fmt: skip
        print(f"step {step}", flush=True)
    return rows


def _warn_of_shared_weights(run: ReopenedRun, other: ReopenedRun) -> None:
    import warnings

    if (seed := run.cli.config["seed"]) == other.cli.config["seed"]:
        warnings.warn(
            f"both runs began with the weights of seed {seed}: how far they are from each other at first says nothing "
            "of the population; train the twin with another --seed",
            stacklevel=3,
        )


def _score_of(run: ReopenedRun) -> ScoreAt:
    """The score of the weights that ``run`` holds when it is called."""
    import torch

    def score(x_t: Tensor, index: int) -> Tensor:
        parts = x_t.split(run.evaluation.samples.batch_size)
        return torch.cat([run.model.score(x, torch.full((len(x),), index, device=x.device)) for x in parts])

    return score


def _known_scores(run: ReopenedRun) -> dict[str, ScoreAt]:
    """The empirical score of all that the run is trained on, and where the law of the data is known its score."""
    import torch

    from diffmem.diffusion.scores import empirical_law

    data, time = run.data, run.model.schedule.time
    members = [data.train_images, *[data.train_images[: data.num_duplicated]] * (data.num_copies - 1)]
    trained_on = torch.cat(members)
    if hasattr(data, "versions"):
        trained_on = data.versions(trained_on).flatten(0, 1)
    laws = {"empirical": empirical_law(trained_on), **({} if data.law is None else {"population": data.law})}
    return {name: lambda x, index, law=law: law.score(x, time[index].item()) for name, law in laws.items()}


def _heldout(run: ReopenedRun, num: int) -> Tensor:
    """Held-out images, or as many fresh points as are asked for where the law of the data is known."""
    return run.data.test_images if run.data.law is None else run.data.draw("regions", range(num))


def _noised(run: ReopenedRun, images: Tensor, num: int, indices: list[int], seed: int) -> dict[int, Tensor]:
    """√ᾱ x + √(1−ᾱ) ξ at each of the diffusion steps ``indices``, num points; fewer images come again."""
    schedule = run.model.schedule
    chosen = images if len(images) >= num else images.repeat(-(-num // len(images)), *[1] * (images.ndim - 1))
    x = chosen[:num].to(run.model.device)
    noise = _normal(run, seed, "points", num)
    return {
        index: schedule.alpha_bar[index].sqrt().item() * x + (1 - schedule.alpha_bar[index]).sqrt().item() * noise
        for index in indices
    }


def _normal(run: ReopenedRun, seed: int, name: str, num: int) -> Tensor:
    from diffmem import rng

    shape = tuple(run.data.train_images.shape[1:])
    return rng.normals(seed, f"regions/{name}", range(num), shape).to(run.model.device)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m diffmem.regions",
        description="Where, in diffusion time, a learned score leaves that of the population.",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    parser.add_argument("twin", type=Path, nargs="?", metavar="TWIN_DIR", help="a run on other training images")
    parser.add_argument("--num", type=int, default=500, metavar="N", help="points of each kind (default: 500)")
    parser.add_argument("--times", type=int, default=12, metavar="K", help="diffusion times (default: 12)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the noise (default: 0)")
    add_trust(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("regions"), help="folder for tables and figure (default: regions)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
