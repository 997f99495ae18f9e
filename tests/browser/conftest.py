"""A real server process and a real Chromium."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core import datasets
from core.artifacts import ROOT, Home
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
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


@contextmanager
def served(home: Home, log: Path, script: str = "app/main.py") -> Iterator[str]:
    """A script of Streamlit on a free port; nothing may have gone wrong when it ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port), "--server.headless", "true"],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env=os.environ | {"WINNOW_HOME": str(home.path)},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, server, log)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)
    faults = log.read_text(errors="replace")
    assert "Traceback" not in faults, faults[-4000:]


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


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/_stcore/health", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield context.new_page()
    context.close()
