"""Judge: what a language model is asked, and the rubric that a person may write for it."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import candidates, datasets, prompts
from core.artifacts import Home
from core.judges.preview import preview
from core.prompts import RUBRIC, Rubric
from core.settings import JudgeSettings
from core.store import Store
from tests.pages.helpers import NAME, said, sound

Open = Callable[..., AppTest]
OWN = Rubric("High: a gift. Mid: perhaps. Low: no.", "High: a set. Mid: half of one. Low: no.", "r1")


@pytest.fixture
def opened(ready: Home, open_page: Open) -> AppTest:
    """The Judge page with a language model chosen and the questions unfolded."""
    page = open_page("board")
    page.selectbox(key="judge_judge").set_value("ollama").run()
    page.session_state["asked"] = True
    return sound(page.run())


def codes(page: AppTest) -> list[str]:
    return [code.value for code in page.code]


def save(page: AppTest, user: str, item: str, note: str = "") -> AppTest:
    page.text_input(key="annotator").set_value("ada")
    page.text_area(key="rubric_user").set_value(user)
    page.text_area(key="rubric_item").set_value(item)
    page.text_input(key="rubric_note").set_value(note)
    return sound(page.button(key="rubric_save").click().run())


def test_only_a_language_model_is_asked_in_words(ready: Home, open_page: Open) -> None:
    page = open_page("board")
    assert "What the model is asked" not in [box.label for box in page.expander]
    page.selectbox(key="judge_judge").set_value("ollama").run()
    assert "What the model is asked" in [box.label for box in sound(page).expander]
    assert not page.text_area  # nothing is read before it is unfolded


def test_the_messages_are_those_that_would_be_sent(ready: Home, opened: AppTest) -> None:
    data = datasets.load(ready, NAME)
    found, _ = candidates.load(ready, data)

    def messages(place: int, rubric: Rubric, profiles: str) -> list[str]:
        pair = int(found.user[place]), int(found.item[place])
        asked = preview(data, found, rubric, *pair, JudgeSettings(), profiles)
        questions = [asked.profile] if asked.profile else []
        return [one["content"] for question in [*questions, *asked.views.values()] for one in question.messages]

    assert codes(opened)[:4] == messages(0, RUBRIC, "made")
    Store.open(ready).add_rubric(NAME, user=OWN.user, item=OWN.item, annotator="ann")
    opened.run()
    opened.selectbox(key="asked_pair").set_value(3)
    opened.selectbox(key="asked_rubric").set_value("r1")
    opened.selectbox(key="asked_profiles").set_value("written")
    sound(opened.run())
    wanted = messages(3, OWN, "written")
    assert codes(opened)[: len(wanted)] == wanted
    assert "2/r1/written" in said(opened)


def test_a_rubric_is_saved_compared_and_taken_back(ready: Home, opened: AppTest) -> None:
    assert opened.button(key="rubric_reset").disabled
    page = save(opened, f"  {OWN.user}\n", RUBRIC.item, "gifts")
    store = Store.open(ready)
    assert store.rubric(NAME) == Rubric(OWN.user, RUBRIC.item, "r1")
    assert store.rubrics(NAME).loc[0, ["annotator", "note"]].tolist() == ["ada", "gifts"]
    assert page.selectbox(key="asked_rubric").value == "r1"
    assert page.text_area(key="rubric_user").value == OWN.user
    assert page.text_input(key="rubric_note").value == ""
    assert prompts.difference(RUBRIC, store.rubric(NAME)) in codes(page)
    sound(page.button(key="rubric_save").click().run())
    assert len(store.rubrics(NAME)) == 1
    assert "Nothing is different from r1." in page.toast[0].value
    sound(page.button(key="rubric_reset").click().run())
    assert (store.rubric(NAME).version, store.rubric(NAME).user) == ("r2", RUBRIC.user)
    assert page.text_area(key="rubric_user").value == RUBRIC.user


def test_a_text_that_cannot_serve_is_not_saved_and_not_lost(ready: Home, opened: AppTest) -> None:
    page = save(opened, "High and Mid.", OWN.item)
    assert "does not mention Low" in page.toast[0].value
    assert not len(Store.open(ready).rubrics(NAME))
    assert page.text_area(key="rubric_user").value == "High and Mid."


def test_what_somebody_else_saved_meanwhile_does_not_take_my_words(ready: Home, opened: AppTest) -> None:
    opened.text_area(key="rubric_user").set_value(OWN.user).run()
    theirs = Store.open(ready).add_rubric(NAME, user="High, Mid, Low?", item=OWN.item, annotator="bob")
    page = sound(opened.run())
    assert page.text_area(key="rubric_user").value == OWN.user
    assert "r1 was saved since you began to write" in said(page)
    page = save(page, OWN.user, OWN.item)
    assert Store.open(ready).rubric(NAME) == Rubric(OWN.user, OWN.item, "r2")
    assert Store.open(ready).rubric(NAME, "r1") == theirs
    Store.open(ready).add_rubric(NAME, user="High, Mid, Low?", item=OWN.item, annotator="bob")
    assert sound(page.run()).text_area(key="rubric_user").value == "High, Mid, Low?"  # nothing was being written


def test_nobody_saves_without_a_name(opened: AppTest) -> None:
    opened.text_input(key="annotator").set_value("").run()
    assert opened.button(key="rubric_save").disabled
    assert "Enter your name" in said(opened)


def test_the_messages_are_those_of_the_chosen_profiles_and_rubric(ready: Home, opened: AppTest) -> None:
    Store.open(ready).add_rubric(NAME, user=OWN.user, item=OWN.item, annotator="ann")
    Store.open(ready).add_rubric(NAME, user="High, Mid or Low.", item=OWN.item, annotator="ann")
    assert sound(opened.run()).selectbox(key="asked_rubric").value == "r2"
    opened.selectbox(key="judge_profiles").set_value("written")
    opened.text_input(key="judge_rubric").set_value("r1").run()
    assert opened.selectbox(key="asked_profiles").value == "written"
    assert opened.selectbox(key="asked_rubric").value == "r1"
    opened.selectbox(key="asked_profiles").set_value("made").run()
    assert sound(opened.run()).selectbox(key="asked_profiles").value == "made"  # what was looked at stays
