"""Filters and ticks in a real browser: cold links, Back, and rows that are ticked, sorted, turned and come back to."""

import re

import numpy as np
import pytest
from browsing import opened, press, running, settled, still
from playwright.sync_api import Browser, Locator, Page, expect

from core import candidates, datasets, queue
from core.artifacts import Home
from core.records import Dataset, Label
from core.store import Store
from tests.pages.helpers import NAME

CENTRE, HEAD, ROW = 16, 18, 35
"""Of a table: the middle of its tick boxes, of its heading [px], and the height of a row."""


@pytest.fixture
def data(filled: Home) -> Dataset:
    return datasets.load(filled, NAME)


def told(page: Page, pattern: str) -> str:
    """What the bar says, once it says that."""
    words = page.locator(".st-key-filterbar").get_by_text(re.compile(pattern)).first
    expect(words).to_be_visible()
    settled(page)
    return words.inner_text()


def test_cold_links_show_the_same_pairs_and_back_takes_filters_off(
    filled: Home, data: Dataset, browser: Browser, page: Page, address: str
) -> None:
    labels = Store.open(filled).labels(data)
    noisy = labels.having(Label.NOISY_POSITIVE)
    page.goto(f"{address}/board?dataset={NAME}&f_label=noisy-positive")
    assert f"{len(noisy):,} of {len(labels):,} pairs" in told(page, "noisy positive")
    first = page.locator(".st-key-row_judged_0").inner_text()
    opened(page, "Losses")
    assert f"{len(noisy):,} of {len(data.train):,} clicks" in told(page, "noisy positive")
    assert "f_label=noisy-positive" in page.url

    press(page, "filter_open")
    expect(page.get_by_test_id("stPopoverBody").get_by_text("noisy positive")).to_be_visible()
    page.wait_for_timeout(500)
    settled(page)
    expect(page.get_by_test_id("stPopoverBody").get_by_text("noisy positive")).to_be_visible()
    page.get_by_label("Item id").fill("nothing")
    page.get_by_role("button", name="Show what fits").click()
    expect(page.get_by_text("None of the")).to_be_visible()
    expect(page).to_have_url(re.compile("f_item=nothing"))
    settled(page)
    page.locator(".st-key-filter_clear_empty button").click()
    expect(page).not_to_have_url(re.compile("f_"))
    told(page, "^All ")
    page.go_back()
    expect(page.get_by_text("None of the")).to_be_visible()
    page.go_back()
    assert f"{len(noisy):,} of" in told(page, "noisy positive$")

    link = page.url
    apart = browser.new_context().new_page()
    apart.goto(link)
    assert f"{len(noisy):,} of {len(data.train):,} clicks" in told(apart, "noisy positive")
    opened(apart, "Judge")
    told(apart, "noisy positive")
    assert apart.locator(".st-key-row_judged_0").inner_text() == first
    apart.locator(".st-key-row_judged_0").get_by_role("link", name="Open").click()
    expect(apart.locator(".st-key-pair_header")).to_be_visible()
    settled(apart)
    apart.context.close()

    user, item = str(data.user_ids[noisy.user[-1]]), str(data.item_ids[noisy.item[-1]])
    cold = browser.new_context().new_page()
    cold.goto(f"{address}/pair?user={user}&item={item}")
    expect(cold.locator(".st-key-pair_header")).to_contain_text(str(data.item_title[noisy.item[-1]]))
    settled(cold)
    cold.context.close()


def test_a_cell_of_the_matrix_filters_by_both_ratings(filled: Home, page: Page, address: str) -> None:
    views = Store.open(filled).judgments(NAME).pivot(index=["user_id", "item_id"], columns="view", values="rating")
    wanted = int(((views["user"] == "High") & (views["item"] == "High")).sum())
    page.goto(f"{address}/board")
    expect(page.locator(".st-key-agreement_cells canvas").first).to_be_visible()
    settled(page)
    box = still(page.locator(".st-key-agreement_cells"))
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + HEAD + ROW)
    assert f"{wanted} of {len(views)} pairs" in told(page, "rated High by the user view, rated High by the item view")


