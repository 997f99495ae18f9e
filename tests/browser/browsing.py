"""What every browser test does."""

from playwright.sync_api import Page, expect


def settled(page: Page, timeout: float = 60_000) -> Page:
    """Wait until the page's script has run."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout)
    return page


def opened(page: Page, title: str) -> None:
    """Go to a page by its entry in the menu."""
    page.locator(".st-key-menu").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True).first).to_be_visible()
    settled(page)


def press(page: Page, key: str) -> None:
    """Click the button in the container or widget of this key."""
    page.locator(f".st-key-{key} button").first.click()
