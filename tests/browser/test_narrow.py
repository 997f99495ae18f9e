"""Every page at the widths people have: an ordinary screen, a large one, and the first with text at 200 %."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from browsing import settled
from playwright.sync_api import Browser, Page, expect

from core.artifacts import Home
from tests.pages.helpers import TRAIN, carry_out

PAGES = ("", "explore", "train", "losses", "embeddings", "board", "pair", "review", "preview", "compare", "method")
SIZES = {"1280": (1280, 900, 1), "1920": (1920, 1080, 1), "200 %": (640, 450, 2)}

# Words in buttons, tiles, badges, headings, labels and paragraphs that stick out of what clips them, and the page itself
CUT = """() => {
  const found = [], main = document.querySelector("[data-testid=stMain]");
  for (const box of [document.documentElement, main])
    if (box.scrollWidth > box.clientWidth + 1) found.push(`the page scrolls sideways: ${box.scrollWidth} > ${box.clientWidth}`);
  const roots = [document, ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)];
  const kinds = "button, a, label, h1, h2, h3, p, li, div, span, small, kbd";
  const all = roots.flatMap((root) => [...root.querySelectorAll(kinds)]);
  for (const one of all) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    if (!one.getClientRects().length || one.closest(".katex, svg, canvas")) continue;
    if (one.closest("[data-testid=stIconMaterial], [data-testid=stDataFrame], [class*=gdg]")) continue;
    if (one.textContent.trim() === "Skip to main content" || getComputedStyle(one).visibility === "hidden") continue;
    const range = document.createRange();
    range.selectNodeContents(one);
    const words = range.getBoundingClientRect(), told = JSON.stringify(one.textContent.trim().slice(0, 60));
    if (words.right <= 0) continue; // the sidebar when it is folded
    if (words.right > innerWidth + 1) found.push(`${told} lies outside the window`);
    for (let box = one; box && box !== main; box = box.parentElement) {
      if (!["hidden", "clip"].includes(getComputedStyle(box).overflowX)) continue;
      const clip = box.getBoundingClientRect();
      if (words.right > clip.right + 1.5 || words.left < clip.left - 1.5) found.push(`${told} is cut`);
      break;
    }
  }
  for (const part of document.querySelectorAll(".katex-display .base")) {
    const clip = part.closest(".katex-display").getBoundingClientRect(), own = part.getBoundingClientRect();
    if (own.right > clip.right + 2) found.push(`a formula is cut by ${own.right - clip.right}: ${part.textContent.slice(0, 40)}`);
  }
  return [...new Set(found)];
}"""

# What can be operated or seen and has no name for those who hear the page
NAMELESS = """() => {
  const seen = (one) => one.getClientRects().length && !one.closest("[aria-hidden=true]");
  const name = (one) => one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.getAttribute("title")
    || (one.labels && one.labels.length) || one.textContent.trim();
  const controls = [...document.querySelectorAll("button, a[href], input, textarea, [role=slider], [role=combobox]")];
  const charts = [...document.querySelectorAll("[data-testid=stPlotlyChart]")];
  return [
    ...controls.filter((one) => seen(one) && !name(one)).map((one) => one.outerHTML.slice(0, 160)),
    ...charts.filter((one) => !one.closest("[aria-label]") && !one.querySelector("[aria-label], [alt]")).map(() => "a chart"),
  ];
}"""


@pytest.fixture
def complete(filled: Home) -> Home:
    """With a second training and a map, so that no page is empty."""

    def fill() -> None:
        carry_out(filled, "train", **TRAIN, seed=1)
        carry_out(filled, "project")

    with ThreadPoolExecutor() as apart:  # from Playwright's event loop, in which no other one may run
        apart.submit(fill).result()
    return filled


def drawn(page: Page, address: str) -> Page:
    """A page with all that it shows, its charts too."""
    page.goto(address)
    settled(page)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_function(
        "[...document.querySelectorAll('[data-testid=stPlotlyChart]')].every((one) => one.querySelector('svg'))"
    )
    return page


def test_no_page_scrolls_sideways_or_cuts_words(complete: Home, browser: Browser, address: str) -> None:
    faults: dict[str, list[str]] = {}
    for size, (width, height, factor) in SIZES.items():
        with browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=factor) as context:
            page = context.new_page()
            for name in PAGES:
                found = drawn(page, f"{address}/{name}").evaluate(CUT)
                if size == "1280":
                    found += page.evaluate(NAMELESS)
                if found:
                    faults[f"{name or 'home'} at {size}"] = found
    assert not faults, "\n".join(f"{place}: {fault}" for place, found in faults.items() for fault in found)


def test_the_keys_of_review_cover_neither_the_pair_nor_the_judge(filled: Home, page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    drawn(page, f"{address}/review")
    keys = page.locator(".review .bar").bounding_box()
    cards = page.locator(".review .card")
    expect(cards).to_have_count(4)
    for card in cards.all():
        box = card.bounding_box()
        assert box["y"] + box["height"] <= keys["y"] + 1
    assert keys["y"] + keys["height"] <= 900
    page.set_viewport_size({"width": 640, "height": 450})
    assert page.locator(".review .bar").evaluate("bar => getComputedStyle(bar).position") == "static"


def test_rows_of_pairs_can_be_read_and_opened(filled: Home, page: Page, address: str) -> None:
    page.set_viewport_size({"width": 640, "height": 900})
    for name, key in (("board", "judged"), ("losses", "losses")):
        page.goto(f"{address}/{name}")
        row = page.locator(f".st-key-row_{key}_0")
        expect(row).to_be_visible()
        settled(page)
        inside = row.bounding_box()
        for cell in row.get_by_test_id("stColumn").all():
            box = cell.bounding_box()
            assert inside["x"] <= box["x"] and box["x"] + box["width"] <= inside["x"] + inside["width"] + 1
            assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth + 1"), cell.inner_text()
        link = row.get_by_role("link", name="Open")
        words = link.locator("p").evaluate("p => [p.scrollWidth, p.clientWidth]")
        assert words[0] <= words[1] + 1
    link.click()
    expect(page.locator(".st-key-pair_header")).to_be_visible()
