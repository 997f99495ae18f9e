"""The database: append-only decisions, judgments by content, immutable versions, several processes at once."""

import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from core.artifacts import ROOT, Home
from core.errors import NotFoundError, SettingsError, StoreError
from core.records import VIEWS, Judgment
from core.store import Store, Want
from core.store.migrations import MIGRATIONS


def answers(store: Store) -> dict[tuple[str, str, str], str]:
    """{(user, item, annotator): answer} that stands."""
    rows = store.standing("shop")
    return {(row.user_id, row.item_id, row.annotator): row.relevant for row in rows.itertuples()}


def judgment(key: str, view: str = "user", rating: str = "High", **changes: object) -> Judgment:
    values = {"user_id": "u", "item_id": "i", "analysis": "both name jazz", "confidence": None, "judge": "ollama"}
    values |= {"is_llm": True, "model": "m", "digest": "d", "prompt_version": "1", "prompt_tokens": 10, "answer_tokens": 5}
    return Judgment(**values | {"key": key, "view": view, "rating": rating, "seconds": 0.5, "at": 100.0} | changes)


def want(key: str, view: str = "user", pair: tuple[str, str] = ("u", "i"), judge: str = "ollama", model: str = "m") -> Want:
    return Want(*pair, view, judge, model, key)


class TestDecisions:
    def test_a_batch_is_one_row_a_pair(self, store: Store) -> None:
        rows = store.decide(
            "shop", [("u1", "i1"), ("u1", "i2"), ("u1", "i1")], "no", annotator="ann", note="misclick", reason="gift"
        )
        assert [(row.user_id, row.item_id) for row in rows] == [("u1", "i1"), ("u1", "i2")]
        assert len({row.batch for row in rows}) == 1
        assert store.decisions("shop") == rows
        assert store.decisions("shop", "u1", "i2") == rows[1:]
        assert store.decisions("other") == []

    def test_the_newest_of_an_annotator_stands_and_disagreement_shows(self, store: Store) -> None:
        store.decide("shop", [("u", "i"), ("u", "j")], "yes", annotator="ann")
        store.decide("shop", [("u", "i")], "no", annotator="bob")
        store.decide("shop", [("u", "j")], "unsure", annotator="ann")
        rows = store.standing("shop")
        assert answers(store) == {("u", "i", "ann"): "yes", ("u", "i", "bob"): "no", ("u", "j", "ann"): "unsure"}
        assert rows.set_index(["item_id", "annotator"])["conflict"].to_dict() == {
            ("i", "ann"): True,
            ("i", "bob"): True,
            ("j", "ann"): False,
        }

    def test_undo_brings_back_what_stood_before(self, store: Store) -> None:
        store.decide("shop", [("u", "i")], "yes", annotator="ann")
        second = store.decide("shop", [("u", "i"), ("u", "j")], "no", annotator="ann")
        undone = store.undo("shop")
        assert [(row.undoes, row.relevant) for row in undone] == [(row.id, None) for row in second]
        assert answers(store) == {("u", "i", "ann"): "yes"}
        assert len(store.decisions("shop")) == 5  # nothing was deleted

    def test_undo_is_per_annotator_and_by_batch(self, store: Store) -> None:
        first = store.decide("shop", [("u", "i")], "yes", annotator="ann")
        store.decide("shop", [("u", "j")], "no", annotator="bob")
        store.undo("shop", annotator="ann")
        assert answers(store) == {("u", "j", "bob"): "no"}
        store.redo("shop", annotator="ann")
        store.undo("shop", annotator="bob", batch=first[0].batch)
        assert answers(store) == {("u", "j", "bob"): "no"}
        assert store.decisions("shop")[-1].annotator == "bob"

    def test_nothing_to_undo_or_redo(self, store: Store) -> None:
        for action in (store.undo, store.redo):
            with pytest.raises(NotFoundError):
                action("shop")
        store.decide("shop", [("u", "i")], "yes", annotator="ann")
        with pytest.raises(NotFoundError):
            store.undo("shop", annotator="bob")
        store.undo("shop")
        store.decide("shop", [("u", "j")], "no", annotator="ann")
        with pytest.raises(NotFoundError, match="redo"):  # a new decision ends the list
            store.redo("shop")

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(["undo", "redo"]),
                st.tuples(st.sets(st.sampled_from("abc"), min_size=1), st.sampled_from(["yes", "no", "unsure"])),
            ),
            max_size=12,
        )
    )
    def test_one_person_undoes_and_redoes_like_in_an_editor(self, store: Store, steps: list) -> None:
        """Against a list of snapshots with a cursor."""
        name = f"shop-{len(store.decisions('all'))}"
        store.decide("all", [("mark", "mark")], "yes", annotator="x")  # the next example gets a dataset of its own
        past: list[dict[str, str]] = [{}]
        future: list[dict[str, str]] = []
        for step in steps:
            if step == "undo" and len(past) > 1:
                store.undo(name)
                future.append(past.pop())
            elif step == "redo" and future:
                store.redo(name)
                past.append(future.pop())
            elif isinstance(step, tuple):
                store.decide(name, [("u", item) for item in sorted(step[0])], step[1], annotator="ann")
                past.append(past[-1] | dict.fromkeys(step[0], step[1]))
                future.clear()
            else:
                with pytest.raises(NotFoundError):
                    getattr(store, step)(name)
            assert store.standing(name).set_index("item_id")["relevant"].to_dict() == past[-1]

    def test_a_clock_set_back_hides_nothing(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("core.store.decisions.time.time", lambda: 1000.0)
        store.decide("shop", [("u", "i")], "yes", annotator="ann")
        monkeypatch.setattr("core.store.decisions.time.time", lambda: 10.0)
        store.decide("shop", [("u", "i")], "no", annotator="ann")
        assert answers(store) == {("u", "i", "ann"): "no"}

    @pytest.mark.parametrize(("relevant", "annotator"), [("maybe", "ann"), ("yes", " ")])
    def test_bad_decisions_are_refused(self, store: Store, relevant: str, annotator: str) -> None:
        with pytest.raises(SettingsError):
            store.decide("shop", [("u", "i")], relevant, annotator=annotator)
        assert store.decisions("shop") == []


class TestJudgments:
    def test_an_answer_is_kept_with_its_question(self, store: Store) -> None:
        store.ask("shop", [want("k1"), want("k2", "item")])
        store.record(
            judgment("k1"), [{"role": "user", "content": "Jazz – ja?"}], '{"rating": "High"}', how="repaired", truncated=True
        )
        assert store.answered(["k1", "k2", "k3"]) == {"k1"}
        [row] = store.judgments("shop").to_dict("records")
        assert (row["rating"], row["how"], row["truncated"], row["is_llm"]) == ("High", "repaired", True, True)
        assert "Jazz – ja?" in row["prompt"]
        assert row["raw"] == '{"rating": "High"}'
        assert "prompt" not in store.judgments("shop", texts=False)

    def test_the_first_answer_to_a_key_stays(self, store: Store) -> None:
        store.ask("shop", [want("k1")])
        store.record(judgment("k1", rating="High"), [], "first")
        store.record(judgment("k1", rating="Low"), [], "second")
        assert store.judgments("shop")[["rating", "raw"]].values.tolist() == [["High", "first"]]

    def test_pairs_with_one_text_share_an_answer(self, store: Store) -> None:
        store.ask("shop", [want("k1"), want("k1", pair=("u", "twin"))])
        store.ask("other", [want("k1", pair=("x", "y"))])
        store.record(judgment("k1"), [], "")
        assert store.judgments("shop")["item_id"].tolist() == ["i", "twin"]
        assert store.judgments("other")["item_id"].tolist() == ["y"]
        assert store.judgments("shop", item_id="twin")["user_id"].tolist() == ["u"]

    def test_views_of_two_prompt_versions_are_never_mixed(self, store: Store) -> None:
        store.ask("shop", [want("old-u"), want("old-i", "item")])
        store.record(judgment("old-u"), [], "")
        store.record(judgment("old-i", "item"), [], "")
        store.ask("shop", [want("new-u"), want("new-i", "item")])
        store.record(judgment("new-u", rating="Low", prompt_version="2"), [], "")
        assert store.judgments("shop")["prompt_version"].tolist() == ["1", "1"]
        store.record(judgment("new-i", "item", rating="Low", prompt_version="2"), [], "")
        assert store.judgments("shop")["prompt_version"].tolist() == ["2", "2"]
        store.ask("shop", [want("old-u"), want("old-i", "item")])  # asked again: known, and now the newest
        assert store.judgments("shop")["prompt_version"].tolist() == ["1", "1"]

    def test_views_of_two_questionings_are_never_mixed(self, store: Store) -> None:
        """One rater, asked again with other texts: what was left half-way does not join what was complete."""

        def ratings() -> dict[str, str]:
            return store.judgments("shop").set_index("view")["rating"].to_dict()

        store.ask("shop", [want("old-u"), want("old-i", "item")])
        store.record(judgment("old-u", rating="Low"), [], "")
        store.record(judgment("old-i", "item", rating="High"), [], "")
        for _ in range(2):  # once more after a stop: all of its wants move to one new moment
            store.ask("shop", [want("new-u"), want("new-i", "item")])
            store.record(judgment("new-u", rating="High"), [], "")
            assert ratings() == {"user": "Low", "item": "High"}
        store.record(judgment("new-i", "item", rating="Mid"), [], "")
        assert ratings() == {"user": "High", "item": "Mid"}
        assert len(store.judgments("shop")) == 2

    def test_coverage_counts_pairs(self, store: Store) -> None:
        store.ask("shop", [want(f"{item}{view}", view, ("u", item)) for item in "abcd" for view in VIEWS])
        for key in ("auser", "aitem", "buser"):
            store.record(judgment(key, key[1:]), [], "")
        store.fail("bitem", "bad answer", "no rating", 3)
        store.fail("cuser", "transient", "HTTP 500", 1)
        assert store.coverage("shop").to_dict("records") == [
            {"judge": "ollama", "model": "m", "asked": 4, "judged": 1, "failed": 2, "unjudged": 3}
        ]
        open_ = store.unanswered("shop").set_index(["item_id", "view"])["detail"]
        assert open_["b", "item"] == "no rating"
        assert open_["d", "user"] is None or pd.isna(open_["d", "user"])
        assert len(open_) == 5
        assert len(store.coverage("empty")) == 0


class TestVersions:
    rows = pd.DataFrame(
        {
            "user_id": ["u", "u"],
            "item_id": ["i", "j"],
            "observed": [True, False],
            "label": ["noisy positive", "missed positive"],
            "source": ["human", "llm"],
        }
    )

    def test_frozen_rows_come_back(self, store: Store) -> None:
        assert store.freeze("shop", self.rows, annotator="ann", note="first") == "v1"
        assert store.freeze("shop", self.rows.iloc[::-1], annotator="bob") == "v1"
        assert store.freeze("shop", self.rows.iloc[:1], annotator="ann") == "v2"
        assert store.freeze("other", self.rows, annotator="ann") == "v1"
        pd.testing.assert_frame_equal(store.version("shop", "v1"), self.rows, check_dtype=False)
        listed = store.versions("shop")
        assert listed["version"].tolist() == ["v2", "v1"]
        assert listed.iloc[1][["annotator", "note", "n", "noisy positive", "missed positive", "unsure"]].tolist() == [
            "ann",
            "first",
            2,
            1,
            1,
            0,
        ]

    def test_an_unknown_version_says_what_there_is(self, store: Store) -> None:
        store.freeze("shop", self.rows, annotator="ann")
        with pytest.raises(NotFoundError, match="v1"):
            store.version("shop", "v9")
        assert len(store.versions("empty")) == 0


class TestDatabase:
    def test_the_revision_grows_with_everything_written(self, store: Store) -> None:
        seen = [store.revision("shop")]
        for write in (
            lambda: store.decide("shop", [("u", "i")], "yes", annotator="ann"),
            lambda: store.undo("shop"),
            lambda: store.ask("shop", [want("k1")]),
            lambda: store.fail("k1", "transient", "HTTP 500", 1),
            lambda: store.record(judgment("k1"), [], ""),
            lambda: store.freeze("shop", TestVersions.rows, annotator="ann"),
        ):
            write()
            seen.append(store.revision("shop"))
        assert seen == sorted(set(seen))
        assert store.revision("other") == 0

    def test_opening_again_changes_nothing(self, home: Home, store: Store) -> None:
        store.decide("shop", [("u", "i")], "yes", annotator="ann")
        assert answers(Store.open(home)) == {("u", "i", "ann"): "yes"}

    def test_a_database_of_a_newer_winnow_is_refused(self, home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("core.store.database.MIGRATIONS", MIGRATIONS[:-1])
        monkeypatch.setattr("core.store.migrations.MIGRATIONS", MIGRATIONS[:-1])
        with pytest.raises(StoreError, match="newer"):
            Store.open(home)

    def test_an_older_database_is_brought_up_to_date(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("core.store.database.MIGRATIONS", MIGRATIONS[:1])
            patch.setattr("core.store.migrations.MIGRATIONS", MIGRATIONS[:1])
            Store.open(home).decide("shop", [("u", "i")], "yes", annotator="ann")
        newer = Store.open(home)
        assert answers(newer) == {("u", "i", "ann"): "yes"}
        assert newer.freeze("shop", TestVersions.rows, annotator="ann") == "v1"

    def test_a_step_that_comes_in_later_between_others_is_applied(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two branches may each have added a step, with numbers in any order."""
        known = [step for step in MIGRATIONS if step.__name__ != "m008_selections"]
        with monkeypatch.context() as patch:
            patch.setattr("core.store.database.MIGRATIONS", known)
            patch.setattr("core.store.migrations.MIGRATIONS", known)
            Store.open(home)
        assert not len(Store.open(home).selections("shop"))

    def test_a_file_that_is_no_database(self, home: Home) -> None:
        home.path.mkdir()
        (home.path / "winnow.db").write_text("no database at all, only text " * 100)
        with pytest.raises(StoreError, match="not a database"):
            Store.open(home)

    def test_a_bad_address(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WINNOW_DB", "nonsense")
        with pytest.raises(StoreError, match="address"):
            Store.open(home)

    def test_a_full_disk_leaves_no_half_batch(self, store: Store) -> None:
        store.decide("shop", [("u", "i")], "yes", annotator="ann")
        store.close()
        event.listen(store.engine, "connect", lambda raw, record: raw.execute("PRAGMA max_page_count = 60"))
        with pytest.raises(StoreError, match="full"):
            store.decide("shop", [(f"u{n}", "x" * 50) for n in range(20_000)], "no", annotator="ann")
        assert answers(store) == {("u", "i", "ann"): "yes"}

    def test_a_lock_that_does_not_end_is_an_error(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("core.store.database.BUSY_S", 0.1)
        one, other = Store.open(home), Store.open(home)
        with one.writing("shop"), pytest.raises(StoreError, match="locked"):
            other.decide("shop", [("u", "i")], "yes", annotator="ann")
        other.decide("shop", [("u", "i")], "yes", annotator="ann")

    def test_threads_and_processes_write_at_once(self, home: Home) -> None:
        code = """
import sys
from core.artifacts import Home
from core.store import Store
store = Store.open(Home.at(sys.argv[1]))
for n in range(20):
    store.decide("shop", [(sys.argv[2], f"i{n}"), (sys.argv[2], f"j{n}")], "yes", annotator=sys.argv[2])
"""
        command = [sys.executable, "-c", code, str(home.path)]
        children = [subprocess.Popen([*command, f"p{n}"], cwd=ROOT, stderr=subprocess.PIPE, text=True) for n in range(2)]
        store = Store.open(home)

        def label(name: str) -> None:
            for n in range(20):
                store.decide("shop", [(name, f"i{n}"), (name, f"j{n}")], "no", annotator=name)

        threads = [threading.Thread(target=label, args=(f"t{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for child in children:
            assert child.wait(60) == 0, child.stderr.read()
        rows = store.decisions("shop")
        assert len(rows) == 5 * 40
        batches = defaultdict(list)
        for row in rows:
            batches[row.batch].append(row)
        assert {len(batch) for batch in batches.values()} == {2}
        assert store.revision("shop") == 5 * 20


def test_the_database_lies_in_the_home(home: Home, store: Store) -> None:
    assert Path(home.path / "winnow.db").exists()
