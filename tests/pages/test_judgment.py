"""Pair: what a language model's judgment rests on, how sure and how steady it is, where it comes from."""

import time
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from core import datasets, prompts
from core.artifacts import Home
from core.prompts import Item
from core.records import Judgment
from core.store import PROBE, Store, Want
from tests.pages.helpers import NAME, said

Open = Callable[..., AppTest]
SAID = 'Jazz like in "Kind of Blue", not "Giant Steps" <img src=x onerror=alert(1)>.'


def judged(home: Home) -> tuple[str, str]:
    """A pair with one view judged by a language model; its ids."""
    data, store = datasets.load(home, NAME), Store.open(home)
    user, item = data.user_ids[data.train.user[0]], data.item_ids[data.train.item[0]]
    prompt = prompts.item_view([Item("Kind of Blue", "Jazz")], Item("Night", "Jazz"))
    store.ask(NAME, [Want(user, item, "item", "ollama", "m", "k" * 64)])
    judgment = Judgment(
        key="k" * 64,
        user_id=user,
        item_id=item,
        view="item",
        rating="High",
        analysis=SAID,
        confidence=0.93,
        judge="ollama",
        is_llm=True,
        model="m",
        digest="d" * 64,
        prompt_version="2/r1/made",
        prompt_tokens=300,
        answer_tokens=20,
        seconds=1.5,
        at=time.time(),
        server="http://box:11434",
    )
    store.record(judgment, prompt.messages, '{"raw": true}')
    store.add_further("k" * 64, PROBE, "Mid", confidence=0.6)
    for number, rating in enumerate(("High", "Low", "High"), 1):
        store.add_further("k" * 64, number, rating)
    return user, item


def test_reasons_are_marked_by_what_they_rest_on_and_never_markup(ready: Home, open_page: Open) -> None:
    user, item = judged(ready)
    page = open_page("pair", user=user, item=item)
    bodies = [element.proto.body for element in page.get("html")]
    [reasons] = [body for body in bodies if "Giant Steps" in body]
    assert '<mark class="ground-person" title="in what is known of the person">Kind of Blue</mark>' in reasons
    assert '<mark class="ground-nowhere"' in reasons
    assert "&lt;img src=x" in reasons
    assert not any("<img" in body for body in bodies)
    assert "Unsupported: one quotation stands in no text" in said(page)


def test_how_sure_how_steady_and_from_where(ready: Home, open_page: Open) -> None:
    user, item = judged(ready)
    told = said(open_page("pair", user=user, item=item)).replace("\\", "").replace("\u2060", "")
    assert "93% sure when it answered" in told
    assert "asked for the rating alone: Mid (60% sure)" in told
    assert "the same in 2 of 3 further answers" in told
    assert "Without its reasoning the model answers otherwise" in told
    for fact in ("prompt version: 2/r1/made", "weights: dddddddddddd", "server: http://box:11434", "came by: asked", "300 read"):
        assert fact in told


def test_the_history_shows_categories_as_the_card_does(ready: Home, open_page: Callable[..., AppTest]) -> None:
    data = datasets.load(ready, NAME)
    several = next(at for at, item in enumerate(data.train.item) if "|" in data.item_category[item])
    user, shown = data.train.user[several], str(data.item_category[data.train.item[several]]).replace("|", " · ")
    other = next(item for item in data.train.item[data.train.user == user] if item != data.train.item[several])
    page = open_page("pair", user=str(data.user_ids[user]), item=str(data.item_ids[other]))
    [history] = [frame.value for frame in page.dataframe if "title" in frame.value and "category" in frame.value]
    assert shown in set(history["category"])
