"""Saved selections: immutable sets of pairs, and what the command line makes of them."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import datasets
from core.__main__ import run
from core.artifacts import Home
from core.errors import ConflictError, NotFoundError, SettingsError
from core.settings import DemoSettings
from core.store import Store
from core.store.migrations import MIGRATIONS

PAIRS = [("u2", "i1"), ("u1", "i9"), ("u1", "i1")]
IDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=8)


def rows(store: Store, name: str, dataset: str = "shop") -> list[tuple[str, str]]:
    return list(store.selection(dataset, name).itertuples(index=False, name=None))


class TestStore:
    def test_keeps_order_and_counts_each_pair_once(self, store: Store) -> None:
        before = store.revision("shop")
        assert store.keep_selection("shop", " left ", [*PAIRS, PAIRS[0]], annotator="ann", note="odd", origin="Losses") == 3
        assert store.revision("shop") > before
        assert rows(store, "left") == PAIRS
        [row] = store.selections("shop").to_dict("records")
        assert row.pop("at") > 0
        assert row == {"name": "left", "n": 3, "annotator": "ann", "note": "odd", "origin": "Losses"}

    def test_newest_first_and_datasets_apart(self, store: Store) -> None:
        for name in ("a", "b"):
            store.keep_selection("shop", name, PAIRS, annotator="ann")
        store.keep_selection("other", "a", PAIRS[:1], annotator="ann")
        assert store.selections("shop")["name"].tolist() == ["b", "a"]
        assert len(rows(store, "a", "other")) == 1

    def test_a_name_is_taken_until_its_selection_is_deleted(self, store: Store) -> None:
        store.keep_selection("shop", "a", PAIRS, annotator="ann")
        with pytest.raises(ConflictError, match="'a' already"):
            store.keep_selection("shop", "a", PAIRS[:1], annotator="bob")
        store.delete_selection("shop", "a", annotator="bob")
        assert not len(store.selections("shop"))
        store.keep_selection("shop", "a", PAIRS[:1], annotator="bob")
        assert rows(store, "a") == PAIRS[:1]

    def test_a_deletion_removes_no_row(self, store: Store) -> None:
        store.keep_selection("shop", "a", PAIRS, annotator="ann")
        store.delete_selection("shop", "a", annotator="bob")
        with store.reading() as connection:
            assert connection.exec_driver_sql("select count(*) from selection_pair").scalar() == 3
            assert connection.exec_driver_sql("select annotator from selection_deletion").scalar() == "bob"

    @pytest.mark.parametrize(
        ("name", "pairs", "annotator"),
        [(" ", PAIRS, "ann"), ("a", [], "ann"), ("a", PAIRS, " ")],
        ids=["name", "pairs", "person"],
    )
    def test_what_cannot_be_a_selection_is_not_kept(self, store: Store, name: str, pairs: list, annotator: str) -> None:
        with pytest.raises(SettingsError):
            store.keep_selection("shop", name, pairs, annotator=annotator)
        assert not len(store.selections("shop"))

    def test_an_unknown_name_lists_the_others(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="Save one"):
            store.selection("shop", "b")
        store.keep_selection("shop", "a", PAIRS, annotator="ann")
        for act in (lambda: store.selection("shop", "b"), lambda: store.delete_selection("shop", "b", annotator="ann")):
            with pytest.raises(NotFoundError, match="There are: a"):
                act()

    @given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=20, unique=True))
    def test_any_ids_come_back(self, tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
        store = Store.open(Home.at(tmp_path_factory.mktemp("ids")))
        store.keep_selection("shop", "a", pairs, annotator="ann")
        assert rows(store, "a") == pairs
        store.close()

    def test_an_older_database_gets_the_tables(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        older = [step for step in MIGRATIONS if step.__name__ != "m008_selections"]
        with monkeypatch.context() as patch:
            patch.setattr("core.store.database.MIGRATIONS", older)
            patch.setattr("core.store.migrations.MIGRATIONS", older)
            Store.open(home).decide("shop", PAIRS, "yes", annotator="ann")
        store = Store.open(home)
        store.keep_selection("shop", "a", PAIRS, annotator="ann")
        assert (len(store.decisions("shop")), rows(store, "a")) == (3, PAIRS)


def test_the_command_line(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), "demo")
    assert run(["selections", "list"]) == 0
    assert "No selection yet" in capsys.readouterr().out
    pairs = [("=u", "i1"), ("u", "i2")]
    Store.open(home).keep_selection("demo", "left", pairs, annotator="ann")

    def told(*arguments: str) -> dict:
        assert run(["selections", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert [(row["name"], row["n"]) for row in told("list")["selections"]] == [("left", 2)]
    assert [(row["user_id"], row["item_id"]) for row in told("show", "left")["pairs"]] == pairs
    path = tmp_path / "pairs.csv"
    assert told("export", "left", str(path))["n"] == 2
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["user_id", "item_id", "name", "note", "annotator"]
    assert rows == [["'=u", "i1", "left", "", "ann"], ["u", "i2", "left", "", "ann"]]
    assert told("delete", "left", "--annotator", "bob")["deleted"] == "left"
    assert run(["selections", "show", "left"]) == 1
