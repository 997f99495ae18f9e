"""Nearest clicks against a loop over all pairs of vectors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.neighbours import of_pair
from core.records import Embeddings, Interactions

USERS, ITEMS = 7, 6


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = math.hypot(*a.tolist()) * math.hypot(*b.tolist())
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) / lengths if lengths else 0.0


def drawn(seed: int, clicks: int) -> tuple[Embeddings, Interactions]:
    """Vectors with some of zeros, some twice and of very different lengths, and distinct clicks."""
    draw = np.random.default_rng(seed)
    user, item = (draw.normal(size=(n, 3)).astype(np.float32) * 10.0 ** draw.integers(-3, 3, (n, 1)) for n in (USERS, ITEMS))
    user[draw.random(USERS) < 0.2] = 0
    item[1] = item[0]
    codes = draw.permutation(USERS * ITEMS)[:clicks]
    pairs = Interactions((codes // ITEMS).astype(np.int32), (codes % ITEMS).astype(np.int32))
    return Embeddings(user.astype(np.float32), item.astype(np.float32)), pairs


@given(st.integers(0, 10_000), st.integers(0, 30), st.integers(0, USERS - 1), st.integers(0, ITEMS - 1), st.integers(0, 40))
def test_against_a_loop_over_all_clicks(seed: int, clicks: int, user: int, item: int, n: int) -> None:
    vectors, pairs = drawn(seed, clicks)
    found = of_pair(vectors, pairs, user, item, n)
    others = [(u, i) for u, i in zip(pairs.user.tolist(), pairs.item.tolist(), strict=True) if (u, i) != (user, item)]
    like = [(cosine(vectors.user[user], vectors.user[u]) + cosine(vectors.item[item], vectors.item[i])) / 2 for u, i in others]
    np.testing.assert_allclose(found.similarity, sorted(like, reverse=True)[:n], atol=1e-5)
    chosen = list(zip(pairs.user[found.place].tolist(), pairs.item[found.place].tolist(), strict=True))
    assert len(set(chosen)) == len(chosen) == min(n, len(others))
    told = dict(zip(others, like, strict=True))
    assert [told[pair] for pair in chosen] == pytest.approx(found.similarity.tolist(), abs=1e-5)


def test_among_equals_the_first_click_comes_first() -> None:
    vectors = Embeddings(np.ones((3, 2), np.float32), np.ones((3, 2), np.float32))
    clicks = Interactions(np.array([2, 0, 1, 0], np.int32), np.array([1, 0, 2, 1], np.int32))
    found = of_pair(vectors, clicks, 0, 0, 2)
    assert found.place.tolist() == [0, 2]
    assert found.similarity.tolist() == pytest.approx([1, 1])


def test_what_nothing_is_known_of_is_like_nothing() -> None:
    vectors = Embeddings(np.array([[0, 0], [1, 0]], np.float32), np.array([[0, 1], [0, 2], [1, 0]], np.float32))
    clicks = Interactions(np.array([1, 1], np.int32), np.array([2, 1], np.int32))
    found = of_pair(vectors, clicks, 0, 0, 5)
    assert found.place.tolist() == [1, 0]
    assert found.similarity.tolist() == pytest.approx([0.5, 0])
