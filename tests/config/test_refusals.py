"""What a run is warned of before it begins; what it is refused for is in ``test_explain.py`` and
``test_bad_values.py``.
"""

import warnings
from pathlib import Path

import lightning.pytorch as pl
import pytest

from diffmem.config.refusals import warn_of_slow_precision


@pytest.mark.parametrize(
    ("flags", "precision", "slow"),
    [
        ("avx2 avx512f", "bf16-mixed", True),
        ("avx512_bf16", "bf16-mixed", False),
        ("amx_bf16", "bf16-mixed", False),
        ("avx2", "32-true", False),
    ],
)
def test_bfloat16_without_instructions_for_it_is_said_to_be_slow(monkeypatch, flags, precision, slow):
    trainer = pl.Trainer(accelerator="cpu", devices=1, precision=precision, logger=False, enable_checkpointing=False)
    monkeypatch.setattr(Path, "read_text", lambda path: f"processor : 0\nflags : fpu {flags}\n")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warn_of_slow_precision(trainer)
    assert [str(each.message) for each in said if "ten times slower" in str(each.message)] == [
        "this CPU has no instructions for bfloat16: with --trainer.precision=bf16-mixed a network of W = 32 trains ten "
        "times slower than with 32-true"
    ] * slow
