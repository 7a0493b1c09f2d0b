"""The record of a run: images, code of one's own, and where numbers agree to rounding alone."""

import warnings

import pytest
import torch
from torch import nn

from diffmem.callbacks.provenance import (
    read_record,
    source_hashes,
    update_record,
    warn_of_changed_code,
    warn_of_rounding,
)
from diffmem.errors import DataError
from diffmem.networks import UNet

HERE = {"threads": 2, "instructions": "AVX2", "device": "cpu", "packages": {"torch": "2.14"}}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A network of one's own, in a module that can change."""
    import importlib

    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str):
        (tmp_path / "own_network.py").write_text(f"from torch import nn\nclass Own(nn.Linear):\n    {text}\n")
        importlib.invalidate_caches()
        import own_network

        return importlib.reload(own_network).Own(1, 1)

    return write


def test_code_of_ones_own_is_recorded_and_its_change_is_said(tmp_path, own):
    first = source_hashes([nn.Sequential(UNet(base_channels=8), own("pass"))])
    assert list(first) == ["own_network.Own"]
    update_record(tmp_path, sources=first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_changed_code(tmp_path, first)
    second = source_hashes([own("scale = 2")])
    with pytest.warns(UserWarning, match=r"the source of own_network\.Own has changed"):
        warn_of_changed_code(tmp_path, second)


def test_what_is_diffmems_or_torchs_is_not(finished_run):
    assert read_record(finished_run)["sources"] == {}
    assert source_hashes([torch.optim.SGD([nn.Parameter(torch.ones(1))])]) == {}


@pytest.mark.parametrize(
    "change", [{"threads": 1}, {"instructions": "AVX512"}, {"device": "H100"}, {"packages": {"torch": "2.15"}}], ids=str
)
def test_another_machine_is_said_and_the_same_is_not(change):
    with pytest.warns(UserWarning, match="^from step 4 on numbers agree with those before to rounding: "):
        warn_of_rounding("from step 4 on", HERE, {**HERE, **change})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_rounding("from step 4 on", HERE, HERE)
        warn_of_rounding("from step 4 on", {}, HERE)


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", '{"data": {}, "starts": [1]}', '{"data": {"sha256": 3}}', '{"data": [1]}']
)
def test_a_record_that_is_none_is_named(tmp_path, text):
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(DataError, match=r"provenance\.json: got no record"):
        read_record(tmp_path)
