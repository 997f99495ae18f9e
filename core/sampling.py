"""Negatives: for each interaction an item that its user is not known to like."""

from collections.abc import Callable

import numpy as np

from core.errors import RunError


def uniform(rng: np.random.Generator, user: np.ndarray, forbidden: np.ndarray, n_items: int) -> np.ndarray:
    """One uniform negative per row by vectorised rejection.

    `user` int32 (n,); `forbidden` sorted unique int64 pair codes `user * n_items + item`; returns int32 (n,).
    Raises RunError for a user to whom every item is forbidden: no negative exists.
    """
    return _draw(rng, user, forbidden, n_items, lambda n: rng.integers(n_items, size=n))


def by_weight(rng: np.random.Generator, user: np.ndarray, forbidden: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Like `uniform`, but items are drawn by `weight` (n_items,) >= 0; whom only weightless items are left gets one of those."""
    bounds = np.cumsum(weight, dtype=np.float64)

    def draw(n: int) -> np.ndarray:
        return np.minimum(np.searchsorted(bounds, rng.random(n) * bounds[-1], "right"), len(weight) - 1)

    return _draw(rng, user, forbidden, len(weight), draw)


def _draw(
    rng: np.random.Generator, user: np.ndarray, forbidden: np.ndarray, n_items: int, draw: Callable[[int], np.ndarray]
) -> np.ndarray:
    base = user.astype(np.int64) * n_items
    negative = draw(len(user))
    open_rows = np.flatnonzero(contains(forbidden, base + negative))
    for _ in range(32):
        if not len(open_rows):
            return negative.astype(np.int32)
        negative[open_rows] = draw(len(open_rows))
        open_rows = open_rows[contains(forbidden, base[open_rows] + negative[open_rows])]
    # Whoever is left has clicked nearly everything: draw from what remains, exactly.
    for one in np.unique(user[open_rows]):
        allowed = np.setdiff1d(np.arange(n_items), forbidden[forbidden // n_items == one] % n_items)
        if not len(allowed):
            message = "There is a user who has interacted with every item, so nothing is left to learn a difference from."
            raise RunError(message, "Import with more items, or without such users.")
        rows = open_rows[user[open_rows] == one]
        negative[rows] = rng.choice(allowed, size=len(rows))
    return negative.astype(np.int32)


def contains(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `wanted` (n,) are in the sorted `codes`: bool (n,)."""
    if not len(codes):
        return np.zeros(len(wanted), bool)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return codes[place] == wanted
