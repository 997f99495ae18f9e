"""Windows of 640 CSS pixels: what a text size of 200 % leaves of an ordinary screen."""

from browsing import settled
from playwright.sync_api import Page, expect

from core.artifacts import Home


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
