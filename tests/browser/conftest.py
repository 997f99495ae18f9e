"""A real server process and a real Chromium."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browsing import served
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core import datasets
from core.artifacts import Home
from core.settings import DemoSettings
from tests.pages.helpers import NAME, TRAIN, carry_out

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason="NO BROWSER TESTS: there is no chromium here (apt-get install chromium)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for longer than a module: while Playwright's event loop is there, no other one runs, in no test."""
    assert CHROMIUM, "browser tests are never skipped in CI: install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def address(home: Home, tmp_path: Path) -> Iterator[str]:
    """The app on a free port, with the test's own empty home."""
    with served(home, tmp_path / "server.log") as url:
        yield url


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Judged pairs and a training. Never written to by a test."""
    home = Home.at(tmp_path_factory.mktemp("filled"))

    def fill() -> None:
        datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), NAME)
        carry_out(home, "train", **TRAIN)
        carry_out(home, "candidates", budget=90, encoder="tfidf")
        carry_out(home, "judge", encoder="tfidf")

    with ThreadPoolExecutor() as apart:  # from Playwright's event loop, in which no other one may run
        apart.submit(fill).result()
    return home


@pytest.fixture
def filled(filled_once: Home, home: Home) -> Home:
    """The test's own copy of it."""
    shutil.copytree(filled_once.path, home.path)
    return home


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)  # on a busy machine pages take their time
    yield context.new_page()
    context.close()
