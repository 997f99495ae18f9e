"""Negatives are never a forbidden pair, and cover what is allowed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RunError
from core.rng import stream
from core.sampling import contains, uniform


@given(st.sets(st.integers(0, 5 * 6 - 1), max_size=24), st.integers(0, 1000))
def test_never_forbidden(codes: set[int], seed: int) -> None:
    forbidden = np.array(sorted(codes), np.int64)
    users = np.array([u for u in range(5) if len({c for c in codes if c // 6 == u}) < 6], np.int32)
    negatives = uniform(stream(seed, "test"), users, forbidden, 6)
    assert negatives.dtype == np.int32
    assert not set((users * 6 + negatives).tolist()) & codes
    assert ((negatives >= 0) & (negatives < 6)).all()


def test_allowed_items_are_equally_likely() -> None:
    users = np.zeros(30_000, np.int32)
    counts = np.bincount(uniform(stream(0, "test"), users, np.array([1, 4]), 6), minlength=6)
    assert counts[[1, 4]].sum() == 0
    np.testing.assert_allclose(counts[[0, 2, 3, 5]] / 30_000, 0.25, atol=0.01)


def test_the_last_free_item_is_found() -> None:
    forbidden = np.delete(np.arange(5000), 3210)
    assert uniform(stream(0, "test"), np.zeros(50, np.int32), forbidden, 5000).tolist() == [3210] * 50


def test_a_user_without_any_negative_is_an_error() -> None:
    with pytest.raises(RunError, match="every item"):
        uniform(stream(0, "test"), np.zeros(1, np.int32), np.arange(4), 4)


def test_contains_on_an_empty_set() -> None:
    assert contains(np.empty(0, np.int64), np.array([1, 2])).tolist() == [False, False]
