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
from diffmem.analysis.pages.pictures import Album, allot
from diffmem.analysis.pages.run import run_data, threshold_of
from diffmem.analysis.pages.study import study_data
from diffmem.analysis.report import rule_lines
from diffmem.files import write_atomic

#: Largest page, in bytes: what mail servers commonly take.
MAX_BYTES = 10_000_000
_FACTS = ("study", "n", "index", "optimizer", "lr", "labels", "seed")
_MAX_LINES = 12
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
    runs = [run_data(each, content.rules.clock) for each in content.members]
    views = [view for run in runs for view in run["views"]]
    looked_at = [each.run for member in content.members for each in member.views]
    albums = [Album(run.folder, threshold_of(run)) for run in looked_at]
    study = study_data(content)
    without = _html(runs, study, content, refresh_seconds)
    budgets = allot([album.size for album in albums], MAX_BYTES - len(without.encode()))
    for view, album, budget in zip(views, albums, budgets, strict=True):
        view["pictures"] = album.within(budget)
    text = _html(runs, study, content, refresh_seconds)
    write_atomic(path, text)
    return len(text.encode())


def _html(
    runs: Sequence[Mapping[str, Any]], study: Mapping[str, Any] | None, content: Content, refresh_seconds: int | None
) -> str:
    title = runs[0]["name"] if len(runs) == 1 else f"{len(runs)} runs of {_studies(runs)}"
    shown = {"study": study, "runs": runs, "refresh_seconds": refresh_seconds}
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)} · diffmem</title>",
        f"<style>{_asset('page.css')}</style></head><body>",
        '<a class="skip" href="#run">to the run</a>',
        f"<header><h1>{escape(title)}</h1>",
        '<p class="faint">When do samples become good, when do copies appear?</p></header><main>',
        _follow(refresh_seconds) if refresh_seconds else "",
        _rules(content) if study is None else _study_html(study, _rules(content), "runs" if len(runs) > 1 else "views"),
        _runs_html(runs, content) if len(runs) > 1 else "",
        '<section id="run"><p>The figures need JavaScript and a browser of 2023 or later.</p></section>',
        '</main><footer><p>Made with diffmem, which measures what <a href="https://arxiv.org/abs/2505.17638">arXiv '
        "2505.17638</a> describes. Everything shown is in this file.</p></footer>",
        f'<script type="application/json" id="data">{_json(shown)}</script>',
        f'<script type="application/gzip" id="plotly">{_plotly()}</script>',
        f"<script>{''.join(map(_asset, _SCRIPTS))}</script></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _follow(seconds: int) -> str:
    return (
        f'<p class="note">Runs go on; this file is written again every {seconds} seconds. '
        '<label><input type="checkbox" id="follow" checked> load it again as often</label></p>'
    )


def _study_html(study: Mapping[str, Any], rules: str, what: str) -> str:
    """Tables, figures and laws of all runs, or views of one, together."""
    laws = _list(study["laws"])
    if len(study["laws"]) > _MAX_LINES:
        laws = f"<details><summary>{len(study['laws'])} laws</summary>{laws}</details>"
    return "\n".join(
        [
            f"<section><h2>All {what} together</h2>",
            _section(study["tables"][0]),
            rules,
            '<div class="panels" id="figures"></div>',
            *(_section(each) for each in study["tables"][1:]),
            f"<h3>Growth with n</h3>{laws}" if laws else "",
            "</section>",
        ]
    )


def _runs_html(runs: Sequence[Mapping[str, Any]], content: Content) -> str:
    """A line for each run, and the choice of the one that is shown."""
    facts = [dict(run["facts"]) for run in runs]
    told = [key for key in _FACTS if any(key in each for each in facts)]
    varying = [key for key in told if key == "n" or len({each.get(key) for each in facts}) > 1]
    groups = _groups(content)
    by = ["group"] if groups and "setting" in content.rules.by else []
    studies = {run["name"].partition("/")[0] for run in runs}
    shared = f"{studies.pop()}/" if len(studies) == 1 else ""
    ends = dict.fromkeys(key for run in runs for key in run["views"][0]["ends"])
    header = ["run", *by, *varying, *(time["symbol"] for time in runs[0]["views"][0]["times"]), *ends]
    lines = []
    for run, member, found in zip(runs, content.members, facts, strict=True):
        view = run["views"][0]
        group = [groups[id(member.views[0])] for _ in by]
        times = [time["text"] for time in view["times"]]
        values = [found.get(key, "") for key in varying]
        lines.append(
            [run["name"].removeprefix(shared), *group, *values, *times, *(view["ends"].get(key, "") for key in ends)]
        )
    anchors = [f"run-{place}" for place in range(len(runs))]
    options = "".join(f'<option value="{place}">{escape(run["name"])}</option>' for place, run in enumerate(runs))
    return (
        f'<section id="runs"><h2>Runs</h2>{_table(header, lines, "A link shows its run below.", anchors)}'
        f'<div class="controls"><label>shown below <select id="choice">{options}</select></label></div></section>'
    )


def _groups(content: Content) -> dict[int, str]:
    """The group of each run."""
    groups = content.comparison.groups if content.comparison else ()
    return {id(each): group.name for group in groups for each in group.runs}


def _section(table: Mapping[str, Any]) -> str:
    caption = f'<p class="faint">{escape(table["caption"])}</p>' if table["caption"] else ""
    shown = _table(table["header"], table["rows"], table["title"], titled=True)
    return f"<h3>{escape(table['title'])}</h3>{caption}{shown}"


def _rules(content: Content) -> str:
    if content.comparison is None:
        return f"<p>Not compared: {escape(content.refusal)}.</p>"
    lines = [*rule_lines(content.comparison), *content.comparison.notes]
    return (
        f"<details><summary>How the times are read, and what to know about these runs</summary>{_list(lines)}</details>"
    )


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    anchors: Sequence[str] | None = None,
    titled: bool = False,
) -> str:
    """A table to sort; with ``anchors``, the first cell of each row leads to one; ``titled`` where a heading tells."""
    head = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in header)
    body = []
    for number, row in enumerate(rows):
        cells = [re.sub(r"^\*\*(.*)\*\*$", r"<strong>\1</strong>", escape(text)) for text in row]
        if anchors is not None:
            cells[0] = f'<a href="#{anchors[number]}">{cells[0]}</a>'
        body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    told = ' class="told"' if titled else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="sortable">'
        f"<caption{told}>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
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
