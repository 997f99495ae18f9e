"""Doubt without labels: each signal by hand, ranks that survive gaps, real dislikes; and what answers make of it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import alignment, doubt, references, semantic
from core.metrics import detection_auc
from core.records import Edges, Interactions, Signals
from core.settings import ReferenceSettings
from tests.judging_fixtures import catalogue, pairs


def filled(**columns: list[float]) -> Signals:
    n = len(next(iter(columns.values())))
    nobody = np.arange(n, dtype=np.int32)
    return Signals(nobody, nobody, **{name: np.array(values, np.float32) for name, values in columns.items()})


def test_every_signal_has_words_and_a_column() -> None:
    nothing = dict.fromkeys(doubt.SIGNALS, [0.0])
    assert filled(**nothing).named().keys() == doubt.SIGNALS.keys()
    assert set(doubt.DEFAULT) <= doubt.SIGNALS.keys()


def test_popularity_by_hand() -> None:
    train = pairs((0, 0), (1, 0), (1, 1), (2, 0), (2, 2))  # items have 3, 1 and 1 clicks
    found = doubt.signals(train, 3, 4)
    three = np.log(3)
    np.testing.assert_allclose(found.rarity, [-three, -three, 0, -three, 0], rtol=1e-6)
    np.testing.assert_allclose(found.taste, [-three, -three / 2, -three / 2, -three / 2, -three / 2], rtol=1e-6)
    of_first = -(three + three / 2 + three / 2) / 3
    np.testing.assert_allclose(found.readers, [of_first, of_first, -three / 2, of_first, -three / 2], rtol=1e-6)
    assert all(column.dtype == np.float32 for column in found.named().values())


def test_what_is_not_known_is_no_signal() -> None:
    shop = catalogue()
    bare = doubt.signals(shop.train, shop.n_users, shop.n_items)
    assert bare.named().keys() == {"rank", "support", "rarity", "taste", "readers"}
    silent = np.zeros((shop.n_items, 3), np.float32), np.zeros(len(shop.train), np.float32)
    assert doubt.signals(shop.train, shop.n_users, shop.n_items, None, *silent).named().keys() == bare.named().keys()


def test_too_many_items_for_a_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "ITEMS_AT_MOST", 19)
    shop = catalogue()
    found = doubt.signals(shop.train, shop.n_users, shop.n_items)
    assert found.named().keys() == {"rarity", "taste", "readers"}
    assert np.isfinite(doubt.doubt(found)).all()


def test_losses_of_the_clicks_that_a_run_trained_on() -> None:
    train = pairs((0, 0), (0, 1), (1, 1))
    column = np.array([3, 1], np.float32)
    losses = {"user": np.array([1, 0], np.int32), "item": np.array([1, 0], np.int32), "mean": column, "early": column + 1}
    found = doubt.signals(train, 2, 2, losses)
    np.testing.assert_array_equal(found.averaged, [1, np.nan, 3])
    np.testing.assert_array_equal(found.early, [2, np.nan, 4])
    assert found.final is None


def test_leave_one_out_by_the_closed_form() -> None:
    """An item's own click moves neither its score nor its rank: the weights' diagonal is zero."""
    shop = catalogue()
    edges = Edges(shop.train.user, shop.train.item, np.ones(len(shop.train), np.float32))
    model = references.ease(edges, shop.n_users, shop.n_items, ReferenceSettings())
    found = doubt.signals(shop.train, shop.n_users, shop.n_items)
    row = 5
    chosen = shop.train.item[(shop.train.user == shop.train.user[row]) & (shop.train.item != shop.train.item[row])]
    weights = model.weights.toarray()
    assert found.support[row] == pytest.approx(-weights[chosen, shop.train.item[row]].sum(), abs=1e-5)
    scores = model.scores(shop.train.user[[row]])[0]
    below = np.mean(scores < (own := scores[shop.train.item[row]])) + (np.sum(scores == own) - 1) / 2 / shop.n_items
    assert 1 - found.rank[row] == pytest.approx(below, abs=1e-6)
    stray = (shop.train.user == 0) & (shop.train.item == 10)
    assert found.rank[stray] >= found.rank[shop.train.user == 0].max()


def test_texts_are_signals_when_they_say_something() -> None:
    train = pairs((0, 0), (0, 1), (0, 2), (1, 3))
    vectors = np.array([[1, 0], [1, 0.1], [-1, 0], [0, 0]], np.float32)
    found = doubt.signals(train, 2, 4, None, vectors, alignment.align(vectors, train, 2).observed)
    assert np.isnan(found.text).tolist() == np.isnan(found.aligned).tolist() == [False, False, False, True]
    assert found.text.argsort()[-2] == 2  # NaN sorts last
    expected = semantic.text_relevance(vectors, train, train.user, train.item)[:3]
    np.testing.assert_array_equal(found.text[:3], -expected)


@given(st.lists(st.one_of(st.floats(-5, 5, width=32), st.just(float("nan"))), min_size=1, max_size=40), st.integers(0, 99))
def test_doubt_is_a_rank_and_gaps_do_no_harm(values: list[float], seed: int) -> None:
    taste = np.random.default_rng(seed).normal(size=len(values)).tolist()
    found = doubt.doubt(filled(rank=values, taste=taste))
    assert found.dtype == np.float32
    assert ((found > 0) & (found < 1)).all()
    by_pandas = [pd.Series(column, dtype=np.float32) for column in (values, taste)]
    ranks = [((one.rank() - 0.5) / max(one.count(), 1)).fillna(0.5).to_numpy(np.float32) for one in by_pandas]
    order = np.mean(ranks, axis=0)
    assert all((found[order > value] >= found[order == value].max()).all() for value in order)


def test_only_the_named_signals_take_part() -> None:
    given = filled(rank=[1, 2, 3], rarity=[3, 2, 1], text=[0, 0, 0])
    assert doubt.doubt(given, ("rank",)).tolist() == pytest.approx([1 / 6, 3 / 6, 5 / 6])
    assert doubt.doubt(given, ("rarity",)).tolist() == pytest.approx([5 / 6, 3 / 6, 1 / 6])
    assert doubt.doubt(given, ("rank", "rarity")).tolist() == [0.5] * 3
    assert doubt.doubt(given, ("aligned",)).tolist() == [0.5] * 3


def test_no_clicks() -> None:
    found = doubt.signals(pairs(), 2, 3)
    assert len(found) == len(doubt.doubt(found)) == 0


def answers(n: int, strength: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Doubts, and whether each click is noisy with chance expit(strength * logit(doubt) - 1)."""
    draw = np.random.default_rng(seed)
    doubts = ((np.arange(n) + 0.5) / n).astype(np.float32)
    chance = 1 / (1 + np.exp(1 - strength * np.log(doubts / (1 - doubts))))
    return doubts, draw.random(n) < chance


