"""Fast starts and ends of the commands."""

import gc
import importlib


def load(*modules: str) -> None:
    """Import ``modules``, the packages behind a command, for the rest of the process.

    They make millions of objects that stay. The garbage collector would go through them again and again while they are
    imported, at times in a run, and once more at the end: together as long as a third of the imports.
    """
    gc.disable()
    try:
        for module in modules:
            importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()
