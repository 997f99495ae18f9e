"""Pair: a judge is asked again with something changed, against a server process; the jobs are done here."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, jobs
from core.artifacts import Home
from core.runs import Run
from core.store import Store
from tests.model_server.process import ModelServer
from tests.pages.helpers import NAME, carry_out, said, sound

Open = Callable[..., AppTest]
Serve = Callable[..., ModelServer]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done at once, here."""

    def start(home: Home, kind: str, dataset: str, settings: dict) -> Run:
        return jobs.work(home, jobs.create(home, kind, dataset, settings).id)

    monkeypatch.setattr(jobs, "start", start)


def a_pair(home: Home) -> tuple[str, str]:
    first = Store.open(home).judgments(NAME, texts=False).iloc[0]
    return first["user_id"], first["item_id"]


def press(page: AppTest) -> AppTest:
    [button] = [one for one in page.button if one.label == "Ask again"]
    return sound(button.click().run())


def test_a_language_model_is_asked_again(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve()
    user, item = a_pair(ready)
    carry_out(ready, "judge", judge="ollama", url=server.url, pairs=[(user, item)])
    n = len(server.calls())
    page = open_page("pair", user=user, item=item)
    assert "Nothing has been tried with this judge yet" in said(page)
    [left_out] = page.multiselect
    assert len(left_out.value) == 1
    page = press(page)
    rows = Store.open(ready).counterfactuals(NAME)
    assert len(server.calls()) - n == len(rows)
    assert set(rows["change"]) == {"without", "reversed", "seed", "title"}
    assert set(rows["annotator"]) == {page.text_input(key="annotator").value}
    [table] = [frame.value for frame in page.dataframe if "changed" in frame.value]
    expected = [f"{one} → {other}" for one, other in zip(rows["before"], rows["rating"], strict=True)]
    assert table["rating"].tolist() == expected
    assert "by the title alone" in said(page)
    n = len(server.calls())
    page = press(page)
    assert len(server.calls()) == n
    assert len(Store.open(ready).counterfactuals(NAME)) == len(rows)


def test_the_built_in_rater_says_what_makes_no_sense(ready: Home, open_page: Open) -> None:
    user, item = a_pair(ready)
    page = open_page("pair", user=user, item=item)
    assert "it reads no order" in said(page).replace("\\", "")
    page = press(page)
    rows = Store.open(ready).counterfactuals(NAME)
    assert set(rows["change"]) == {"without"}
    data = datasets.load(ready, NAME)
    [left_out] = page.multiselect
    assert rows["items"].iloc[0] == data.item_ids[left_out.value].tolist()
    [title] = data.item_title[left_out.value]
    assert title in Store.open(ready).judgments(NAME, user, item)["analysis"].str.cat()  # the one that the reasons name


def test_blind_hides_it(ready: Home, open_page: Open) -> None:
    user, item = a_pair(ready)
    page = open_page("pair", user=user, item=item)
    assert "Would it still say so?" in said(page)
    page = sound(page.toggle(key="blind").set_value(True).run())
    assert "Would it still say so?" not in said(page)


def test_a_server_that_is_away_is_an_error_in_words(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve()
    user, item = a_pair(ready)
    carry_out(ready, "judge", judge="ollama", url=server.url, pairs=[(user, item)])
    page = open_page("pair", user=user, item=item)
    server.process.kill()
    server.process.wait()
    page = press(page)
    assert any("answers at" in error.value.replace("\\", "") for error in page.error)


def test_nothing_chosen_is_said(ready: Home, open_page: Open) -> None:
    user, item = a_pair(ready)
    page = open_page("pair", user=user, item=item)
    [left_out] = page.multiselect
    left_out.set_value([])
    assert "Choose at least one thing to change" in said(press(page))