def table(page: Page) -> Locator:
    found = page.get_by_test_id("stDataFrame")
    expect(found).to_be_visible()
    settled(page)
    return found


def tick(page: Page, row: int) -> None:
    """The box of a row as it is shown."""
    box = still(table(page))
    page.mouse.click(box["x"] + CENTRE, box["y"] + HEAD + ROW * (row + 1))


def says(page: Page, n: int) -> None:
    expect(page.locator(".st-key-bulk_no button")).to_have_text(f"Not relevant · {n}")
    settled(page)


def choose(page: Page, order: str) -> None:
    page.get_by_role("combobox", name="Order").click()
    with running(page):
        page.get_by_role("option", name=order, exact=True).click()
    expect(page.get_by_text(next(one.about for one in queue.ORDERS.values() if one.title == order))).to_be_visible()


def most_doubtful(home: Home, data: Dataset) -> list[int]:
    """Pair codes in the order in which the queue has them."""
    found, _ = candidates.load(home, data, candidates.newest(home, NAME))
    pile = queue.gather(data, found, Store.open(home).judgments(NAME, texts=False), None)
    return pile.codes(data.n_items)[queue.ordered(pile, "doubtful")].tolist()


def turn(page: Page, number: int) -> None:
    with running(page):
        page.locator(".st-key-bulk_page").get_by_text(str(number), exact=True).click()


def test_what_is_ticked_is_labelled_whatever_was_sorted_and_turned_between(
    filled: Home, data: Dataset, page: Page, address: str
) -> None:
    page.goto(f"{address}/review")
    expect(page.locator(".review .bar")).to_be_visible(timeout=60_000)
    settled(page)
    page.get_by_role("combobox", name="Pairs in this session").click()
    page.get_by_role("option", name="100", exact=True).click()
    expect(page.locator(".review .place")).to_have_text("1 of 90")
    codes = most_doubtful(filled, data)
    page.get_by_text("in bulk").click()
    titles = np.array([data.item_title[code % data.n_items] for code in codes[:50]])
    wanted = [codes[1], codes[4]]
    tick(page, 1)
    says(page, 1)
    tick(page, 4)
    says(page, 2)

    box = table(page).bounding_box()
    page.mouse.click(box["x"] + 200, box["y"] + HEAD)  # by title, in the browser alone
    page.wait_for_timeout(1000)
    lowest = int(np.argsort(np.char.lower(titles.astype(str)), kind="stable")[0])
    assert titles[lowest] not in {titles[1], titles[4]}
    tick(page, 0)
    says(page, 3)
    wanted.append(codes[lowest])

    turn(page, 2)
    says(page, 3)
    tick(page, 2)
    says(page, 4)
    wanted.append(codes[52])
    choose(page, "Most influence")
    says(page, 4)
    turn(page, 1)
    tick(page, 0)
    expect(page.locator(".st-key-bulk_no button")).to_have_text(re.compile("[35]$"))  # it may have been one of them
    tick(page, 0)
    says(page, 4)
    choose(page, "Most doubtful")
    says(page, 4)
    press(page, "bulk_no")
    expect(page.get_by_text("86 left")).to_be_visible()
    settled(page)
    rows = Store.open(filled).decisions(NAME)
    assert {(row.user_id, row.item_id) for row in rows} == {
        (data.user_ids[code // data.n_items], data.item_ids[code % data.n_items]) for code in wanted
    }
    assert len({row.batch for row in rows}) == 1
    expect(page.locator(".st-key-bulk_no button")).to_be_disabled()
    press(page, "bulk_undo")
    expect(page.get_by_text("90 left")).to_be_visible()
    settled(page)
    assert not len(Store.open(filled).standing(NAME))
