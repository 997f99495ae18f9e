"""Orders, learning, and what has become of decisions: by small cases whose answer is plain, and against the store."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import datasets, queue
from core.artifacts import Home
from core.errors import NotFoundError
from core.queue import LEAST, SECOND_LOOK, SETTLED, Reviewable
from core.records import Candidates, Dataset, Signals
from core.settings import DemoSettings
from core.store import Store

NAN = np.nan
LOW, MID, HIGH = 0.0, 0.5, 1.0


def pile(**columns: list[float]) -> Reviewable:
    n = len(next(iter(columns.values())))
    names = ("doubt", "loss", "user_view", "item_view", "confidence", "influence")
    numbers = {name: np.array(columns.get(name, [NAN] * n), np.float32) for name in names}
    observed = np.array(columns.get("observed", [True] * n), bool)
    return Reviewable(np.zeros(n, np.int32), np.arange(n, dtype=np.int32), observed, **numbers)


def test_disagreement_is_widest_first_and_nothing_else() -> None:
    known = pile(user_view=[HIGH, HIGH, LOW, MID, HIGH], item_view=[HIGH, MID, HIGH, MID, NAN])
    assert queue.ordered(known, "disagree").tolist() == [2, 1]


def test_equal_values_come_by_doubt() -> None:
    known = pile(user_view=[HIGH] * 3, item_view=[LOW] * 3, doubt=[0.2, 0.9, 0.4])
    assert queue.ordered(known, "disagree").tolist() == [1, 2, 0]


def test_judge_against_loss() -> None:
    """Relevant with a high loss, not relevant with a low one; agreement and what has no loss are no contradiction."""
    known = pile(user_view=[HIGH, HIGH, LOW, LOW, HIGH], item_view=[HIGH, HIGH, LOW, MID, HIGH], loss=[0.9, 0.1, 0.8, 0.05, NAN])
    assert queue.ordered(known, "contradict").tolist() == [3, 0]


def test_near_the_threshold_and_doubtful_and_influence() -> None:
    known = pile(loss=[0.1, 0.79, 0.85, NAN], doubt=[0.3, NAN, 0.7, 0.5], influence=[0.1, 0.2, 0.4, 0.3])
    assert queue.ordered(known, "threshold").tolist() == [1, 2, 0]
    assert queue.ordered(known, "doubtful").tolist() == [2, 3, 0, 1]
    assert queue.ordered(known, "influence").tolist() == [2, 3, 1, 0]


def test_every_order_that_tells_of_the_judge_says_so() -> None:
    """Whatever judges answer, an order that is offered in blind mode stays the same."""
    rng = np.random.default_rng(0)
    numbers = {name: rng.random(40) for name in ("doubt", "loss", "influence")}
    views = [{side: rng.choice([LOW, MID, HIGH], 40) for side in ("user_view", "item_view")} for _ in range(2)]
    for name in ("doubtful", "disagree", "contradict", "threshold", "influence"):
        one, other = (queue.ordered(pile(**numbers, **side), name) for side in views)
        assert queue.ORDERS[name].tells == (one.tolist() != other.tolist())


class TestLearning:
    def known(self, n: int = 200) -> Reviewable:
        rng = np.random.default_rng(1)
        loss = rng.random(n)
        return pile(loss=loss, doubt=rng.random(n), user_view=np.where(loss > 0.5, LOW, HIGH), item_view=[HIGH] * n)

    def test_too_few_of_a_kind_are_counted(self) -> None:
        known = self.known()
        made = queue.learn(known, np.arange(30), np.arange(30) >= LEAST - 1, ratings=True)
        assert made.probability is None
        assert made.auc is None
        assert made.reason == f"not enough labels yet ({LEAST - 1} of {LEAST} not relevant)"
        assert queue.learn(known, np.zeros(0, int), np.zeros(0, bool), ratings=True).probability is None

    def test_a_plain_rule_is_learned_and_asked_about_where_it_differs(self) -> None:
        known = self.known()
        place = np.arange(80)
        made = queue.learn(known, place, known.loss[place] < 0.3, ratings=False)
        assert made.auc > 0.95
        order = queue.by_change(known, made.probability, ratings=False)
        assert sorted(order.tolist()) == list(range(200))
        assert known.loss[order[:20]].min() > 0.5  # clicks are kept as they are, and these are most likely not relevant

    def test_answers_without_a_pattern_are_no_better_than_a_coin(self) -> None:
        known = self.known(400)
        answers = np.random.default_rng(2).random(300) < 0.5
        assert 0.35 < queue.learn(known, np.arange(300), answers, ratings=True).auc < 0.65

    def test_blind_learning_does_not_read_the_ratings(self) -> None:
        known, place = self.known(), np.arange(80)
        other = pile(loss=known.loss, doubt=known.doubt, user_view=1 - known.user_view, item_view=known.user_view)
        answers = np.random.default_rng(3).random(80) < 0.5
        one, two = (queue.learn(each, place, answers, ratings=False).probability for each in (known, other))
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(*(queue.by_change(each, one, ratings=False) for each in (known, other)))
        assert not np.array_equal(one, queue.learn(known, place, answers, ratings=True).probability)

    def test_what_a_judge_said_stands_unless_blind(self) -> None:
        known = pile(user_view=[LOW, HIGH, NAN], item_view=[LOW, HIGH, NAN], observed=[True, True, False])
        sure = np.array([0.99, 0.98, 0.97], np.float32)
        assert queue.by_change(known, sure, ratings=True).tolist() == [0, 2, 1]
        assert queue.by_change(known, sure, ratings=False).tolist() == [2, 1, 0]


class TestWhatPeopleSaid:
    def test_a_flag_is_lifted_by_whoever_decides_next(self, store: Store) -> None:
        store.decide("shop", [("u", "i")], "unsure", annotator="ada", reason=SECOND_LOOK)
        assert queue.flagged(store.standing("shop"))["user_id"].tolist() == ["u"]
        store.decide("shop", [("u", "i")], "yes", annotator="bob")
        assert not len(queue.flagged(store.standing("shop")))

    def test_a_difference_ends_when_it_is_settled_or_people_agree(self, store: Store) -> None:
        def differing() -> int:
            return len(queue.differing(store.standing("shop")))

        store.decide("shop", [("u", "i")], "yes", annotator="ada")
        assert differing() == 0
        store.decide("shop", [("u", "i")], "no", annotator="bob")
        assert differing() == 1
        store.decide("shop", [("u", "i")], "no", annotator="cyd", reason=SETTLED)
        assert differing() == 0
        store.decide("shop", [("u", "i")], "yes", annotator="ada", note="I insist")
        assert differing() == 1
        store.decide("shop", [("u", "i")], "no", annotator="ada")
        assert differing() == 0

    @given(st.lists(st.sampled_from(["decide", "many", "undo", "redo"]), max_size=14))
    @settings(max_examples=40, deadline=None)
    def test_stacks_tell_what_the_store_will_undo_and_redo(self, tmp_path_factory, steps: list[str]) -> None:
        store = Store.open(Home.at(tmp_path_factory.mktemp("stacks")))
        for place, step in enumerate(steps):
            undo, redo = queue.stacks(store.newest_by("shop", "ada", 400))
            store.decide("shop", [("u", f"i{place}")], "no", annotator="bob")  # what others do changes nothing
            if step in ("decide", "many"):
                pairs = [("u", f"i{place}")] + ([("v", "j")] if step == "many" else [])
                store.decide("shop", pairs, "yes", annotator="ada")
                continue
            stack, act = (undo, store.undo) if step == "undo" else (redo, store.redo)
            if not stack:
                with pytest.raises(NotFoundError):
                    act("shop", annotator="ada")
                continue
            assert [(row.user_id, row.item_id) for row in act("shop", annotator="ada")] == list(stack[-1].pairs)
        standing = store.standing("shop")
        undo, _ = queue.stacks(store.newest_by("shop", "ada", 400))
        pairs = {pair for one in undo for pair in one.pairs}
        assert pairs == {(row.user_id, row.item_id) for row in standing[standing["annotator"] == "ada"].itertuples()}

    def test_an_action_sent_twice_is_done_once(self, store: Store) -> None:
        first = store.decide("shop", [("u", "i")], "yes", annotator="ada", token="t-1")
        assert store.decide("shop", [("u", "i")], "no", annotator="ada", token="t-1") == first
        store.decide("shop", [("u", "j")], "yes", annotator="ada", token="t-2")
        for _ in range(2):
            assert [row.item_id for row in store.undo("shop", annotator="ada", token="t-3")] == ["j"]
        for _ in range(2):
            assert [row.item_id for row in store.redo("shop", annotator="ada", token="t-4")] == ["j"]
        assert [row.batch for row in store.decisions("shop")] == ["t-1", "t-2", "t-3", "t-4"]


def test_pace() -> None:
    assert queue.pace(np.arange(4) * 10.0, 40) is None
    assert queue.pace(np.arange(6) * 10.0, 60) == pytest.approx(360)
    assert queue.pace(np.concatenate([np.arange(50.0), 5000 + np.arange(5) * 36.0]), 5200) == pytest.approx(100)
    assert queue.pace(np.arange(6) * 10.0, 60 + queue.PAUSE_S) is None


@pytest.fixture
def data(home: Home) -> Dataset:
    datasets.import_demo(home, DemoSettings(users=60, items=50, interactions=600), "demo")
    return datasets.load(home, "demo")


def test_the_pile_holds_candidates_and_judged_pairs_but_nothing_held_out(data: Dataset) -> None:
    train, test = data.train, data.test
    nothing = np.full(2, NAN, np.float32)
    found = Candidates(
        train.user[:2],
        train.item[:2],
        np.ones(2, bool),
        nothing,
        nothing,
        nothing,
        np.array([0.9, 0.5], np.float32),
        Signals(train.user[:2], train.item[:2], rank=np.array([0.4, 0.3], np.float32)),
    )
    rows = []
    for part, place, ratings in ((train, 1, ("High", "Mid")), (train, 2, ("High", "High")), (test, 0, ("Low", "Low"))):
        for view, rating in zip(("user", "item"), ratings, strict=True):
            pair = {"user_id": data.user_ids[part.user[place]], "item_id": data.item_ids[part.item[place]]}
            about = {"judge": "j", "model": "m", "digest": "", "prompt_version": "1", "is_llm": True, "at": 1.0}
            rows.append(pair | about | {"view": view, "rating": rating, "confidence": 0.7 if view == "user" else 0.6})
    losses = {"user": train.user, "item": train.item, "mean": np.arange(len(train), dtype=np.float32)}
    known = queue.gather(data, found, pd.DataFrame(rows), losses)
    assert set(known.codes(data.n_items)) == set(train.codes(data.n_items)[:3])
    at = {code: place for place, code in enumerate(known.codes(data.n_items).tolist())}
    first, second, third = (at[code] for code in train.codes(data.n_items)[:3].tolist())
    np.testing.assert_allclose(known.doubt[[first, second, third]], [0.9, 0.5, NAN])
    np.testing.assert_allclose(known.user_view[[first, second, third]], [NAN, 1, 1])
    np.testing.assert_allclose(known.item_view[[first, second, third]], [NAN, 0.5, 1])
    np.testing.assert_allclose(known.confidence[[first, second]], [NAN, 0.6])
    np.testing.assert_allclose(known.signals.rank[[first, third]], [0.4, NAN])
    np.testing.assert_allclose(known.loss[[first, second, third]], np.arange(3) / len(train), atol=1e-6)
    clicks = np.bincount(train.user)[train.user[0]] * np.bincount(train.item)[train.item[0]]
    assert known.influence[first] == pytest.approx(1 / np.sqrt(clicks))
    empty = queue.gather(data, None, pd.DataFrame(rows[:0], columns=list(rows[0])), None)
    assert len(empty) == 0
    assert not len(queue.ordered(empty, "disagree"))
