"""A training that goes on while its page is reloaded, and one whose process is killed: nothing is lost, nothing begins twice."""

import os
import signal
import time

from browsing import press
from playwright.sync_api import Page, expect

from core import jobs, runs
from core.artifacts import Home
from core.runs import Run, State
from tests.pages.helpers import NAME, TRAIN

LONG = TRAIN | {"epochs": 2000, "min_epochs": 2000, "eval_every": 5, "batch_size": 8}


def newest(home: Home) -> Run:
    return runs.listing(home, NAME, "train")[0]


def epochs_done(home: Home, more_than: int) -> int:
    """Wait until the training has gone on."""
    end = time.monotonic() + 60
    while (done := newest(home).progress.done) <= more_than:
        assert time.monotonic() < end, f"stands at epoch {done}"
        time.sleep(0.1)
    return done


def test_a_reload_and_a_kill_in_the_middle_of_training(page: Page, address: str, filled: Home) -> None:
    run = jobs.start(filled, "train", NAME, LONG)
    page.goto(f"{address}/train")
    panel = page.locator(".st-key-job_train")
    expect(panel.get_by_text("of at most 2,000")).to_be_visible(timeout=60_000)
    before = epochs_done(filled, 2)
    page.reload()
    expect(panel.get_by_text("of at most 2,000")).to_be_visible(timeout=60_000)
    assert epochs_done(filled, before) > before
    assert [one.id for one in runs.listing(filled, NAME, "train") if one.state.active] == [run.id]

    page.goto(f"{address}/explore")  # in a session that did not start it, on another page
    expect(page.locator(".st-key-pill_train")).to_be_visible(timeout=60_000)
    page.locator(".st-key-pill_train").get_by_role("link").click()

    # at once, while the page is still on its way: the link names the training, whether it is at work or not
    os.kill(newest(filled).pid, signal.SIGKILL)
    expect(panel.get_by_text("Its process ended before it was done")).to_be_visible(timeout=60_000)
    page.goto(f"{address}/train")  # by no link that names it
    expect(panel.get_by_text("Its process ended before it was done")).to_be_visible(timeout=60_000)
    kept = len(runs.folder(filled, run.id).metrics()[0])
    assert kept >= before
    press(page, "resume_train")
    expect(panel.get_by_text("of at most 2,000")).to_be_visible(timeout=60_000)
    epochs_done(filled, kept)
    rows = runs.folder(filled, run.id).metrics()[0]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))

    press(page, "stop_train")
    expect(panel.get_by_role("button", name="Resume")).to_be_visible(timeout=60_000)
    assert newest(filled).state is State.CANCELLED