def test_probabilities_fit_what_was_planted_and_keep_the_priors() -> None:
    doubts, noisy = answers(4000, 1.0)
    decided = np.random.default_rng(1).random(4000) < 0.5
    found = doubt.calibrate(doubts, decided, noisy)
    chance = 1 / (1 + np.exp(1 - np.log(doubts / (1 - doubts))))
    assert found.probability.dtype == np.float32
    assert np.abs(found.probability - chance).max() < 0.06
    assert found.probability.mean() == pytest.approx(noisy.mean(), abs=0.03)
    assert found.auc == pytest.approx(detection_auc(doubts[~decided], noisy[~decided]), abs=0.03)


def test_a_doubt_that_is_worth_nothing_is_called_so() -> None:
    doubts, _ = answers(2000, 1.0)
    noisy = np.random.default_rng(3).random(2000) < 0.3
    found = doubt.calibrate(doubts, np.ones(2000, bool), noisy)
    assert found.auc == pytest.approx(0.5, abs=0.06)
    assert np.ptp(found.probability[200:-200]) < 0.1


@pytest.mark.parametrize(
    ("noisy", "relevant", "says"), [(12, 200, "12 of 30 noisy"), (40, 3, "3 of 30 relevant"), (0, 0, "0 of 30")]
)
def test_too_few_answers_of_a_kind(noisy: int, relevant: int, says: str) -> None:
    doubts = ((np.arange(500) + 0.5) / 500).astype(np.float32)
    decided = np.arange(500) < noisy + relevant
    found = doubt.calibrate(doubts, decided, np.arange(500) < noisy)
    assert (found.probability, found.auc) == (None, None)
    assert found.reason.startswith(f"not enough labels yet: {says}")


def test_thirty_of_each_are_enough_and_ends_of_the_scale_are_no_trouble() -> None:
    doubts = np.concatenate([np.zeros(30), np.ones(30)])
    found = doubt.calibrate(doubts, np.ones(60, bool), doubts > 0.5)
    assert found.auc == 1
    assert found.reason == "learned from 30 noisy and 30 relevant clicks"
    assert ((found.probability >= 0) & (found.probability <= 1)).all()


@pytest.mark.real
def test_real_dislikes(shared_data) -> None:  # noqa: ANN001
    """MovieLens-100K: ratings of 1-2 as clicks among those of 4-5. Without texts and without a training."""
    rows = pd.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    kept = rows[(rows.positive & (rows.split == "train")) | (rows.rating <= 2)]
    train = Interactions(kept.user_id.to_numpy(np.int32), kept.item_id.to_numpy(np.int32))
    found = doubt.doubt(doubt.signals(train, 943, 1682))
    assert detection_auc(found, (kept.rating <= 2).to_numpy()) > 0.67
