"""Text of others does nothing where it is shown."""

import pytest

from diffmem.text import cell, markdown, one_line


def test_a_line_moves_no_cursor_and_has_no_second_line():
    assert one_line("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb c\ufffdd"
    assert one_line("a\x9b2Jb") == "a\ufffd2Jb", "an escape sequence in one byte"
    assert one_line("r\udcfcn") == "r\ufffdn", "a folder's name in Latin-1"
    assert one_line("τ_mem ≥ 1%") == "τ_mem ≥ 1%"


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1+cmd", "-2+3", "@SUM(A1)"])
def test_a_field_is_no_formula(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["adam", "-1.5e-3", "+2", "> 80000", 3, -0.5, None, True])
def test_a_field_that_is_none_stays(value):
    assert cell(value) == value


def test_markdown_makes_no_link_no_tag_and_no_column():
    shown = markdown("![x](http://evil) <img src=y> a|b [1, 2]")
    assert shown == "![x]\\(http://evil) &lt;img src=y> a\\|b [1, 2]"
    assert markdown("[x]: http://evil") == "[x]\\: http://evil"
