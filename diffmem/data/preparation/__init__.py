"""Pictures, once and for all, into one array that a run can memory-map."""

from diffmem.data.preparation.array import load_prepared, prepare
from diffmem.data.preparation.labels import load_labels
from diffmem.data.preparation.sources import open_source

__all__ = ["load_labels", "load_prepared", "open_source", "prepare"]
