"""Acting between the calls of a network, inside samplers and measurements that know nothing of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def before_each_call(module: nn.Module, act: Callable[[], None] | None) -> Iterator[None]:
    """Within, ``act`` is called before each call of ``module``; nothing where it is None."""
    if act is None:
        yield
        return
    hook = module.register_forward_pre_hook(lambda *_: act())
    try:
        yield
    finally:
        hook.remove()
