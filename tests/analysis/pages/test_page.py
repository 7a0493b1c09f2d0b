"""The page in a real browser: it opens, shows what it should, reacts, and asks nobody for anything."""

import json
import re

import numpy as np
import pytest
from chromium import chromium, requests
from small_run import ROOT
from synthetic_runs import evaluations, log_steps, write_run

from diffmem import report
from diffmem.analysis.pages import page as page_module
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
        table = evaluations(n, 0, optimizer=optimizer, steps=log_steps(30_000, 4))
        table.loc[7, ["frechet_pixels", "frechet_pixels_std"]] = np.nan
        folder = write_run(root / "mine", table)
        keep(folder, 100, 0)
        keep(folder, 30_000, 3)
        write_atomic(folder / "config.yaml", "study: </script><script>boom()</script>\n")
        write_atomic(folder / "identity.json", json.dumps({"training": {"data.n": n}, "protocol": {}}))
        if n == 128:
            view = folder / "views/guidance3"
            table.assign(guidance=3.0, setting="a1b2c3d4-guidance3", f_mem=0.5).to_csv(made(view), index=False)
            keep(view, 100, 2)
    out = root / "page.html"
    assert report.main([str(root / "mine"), "--out", str(out)]) == 0
    return out


def made(folder):
    folder.mkdir(parents=True)
    return folder / "evaluations.csv"


