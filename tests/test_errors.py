"""Errors say what is allowed and where to change it."""

import pytest

from diffmem.errors import ConfigError, ParameterError, require_one_of


def test_an_empty_name_among_the_choices_is_seen():
    with pytest.raises(ConfigError, match="got 'x', expected one of '', guidance1; change view"):
        require_one_of({"": 0, "guidance1": 1}, "view", "x")


@pytest.mark.parametrize(
    ("group", "line"),
    [
        ("", "--num-draws: got 0, expected at least 1; set --num-draws"),
        ("losses", "losses.num_draws: got 0, expected at least 1; set --losses.num_draws"),
        ("losses.of[second]", "losses.of[second].num_draws: got 0, expected at least 1; set --losses.of"),
    ],
)
def test_the_remedy_names_an_option_that_exists(group, line):
    assert str(ParameterError("num_draws", got=0, expected="at least 1").under(group)) == line
