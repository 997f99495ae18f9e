"""The Review page with real keys: fast ones on a slow page, a reload, many at once, two windows."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import opened, served, settled
from playwright.sync_api import Page, expect

from core.artifacts import Home, login_name
from core.records import Decision
from core.store import Store
from tests.pages.helpers import NAME


@pytest.fixture
def slow_address(filled: Home, tmp_path: Path) -> Iterator[str]:
    with served(filled, tmp_path / "slow.log", "tests/browser/slow_app.py") as url:
        yield url


def opened_review(page: Page, address: str) -> Page:
    page.goto(f"{address}/review")
    expect(page.locator(".review .bar")).to_be_visible(timeout=60_000)
    return settled(page)


def all_saved(page: Page) -> None:
    expect(page.locator(".review .status")).to_have_attribute("data-pending", "0")
    settled(page)


def title(page: Page) -> str:
    return page.locator(".review .card .title").inner_text()


def decisions(home: Home) -> list[Decision]:
    return Store.open(home).decisions(NAME)


def queue(page: Page, n: int) -> list[str]:
    """The addresses of the next n pairs, in the order in which keys reach them."""
    found = []
    for _ in range(n):
        found.append(page.locator(".review .open").get_attribute("href"))
        page.keyboard.press("ArrowRight")
    for _ in range(n):
        page.keyboard.press("ArrowLeft")
    return found


def pairs(rows: list[Decision]) -> list[str]:
    return [f"user={row.user_id}&item={row.item_id}" for row in rows]


def test_twenty_keys_a_second_on_a_page_that_takes_a_second(slow_address: str, filled: Home, page: Page) -> None:
    opened_review(page, slow_address)
    page.get_by_role("combobox", name="Pairs in this session").click()
    page.get_by_role("option", name="100", exact=True).click()
    settled(page)
    expect(page.locator(".review .place")).to_have_text("1 of 90")
    wanted = queue(page, 60)
    keys = [("1", "yes"), ("2", "no"), ("3", "unsure"), ("2", "no")] * 15
    begin = time.monotonic()
    for place, (key, _) in enumerate(keys):
        time.sleep(max(0.0, begin + place / 20 - time.monotonic()))
        page.keyboard.press(key)
    all_saved(page)
    rows = decisions(filled)
    assert [row.relevant for row in rows] == [answer for _, answer in keys]
    assert all(address.endswith(pair) for address, pair in zip(wanted, pairs(rows), strict=True))
    expect(page.locator(".review .place")).to_have_text("1 of 30")


def test_a_decision_carries_the_name_that_was_visible_at_the_key(slow_address: str, filled: Home, page: Page) -> None:
    opened_review(page, slow_address)
    name = page.get_by_role("textbox", name="Your name")
    page.keyboard.press("1")
    name.fill("ada")
    name.press("Enter")
    expect(name).not_to_be_focused()
    page.keyboard.press("2")
    all_saved(page)
    assert [row.annotator for row in decisions(filled)] == [login_name(), "ada"]


def test_a_comment_is_typed_on_while_the_page_is_drawn_anew(slow_address: str, filled: Home, page: Page) -> None:
    """A letter that went astray would be a decision."""
    opened_review(page, slow_address)
    name = page.get_by_role("textbox", name="Your name")
    name.fill("ada")
    name.press("Enter")
    expect(name).not_to_be_focused()
    note = "1 of 2, seen 3 times by 1 of us"
    page.keyboard.press("n")
    page.keyboard.type(note, delay=100)
    expect(page.locator(".review .comment")).to_have_value(note)
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    all_saved(page)
    assert [(row.annotator, row.relevant, row.note) for row in decisions(filled)] == [("ada", "no", note)]


def test_a_comment_outlives_the_box_it_is_typed_in(address: str, filled: Home, page: Page) -> None:
    """Streamlit may take the queue off the page and put it back in the middle of a word."""
    opened_review(page, address)
    page.keyboard.press("n")
    page.keyboard.type("1 of ")
    page.evaluate(
        """() => {
            const box = document.activeElement.shadowRoot?.activeElement ?? document.activeElement;
            box.remove();
        }"""
    )
    page.keyboard.type("2")  # into nothing
    assert not decisions(filled)
    page.get_by_role("combobox", name="Pairs in this session").click()
    page.get_by_role("option", name="100", exact=True).click()
    settled(page)
    expect(page.locator(".review .place")).to_have_text("1 of 90")
    page.keyboard.press("n")
    expect(page.locator(".review .comment")).to_have_value("1 of ")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    all_saved(page)
    assert [(row.relevant, row.note) for row in decisions(filled)] == [("yes", "1 of 2")]


def test_undo_after_a_reload_and_comments(address: str, filled: Home, page: Page) -> None:
    opened_review(page, address)
    name = page.get_by_role("textbox", name="Your name")
    name.fill("ada")
    name.press("Enter")
    settled(page)
    first = title(page)
    page.keyboard.press("n")
    page.keyboard.type("1 of 2 for a friend")  # no key counts while one types
    page.keyboard.press("Enter")
    page.keyboard.press("6")
    page.keyboard.press("2")
    all_saved(page)
    [row] = decisions(filled)
    assert (row.annotator, row.relevant, row.note, row.reason) == ("ada", "no", "1 of 2 for a friend", "other-person")
    assert title(page) != first
    page.reload()
    opened_review(page, address)
    expect(page.get_by_role("textbox", name="Your name")).to_have_value("ada")
    page.keyboard.press("z")
    assert title(page) == first
    all_saved(page)
    assert not len(Store.open(filled).standing(NAME))
    page.reload()
    opened_review(page, address)
    page.keyboard.press("y")
    all_saved(page)
    assert Store.open(filled).standing(NAME)["relevant"].tolist() == ["no"]
    assert len(decisions(filled)) == 3


def test_comment_and_reason_stay_when_the_answer_is_changed_or_taken_back(address: str, filled: Home, page: Page) -> None:
    opened_review(page, address)
    box, reason = page.locator(".review .comment"), page.locator(".review .reason.on")
    page.keyboard.press("n")
    page.keyboard.type("for a friend")
    page.keyboard.press("Enter")
    page.keyboard.press("6")
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")  # perhaps before it is saved
    expect(box).to_have_value("for a friend")
    page.keyboard.press("2")
    all_saved(page)
    page.reload()
    opened_review(page, address)
    page.keyboard.press("z")  # the 2, so that the 1 stands
    all_saved(page)
    expect(box).to_have_value("for a friend")
    page.keyboard.press("z")  # the 1, so that nothing does
    all_saved(page)
    expect(box).to_have_value("for a friend")
    expect(reason).to_have_text("6for somebody else, a gift")
    page.keyboard.press("3")
    all_saved(page)
    said = [(row.relevant, row.note, row.reason) for row in decisions(filled) if row.relevant]
    assert said == [(answer, "for a friend", "other-person") for answer in ("yes", "no", "unsure")]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("n")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    page.keyboard.press("6")
    page.keyboard.press("1")
    all_saved(page)
    assert (decisions(filled)[-1].note, decisions(filled)[-1].reason) == ("", "")


def test_what_was_not_saved_before_a_reload_is_saved_after_it(slow_address: str, filled: Home, page: Page) -> None:
    opened_review(page, slow_address)
    for key in "1222":
        page.keyboard.press(key)
    page.reload()
    opened_review(page, slow_address)
    all_saved(page)
    assert [row.relevant for row in decisions(filled)] == ["yes", "no", "no", "no"]


def test_many_at_once_and_back(address: str, filled: Home, page: Page) -> None:
    opened_review(page, address)
    page.get_by_text("in bulk").click()
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    settled(page)
    box = table.bounding_box()
    for row in (1, 2, 4):
        page.mouse.click(box["x"] + 16, box["y"] + 18 + 35 * row)
        settled(page)
    button = page.locator(".st-key-bulk_no button")
    expect(button).to_have_text("Not relevant · 3")
    button.click()
    expect(page.get_by_text("47 left")).to_be_visible()
    settled(page)
    rows = decisions(filled)
    assert len(rows) == 3
    assert len({row.batch for row in rows}) == 1
    page.get_by_text("one by one").click()
    expect(page.locator(".review .bar")).to_be_visible()
    settled(page)
    page.keyboard.press("z")
    expect(page.locator(".review .status")).to_contain_text("3 decisions of one action are taken back")
    all_saved(page)
    assert not len(Store.open(filled).standing(NAME))
    expect(page.get_by_text("50 left")).to_be_visible()


def test_two_windows_on_one_pair_keep_both_and_say_so(address: str, filled: Home, page: Page) -> None:
    opened_review(page, address)
    other = opened_review(page.context.new_page(), address)
    assert title(page) == title(other)
    page.keyboard.press("1")
    all_saved(page)
    other.keyboard.press("2")
    all_saved(other)
    expect(other.get_by_text("in another window")).to_be_visible()
    rows = decisions(filled)
    assert [row.relevant for row in rows] == ["yes", "no"]
    assert len(set(pairs(rows))) == 1
    assert Store.open(filled).standing(NAME)["relevant"].tolist() == ["no"]


def test_blind_by_key_and_the_sheet_of_keys(address: str, filled: Home, page: Page) -> None:
    opened_review(page, address)
    expect(page.locator(".review .view")).to_have_count(2)
    page.keyboard.press("b")
    expect(page.locator(".review .view")).to_have_count(0)
    expect(page.get_by_role("switch", name="Blind")).to_be_checked()
    settled(page)
    page.keyboard.press("?")
    expect(page.locator(".review .sheet")).to_contain_text("take your newest action back")
    page.keyboard.press("Escape")
    expect(page.locator(".review .sheet")).to_have_count(0)
    page.keyboard.press("1")
    page.keyboard.press("1")
    all_saved(page)
    assert [row.saw_judge for row in decisions(filled)] == [True, False]  # the first one was shown before
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".review .view")).to_have_count(2)


def test_order_size_and_blind_mode_stay_through_a_reload_and_another_page(address: str, filled: Home, page: Page) -> None:
    def choose(box: str, option: str) -> None:
        page.get_by_role("combobox", name=box).click()
        page.get_by_role("option", name=option, exact=True).click()
        settled(page)

    def as_chosen() -> None:
        expect(page.get_by_role("combobox", name="Order")).to_have_value("Near the threshold")
        expect(page.get_by_role("combobox", name="Pairs in this session")).to_have_value("20")
        expect(page.get_by_role("switch", name="Blind")).to_be_checked()
        expect(page.locator(".review .place")).to_have_text("3 of 20")
        expect(page.locator(".review .view")).to_have_count(0)

    opened_review(page, address)
    page.keyboard.press("b")
    expect(page.get_by_role("switch", name="Blind")).to_be_checked()
    settled(page)
    choose("Pairs in this session", "20")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    choose("Order", "Near the threshold")
    expect(page.locator(".review .place")).to_have_text("1 of 20")  # not where that pair stands in the new order
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    as_chosen()
    page.reload()
    expect(page.locator(".review .bar")).to_be_visible(timeout=60_000)
    as_chosen()
    opened(page, "Pair")
    opened(page, "Review")
    as_chosen()


def test_skipped_pairs_stay_at_the_end_through_reloads(address: str, filled: Home, page: Page) -> None:
    opened_review(page, address)
    first, second, third = queue(page, 3)
    page.keyboard.press("s")
    page.keyboard.press("s")
    for _ in range(2):  # the first may come before the server has heard of them, the second comes after
        page.reload()
        opened_review(page, address)
        all_saved(page)
        expect(page.locator(".review .open")).to_have_attribute("href", third)
        expect(page.locator(".review .place")).to_have_text("1 of 50")
    assert queue(page, 50)[-2:] == [first, second]
    page.keyboard.press("1")
    all_saved(page)
    assert pairs(decisions(filled))[0] in third
    page.get_by_role("combobox", name="Pairs in this session").click()  # which begins another session
    page.get_by_role("option", name="100", exact=True).click()
    settled(page)
    expect(page.locator(".review .place")).to_have_text("3 of 89")  # what was skipped stands before it again
    page.reload()
    opened_review(page, address)
    all_saved(page)
    expect(page.locator(".review .place")).to_have_text("3 of 50")
