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
from diffmem.callbacks.pictures import Pictures
from diffmem.callbacks.progress import ProgressReport
from diffmem.callbacks.provenance import Provenance
from diffmem.callbacks.score_distance import ScoreDistance
from diffmem.callbacks.status import Status
from diffmem.callbacks.stop_on_signal import StopOnSignal
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
    "Pictures",
    "ProgressReport",
    "Provenance",
    "ScoreDistance",
    "Snapshot",
    "Status",
    "StopOnSignal",
    "TrainingLoss",
    "WandbMirror",
]
