"""The page Files: what is read in is shown first, written once, and taken back."""

import os
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, exchange, guidelines
from core.artifacts import Home
from core.records import Dataset
from core.store import Store
from tests.pages.helpers import NAME, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


def upload(page: AppTest, name: str, content: str | bytes) -> AppTest:
    content = content.encode() if isinstance(content, str) else content
    return sound(page.file_uploader(key="incoming_file").set_value((name, content, "text/csv")).run())


def pairs(data: Dataset, n: int) -> list[str]:
    return [f"{data.user_ids[data.train.user[row]]},{data.item_ids[data.train.item[row]]}" for row in range(n)]


def test_decisions_are_shown_then_written_then_taken_back(ready: Home, data: Dataset, open_page: Open) -> None:
    store = Store.open(ready)
    text = "user_id,item_id,relevant\n" + "".join(f"{pair},no\n" for pair in pairs(data, 3)) + "nobody,nothing,no\n"
    page = upload(open_page("files"), "decisions.csv", text)
    assert "3 new, 0 there already, 0 against a standing answer" in said(page)
    assert "about a user that demo does not know" in said(page)
    assert "line 5; such as 'nobody'" in said(page)
    assert store.decisions(NAME) == []
    sound(page.button(key="incoming_write").click().run())
    assert len(store.decisions(NAME)) == 3
    assert "0 new, 3 there already" in said(page)
    assert "There is nothing to write" in said(page)
    sound(page.button(key="incoming_undo").click().run())
    assert len(store.standing(NAME)) == 0
    assert exchange.file_of(store, data, "decisions")[1] == 6
    assert "3 new" in said(page)


def test_a_selection_and_guidelines(ready: Home, data: Dataset, open_page: Open) -> None:
    page = upload(open_page("files"), "odd.csv", "user_id,item_id\n" + "".join(f"{pair}\n" for pair in pairs(data, 2)))
    sound(page.text_input(key="incoming_name_odd.csv").set_value("odd ones").run())
    sound(page.button(key="incoming_write").click().run())
    assert Store.open(ready).selections(NAME)["name"].tolist() == ["odd ones"]
    upload(page, "rules.txt", "Be kind.")
    assert "+Be kind." in page.code[0].value
    sound(page.button(key="incoming_write").click().run())
    assert guidelines.read(ready, NAME) == "Be kind."
    assert "0 new, 1 there already" in said(page)
    sound(page.button(key="incoming_undo").click().run())
    assert guidelines.read(ready, NAME) == guidelines.DEFAULT


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.csv", b"user_id\n\xff\xfe", "not in UTF-8"),
        ("book.csv", b"PK\x03\x04\x14\x00" * 20, "Excel"),
        ("no.csv", b"\n", "empty"),
    ],
)
def test_a_broken_file_says_so_in_one_sentence(ready: Home, open_page: Open, name: str, content: bytes, message: str) -> None:
    page = upload(open_page("files"), name, content)
    assert message in page.error[0].value.replace("\\", "")
    assert "Nothing was written" in said(page)
    assert not [button for button in page.button if button.key == "incoming_write"]


def test_what_was_put_aside_and_left_behind_is_removed_after_a_day(ready: Home, data: Dataset, open_page: Open) -> None:
    folders = [ready.cache / "uploads" / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir(parents=True)
    os.utime(folders[0], (1, 1))
    upload(open_page("files"), "rules.txt", "Be kind.")
    assert [folder.exists() for folder in folders] == [False, True]
