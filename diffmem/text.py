"""Text of others, from folder names, tables and status files, made harmless where it is shown."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: Of Markdown, what makes a link or a picture, a tag, a column; brackets of intervals stay as they are.
_MARKDOWN = {"](": "]\\(", "]:": "]\\:", "<": "&lt;", "|": "\\|"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(text: object) -> str:
    """``text`` in one line; what could move a terminal's cursor, or is no UTF-8 in a name, becomes U+FFFD."""
    return _CONTROL.sub("\ufffd", " ".join(str(text).split()))


def markdown(text: object) -> str:
    """``text`` as Markdown shows it: no link, picture, tag or column is made of it."""
    found = one_line(text)
    for mark, shown in _MARKDOWN.items():
        found = found.replace(mark, shown)
    return found


def cell(value: object) -> object:
    """``value`` as a field of a CSV file: what a spreadsheet would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    value = one_line(value)
    return f"'{value}" if value[:1] in ("=", "+", "-", "@") and not _NUMBER.fullmatch(value) else value
