"""The import wizard with files as people have them: wrong columns, bad lines, no table at all, a reload in the middle."""

import os

import pytest
from browsing import press, settled
from playwright.sync_api import Page, expect

from core import datasets
from core.artifacts import Home

ROWS = [f"u{user},i{(user * 7 + place) % 20},{1 + (user + place) % 5}" for user in range(30) for place in range(6)]
BAD = {3: "u0,i3,lots", 7: ",i4,5", 12: "u1,,4", 20: "u2,i9"}
"""Lines of the file, with the header, that cannot be used."""


def messy() -> bytes:
    lines = ["who,thing,stars", *ROWS]
    for line, text in BAD.items():
        lines[line - 1] = text
    return "\n".join(lines).encode()


def upload(page: Page, name: str, content: bytes) -> None:
    page.locator(".st-key-import_files input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content}
    )
    settled(page)


def choose(page: Page, key: str, option: str) -> None:
    page.locator(f".st-key-{key} [role=combobox]").click()
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def opened_wizard(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_text("Import your own data")).to_be_visible(timeout=60_000)
    settled(page)


def test_bad_lines_are_named_the_mapping_is_mended_and_the_dataset_opens(address: str, home: Home, page: Page) -> None:
    opened_wizard(page, address)
    upload(page, "clicks.csv", messy())
    expect(page.get_by_text("Choose the user and the item column above.")).to_be_visible()
    choose(page, "import_user", "who")
    choose(page, "import_item", "who")
    expect(page.locator(".st-key-import_report, [data-testid=stAlert]").first).to_be_visible()
    choose(page, "import_item", "thing")
    choose(page, "import_rating", "stars")
    report = page.locator(".st-key-import_report")
    for line in BAD:
        expect(report).to_contain_text(f"line {line}")
    expect(report).to_contain_text("such as 'lots'")
    kept = len(ROWS) - len(BAD)
    expect(report).to_contain_text(f"{kept} of {len(ROWS)} rows kept.")
    assert datasets.listing(home) == []
    press(page, "import_commit")
    expect(page.get_by_text("The loop")).to_be_visible()
    settled(page)
    [info] = datasets.listing(home)
    assert (info.name, info.interactions) == ("clicks", kept)
    assert not [file for _, _, names in os.walk(home.cache / "uploads") for file in names]
    page.goto(f"{address}/explore?part=Users&user=u3")
    expect(page.get_by_text("User u3", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("picture.csv", bytes(range(256)) * 64, "binary file"),
        ("book.csv", b"PK\x03\x04\x14\x00\x06\x00" + bytes(500), "Excel workbook"),
        ("nothing.csv", b"", "is empty"),
        ("one.csv", b"no table at all, only words", "user"),
    ],
)
def test_what_is_no_table_gets_one_sentence_and_leaves_nothing(
    address: str, home: Home, page: Page, name: str, content: bytes, says: str
) -> None:
    opened_wizard(page, address)
    upload(page, name, content)
    expect(page.locator("[data-testid=stAlert]")).to_have_count(1)
    expect(page.locator("[data-testid=stAlert]")).to_contain_text(says)
    expect(page.locator(".st-key-import_commit")).to_have_count(0)
    assert datasets.listing(home) == []
    assert not [path for path in home.path.glob("datasets/*")]
    page.locator(".st-key-import_files").get_by_role("button", name="Remove").first.click()
    settled(page)
    expect(page.locator("[data-testid=stAlert]")).to_have_count(0)
    upload(page, "good.csv", ("user,item,rating\n" + "\n".join(ROWS)).encode())
    expect(page.locator(".st-key-import_report")).to_contain_text(f"{len(ROWS)} of {len(ROWS)} rows kept.")


def test_a_reload_in_the_middle_begins_again_and_writes_nothing(address: str, home: Home, page: Page) -> None:
    opened_wizard(page, address)
    upload(page, "clicks.csv", messy())
    choose(page, "import_user", "who")
    choose(page, "import_item", "thing")
    expect(page.locator(".st-key-import_report")).to_be_visible()
    page.reload()
    opened_wizard(page, address)
    expect(page.locator(".st-key-import_report")).to_have_count(0)
    assert datasets.listing(home) == []
    upload(page, "clicks.csv", messy())
    choose(page, "import_user", "who")
    choose(page, "import_item", "thing")
    press(page, "import_commit")
    expect(page.get_by_text("The loop")).to_be_visible()
    assert [info.name for info in datasets.listing(home)] == ["clicks"]