def test_the_page_in_a_browser(page):
    with chromium() as browser:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait

        def run(script, *arguments):
            return browser.execute_script(f"return {script}", *arguments)

        def until(found):
            return WebDriverWait(browser, 60).until(lambda _: found())

        def show(selector):
            run(f"document.querySelector('{selector}').scrollIntoView()")

        browser.get(page.as_uri())
        until(lambda: run("document.body.dataset.ready"))

        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert run("typeof boom") == "undefined"
        assert run("document.images.length") == 0
        assert EVIL in browser.find_element(By.TAG_NAME, "main").text

        # the slider, by keyboard: other pictures, other copies, another ringed point
        slider = browser.find_element(By.ID, "step")
        tiles = "[...document.querySelectorAll('.pairs .pair .tile')].map((each) => each.style.backgroundImage)"
        copies = "document.querySelectorAll('.pair.copy').length"
        last, at_last = run(tiles), run(copies)
        slider.send_keys(Keys.ARROW_LEFT)
        assert at_last == 3 and run(copies) == 0
        assert run(tiles) != last
        assert "step 100" in run("document.querySelector('output').textContent")
        assert run("document.getElementById('step').ariaValueText.startsWith('step 100')")
        slider.send_keys(Keys.ARROW_RIGHT)

        # sorted by ratio the copies come first; the box is reached and set by keyboard, and its focus is seen
        ratios = (
            "[...document.querySelectorAll('[title^=sample] + figcaption')].map((each) => Number(each.textContent))"
        )
        assert run(ratios) != sorted(run(ratios)) and len(run(ratios)) == 8
        slider.send_keys(Keys.TAB)
        assert run("document.activeElement.id") == "by-ratio"
        assert run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        browser.switch_to.active_element.send_keys(Keys.SPACE)
        assert run(ratios) == sorted(run(ratios))

        # a toggle hides a curve, and shows it again; a plot is drawn when it is come to
        drawn = "document.querySelectorAll('#run .plot')[0].querySelectorAll('.scatterlayer .trace').length"
        show("#run .legend button")
        until(lambda: run(drawn) > 0)
        toggle = browser.find_element(By.CSS_SELECTOR, "#run .legend button")
        before = run(drawn)
        toggle.send_keys(Keys.ENTER)
        assert run(drawn) < before and toggle.get_attribute("aria-pressed") == "false"
        toggle.click()
        assert run(drawn) == before

        # a value that is missing leaves its interval in one piece
        bands = "document.querySelectorAll('#run .plot')[1].data.filter((each) => each.fill)"
        until(lambda: run("document.querySelectorAll('#run .plot')[1].data"))
        assert run(f"{bands}.length") == 1 and run(f"{bands}[0].y.length") > 20
        assert run(f"{bands}[0].y.includes(null)") is False

        # tables sort, by keyboard too; a line leads to its run
        names = "[...document.querySelectorAll('#runs tbody tr')].map((row) => row.cells[1].textContent)"
        head = browser.find_elements(By.CSS_SELECTOR, "#runs th button")[1]
        head.send_keys(Keys.ENTER)
        assert run(names) == ["64", "64", "128"]
        head.send_keys(Keys.ENTER)
        assert run(names) == ["128", "64", "64"]
        assert run("document.querySelectorAll('#runs th')[1].ariaSort") == "descending"
        run("document.querySelector('#runs tbody a').click()")
        until(lambda: "n 128" in run("document.querySelector('#run .facts').textContent"))

        # a bound is a number of its column
        run("[...document.querySelectorAll('#runs tbody tr')].forEach((row, at) => "
            "row.cells[1].textContent = ['9 [8, 10]', '< 70', '> 10'][at])")  # fmt: skip
        head.send_keys(Keys.ENTER)
        assert run(names) == ["9 [8, 10]", "> 10", "< 70"]

        # its views stand side by side, and a link shows the samples of one
        assert run(copies) == 3
        browser.find_element(By.LINK_TEXT, "guidance3").click()
        until(lambda: run("document.getElementById('view').textContent") == "View: guidance3")
        assert run(copies) == 2 and "guidance 3" in run("document.getElementById('run').textContent")

        # the samples' novelty against their quality
        titles = "[...document.querySelectorAll('#run h4')].map((each) => each.textContent)"
        assert "Novelty against quality" in run(titles)

        # every part says what it is
        assert run("[...document.querySelectorAll('div.plot')].every((each) => each.ariaLabel.length > 20)")
        assert run("[...document.querySelectorAll('.tile')].every((each) => each.closest('[role=img]').ariaLabel)")
        assert run("[...document.querySelectorAll('input, select')].every((each) => each.labels.length === 1)")
        assert run(
            "[...document.querySelectorAll('.scroll')].every((each) => each.ariaLabel && each.role === 'region')"
        )
        assert requests(browser, page.as_uri()) == {page.as_uri()}
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_page_of_many_pictures_stays_small(monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for seed in range(3):
        folder = write_run(tmp_path / "study", evaluations(64, seed, steps=log_steps(1000, 4)))
        for step in range(8):
            rows, distances = np.arange(16, dtype=np.int32), np.tile(np.float32([1, 2]), (16, 1))
            noise = rng.integers(0, 256, (2, 16, 32, 32, 3), dtype=np.uint8)
            kept = KeptSamples(noise[0], np.stack([rows, rows + 1], 1), distances, distances[:0], rows, noise[1])
            kept.write(folder, step)
    sizes = {}
    for limit in (MAX_BYTES, 2_600_000, 2_100_000):
        monkeypatch.setattr(page_module, "MAX_BYTES", limit)
        assert report.main([str(tmp_path / "study"), "--out", str(tmp_path / "page.html")]) == 0
        text = (tmp_path / "page.html").read_text()
        sizes[limit] = len(text.encode())
        left_out = [run["views"][0]["pictures"]["left_out"] for run in shown_in(text)["runs"]]
        assert sizes[limit] <= limit
        assert left_out == [0, 0, 0] if limit == MAX_BYTES else min(left_out) > 0
    assert sizes[2_100_000] < sizes[2_600_000] < sizes[MAX_BYTES]
    assert "too large" not in capsys.readouterr().out
    monkeypatch.setattr(page_module, "MAX_BYTES", 1_000_000)  # less than plotly.js alone
    assert report.main([str(tmp_path / "study"), "--out", str(tmp_path / "page.html")]) == 0
    assert "too large to mail" in capsys.readouterr().out


def shown_in(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


def test_the_study_of_the_readme_fits_in_a_mail(tmp_path, capsys):
    out = tmp_path / "report.html"
    assert report.main([str(ROOT / "tests/analysis/digits_sgd_adam"), "--out", str(out), "--draws", "100"]) == 0
    text = out.read_text()
    assert len(text.encode()) < MAX_BYTES
    assert "26 runs" in capsys.readouterr().out
    shown = shown_in(text)
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
    monkeypatch.setattr(report, "any_to_come", lambda _: next(live))
    monkeypatch.setattr(report.time, "sleep", slept.append)
    monkeypatch.setattr(report, "_write", lambda _, refresh: pages.append(refresh))
    assert report.main([str(page.parent / "mine"), "--out", str(tmp_path / "x.html"), "--watch", "7"]) == 0
    assert slept == [7, 7] and pages == [7, 7, None]


@pytest.mark.parametrize("while_it", ["sleeps", "writes"])
def test_watching_is_ended_by_hand(monkeypatch, tmp_path, while_it):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "any_to_come", lambda _: True)
    monkeypatch.setattr(report.time, "sleep", interrupt)
    monkeypatch.setattr(report, "_write", interrupt if while_it == "writes" else lambda *_: None)
    assert report.main([str(tmp_path), "--watch"]) == 0
    with pytest.raises(KeyboardInterrupt):
        monkeypatch.setattr(report, "_write", interrupt)
        report.main([str(tmp_path)])


def test_a_page_of_runs_that_go_on_loads_itself_again_unless_told_otherwise(monkeypatch, tmp_path, page):
    live = iter([True, False])
    pages = []
    out = tmp_path / "page.html"
    monkeypatch.setattr(report, "any_to_come", lambda _: next(live))
    monkeypatch.setattr(report.time, "sleep", lambda _: pages.append(out.read_text()))
    assert report.main([str(page.parent / "mine"), "--out", str(out), "--watch", "7"]) == 0
    assert 'id="follow" checked' in pages[0] and shown_in(pages[0])["refresh_seconds"] == 7
    assert 'id="follow"' not in out.read_text() and shown_in(out.read_text())["refresh_seconds"] is None


def test_runs_that_cannot_be_compared_are_shown_one_by_one(tmp_path, capsys):
    write_run(tmp_path, evaluations(64, 0))
    write_run(tmp_path, evaluations(128, 0).drop(columns=["f_mem", "f_mem_low", "f_mem_high"]))
    out = tmp_path / "page.html"
    assert report.main([str(tmp_path), "--out", str(out)]) == 0
    assert "without a comparison: " in capsys.readouterr().out
    text = out.read_text()
    assert "has no f_mem" in text
    shown = shown_in(text)
    assert shown["study"] is None
    with_times = [run for run in shown["runs"] if any(time["value"] is not None for time in run["views"][0]["times"])]
    assert len(shown["runs"]) == 2 and len(with_times) == 1


def test_a_watched_run_without_a_table_is_waited_for(monkeypatch, tmp_path, capsys):
    live, slept = iter([True, False]), []
    monkeypatch.setattr(report, "any_to_come", lambda _: next(live))
    monkeypatch.setattr(report.time, "sleep", lambda seconds: slept.append(write_run(tmp_path, evaluations(64, 0))))
    assert report.main([str(tmp_path), "--out", str(tmp_path / "x.html"), "--watch"]) == 0
    said = capsys.readouterr().out
    assert "nothing to show yet" in said and "1 run" in said and len(slept) == 1


def test_a_watched_folder_in_which_no_run_has_begun_is_waited_for(monkeypatch, tmp_path, capsys):
    slept = []

    def begin(seconds):
        slept.append(seconds)
        assert len(slept) == 1, "the run that has begun is done"
        write_run(tmp_path / "runs", evaluations(64, 0))

    monkeypatch.setattr(report.time, "sleep", begin)
    done = write_run(tmp_path / "done", evaluations(64, 0))
    places = [str(done), str(tmp_path / "runs")]
    assert report.main([*places, "--out", str(tmp_path / "x.html"), "--watch"]) == 0
    said = capsys.readouterr().out
    assert "nothing to show yet" in said and "no such folder" in said and "2 runs" in said
    failed = tmp_path / "failed/run"
    failed.mkdir(parents=True)
    (failed / "status.json").write_text('{"state": "failed"}')
    assert report.main([str(failed), "--out", str(tmp_path / "x.html"), "--watch"]) == 3, "nothing is to come"
    assert report.main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "x.html")]) == 3
