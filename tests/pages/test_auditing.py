"""The section of the Judge page on how good the judge is."""

from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import assessment, datasets
from core.artifacts import Home
from core.records import Dataset
from core.store import Store
from core.store.audits import population
from tests.pages.helpers import NAME, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


def draw(page: AppTest, size: int) -> AppTest:
    page.number_input(key="audit_size").set_value(size).run()
    return sound(page.button(key="audit_draw_sample").click().run())


def test_from_the_draw_to_the_next_pair(ready: Home, data: Dataset, open_page: Open) -> None:
    page = open_page("board")
    assert "There is no sample yet" in said(page)
    page = draw(page, 20)
    store = Store.open(ready)
    sampled = store.sampled(NAME)
    assert len(sampled) == 20
    assert "Whether it is good enough to drop clicks by is open: no pair is audited yet" in said(page)
    first, second = ((row.user_id, row.item_id) for row in sampled.head(2).itertuples())
    page = sound(page.button(key="audit_next").click().run())
    assert (page.query_params["user"], page.query_params["item"]) == first
    assert "1 of 20 · audit sample 1" in said(page)
    assert "The judge's two views" not in said(page)  # blind
    page.switch_page("../pages/pair.py").run()  # AppTest does not follow the page that a script goes on to
    page.button(key=f"decide_yes:{first[0]}:{first[1]}").click().run()
    page = sound(page.button(key="next_pair").click().run())
    assert (page.query_params["user"], page.query_params["item"]) == second
    [decision] = store.decisions(NAME)
    assert (decision.user_id, decision.saw_judge) == (first[0], False)
    page = open_page("board")
    [progress] = page.get("progress")
    assert "1 of 20 pairs audited (1 blind, 0 after" in progress.proto.text
    page = sound(page.button(key="audit_next").click().run())
    assert page.query_params["item"] == second[1]


def test_the_numbers_are_those_of_the_engine(ready: Home, data: Dataset, open_page: Open) -> None:
    store = Store.open(ready)
    store.draw(data, size=30, annotator="ada")
    pairs = list(zip(store.sampled(NAME)["user_id"], store.sampled(NAME)["item_id"], strict=True))
    store.decide(NAME, pairs[::2], "yes", annotator="ada", saw_judge=False)
    store.decide(NAME, pairs[1::2], "no", annotator="ada", saw_judge=False)
    store.decide(NAME, pairs[:1], "no", annotator="bob", saw_judge=False)
    found = assessment.assess(
        data,
        store.samples(NAME),
        assessment.audits(store.sampled(NAME), store.standing(NAME)),
        store.standing(NAME),
        population(data, store.judgments(NAME, texts=False)),
    )
    page = open_page("board")
    words = said(page)
    assert found.prune.sentence in words
    assert found.add.sentence in words
    assert "people differ about 1, and the newest answer counts" in words
    assert assessment.MEANS["error"] in str([frame.value.to_dict() for frame in page.dataframe])
    [agreement] = [frame.value for frame in page.dataframe if assessment.AGREEMENT["kappa"] in frame.value.to_numpy()]
    assert agreement["value"].iloc[0] == f"{found.kappa.value:.2f}"
    [segments] = [table.value for table in page.table if "part" in table.value]
    by_popularity = segments[segments["by"] == "popularity of the item"]
    assert by_popularity["audits"].sum() == 30
    [table] = [frame.value for frame in page.dataframe if "person: relevant" in frame.value]
    np.testing.assert_array_equal(table.to_numpy()[:, 1:].astype(int), found.confusion)


def test_several_samples_can_be_chosen_from(ready: Home, data: Dataset, open_page: Open) -> None:
    page = draw(draw(open_page("board"), 10), 12)
    assert page.selectbox(key="audit_sample").value == 2
    assert "12 of 60 pairs" in said(page)
    page.selectbox(key="audit_sample").set_value(1).run()
    assert "10 of 60 pairs" in said(sound(page))


def test_when_all_is_audited_there_is_no_next(ready: Home, data: Dataset, open_page: Open) -> None:
    store = Store.open(ready)
    store.draw(data, size=8, annotator="ada")
    pairs = list(zip(store.sampled(NAME)["user_id"], store.sampled(NAME)["item_id"], strict=True))
    store.decide(NAME, pairs, "unsure", annotator="ada")
    page = open_page("board")
    assert page.button(key="audit_next").disabled
    assert "8 could not be told" in said(page)


def test_without_a_name_nobody_draws(ready: Home, open_page: Open) -> None:
    page = open_page("board")
    page.text_input(key="annotator").set_value(" ").run()
    assert page.button(key="audit_draw_sample").disabled


def test_one_answer_is_no_plural(ready: Home, data: Dataset, open_page: Open) -> None:
    store = Store.open(ready)
    [first] = store.judgments(NAME, texts=False).head(1).itertuples()
    store.decide(NAME, [(first.user_id, first.item_id)], "no", annotator="ada", saw_judge=False)
    words = said(draw(open_page("board"), 60))  # all of them, so that one is audited
    assert "1 answers" not in words
    assert "1 audits" not in words
