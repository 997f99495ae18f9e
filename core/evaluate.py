"""Full ranking of every item for every user with held-out positives, in blocks of users. Nothing is sampled."""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp

from core import metrics
from core.records import Interactions, Report, Scorer

BLOCK = 256
"""Users at once: the block's scores (256, n_items) should stay in the processor's cache."""


def evaluate(scorer: Scorer, held_out: Interactions, seen: Sequence[Interactions]) -> Report:
    """Rank all items but the `seen` pairs, and look for the `held_out` ones. Users without a held-out pair do not count."""
    users = np.unique(held_out.user)
    hits = ranked_hits(scorer, users, held_out, seen, max(metrics.CUTS))
    n_relevant = np.bincount(held_out.user, minlength=scorer.shape[0])[users]
    return Report(users, metrics.ranking(hits, n_relevant))


def ranked_hits(
    scorer: Scorer, users: np.ndarray, held_out: Interactions, seen: Sequence[Interactions], depth: int
) -> np.ndarray:
    """Whether the item at each rank is held out: bool (n_users, depth); ranks beyond the last item are misses."""
    wanted = _matrix([held_out], scorer.shape)
    hits = np.zeros((len(users), depth), bool)
    for start, top in top_items(scorer, users, seen, depth):
        block = users[start : start + len(top)]
        hits[start : start + len(top), : top.shape[1]] = np.take_along_axis(wanted[block].toarray(), top, axis=1)
    return hits


def top_items(scorer: Scorer, users: np.ndarray, seen: Sequence[Interactions], depth: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of (start, items (block, depth) best first). Seen items come last, so a user who saw nearly all gets some."""
    hidden = _matrix(seen, scorer.shape)
    depth = min(depth, scorer.shape[1])
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        scores = scorer.scores(block)
        rows = hidden[block].tocoo()
        scores[rows.row, rows.col] = -np.inf
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        yield start, np.take_along_axis(best, order, axis=1)


def _matrix(parts: Sequence[Interactions], shape: tuple[int, int]) -> sp.csr_array:
    user = np.concatenate([part.user for part in parts] or [np.empty(0, np.int32)])
    item = np.concatenate([part.item for part in parts] or [np.empty(0, np.int32)])
    return sp.coo_array((np.ones(len(user), bool), (user, item)), shape=shape).tocsr()
