"""Lightning callbacks; each works in any Trainer whose module and data offer what it reads.

A measurement of one's own is an :class:`EvaluationObserver` whose ``measure`` returns columns. A run takes it by class
path, with no edit here: ``--trainer.callbacks=my.Metric --trainer.callbacks.level=0.5``. To give it a group of keys,
as ``--memorization.threshold`` is one, import it below and name it in :data:`GROUPS`: nothing else registers it.
"""

import lightning.pytorch as pl

from diffmem.callbacks.average import Average
from diffmem.callbacks.checkpoint import Checkpoint
from diffmem.callbacks.copying import Copying
from diffmem.callbacks.early_stopping import EarlyStopping
from diffmem.callbacks.evaluation import Evaluation
from diffmem.callbacks.fid import FID
from diffmem.callbacks.frechet import Frechet
from diffmem.callbacks.hits import Hits
from diffmem.callbacks.likelihood import Likelihood
from diffmem.callbacks.losses import Losses
from diffmem.callbacks.memorization import Memorization
from diffmem.callbacks.observer import EvaluationObserver as EvaluationObserver
from diffmem.callbacks.observer import Snapshot as Snapshot
from diffmem.callbacks.per_class import PerClass
from diffmem.callbacks.pictures import Pictures
from diffmem.callbacks.prdc import PRDC
from diffmem.callbacks.progress import ProgressReport
from diffmem.callbacks.provenance import Provenance
from diffmem.callbacks.ratios import Ratios
from diffmem.callbacks.score_distance import ScoreDistance
from diffmem.callbacks.status import Status
from diffmem.callbacks.stop_on_signal import StopOnSignal
from diffmem.callbacks.training_loss import TrainingLoss
from diffmem.callbacks.wandb import WandbMirror

#: Config groups, one callback each, in the order in which the callbacks see an event.
GROUPS: dict[str, type[pl.Callback]] = {
    "provenance": Provenance,
    "wandb": WandbMirror,
    "training_loss": TrainingLoss,
    "average": Average,
    "memorization": Memorization,
    "ratios": Ratios,
    "hits": Hits,
    "copying": Copying,
    "frechet": Frechet,
    "prdc": PRDC,
    "fid": FID,
    "losses": Losses,
    "scores": ScoreDistance,
    "likelihood": Likelihood,
    "pictures": Pictures,
    "per_class": PerClass,
    "progress": ProgressReport,
    "early_stopping": EarlyStopping,
    "signals": StopOnSignal,
    "evaluation": Evaluation,
    "checkpoint": Checkpoint,
    "status": Status,
}
