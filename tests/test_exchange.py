"""Decisions out as CSV and in again: exact, safe in a spreadsheet, and never more than an addition."""

import contextlib
import csv
import io
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import exchange
from core.artifacts import Home
from core.errors import NotFoundError, SettingsError
from core.records import Decision
from core.store import Store
from core.untrusted import safe_cells

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
NAME = TEXT.filter(str.strip)
SHOWN = ["user_id", "item_id", "annotator", "relevant", "at", "note", "reason", "saw_judge"]


def read(text: str, annotator: str) -> list[Decision]:
    return [decision for _, decision in exchange.numbered(text, annotator)]


@pytest.fixture
def make(home: Home) -> Callable[[str], Store]:
    return lambda name: Store.open(Home(home.path / name))


def carry_over(source: Store, target: Store, name: str = "shop") -> exchange.Difference:
    rows = read(exchange.to_csv(source.decisions(name)), "importer")
    found = exchange.difference(rows, target.decisions(name), target.standing(name))
    target.add(name, found.new, found.known)
    return found


@given(TEXT)
def test_cells_come_back_exactly_and_run_no_formula(text: str) -> None:
    decision = Decision(1, text or "u", "i", "yes", "ann", 1.5, note=text, reason=text)
    content = exchange.to_csv([decision])
    cell = next(csv.DictReader(io.StringIO(content, newline="")))["note"]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert read(content, "x") == [decision]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(st.just("undo"), st.just("redo"), st.tuples(NAME, NAME, st.sampled_from(exchange.ANSWERS))), max_size=8)
)
def test_a_whole_log_means_the_same_elsewhere(make: Callable[[str], Store], steps: list) -> None:
    source, target = make("a"), make("b")
    name = f"shop-{len(source.decisions('count'))}"
    source.decide("count", [("u", "i")], "yes", annotator="x")
    for step in steps:
        if isinstance(step, tuple):
            source.decide(name, [step[:2]], step[2], annotator=step[1], note=step[0])
        else:
            with contextlib.suppress(NotFoundError):
                getattr(source, step)(name)
    found = carry_over(source, target, name)
    assert len(found.new) == len(source.decisions(name))
    assert found.conflicting == ()
    pd.testing.assert_frame_equal(source.standing(name)[SHOWN], target.standing(name)[SHOWN])
    again = carry_over(source, target, name)
    assert (again.new, again.same) == ((), len(source.decisions(name)))


def test_an_import_is_undone_at_once(make: Callable[[str], Store]) -> None:
    source, target = make("a"), make("b")
    source.decide("shop", [("u", "i")], "yes", annotator="ann")
    source.decide("shop", [("u", "j")], "no", annotator="bob")
    carry_over(source, target)
    assert len(target.standing("shop")) == 2
    target.undo("shop")
    assert len(target.standing("shop")) == 0


def test_conflicts_are_told_before_anything_is_written(make: Callable[[str], Store]) -> None:
    store = make("a")
    store.decide("shop", [("u", "i"), ("u", "j")], "yes", annotator="ann")
    rows = read("user_id,item_id,relevant\nu,i,no\nu,j,yes\nu,k,no\n", "bob")
    found = exchange.difference(rows, store.decisions("shop"), store.standing("shop"))
    assert [(row.item_id, row.relevant) for row in found.conflicting] == [("i", "no")]
    assert len(found.new) == 3
    assert len(store.decisions("shop")) == 2
    store.add("shop", found.new, found.known)
    assert store.standing("shop").set_index(["item_id", "annotator"])["conflict"].to_dict()["i", "bob"]


HEADER = "user_id,item_id,relevant\n"


def bring(store: Store, content: str) -> tuple[int, int]:
    """How many rows an import adds, and how many it finds there."""
    rows = read(content, "ann")
    found = exchange.difference(rows, store.decisions("shop"), store.standing("shop"))
    store.add("shop", found.new, found.known)
    return len(found.new), found.same


