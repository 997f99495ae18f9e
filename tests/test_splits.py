"""Splits against the published one, against plain Python, and for any input."""

import collections
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import splits

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=60)


@pytest.mark.real
def test_the_random_split_is_the_shared_one(shared_data: Path) -> None:
    given_words = pd.read_parquet(shared_data / "ml-100k" / "interactions.parquet")["split"]
    codes = splits.random_split(len(given_words), 0.2, 0.2, seed=2023)
    assert (np.array(splits.SPLITS)[codes] == given_words).all()


@given(st.integers(0, 500), st.floats(0, 0.45), st.floats(0.01, 0.45), st.integers(0, 9))
def test_a_random_split_has_its_shares_and_depends_on_the_seed_alone(n: int, valid: float, test: float, seed: int) -> None:
    codes = splits.random_split(n, valid, test, seed)
    assert np.bincount(codes, minlength=3).tolist() == [n - round(n * valid) - round(n * test), round(n * valid), round(n * test)]
    assert (codes == splits.random_split(n, valid, test, seed)).all()


@given(rows)
def test_by_time_nothing_in_train_is_newer_than_what_is_held_out(triples: list[tuple[int, int, int]]) -> None:
    user, _, time = np.array(triples).T
    codes = splits.temporal_split(user, time, 0.2, 0.3)
    for one in np.unique(user):
        times = [time[(user == one) & (codes == code)] for code in range(3)]
        held = [part for part in times if len(part)]
        assert len(times[0]) >= 1
        assert all(earlier.max() <= later.min() for earlier, later in zip(held, held[1:], strict=False))
        assert len(times[2]) == int(0.3 * (user == one).sum() + 1e-9)
        assert len(times[1]) == int(0.2 * (user == one).sum() + 1e-9)


def by_hand_last_two(user: list[int], time: list[int]) -> list[int]:
    codes = [0] * len(user)
    for one in set(user):
        mine = sorted((row for row in range(len(user)) if user[row] == one), key=lambda row: (time[row], row))
        if len(mine) >= 3:
            codes[mine[-1]], codes[mine[-2]] = 2, 1
    return codes


@given(rows)
def test_leave_one_out_takes_the_last_two_of_whoever_has_three(triples: list[tuple[int, int, int]]) -> None:
    user, _, time = map(list, zip(*triples, strict=True))
    assert splits.leave_one_out(np.array(user), np.array(time)).tolist() == by_hand_last_two(user, time)
    assert splits.leave_one_out(np.array(user)).tolist() == by_hand_last_two(user, [0] * len(user))


def by_hand_core(pairs: list[tuple[int, int]], k: int) -> list[bool]:
    keep = [True] * len(pairs)
    while True:
        users = collections.Counter(user for (user, _), kept in zip(pairs, keep, strict=True) if kept)
        items = collections.Counter(item for (_, item), kept in zip(pairs, keep, strict=True) if kept)
        weak = [kept and (users[user] < k or items[item] < k) for (user, item), kept in zip(pairs, keep, strict=True)]
        if not any(weak):
            return keep
        keep[weak.index(True)] = False  # one at a time: the order of removal must not matter


@given(rows, st.integers(0, 5))
def test_the_core_is_the_one_found_by_taking_away_pair_after_pair(triples: list[tuple[int, int, int]], k: int) -> None:
    user, item, _ = np.array(triples).T
    assert splits.k_core(user, item, k).tolist() == by_hand_core(list(zip(user.tolist(), item.tolist(), strict=True)), k)
