"""The page itself: one HTML file with its data, its pictures, its style and plotly.js inside, and no request to anyone.

plotly.js is 4.8 MB as PyPI's ``plotly`` ships it. It lies in the page compressed (1.9 MB as text) and the browser
unpacks it, so that nothing has to be downloaded, built or kept in the repository for a smaller bundle.
"""

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from diffmem.analysis.pages.content import Content
from diffmem.analysis.pages.run import run_data
from diffmem.analysis.pages.study import study_data
from diffmem.analysis.report import rule_lines
from diffmem.files import write_atomic

#: Largest page, in bytes: what mail servers commonly take.
MAX_BYTES = 10_000_000
_TEXT_BYTES_A_RUN = 60_000
_SCRIPTS = ("base.js", "run.js", "study.js", "page.js")
#: The browser itself refuses every request: what is in the file is all there is.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def write_page(content: Content, path: Path, refresh_seconds: int | None = None) -> int:
    """Write the page of the runs and return its size in bytes.

    Args:
        content: Runs, their times and what they give together.
        path: File to write.
        refresh_seconds: How often the browser is to load it again; None for never.

    Raises:
        DataError: A file of a run is damaged.
    """
    plotly = _plotly()
    members = content.members
    budget = max(0, MAX_BYTES - len(plotly) - _TEXT_BYTES_A_RUN * len(members)) // len(members)
    runs = [run_data(each, content.clock, budget) for each in members]
    study = study_data(content.comparison, content.effects) if content.comparison and len(runs) > 1 else None
    text = _html(runs, study, _rules(content), plotly, refresh_seconds)
    write_atomic(path, text)
    return len(text.encode())


def _html(
    runs: Sequence[Mapping[str, Any]],
    study: Mapping[str, Any] | None,
    rules: str,
    plotly: str,
    refresh_seconds: int | None,
) -> str:
    title = runs[0]["name"] if len(runs) == 1 else f"{len(runs)} runs of {_studies(runs)}"
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds:d}">' if refresh_seconds else ""
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">{refresh}',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)} · diffmem</title>",
        f"<style>{_asset('page.css')}</style></head><body>",
        '<a class="skip" href="#run">to the run</a>',
        f"<header><h1>{escape(title)}</h1>",
        '<p class="faint">When do samples become good, when do copies appear?</p></header><main>',
        _study_html(study) if study is not None else "",
        rules,
        _runs_html(runs) if len(runs) > 1 else "",
        '<section id="run"><p>The figures need JavaScript and a browser of 2023 or later.</p></section>',
        '</main><footer><p>Made with diffmem, which measures what <a href="https://arxiv.org/abs/2505.17638">arXiv '
        "2505.17638</a> describes. Everything shown is in this file.</p></footer>",
        f'<script type="application/json" id="data">{_json({"study": study, "runs": runs})}</script>',
        f'<script type="application/gzip" id="plotly">{plotly}</script>',
        f"<script>{''.join(map(_asset, _SCRIPTS))}</script></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _study_html(study: Mapping[str, Any]) -> str:
    """Tables, figures and laws of all runs together."""
    return "\n".join(
        [
            "<section><h2>All runs together</h2>",
            _section(study["tables"][0]),
            '<div class="panels" id="figures"></div>',
            *(_section(each) for each in study["tables"][1:]),
            "<h3>Growth with n</h3>",
            _list(study["laws"]),
            "</section>",
        ]
    )


def _runs_html(runs: Sequence[Mapping[str, Any]]) -> str:
    """A line for each run, and the choice of the one that is shown."""
    facts = [key for key in _FACTS if any(key in dict(run["facts"]) for run in runs)]
    header = ["run", *facts, *(time["symbol"] for time in runs[0]["times"])]
    lines = []
    for run in runs:
        found = dict(run["facts"])
        lines.append([run["name"], *(found.get(key, "") for key in facts), *(time["text"] for time in run["times"])])
    anchors = [f"run-{place}" for place in range(len(runs))]
    options = "".join(f'<option value="{place}">{escape(run["name"])}</option>' for place, run in enumerate(runs))
    return (
        f'<section id="runs"><h2>Runs</h2>{_table(header, lines, "One line a run.", anchors)}'
        f'<div class="controls"><label>shown below <select id="choice">{options}</select></label></div></section>'
    )


_FACTS = ("n", "index", "optimizer", "lr", "seed")


def _section(table: Mapping[str, Any]) -> str:
    caption = f'<p class="faint">{escape(table["caption"])}</p>' if table["caption"] else ""
    return f"<h3>{escape(table['title'])}</h3>{caption}{_table(table['header'], table['rows'], '')}"


def _rules(content: Content) -> str:
    if content.comparison is None:
        return f"<p>Not compared: {escape(content.refusal)}.</p>"
    lines = [*rule_lines(content.comparison), *content.comparison.notes]
    return (
        f"<details><summary>How the times are read, and what to know about these runs</summary>{_list(lines)}</details>"
    )


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, anchors: Sequence[str] | None = None
) -> str:
    """A table to sort; with ``anchors``, the first cell of each row leads to one."""
    head = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in header)
    body = []
    for number, row in enumerate(rows):
        cells = [escape(text) for text in row]
        if anchors is not None:
            cells[0] = f'<a href="#{anchors[number]}">{cells[0]}</a>'
        body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table class="sortable"><caption>{escape(caption.strip())}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def _studies(runs: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(run["name"].partition("/")[0] for run in runs))


def _json(value: Any) -> str:
    """JSON that no HTML parser can leave: < never appears."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


@lru_cache(maxsize=1)
def _plotly() -> str:
    """plotly.js, compressed, as base64."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
