"""What every browser test does."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import FloatRect, Locator, Page, expect

from core.artifacts import ROOT, Home


def settled(page: Page, timeout: float = 60_000) -> Page:
    """Wait until the page's script has run."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout)
    return page


@contextmanager
def running(page: Page) -> Iterator[None]:
    """What is done within makes the page's script run: wait until it has begun, however late, and ended."""
    page.evaluate(
        """() => {
          const app = document.querySelector("[data-testid=stApp]");
          window.scriptRan = false;
          new MutationObserver((_, observer) => { window.scriptRan = true; observer.disconnect(); })
            .observe(app, { attributeFilter: ["data-test-script-state"] });
        }"""
    )
    yield
    page.wait_for_function("window.scriptRan")
    settled(page)


def still(found: Locator) -> FloatRect:
    """Where something lies once it has stayed there for half a second: charts above it move it when they draw themselves."""
    found.scroll_into_view_if_needed()
    end, box, same = time.monotonic() + 60, None, 0
    while same < 5:
        assert time.monotonic() < end, f"still moves: {box}"
        before, box = box, found.bounding_box()
        same = same + 1 if box is not None and box == before else 0
        found.page.wait_for_timeout(100)
    return box


def opened(page: Page, title: str) -> None:
    """Go to a page by its entry in the menu."""
    page.locator(".st-key-menu").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True).first).to_be_visible()
    settled(page)


def press(page: Page, key: str) -> None:
    """Click the button in the container or widget of this key."""
    page.locator(f".st-key-{key} button").first.click()


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
