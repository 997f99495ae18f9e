"""Points are outlined with the mouse, labelled as one, and taken back."""

import re

import pytest
from browsing import press, settled
from playwright.sync_api import Page, expect

from core import datasets, runs
from core.artifacts import Home
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, TRAIN, carry_out

CORNERS = ((0.35, 0.3), (0.7, 0.35), (0.65, 0.75), (0.4, 0.7), (0.35, 0.32))
"""Of the outline, as shares of the drawing area."""


@pytest.fixture
def mapped(home: Home) -> runs.Run:
    """A training and the map of its clicks."""
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), NAME)
    carry_out(home, "train", **TRAIN)
    return runs.folder(home, carry_out(home, "project")).read()


def draw(page: Page) -> None:
    """An outline by mouse on the first chart, which has the lasso in hand."""
    area = page.locator(".js-plotly-plot .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in CORNERS]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def selected(page: Page, key: str) -> int:
    """How many clicks the panel says are selected."""
    told = page.locator(f".st-key-{key}_selected").get_by_text(re.compile(r"[\d,]+ training clicks are selected")).first
    expect(told).to_be_visible()
    settled(page)
    return int(re.search(r"[\d,]+", told.inner_text()).group().replace(",", ""))


@pytest.mark.parametrize(("name", "key"), [("embeddings", "map"), ("losses", "data_map")])
def test_outlined_labelled_taken_back(mapped: runs.Run, home: Home, page: Page, address: str, name: str, key: str) -> None:
    page.goto(f"{address}/{name}" + ("?tab=Data+map" if name == "losses" else ""))
    expect(page.locator(".js-plotly-plot .nsewdrag").first).to_be_visible()
    settled(page)
    draw(page)
    n = selected(page, key)
    assert 0 < n < len(datasets.load(home, NAME).train)
    store = Store.open(home)
    page.locator(f".st-key-{key}_actions").get_by_role("button", name="Label").click()
    page.locator(f".st-key-{key}_label_no button").click()
    expect(page.locator(f".st-key-{key}_undo")).to_be_visible()
    settled(page)
    decisions = store.decisions(NAME)
    assert len(decisions) == n
    assert len({row.batch for row in decisions}) == 1
    assert selected(page, key) == n  # the colours are new, the outline is as it was
    press(page, f"{key}_undo")
    expect(page.locator(f".st-key-{key}_undo")).not_to_be_visible()
    settled(page)
    assert len(store.standing(NAME)) == 0
    assert len(store.decisions(NAME)) == 2 * n
