"""A run that is ended again and again, at random moments and at the worst ones, leaves what an undisturbed one leaves.

Half an hour in chunks, each of which may be run alone: ``pytest tests/test_kills.py -m by_hand -k chunk3``. Its record
is in configs/README.md. The tests of single moments, which always run, are those of ``test_exactness.py`` and
``callbacks/test_stop_on_signal.py``.
"""

import json
import random
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from same_run import assert_same_run
from small_run import SMALL, only_run

from diffmem.errors import EXIT_DONE, EXIT_REQUEUE, EXIT_SYSTEM

CHUNKS = 10
#: Of each chunk and each number of ranks, in random order.
FAULTS = [*["SIGKILL"] * 5, *["SIGTERM", "SIGINT", "SIGUSR1", "SIGTERM", "SIGUSR1"], "full", "full"]
AIMED = ["start", "step", "batch", "row", "checkpoint", "link", "table", "picture", "status", "publish"]
SHAPE = [
    "--losses.num_draws=1",
    "--evaluation.num_samples=12",
    "--pictures.num_samples=4",
    "--early_stopping.mode=mark",
    "--early_stopping.quality_level=1e9",
    "--evaluation.steps=every:2",
    "--evaluation.batch_size=4",
    "--status.every_seconds=0",
    "--signals.every_n_steps=1",
]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp", "--model.network.dropout=0"]


class Stage(NamedTuple):
    """One command of a run, without the folder: its arguments and how many processes run it."""

    name: str
    command: str
    args: list[str]
    world: int


def stages_of(world: int) -> list[Stage]:
    two = TWO if world == 2 else []
    fits = [
        Stage("run", "fit", [*SMALL, *SHAPE, *two, "--trainer.max_steps=6"], world),
        Stage("extension", "fit", [*SMALL, *SHAPE, *two, "--trainer.max_steps=10"], world),
    ]
    # one process repeats what two ranks have trained to rounding, and a stopped run has other checkpoints to start from
    return fits if world == 2 else [*fits, Stage("replay", "evaluate", ["--at=1,3,7"], 1)]


@pytest.fixture(scope="module")
def launch_stage(launch):
    """``launch_stage(stage, root, fault)``: exit codes of the ranks."""

    def launch_stage(stage: Stage, root: Path, fault: list | None = None) -> list[int | None]:
        print(json.dumps(fault), stage.name, flush=True)
        where = [f"--run_root={root}"] if stage.command == "fit" else [str(only_run(root))]
        return launch([*where, *stage.args], stage.world, fault, stage.command)

    return launch_stage


@pytest.fixture(scope="module")
def undisturbed(launch_stage, tmp_path_factory):
    """Folder and seconds of each stage, by the number of ranks."""
    found = {}
    launch_stage(stages_of(1)[0], tmp_path_factory.mktemp("warm"))  # what is read from disk for the first time
    for world in (1, 2):
        root, seconds = tmp_path_factory.mktemp(f"undisturbed{world}"), {}
        for stage in stages_of(world):
            start = time.monotonic()
            assert launch_stage(stage, root) == [EXIT_DONE] * stage.world
            seconds[stage.name] = time.monotonic() - start
        found[world] = root, seconds
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but logs, locks and checkpoints, which signals add; of ``status.json``, the state alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        timed = path.name in ("metrics.csv", "provenance.json", "config.yaml") or path.suffix == ".lock"
        timed |= path.parent.name == "evaluate" and path.suffix == ".json"
        if path.is_file() and "checkpoints/" not in name and not timed:
            whole = path.read_bytes()
            found[name] = json.loads(whole)["state"].encode() if name == "status.json" else whole
    return found


def draw_fault(draw: random.Random, kind: str, stage: Stage, seconds: float) -> list:
    rank = draw.randrange(stage.world)
    if draw.random() < 0.4 and stage.command == "fit":
        return [kind, draw.choice(AIMED), draw.randint(1, 3), rank]
    return [kind, "seconds", round(draw.uniform(0, seconds), 3), rank]


def delivered(kind: str, codes: list[int | None]) -> bool:
    """Whether the launch was ended by what was aimed at it; it may have been at its end already.

    The code of rank 0 is the run's; after a kill the other rank has lost it.
    """
    ends = {"SIGKILL": -9, "full": EXIT_SYSTEM}.get(kind, EXIT_REQUEUE)
    if kind == "SIGKILL" and -9 in codes:
        return True
    assert codes[0] in (EXIT_DONE, ends), codes
    return codes[0] == ends


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.parametrize("world", [1, 2], ids=["one_rank", "two_ranks"])
@pytest.mark.parametrize("chunk", range(CHUNKS), ids=[f"chunk{number}" for number in range(CHUNKS)])
def test_a_run_ended_at_random_moments(chunk, world, launch_stage, undisturbed, tmp_path):
    draw = random.Random(100 * world + chunk)
    reference, seconds = undisturbed[world]
    left = draw.sample(FAULTS, len(FAULTS))
    counts: dict[str, int] = {}
    episode = 0
    while left:
        root = tmp_path / f"episode{episode}"
        episode += 1
        for stage in stages_of(world):
            done = False
            for _ in range(6):
                wanted = [kind for kind in left if stage.command == "fit" or kind == "SIGKILL"]
                if not wanted or done:
                    break
                codes = launch_stage(stage, root, draw_fault(draw, wanted[0], stage, seconds[stage.name]))
                done = set(codes) == {EXIT_DONE}
                if delivered(wanted[0], codes):
                    left.remove(wanted[0])
                    counts[f"{wanted[0]} {stage.name}"] = counts.get(f"{wanted[0]} {stage.name}", 0) + 1
            if not done:
                assert launch_stage(stage, root) == [EXIT_DONE] * stage.world
        folder, expected = only_run(root), only_run(reference)
        assert_same_run(folder, expected)
        assert contents(folder) == contents(expected)
    print(f"chunk {chunk}, {world} ranks, {episode} runs:", json.dumps(counts, sort_keys=True))
