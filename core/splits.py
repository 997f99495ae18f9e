"""Which rows are for training, which for choosing the epoch, which for the last word; and the k-core that may come before."""

import numpy as np

SPLITS = ("train", "valid", "test")
"""Splits are int8 codes: the place of the word in this tuple."""

TRAIN, VALID, TEST = range(3)


def random_split(n: int, valid_share: float, test_share: float, seed: int) -> np.ndarray:
    """Codes int8 (n,) of n rows in source order: one permutation by `default_rng(seed)`, first train, then valid, then test.

    All rows are split, whatever their rating: a threshold chosen later does not move a pair to another split.
    """
    order = np.random.default_rng(seed).permutation(n)
    n_test, n_valid = round(n * test_share), round(n * valid_share)
    codes = np.zeros(n, np.int8)
    codes[order[n - n_test - n_valid : n - n_test]] = VALID
    codes[order[n - n_test :]] = TEST
    return codes


def temporal_split(user: np.ndarray, time: np.ndarray, valid_share: float, test_share: float) -> np.ndarray:
    """Codes int8 (n,): each user's rows by time, the latest for the test, those before for valid, the earliest for training.

    Shares are rounded down, so every user keeps at least one row in train. Rows of one time stay in source order.
    """
    place, count = _places(user, time)
    n_test = np.floor(count * test_share + 1e-9)
    n_valid = np.floor(count * valid_share + 1e-9)
    codes = np.zeros(len(user), np.int8)
    codes[place >= count - n_test - n_valid] = VALID
    codes[place >= count - n_test] = TEST
    return codes


def leave_one_out(user: np.ndarray, time: np.ndarray | None = None) -> np.ndarray:
    """Codes int8 (n,): each user's last row is for the test, the one before for valid; users with fewer than 3 rows only train.

    Last by time, in source order where there is no time or the times are equal.
    """
    place, count = _places(user, np.zeros(len(user)) if time is None else time)
    codes = np.zeros(len(user), np.int8)
    codes[(count >= 3) & (place == count - 2)] = VALID
    codes[(count >= 3) & (place == count - 1)] = TEST
    return codes


def _places(user: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row's place (n,) among its user's rows by time, from 0, and the number (n,) of its user's rows."""
    order = np.lexsort((np.arange(len(user)), time, user))
    _, start, count = np.unique(user[order], return_index=True, return_counts=True)
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user)) - np.repeat(start, count)
    size = np.empty(len(user), np.int64)
    size[order] = np.repeat(count, count)
    return place, size


def k_core(user: np.ndarray, item: np.ndarray, k: int) -> np.ndarray:
    """Mask bool (n,) of the largest set of rows in which every user and every item has at least k rows (it may be empty).

    Positions (n,) of any range from 0 on; a pair that is given twice counts twice.
    """
    keep = np.ones(len(user), bool)
    while keep.any():
        per_user, per_item = np.bincount(user[keep]), np.bincount(item[keep])
        short = keep.copy()
        short[keep] = (per_user[user[keep]] < k) | (per_item[item[keep]] < k)
        if not short.any():
            break
        keep &= ~short
    return keep
