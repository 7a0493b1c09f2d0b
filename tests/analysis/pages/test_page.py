"""The page in a real browser: it opens, shows what it should, reacts, and asks nobody for anything."""

import json
import re

import numpy as np
import pytest
from chromium import chromium, requests
from small_run import ROOT
from synthetic_runs import evaluations, log_steps, write_run

from diffmem import report
from diffmem.analysis.pages.page import MAX_BYTES
from diffmem.files import write_atomic
from diffmem.runs.samples import KeptSamples

EVIL = "<img src=x onerror=boom()>"


def keep(folder, step, num_copies):
    """Eight samples, the last ``num_copies`` of them copies, each of another grey than at other steps."""
    samples = np.full((8, 4, 4, 1), 20 + step % 200, np.uint8)
    distances = np.tile(np.float32([1.0, 1.1]), (8, 1))
    distances[8 - num_copies :, 0] = np.linspace(0.05, 0.2, num_copies)
    members = np.arange(8, dtype=np.int32)
    KeptSamples(
        samples,
        np.stack([members, members + 1], 1),
        distances,
        distances[:0],
        members,
        np.full((8, 4, 4, 1), 90, np.uint8),
    ).write(folder, step)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    for n, optimizer in ((64, "Adam"), (128, "Adam"), (64, EVIL)):
        folder = write_run(root / "mine", evaluations(n, 0, optimizer=optimizer, steps=log_steps(30_000, 4)))
        keep(folder, 100, 0)
        keep(folder, 30_000, 3)
        write_atomic(folder / "config.yaml", "study: </script><script>boom()</script>\n")
        write_atomic(folder / "identity.json", json.dumps({"training": {"data.n": n}, "protocol": {}}))
    out = root / "page.html"
    assert report.main([str(root / "mine"), "--out", str(out)]) == 0
    return out


def test_the_page_in_a_browser(page):
    with chromium() as browser:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait

        def run(script, *arguments):
            return browser.execute_script(f"return {script}", *arguments)

        browser.get(page.as_uri())
        WebDriverWait(browser, 60).until(lambda _: run("document.body.dataset.ready"))

        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert run("typeof boom") == "undefined"
        assert run("document.images.length") == 0
        assert EVIL in browser.find_element(By.TAG_NAME, "main").text

        # the slider, by keyboard: other pictures, other copies
        slider = browser.find_element(By.ID, "step")
        tiles = "[...document.querySelectorAll('.pairs .pair .tile')].map((each) => each.style.backgroundImage)"
        copies = "document.querySelectorAll('.pair.copy').length"
        last, at_last = run(tiles), run(copies)
        slider.send_keys(Keys.ARROW_LEFT)
        assert at_last == 3 and run(copies) == 0
        assert run(tiles) != last
        assert "step 100" in run("document.querySelector('output').textContent")
        slider.send_keys(Keys.ARROW_RIGHT)

        # sorted by ratio the copies come first
        ratios = (
            "[...document.querySelectorAll('.pair[title^=sample] figcaption')].map((each) => Number(each.textContent))"
        )
        assert run(ratios) != sorted(run(ratios))
        run("document.querySelectorAll('#run input[type=checkbox]')[4].click()")
        assert run(ratios) == sorted(run(ratios))

        # a toggle hides a curve, and shows it again
        drawn = "document.querySelectorAll('#run .plot')[0].querySelectorAll('.scatterlayer .trace').length"
        toggle = browser.find_element(By.CSS_SELECTOR, "#run .legend button")
        before = run(drawn)
        toggle.click()
        assert run(drawn) < before and toggle.get_attribute("aria-pressed") == "false"
        toggle.click()
        assert run(drawn) == before

        # tables sort; a line leads to its run
        names = "[...document.querySelectorAll('#runs tbody tr')].map((row) => row.cells[1].textContent)"
        run("document.querySelectorAll('#runs th button')[1].click()")
        assert run(names) == ["64", "64", "128"]
        run("document.querySelectorAll('#runs th button')[1].click()")
        assert run(names) == ["128", "64", "64"]
        run("document.querySelector('#runs tbody a').click()")
        WebDriverWait(browser, 10).until(lambda _: "n 128" in run("document.querySelector('#run .facts').textContent"))

        assert run("[...document.querySelectorAll('.plot')].every((each) => each.ariaLabel.length > 20)")
        assert requests(browser, page.as_uri()) == {page.as_uri()}
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_study_of_the_readme_fits_in_a_mail(tmp_path, capsys):
    out = tmp_path / "report.html"
    assert report.main([str(ROOT / "tests/analysis/digits_sgd_adam"), "--out", str(out), "--draws", "100"]) == 0
    text = out.read_text()
    assert len(text.encode()) < MAX_BYTES
    assert "26 runs" in capsys.readouterr().out
    shown = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert len(shown["runs"]) == 26
    assert "9.38" in text and "10400 [" in text
    assert len(shown["study"]["ladder"]) > 20
    assert not re.search(r'(?:src|href)="https?://(?!arxiv)', text.partition('<script type="application/gzip"')[0])


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys, page):
    assert report.main([str(page.parent / "mine"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_page_is_written_again_until_no_run_goes_on(monkeypatch, tmp_path, page):
    live = iter([True, True, False])
    slept, pages = [], []
    monkeypatch.setattr(report, "any_live", lambda _: next(live))
    monkeypatch.setattr(report.time, "sleep", slept.append)
    monkeypatch.setattr(report, "_write", lambda _, refresh: pages.append(refresh))
    assert report.main([str(page.parent / "mine"), "--out", str(tmp_path / "x.html"), "--watch", "7"]) == 0
    assert slept == [7, 7] and pages == [7, 7, None]


def test_runs_that_cannot_be_compared_are_shown_one_by_one(tmp_path, capsys):
    write_run(tmp_path, evaluations(64, 0))
    write_run(tmp_path, evaluations(128, 0).drop(columns=["f_mem", "f_mem_low", "f_mem_high"]))
    out = tmp_path / "page.html"
    assert report.main([str(tmp_path), "--out", str(out)]) == 0
    assert "without a comparison: " in capsys.readouterr().out
    text = out.read_text()
    assert "has no f_mem" in text
    shown = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert shown["study"] is None
    with_times = [run for run in shown["runs"] if any(time["value"] is not None for time in run["times"])]
    assert len(shown["runs"]) == 2 and len(with_times) == 1


def test_a_watched_run_without_a_table_is_waited_for(monkeypatch, tmp_path, capsys):
    live, slept = iter([True, False]), []
    monkeypatch.setattr(report, "any_live", lambda _: next(live))
    monkeypatch.setattr(report.time, "sleep", lambda seconds: slept.append(write_run(tmp_path, evaluations(64, 0))))
    assert report.main([str(tmp_path), "--out", str(tmp_path / "x.html"), "--watch"]) == 0
    said = capsys.readouterr().out
    assert "nothing to show yet" in said and "1 run" in said and len(slept) == 1
