"""Who is nearest to whom: by the vectors of a training or of texts, and by shared clicks."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from core.records import Columns, Interactions

NEAREST = 6


@dataclass(frozen=True, eq=False)
class Neighbours(Columns):
    """The nearest of one side, nearest first."""

    place: np.ndarray  # int64 (k,) positions of users or of items
    likeness: np.ndarray  # float32 (k,) cosine of the vectors, or the share of all clicks of both that both have
    shared: np.ndarray  # int64 (k,) items that both users have clicked, or users who have clicked both items


def clicks_of(train: Interactions, side: str, n_users: int, n_items: int) -> sparse.csr_array:
    """Who clicked what, a row a user or an item (`side`): 0/1 float32 (n_users, n_items) or (n_items, n_users)."""
    rows, columns, shape = train.user, train.item, (n_users, n_items)
    if side == "item":
        rows, columns, shape = columns, rows, shape[::-1]
    clicked = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    clicked.data[:] = 1  # a pair that occurs twice is one click
    return clicked


def by_vectors(vectors: np.ndarray, place: int, clicks: sparse.csr_array, k: int = NEAREST) -> Neighbours:
    """The k nearest rows of `vectors` (n, dim) to the one at `place`, by cosine. Rows of zeros are near to nothing."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[place])
    likeness = np.divide(vectors @ vectors[place], lengths, out=np.full(len(vectors), -np.inf, np.float32), where=lengths > 0)
    return _nearest(likeness, _shared(clicks, place), place, k)


def by_clicks(clicks: sparse.csr_array, place: int, k: int = NEAREST) -> Neighbours:
    """The k rows that share most of the clicks of both with the one at `place` (Jaccard); none that share nothing."""
    shared, count = _shared(clicks, place), np.diff(clicks.indptr)
    both = count + count[place] - shared
    likeness = np.divide(shared, both, out=np.full(len(both), -np.inf, np.float32), where=shared > 0)
    return _nearest(likeness, shared, place, k)


def _shared(clicks: sparse.csr_array, place: int) -> np.ndarray:
    """How many columns each row shares with the one at `place`: int64 (n,)."""
    own = np.zeros(clicks.shape[1], np.float32)
    own[clicks.indices[clicks.indptr[place] : clicks.indptr[place + 1]]] = 1
    return (clicks @ own).astype(np.int64)


def _nearest(likeness: np.ndarray, shared: np.ndarray, place: int, k: int) -> Neighbours:
    likeness = likeness.astype(np.float32)
    likeness[place] = -np.inf
    k = min(k, int(np.isfinite(likeness).sum()))
    best = np.argpartition(-likeness, k - 1)[:k] if k else np.zeros(0, np.int64)
    best = best[np.lexsort((best, -likeness[best]))]
    return Neighbours(best, likeness[best], shared[best])
