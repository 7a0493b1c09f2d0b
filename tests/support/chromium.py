"""A headless Chromium that asks nobody for anything, and what it saw."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1800",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator:
    """A browser of its own; skips where there is none."""
    browsers = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    driver = shutil.which("chromedriver")
    if not browsers or driver is None:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browsers[0]
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield browser
        finally:
            browser.quit()


def requests(browser, page: str) -> set[str]:
    """What ``page`` asked for since the last call, itself included, without the data inside it."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    urls = {each["request"]["url"] for each in sent if each.get("documentURL", "").startswith(page)}
    return {url.partition("#")[0] for url in urls if not url.startswith(("data:", "blob:"))}
