"""Nearest users and items against a plain computation of the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import neighbours
from core.records import Interactions

N_USERS, N_ITEMS = 6, 5
PAIRS = st.lists(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1)), max_size=40)


def train_of(pairs: list[tuple[int, int]]) -> Interactions:
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    return Interactions(user, item)


@given(PAIRS, st.sampled_from(["user", "item"]), st.integers(0, 4), st.integers(1, 9))
def test_shared_clicks_are_those_of_sets(pairs: list[tuple[int, int]], side: str, place: int, k: int) -> None:
    n = N_USERS if side == "user" else N_ITEMS
    sets = [{pair[side == "user"] for pair in pairs if pair[side == "item"] == one} for one in range(n)]
    found = neighbours.by_clicks(neighbours.clicks_of(train_of(pairs), side, N_USERS, N_ITEMS), place, k)
    alike = {one: len(sets[one] & sets[place]) / len(sets[one] | sets[place]) for one in range(n) if sets[one] & sets[place]}
    expected = sorted((one for one in alike if one != place), key=lambda one: (-np.float32(alike[one]), one))
    assert found.shared.tolist() == [len(sets[one] & sets[place]) for one in found.place]
    np.testing.assert_allclose(found.likeness, [alike[one] for one in found.place], rtol=1e-6)
    assert sorted(found.likeness.tolist()) == sorted(np.float32(alike[one]) for one in expected[:k])
    assert place not in found.place


def test_vectors_are_compared_by_their_direction() -> None:
    vectors = np.array([[1, 0], [9, 1], [1, 1], [0, 0], [-1, 0], [2, 0]], np.float32)
    clicks = neighbours.clicks_of(train_of([(0, 1), (0, 2), (1, 2), (5, 1), (5, 2), (5, 2)]), "user", N_USERS, N_ITEMS)
    found = neighbours.by_vectors(vectors, 0, clicks, k=9)
    assert found.place.tolist() == [5, 1, 2, 4]
    assert found.likeness.tolist() == pytest.approx([1, 9 / np.sqrt(82), np.sqrt(0.5), -1])
    assert found.shared.tolist() == [2, 1, 0, 0]
    assert len(neighbours.by_vectors(vectors, 3, clicks)) == 0
