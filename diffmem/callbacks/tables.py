"""Where the rows of a run lie."""

from pathlib import Path

import lightning.pytorch as pl

from diffmem.callbacks.observer import observers_of, view_folder


def table_path(trainer: pl.Trainer, view: str = "") -> Path:
    """The ``evaluations.csv`` of the run, or of the view of this name."""
    return view_folder(Path(trainer.default_root_dir), view) / "evaluations.csv"


def tables_of(trainer: pl.Trainer) -> list[Path]:
    """Its own table, those of its observers, those of its views."""
    folder = Path(trainer.default_root_dir)
    further = (folder / name for observer in observers_of(trainer) for name in observer.tables)
    return [table_path(trainer), *further, *folder.glob("views/*/*.csv")]
