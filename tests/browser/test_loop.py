"""The whole loop by clicks, on the invented shop and on the real MovieLens-100K."""

import re
from pathlib import Path

import pytest
from browsing import opened, press, settled
from movielens_folder import write_movielens
from playwright.sync_api import Page, expect

from core import datasets, runs
from core.artifacts import Home
from core.records import Label
from core.settings import TRAIN_PRESETS
from core.store import Store


def trained(page: Page, home: Home, dataset: str, number: int) -> runs.Run:
    """Start a training and wait until the page itself shows its test recall; `number` trainings are done then."""
    press(page, "start_training")
    for _ in range(480):
        page.wait_for_timeout(500)
        done = [run for run in runs.listing(home, dataset, "train") if run.state is runs.State.DONE]
        if len(done) == number:
            break
    recall = f"{done[0].metrics['test']['recall@20']:.4f}"
    expect(page.get_by_test_id("stMetricValue").filter(has_text=recall).first).to_be_visible()
    settled(page)
    return done[0]


def the_rest_of_the_loop(page: Page, home: Home, dataset: str) -> None:
    """From an imported dataset to the comparison of two trainings."""
    opened(page, "Train")
    page.locator(".st-key-train_preset").get_by_text("quick").click()
    expect(page.get_by_test_id("stCode").filter(has_text="--dim 32")).to_be_attached()  # the page has heard of it
    settled(page)
    plain = trained(page, home, dataset, 1)
    opened(page, "Judge")
    press(page, "find_candidates")
    expect(page.locator(".st-key-judge_candidates button")).to_be_enabled(timeout=300_000)
    press(page, "judge_candidates")
    expect(page.get_by_role("heading", name="Judged pairs")).to_be_visible(timeout=180_000)
    expect(page.locator(".st-key-freeze button")).to_be_enabled(timeout=180_000)
    settled(page)
    page.get_by_role("link", name="Open").first.click()
    expect(page.locator(".st-key-view_user")).to_be_visible()
    settled(page)
    user, item = (re.search(rf"[?&]{name}=([^&]+)", page.url).group(1) for name in ("user", "item"))
    store = Store.open(home)
    press(page, "decide_yes")
    settled(page)
    expect(page.locator(".st-key-undo button")).to_be_visible()
    [decision] = store.decisions(dataset)
    assert (decision.user_id, decision.item_id, decision.relevant) == (user, item, "yes")
    press(page, "undo")
    settled(page)
    expect(page.locator(".st-key-undo button")).not_to_be_visible()
    press(page, "decide_no")
    settled(page)
    expect(page.locator(".st-key-undo button")).to_be_visible()
    opened(page, "Judge")
    press(page, "freeze")
    settled(page)
    expect(page.locator(".st-key-step_freeze").get_by_text("v1").first).to_be_visible()
    rows = store.version(dataset, "v1").set_index(["user_id", "item_id"])
    assert rows.loc[(user, item), "source"] == "human"
    assert rows.loc[(user, item), "label"] in (Label.NOISY_POSITIVE.word, Label.HARD_NEGATIVE.word)
    opened(page, "Train")
    page.get_by_role("combobox", name="Label version").click()
    page.get_by_role("option", name="v1").first.click()
    expect(page.get_by_test_id("stCode").filter(has_text="--labels v1")).to_be_attached()
    settled(page)
    refined = trained(page, home, dataset, 2)
    assert plain.settings["dim"] == refined.settings["dim"] == TRAIN_PRESETS["quick"]["dim"]
    assert (plain.settings["labels"], refined.settings["labels"]) == (None, "v1")
    opened(page, "Compare")
    expect(page.get_by_text("What differs")).to_be_visible()
    a, b = (run.metrics["test"]["recall@20"] for run in (plain, refined))
    expect(page.get_by_test_id("stMetricValue").filter(has_text=f"{b:.4f}").first).to_be_visible()
    expect(page.get_by_text(f"{b - a:+.4f}").first).to_be_visible()


def test_on_the_demo(page: Page, address: str, home: Home) -> None:
    page.goto(address)
    settled(page)
    press(page, "load_demo")
    expect(page.get_by_text("The loop")).to_be_visible()
    settled(page)
    the_rest_of_the_loop(page, home, "demo")


@pytest.mark.real
def test_on_movielens(page: Page, address: str, home: Home, shared_data: Path, tmp_path: Path) -> None:
    """Imported by clicks, too: the original folder, given by its path."""
    folder = write_movielens(shared_data, tmp_path / "ml-100k")
    page.goto(address)
    settled(page)
    page.get_by_text("A path on this computer").first.click()
    settled(page)
    box = page.get_by_label("File or folder")
    box.fill(str(folder))
    box.press("Enter")
    expect(page.get_by_text("100,000 of 100,000 rows kept").first).to_be_visible()
    assert datasets.listing(home) == []
    press(page, "import_commit")
    expect(page.get_by_text("The loop")).to_be_visible()
    settled(page)
    the_rest_of_the_loop(page, home, "ml-100k")
