"""Decide, see the preview move, freeze, retrain, compare: by clicks."""

import pytest
from browsing import opened, press, settled
from playwright.sync_api import Page, expect

from core import datasets, runs
from core.artifacts import Home
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, TRAIN, carry_out


@pytest.fixture
def trained(home: Home) -> str:
    """The demo and one training; nothing is labelled."""
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), NAME)
    return carry_out(home, "train", **TRAIN)


def changed_edges(page: Page) -> str:
    return page.get_by_test_id("stMetric").filter(has_text="Edges changed").get_by_test_id("stMetricValue").inner_text()


def test_decide_preview_freeze_retrain_compare(page: Page, address: str, home: Home, trained: str) -> None:
    data = datasets.load(home, NAME)
    pairs = [(str(data.user_ids[data.train.user[row]]), str(data.item_ids[data.train.item[row]])) for row in (0, 1)]
    page.goto(f"{address}/preview")
    settled(page)
    expect(page.get_by_role("heading", name="No labels yet")).to_be_visible()
    for n, (user, item) in enumerate(pairs, 1):
        page.goto(f"{address}/pair?user={user}&item={item}")
        settled(page)
        press(page, "decide_no")
        expect(page.locator(".st-key-undo button")).to_be_visible()
        opened(page, "Preview")
        expect(page.get_by_test_id("stMetric").filter(has_text="Edges changed")).to_contain_text(str(n))
        assert changed_edges(page) == str(n)
    press(page, "preview_freeze")
    expect(page.get_by_text("frozen as v1")).to_be_visible()
    settled(page)
    assert len(Store.open(home).version(NAME, "v1")) == 2
    press(page, "preview_retrain")
    expect(page.get_by_text("Retrained on v1")).to_be_visible(timeout=60_000)
    settled(page)
    newest = runs.listing(home, NAME, "train")[0]
    assert newest.settings == runs.folder(home, trained).read().settings | {"labels": "v1"}
    page.get_by_role("link", name="Compare both trainings").click()
    expect(page.get_by_text("Winners and losers")).to_be_visible()
    settled(page)
    assert f"a={trained}" in page.url
    assert f"b={newest.id}" in page.url
    opened(page, "Files")
    with page.expect_download() as started:
        press(page, "export_dataset")
    assert started.value.suggested_filename == f"{NAME}-v1-csv.zip"
