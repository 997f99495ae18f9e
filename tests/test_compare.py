"""Paired differences against a hand-made case and against scipy's t interval."""

import numpy as np
import pytest
from scipy import stats

from core.compare import deltas
from core.errors import RunError
from core.records import Report
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
