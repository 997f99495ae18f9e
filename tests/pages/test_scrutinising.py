"""The closer look at the judges on the Judge page."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import scrutinising
from core import assessment, datasets, rivals, scrutiny
from core.artifacts import Home
from core.labels import RATER
from core.records import Dataset
from core.store import Store
from tests.model_server.process import ModelServer
from tests.pages.helpers import NAME, carry_out, said, sound

Open = Callable[..., AppTest]
Serve = Callable[..., ModelServer]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


def turn_to(page: AppTest, name: str) -> AppTest:
    page.session_state["scrutiny"] = name
    return sound(page.run())


def table(page: AppTest, column: str) -> pd.DataFrame:
    [found] = [frame.value for frame in page.dataframe if column in frame.value]
    return found


def answer(home: Home, size: int, relevant: Callable[[int], bool]) -> None:
    """People audit a random sample."""
    store, data = Store.open(home), datasets.load(home, NAME)
    store.draw(data, size=size, annotator="ann")
    sampled = store.sampled(NAME)
    for place, pair in enumerate(zip(sampled["user_id"], sampled["item_id"], strict=True)):
        store.decide(NAME, [pair], "yes" if relevant(place) else "no", annotator="ann", saw_judge=False)


def test_with_one_rater_and_nobodys_answers_every_part_says_what_is_missing(ready: Home, open_page: Open) -> None:
    page = open_page("board")
    assert "There is one rater yet" in said(page)
    page = turn_to(page, "High, Mid and Low")
    assert "there are 0" in said(page)
    assert "tells no probabilities" in said(page)
    assert set(table(page, "confirmed")["confirmed"]) == {"–"}
    page = turn_to(page, "Bias")
    assert "Nobody has asked it yet with the history in the opposite order" in said(page)
    page = turn_to(page, "Reasons")
    assert "it takes 20 more confirmed and 20 more overridden" in said(page)


def test_two_raters_beside_each_other(ready: Home, data: Dataset, open_page: Open, serve: Serve) -> None:
    carry_out(ready, "judge", judge="ollama", url=serve().url, limit=40)
    answer(ready, 30, lambda place: place % 3 > 0)
    store = Store.open(ready)
    standing = store.standing(NAME)
    people = assessment.people(assessment.audits(store.sampled(NAME), standing), standing)
    known = rivals.opinions(data, store.answers(NAME))
    page = open_page("board")
    a, b = (page.selectbox(key=f"rival_{name}").value for name in "AB")
    raters = [next(row for _, row in known.iterrows() if tuple(row[RATER]) == one) for one in (a, b)]
    found = rivals.beside(data, known, *raters, people)
    assert len(found.pairs) == 40
    assert found.verdict in said(page).replace("\\", "")
    outcomes = table(page, "B right")
    np.testing.assert_array_equal(outcomes[["B right", "B wrong"]].to_numpy(), found.outcomes)
    cells = [frame.value for frame in page.dataframe if "B High" in frame.value]
    assert any((frame[["B High", "B Mid", "B Low"]].to_numpy() == found.views["user"]).all() for frame in cells)
    row, column = np.argwhere(found.views["user"])[0]
    words = ["High", "Mid", "Low"]
    page.session_state["cells_user"] = {"selection": {"rows": [], "columns": [], "cells": [(int(row), f"B {words[column]}")]}}
    page = sound(page.run())
    page = sound(page.button(key="rivals_user").click().run())
    chosen = found.pairs[(found.pairs["user view A"] == words[row]) & (found.pairs["user view B"] == words[column])]
    assert page.query_params["item"] == chosen["item_id"].iloc[0]
    assert f"1 of {len(chosen)}" in said(page)
    page = open_page("board")
    page = sound(page.selectbox(key="rival_B").set_value(a).run())
    assert "Choose two different ones" in said(page)


def test_the_numbers_are_those_of_the_engine(ready: Home, data: Dataset, open_page: Open, serve: Serve) -> None:
    carry_out(ready, "judge", judge="ollama", url=serve().url)
    answer(ready, 60, lambda place: place % 2 > 0)
    store = Store.open(ready)
    rows = scrutiny.newest(store.answers(NAME))
    standing = store.standing(NAME)
    people = assessment.people(assessment.audits(store.sampled(NAME), standing), standing)
    page = turn_to(open_page("board"), "High, Mid and Low")
    worths = scrutiny.worths(rows, people)
    assert table(page, "given")["given"].tolist() == [one.given for one in worths]
    assert people.rest in said(page)
    of_model = rows[rows["is_llm"]]
    bins = scrutiny.curve(of_model, people)
    assert f"People confirm {bins[0].confirmed.value:.0%} where it is least sure" in said(page)
    page = turn_to(page, "Bias")
    rates = scrutiny.rates(data, of_model, people)
    assert table(page, "third")["third"].tolist() == [one.band for one in rates]
    page = turn_to(page, "Reasons")
    assert "Phrases of ratings that people override" in said(page)
    assert len([frame for frame in page.dataframe if "z" in frame.value]) == 2


def test_raters_that_differ_in_nothing_that_is_named_are_told_apart() -> None:
    known = pd.DataFrame([(judge, "same", "abc", "1", True) for judge in ("ollama", "openai")], columns=[*RATER, "is_llm"])
    assert len(set(scrutinising._names(known).values())) == 2
