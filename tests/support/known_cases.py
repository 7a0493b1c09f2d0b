"""Evaluations whose samples are known by number: what every measure has to say of them can be told beforehand.

``main`` is what ``forked_ranks.py`` calls as ``measure``: all cases, measured by the ranks that it forks.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
from hand_made import HandMade
from lightning.pytorch import LightningModule

from diffmem import ranks, rng
from diffmem.callbacks import GROUPS, Evaluation, EvaluationObserver
from diffmem.callbacks.measurement import RunAtStep
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.diffusion.scores import gaussian

#: Images of a training set, samples, numbers of an image, labels.
N, NUM, DIM, CLASSES = 40, 80, 12, 4
#: What switches on a measure that is off by default.
ON = {
    "copying": {"tests": ["c_t", "authenticity", "calibrated_l2"], "num_cells": 1, "num_neighbors": 10},
    "prdc": {"k": 5},
    "scores": {"t": [0.1], "empirical": True, "num_points": 50},
    "likelihood": {"num_points": 7, "num_steps": 3},
}


def _normal(name: str, num: int) -> torch.Tensor:
    return rng.normals(0, name, range(num), (DIM,))


TRAIN, HELD_OUT, FRESH = _normal("train", N), _normal("held out", 60), _normal("fresh", NUM)
NUMBERS = torch.arange(NUM)
_COPIES = TRAIN[NUMBERS % N] + 1e-3 * _normal("near", NUM)
#: Samples and training images of each case. In "half" samples of even number are copies; in "duplicates" all samples
#: are exact copies of an image that the training set holds twice.
CASES = {
    "no copies": (FRESH, TRAIN),
    "half": (torch.where(NUMBERS[:, None] % 2 == 0, _COPIES, FRESH), TRAIN),
    "all copies": (_COPIES, TRAIN),
    "duplicates": (TRAIN[:1].expand(NUM, -1), torch.cat([TRAIN[:1], TRAIN[:-1]])),
    "held-out images": (HELD_OUT[NUMBERS % N], TRAIN),
    "far": (FRESH + 100, TRAIN),
}


class Known(LightningModule):
    """Makes of the noise of sample i the i-th of ``samples``, in batches of any size and on any rank."""

    num_classes = CLASSES

    def __init__(self, samples: torch.Tensor) -> None:
        super().__init__()
        self.samples, self.noise = samples, rng.normals(0, "sample", range(NUM), (DIM,))
        self.schedule, self.batches = LinearSchedule(20), []

    def sample(self, noise, sampler, step_noise, labels, guidance):
        self.batches.append(len(noise))
        numbers = torch.cdist(noise, self.noise).argmin(1)
        assert torch.equal(labels, numbers % CLASSES)
        return self.samples[numbers]

    def losses(self, images, noise, index, labels):
        return (images + noise).square().mean(1) + labels

    def score(self, x_t, index):
        return -0.9 * x_t

    def forward(self, x_t, index, labels=None):
        return 0.9 * x_t


class KnownData(HandMade):
    """N(0, 1) in every direction, as the images are drawn."""

    law = gaussian(torch.ones(DIM))

    def __init__(self, train: torch.Tensor) -> None:
        super().__init__(train, HELD_OUT)
        self.train_labels, self.test_labels = torch.arange(len(train)) % CLASSES, torch.arange(60) % CLASSES

    def draw(self, name: str, numbers: range) -> torch.Tensor:
        return rng.normals(0, name, numbers, (DIM,))


def observers() -> dict[str, EvaluationObserver]:
    """Every measure that the command line knows and that reads vectors, switched on."""
    needs_images = ("fid", "pictures")
    known = {name: of for name, of in GROUPS.items() if issubclass(of, EvaluationObserver) and name not in needs_images}
    return {name: of(**ON.get(name, {})) for name, of in known.items() if of.measure is not EvaluationObserver.measure}


def measure(case: str, batch_size: int, folder: Path) -> tuple[dict, list[int]]:
    """The row of a case, whose tables go to ``folder``, and the sizes of the batches that were drawn on this rank."""
    samples, train = CASES[case]
    model = Known(samples)
    trainer = SimpleNamespace(
        callbacks=[*observers().values()],
        accumulate_grad_batches=1,
        strategy=SimpleNamespace(precision_plugin=SimpleNamespace(forward_context=torch.no_grad)),
    )
    evaluation = Evaluation(num_samples=NUM, sampling_steps=5, batch_size=batch_size)
    return dict(evaluation.measure(RunAtStep(trainer, model, KnownData(train), 5, folder))), model.batches


def main() -> int:
    """Measure every case with ``BATCH_SIZE FOLDER``; the row of each rank goes to ``FOLDER/CASE/row-RANK.json``."""
    batch_size, root = int(sys.argv[1]), Path(sys.argv[2])
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    for case in CASES:
        folder = root / case
        folder.mkdir(parents=True, exist_ok=True)
        row, batches = measure(case, batch_size, folder)
        (folder / f"row-{ranks.rank_and_world()[0]}.json").write_text(json.dumps({"row": row, "batches": batches}))
    return 0
