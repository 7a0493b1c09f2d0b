"""What no machine can hold or finish is refused; what one can is not."""

import os

import pytest

from diffmem.errors import ConfigError, parameters_of
from diffmem.limits import MOST_CALLS, require_calls, require_memory


@pytest.fixture
def two_gib(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2**19, "SC_PAGE_SIZE": 2**12}.get)


def test_what_fits_is_taken_and_one_byte_more_is_not(two_gib):
    require_memory("n", 7, 2**31, "data")
    with pytest.raises(ConfigError) as refused:
        require_memory("n", 7, 2**31 + 1, "data")
    assert str(refused.value) == (
        "data.n: got 7, which takes at least 2 GiB of memory, expected less than the 2 GiB of this machine; "
        "lower --data.n"
    )


def test_a_machine_that_does_not_say_how_large_it_is_takes_all(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    require_memory("n", 7, 1e30, "data")


def test_as_many_calls_as_a_row_may_take_and_one_more():
    require_calls("num_draws", 5, MOST_CALLS, "losses")
    with pytest.raises(ConfigError, match=r"losses\.num_draws: got 5, which sends 1e\+10 images .*; lower --losses"):
        require_calls("num_draws", 5, MOST_CALLS + 1, "losses")


def test_an_option_of_a_command_has_its_own_name(two_gib):
    with pytest.raises(ConfigError, match=r"^--num: got 9, .*; set --num$"), parameters_of():
        require_memory("num", 9, 1e12)
    with pytest.raises(ConfigError, match=r"; make the network smaller$"):
        require_memory("num", 9, 1e12, remedy="make the network smaller")
