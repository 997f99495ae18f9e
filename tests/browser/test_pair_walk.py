"""Previous and next on Pair, by keys, through the list that a pair was opened from: the address must follow."""

import re
from urllib.parse import parse_qs, urlsplit

from browsing import opened, press, running, settled
from playwright.sync_api import Page, expect

from core import datasets
from core.artifacts import Home
from core.store import Store
from tests.pages.helpers import NAME


def place(page: Page) -> tuple[str, str]:
    """The pair in the address."""
    query = parse_qs(urlsplit(page.url).query)
    return query["user"][0], query["item"][0]


def test_arrow_keys_walk_through_the_list_that_was_opened(filled: Home, page: Page, address: str) -> None:
    data = datasets.load(filled, NAME)
    clicks = [(str(data.user_ids[u]), str(data.item_ids[i])) for u, i in zip(data.train.user, data.train.item, strict=True)]
    header = page.locator(".st-key-pair_header")
    page.goto(f"{address}/explore?part=Interactions")
    settled(page)
    page.locator(".st-key-row_interactions_1").get_by_role("link", name="Open").click()
    expect(header).to_contain_text("2 of")
    settled(page)
    assert place(page) == clicks[1]
    page.keyboard.press("ArrowRight")
    expect(header).to_contain_text("3 of")
    settled(page)
    assert place(page) == clicks[2]
    page.locator(".st-key-note input").click()
    page.keyboard.type("ab")
    page.keyboard.press("ArrowLeft")  # moves the cursor, not the page
    settled(page)
    assert place(page) == clicks[2]
    page.locator('[class*="st-key-row_nearest_"] button').nth(2).click()
    expect(header).to_contain_text("3 of 10 · nearest to user")
    settled(page)
    third = place(page)
    page.keyboard.press("ArrowRight")
    expect(header).to_contain_text("4 of 10 · nearest to user")
    page.keyboard.press("ArrowLeft")
    expect(header).to_contain_text("3 of 10 · nearest to user")
    settled(page)
    assert place(page) == third
    assert re.search(r"list=nearest_\d+_\d+", page.url)


def test_an_audit_stays_blind_through_next_and_a_reload(filled: Home, page: Page, address: str) -> None:
    header, blind = page.locator(".st-key-pair_header"), page.get_by_role("switch", name="Blind")
    page.goto(address)
    opened(page, "Judge")
    press(page, "audit_draw_sample")
    press(page, "audit_next")
    expect(header).to_contain_text("1 of")
    settled(page)
    page.keyboard.press("ArrowRight")
    expect(header).to_contain_text("2 of")
    settled(page)
    here = place(page)
    page.reload()
    expect(blind).to_be_checked()
    settled(page)
    assert place(page) == here
    expect(page.get_by_role("heading", name="The judge's two views")).to_have_count(0)


def test_what_was_sent_to_review_is_there_after_a_reload_and_behind_its_links(filled: Home, page: Page, address: str) -> None:
    at = page.locator(".review .place")
    page.goto(f"{address}/losses")
    settled(page)
    press(page, "above_send")
    expect(at).to_contain_text("1 of")
    of = at.inner_text().split()[-1]
    settled(page)
    page.reload()
    expect(page.get_by_role("combobox", name="Order")).to_have_value(re.compile("Sent here"))
    expect(at).to_have_text(f"1 of {of}")
    with page.context.expect_page() as other:
        page.locator(".review a.open").click()
    expect(other.value.locator(".st-key-pair_header")).to_contain_text("Sent here")


def test_a_name_outlives_a_reload_of_every_page(filled: Home, page: Page, address: str) -> None:
    """Else the decisions after it would carry another person's name."""
    data = datasets.load(filled, NAME)
    page.goto(f"{address}/pair?user={data.user_ids[data.train.user[0]]}&item={data.item_ids[data.train.item[0]]}")
    settled(page)
    name = page.get_by_role("textbox", name="Your name")
    with running(page):
        name.fill("Zoë; b")
        name.press("Enter")
    page.wait_for_function("document.cookie.includes('Zo')")
    page.reload()
    expect(name).to_have_value("Zoë; b")
    settled(page)
    press(page, "decide_yes")
    expect(page.locator(".st-key-decision")).to_contain_text("You said relevant")
    [decision] = Store.open(filled).decisions(NAME)
    assert decision.annotator == "Zoë; b"


def test_back_leads_to_where_the_pairs_were_sent_from(filled: Home, page: Page, address: str) -> None:
    page.goto(f"{address}/losses")
    settled(page)
    press(page, "above_send")
    expect(page.locator(".review .place")).to_contain_text("1 of")
    settled(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Losses", exact=True)).to_be_visible()
