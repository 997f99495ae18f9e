"""Paired differences against a hand-made case and against scipy's t interval."""

import numpy as np
import pytest
from scipy import stats

from core import compare, runs
from core.artifacts import Home
from core.compare import deltas
from core.errors import RunError
from core.records import Interactions, Report
from core.rng import stream
from core.settings import CompareSettings


def report(values: np.ndarray) -> Report:
    return Report(np.arange(len(values), dtype=np.int32), {"recall@20": values})


def test_interval_is_paired() -> None:
    """Users differ a lot, the change is the same for nearly all: only a paired interval is this narrow."""
    rng = stream(0, "compare")
    a = rng.random(500)
    b = a + rng.normal(0.02, 0.01, 500)
    found = deltas(report(a), report(b), CompareSettings())["recall@20"]
    low, high = stats.t.interval(0.95, 499, (b - a).mean(), stats.sem(b - a))
    assert found.delta == pytest.approx((b - a).mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))
    assert found.clear


def test_it_repeats_and_its_sign_is_b_minus_a() -> None:
    a, b = stream(1, "a").random(200), stream(1, "b").random(200) + 0.5
    once, again = (deltas(report(a), report(b), CompareSettings())["recall@20"] for _ in range(2))
    assert once == again
    assert once.delta > 0
    assert deltas(report(b), report(a), CompareSettings())["recall@20"].delta == pytest.approx(-once.delta)


def test_equal_runs_have_an_interval_of_zero() -> None:
    a = stream(2, "a").random(50)
    found = deltas(report(a), report(a), CompareSettings())["recall@20"]
    assert (found.delta, found.low, found.high, found.clear) == (0, 0, 0, False)


def test_different_users_are_refused() -> None:
    with pytest.raises(RunError, match="same users"):
        deltas(report(np.ones(3)), report(np.ones(4)), CompareSettings())


def test_segments_cut_the_users_into_thirds_by_history_and_popularity() -> None:
    """User u has u + 1 clicks; only the most active third gains."""
    user = np.repeat(np.arange(30), np.arange(1, 31)).astype(np.int32)
    train = Interactions(user, np.arange(len(user), dtype=np.int32) % 40)
    before = np.full(30, 0.5)
    after = before + (np.arange(30) >= 20) * 0.1
    found = compare.segments(report(before), report(after), train, 40, CompareSettings(resamples=100))
    history = [one for one in found if one.feature == "history"]
    assert [(one.low, one.high, one.n_users) for one in history] == [(1, 10, 10), (11, 20, 10), (21, 30, 10)]
    assert [one.deltas["recall@20"].delta for one in history] == pytest.approx([0, 0, 0.1])
    assert [one.deltas["recall@20"].clear for one in history] == [False, False, True]
    for feature in compare.FEATURES:
        assert sum(one.n_users for one in found if one.feature == feature) == 30


def test_users_who_are_all_alike_make_one_segment() -> None:
    train = Interactions(np.arange(6, dtype=np.int32), np.arange(6, dtype=np.int32))
    found = compare.segments(report(np.zeros(6)), report(np.ones(6)), train, 6, CompareSettings(resamples=100))
    assert [(one.feature, one.n_users) for one in found] == [("history", 6), ("popularity", 6)]


def test_flips_and_movers() -> None:
    a, b = np.array([1.0, 1, 0, 0, 0.5]), np.array([1.0, 0, 1, 0, 0.75])
    found = compare.flips(report(a), report(b), "recall@20")
    assert (found.both, found.lost, found.won, found.neither) == (2, 1, 1, 1)
    gain, lose = compare.movers(report(a), report(b), "recall@20", 5)
    assert (gain.tolist(), lose.tolist()) == ([2, 4], [1])
    gain, lose = compare.movers(report(a), report(a), "recall@20", 5)
    assert (len(gain), len(lose)) == (0, 0)


def finished(home: Home, value: float, **settings: object) -> runs.Run:
    """A training that is done, as its folder says."""
    about = {"dataset_fingerprint": "x", "label_fingerprint": str(settings.get("labels", ""))}
    folder = runs.create(home, "train", "shop", {"dim": 8} | settings, **about)
    folder.update(state=runs.State.DONE, result={"metrics": {"test": {"recall@20": value}}})
    return folder.read()


def test_over_seeds_pairs_what_differs_in_the_seed_only(home: Home) -> None:
    a, b = finished(home, 0.30, seed=0), finished(home, 0.35, seed=0, labels="v1")
    assert compare.over_seeds(home, a, b, "recall@20").seeds == (0,)
    for seed, (before, after) in enumerate([(0.31, 0.35), (0.32, 0.38)], 1):
        finished(home, before, seed=seed)
        finished(home, after, seed=seed, labels="v1")
    finished(home, 0.9, seed=3)  # without a partner
    finished(home, 0.9, seed=1, dim=16)  # other settings
    found = compare.over_seeds(home, a, b, "recall@20")
    assert (found.seeds, found.a, found.b) == ((0, 1, 2), (0.30, 0.31, 0.32), (0.35, 0.35, 0.38))
    low, high = stats.t.interval(0.95, 2, np.mean([0.05, 0.04, 0.06]), stats.sem([0.05, 0.04, 0.06]))
    assert (found.delta, found.low, found.high) == pytest.approx((0.05, low, high))