@pytest.mark.parametrize(
    ("lines", "new"),
    [
        ("u,i,yes\nu,j,no\n", 2),
        ("u,i,yes\nu,i,yes\n", 1),
        ("u,i,yes\nu,i,no\n", 2),
        ("u,i,yes\nu,i,no\nu,i,yes\n", 3),
    ],
)
def test_a_plain_file_changes_nothing_the_second_time(make: Callable[[str], Store], lines: str, new: int) -> None:
    store, n = make("a"), lines.count("\n")
    assert bring(store, HEADER + lines) == (new, n - new)
    before = store.standing("shop")
    assert bring(store, HEADER + lines) == (0, n)
    pd.testing.assert_frame_equal(store.standing("shop"), before)


def test_a_plain_row_is_new_when_it_says_something_else(make: Callable[[str], Store]) -> None:
    store = make("a")
    store.decide("shop", [("u", "i")], "yes", annotator="ann", note="loves jazz")
    assert bring(store, HEADER + "u,i,yes\n") == (0, 1)
    assert bring(store, "user_id,item_id,relevant,annotator\nu,i,yes,bob\n") == (1, 0)
    assert bring(store, "user_id,item_id,relevant,note\nu,i,yes,a gift\n") == (1, 0)
    assert bring(store, HEADER + "u,i,no\n") == (1, 0)
    assert bring(store, HEADER + "u,i,yes\n") == (1, 0)
    store.undo("shop", annotator="ann")
    assert bring(store, HEADER + "u,i,yes\n") == (1, 0)


def test_an_undo_without_a_time_is_kept(make: Callable[[str], Store]) -> None:
    store = make("a")
    assert bring(store, "id,user_id,item_id,relevant,undoes\n1,u,i,yes,\n2,u,i,,1\n3,u,i,yes,\n") == (3, 0)
    assert store.standing("shop")["relevant"].tolist() == ["yes"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 'user_id'"),
        ("user_id,item_id\nu,i\n", "no column 'relevant'"),
        ("user_id,item_id,relevant\nu,i,yes\nu,j,perhaps\n", "Line 3.*perhaps"),
        ("user_id,item_id,relevant\nu,i\n", "Line 2.*number of fields"),
        ("user_id,item_id,relevant\nu,i,yes,more\n", "Line 2.*number of fields"),
        ("user_id,item_id,relevant\n,i,yes\n", "Line 2.*empty"),
        ("user_id,item_id,relevant,at\nu,i,yes,9e99\n", "Line 2.*time"),
        ("user_id,item_id,relevant,at\nu,i,yes,soon\n", "Line 2: at is 'soon', which is no time"),
        ("user_id,item_id,relevant,id\nu,i,yes,first\n", "Line 2: id is 'first', which is no whole number"),
        ("user_id,item_id,relevant,saw_judge\nu,i,yes,perhaps\n", "Line 2.*saw_judge"),
        ("user_id,item_id,relevant\nu,i,\n", "Line 2"),
        ("user_id,item_id,relevant,note\nu,i,yes,\nu,j,yes," + "x" * 200_000, "Line 3.*limit"),
        ("user_id,item_id,relevant," + "x" * 200_000, "header.*limit"),
    ],
)
def test_a_bad_line_is_named(content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(content, "ann")


def test_an_undo_without_its_decision_is_refused(make: Callable[[str], Store]) -> None:
    store = make("a")
    rows = read("id,user_id,item_id,relevant,undoes\n2,u,i,,1\n", "ann")
    found = exchange.difference(rows, [], store.standing("shop"))
    with pytest.raises(SettingsError, match="undoes row 1"):
        store.add("shop", found.new, found.known)
    assert store.decisions("shop") == []


def test_tables_for_spreadsheets_are_safe() -> None:
    table = pd.DataFrame({"title": ["=1+1", "plain", None], "n": [1, -2, 3]})
    assert safe_cells(table)["title"].tolist()[:2] == ["'=1+1", "plain"]
    assert safe_cells(table)["n"].tolist() == [1, -2, 3]
