"""Two components of the loss against what was planted, and by what the crossing is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm

from core import mixture


def planted(n: int) -> np.ndarray:
    random = np.random.default_rng(1)
    low, high = random.normal(-2, 0.4, int(0.8 * n)), random.normal(0.5, 0.6, int(0.2 * n))
    return np.exp(np.concatenate([low, high])).astype(np.float32)


@pytest.mark.parametrize("n", [5_000, 200_000])
def test_planted_components_are_found(n: int) -> None:
    found = mixture.fit(planted(n))
    assert found.mean == pytest.approx([-2, 0.5], abs=0.1)
    assert found.deviation == pytest.approx([0.4, 0.6], abs=0.05)
    assert found.weight == pytest.approx([0.8, 0.2], abs=0.02)
    assert (found.better, found.n) == (True, min(n, mixture.FITTED))


def test_at_the_crossing_both_are_equally_likely() -> None:
    found = mixture.fit(planted(5_000))
    at = np.log(found.crossing)
    lower, upper = found.weight * norm.pdf(at, found.mean, found.deviation)
    assert lower == pytest.approx(upper)
    beyond = found.weight * norm.pdf(at + 0.1, found.mean, found.deviation)
    assert beyond[1] > beyond[0]


def test_shares_below() -> None:
    found = mixture.fit(planted(5_000))
    assert found.below(np.exp(found.mean)).diagonal() == pytest.approx([0.5, 0.5])
    assert found.below(np.array([1e-9, 1e9])) == pytest.approx(np.array([[0, 1], [0, 1]]))


def test_one_heap_is_said_to_be_one() -> None:
    loss = np.exp(np.random.default_rng(0).normal(0, 1, 4000))
    assert not mixture.fit(loss).better


def test_too_little_to_fit() -> None:
    assert mixture.fit(np.ones(1000)) is None
    assert mixture.fit(np.zeros(1000)) is None
    assert mixture.fit(np.arange(20.0)) is None


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.float32, st.integers(60, 120), elements=st.floats(0, 100, width=32), unique=True))
def test_the_crossing_lies_between_the_means(loss: np.ndarray) -> None:
    found = mixture.fit(loss)
    if found is not None and found.crossing is not None:
        assert found.mean[0] < np.log(found.crossing) < found.mean[1]
