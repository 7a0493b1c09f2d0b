"""Lightning callbacks; each works in any Trainer whose module and data offer what it reads."""

from diffmem.callbacks.checkpoint import Checkpoint
from diffmem.callbacks.early_stopping import EarlyStopping
from diffmem.callbacks.evaluation import Evaluation
from diffmem.callbacks.fid import FID
from diffmem.callbacks.frechet import Frechet
from diffmem.callbacks.likelihood import Likelihood
from diffmem.callbacks.losses import Losses
from diffmem.callbacks.memorization import Memorization
from diffmem.callbacks.observer import EvaluationObserver, Snapshot
from diffmem.callbacks.progress import ProgressReport
from diffmem.callbacks.provenance import Provenance
from diffmem.callbacks.requeue import Requeue
from diffmem.callbacks.sample_grid import SampleGrid
from diffmem.callbacks.score_distance import ScoreDistance
from diffmem.callbacks.status import Status
from diffmem.callbacks.training_loss import TrainingLoss
from diffmem.callbacks.wandb import WandbMirror

__all__ = [
    "FID",
    "Checkpoint",
    "EarlyStopping",
    "Evaluation",
    "EvaluationObserver",
    "Frechet",
    "Likelihood",
    "Losses",
    "Memorization",
    "ProgressReport",
    "Provenance",
    "Requeue",
    "SampleGrid",
    "ScoreDistance",
    "Snapshot",
    "Status",
    "TrainingLoss",
    "WandbMirror",
]
