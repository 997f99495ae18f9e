"""Recommenders in closed form or from a library: the references beside which every graph recommender has to stand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from core.errors import SettingsError
from core.records import Edges, Embeddings, Scorer
from core.registry import Registry
from core.settings import ReferenceSettings, TrainSettings

ITEMS_AT_MOST = 25_000
"""EASE inverts a dense matrix of this many items squared: 5 GB, and ten minutes on two cores."""
KEPT_WEIGHTS = 4_000_000
"""Item-item weights kept, the largest of every item; the others are near zero."""
USERS_AT_ONCE = 512

REFERENCES: Registry[Callable[[Edges, int, int, ReferenceSettings], Scorer]] = Registry("reference")
"""Functions of (training edges, n_users, n_items, settings)."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """An item-item model: a user's scores are the sum of the weights of what they chose. A Scorer."""

    chosen: sp.csr_array  # float32 (n_users, n_items)
    weights: sp.csr_array  # float32 (n_items, n_items), zero diagonal

    @property
    def shape(self) -> tuple[int, int]:
        return self.chosen.shape

    def scores(self, users: np.ndarray) -> np.ndarray:
        return (self.chosen[users] @ self.weights).toarray()

    def score(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Scores (n,) of pairs (n,): float32. The diagonal is zero, so on observed pairs they are leave-one-out."""
        found = np.empty(len(user), np.float32)
        for rows, users, row in self._blocks(user):
            found[rows] = self.scores(users)[row, item[rows]]
        return found

    def ranks(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Share of all items that the pair's user scores below its item: (n,) in [0, 1], the middle of its ties.

        In sparse data ties are many: nothing that a user chose says anything about most items. The diagonal is zero, so a
        chosen item does not speak for itself: on observed pairs this is a leave-one-out rank.
        """
        found = np.empty(len(user))
        for rows, users, row in self._blocks(user):
            scores = self.scores(users)
            own = scores[row, item[rows]]
            scores.sort(axis=1)
            for place, ordered in enumerate(scores):
                mine = row == place
                sides = (np.searchsorted(ordered, own[mine], side) for side in ("left", "right"))
                found[rows[mine]] = (sum(sides) - 1) / 2 / self.shape[1]
        return found

    def _blocks(self, user: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Pairs by blocks of users: places among the pairs (m,), the users (u,), each pair's place among those (m,)."""
        for start in range(0, self.shape[0], USERS_AT_ONCE):
            rows = np.flatnonzero((user >= start) & (user < start + USERS_AT_ONCE))
            users, row = np.unique(user[rows], return_inverse=True)
            yield rows, users, row


@dataclass(frozen=True, eq=False)
class Blend:
    """Two scorers, each standardised over a user's items, added with a weight. A Scorer."""

    first: Scorer
    second: Scorer
    weight: float  # of the second

    @property
    def shape(self) -> tuple[int, int]:
        return self.first.shape

    def scores(self, users: np.ndarray) -> np.ndarray:
        return _standard(self.first.scores(users)) + self.weight * _standard(self.second.scores(users))


def blended(vectors: Scorer, edges: Edges, settings: TrainSettings) -> Scorer:
    """The vectors' scores with those of the closed form that a training's settings name, on the edges that inference uses."""
    if settings.blend == "none":
        return vectors
    closed = REFERENCES[settings.blend](edges, *vectors.shape, ReferenceSettings(seed=settings.seed))
    return Blend(vectors, closed, settings.blend_weight)


def _standard(scores: np.ndarray) -> np.ndarray:
    spread = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


@REFERENCES.register("popularity")
def popularity(edges: Edges, n_users: int, n_items: int, settings: ReferenceSettings) -> Embeddings:
    """Every user gets the items with the most clicks."""
    clicks = np.bincount(edges.item, edges.weight, minlength=n_items).astype(np.float32)
    return Embeddings(np.ones((n_users, 1), np.float32), clicks[:, None])


@REFERENCES.register("ease")
def ease(edges: Edges, n_users: int, n_items: int, settings: ReferenceSettings) -> Neighbours:
    """EASE: the item-item weights B that best rebuild X as X B under a ridge penalty, with a zero diagonal (Steck, WWW 2019).

    P = (X^T X + ridge I)^-1; B_ij = -P_ij / P_jj off the diagonal (eq. 8). Without a given ridge it is 5 times the mean
    clicks of a user: what valid chose on the sparse Amazon-book (50) and on the dense MovieLens-100K (300) alike.
    Only the KEPT_WEIGHTS largest weights are kept, the same number for every item: below 2 000 items that is all of them.
    Raises SettingsError above ITEMS_AT_MOST items.
    """
    if n_items > ITEMS_AT_MOST:
        raise SettingsError(f"EASE is for at most {ITEMS_AT_MOST:,} items, there are {n_items:,}.", "Use als, or no blend.")
    chosen = _matrix(edges, n_users, n_items)
    ridge = settings.ridge or 5 * max(edges.weight.sum(), 1) / max(len(np.unique(edges.user)), 1)
    gram = (chosen.T @ chosen).toarray().astype(np.float64)
    gram[np.diag_indices(n_items)] += ridge
    factor, _ = scipy.linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)  # the lower triangle
    weights = np.tril(inverse, -1)
    weights += weights.T
    weights /= -np.diag(inverse)
    return Neighbours(chosen, _largest(weights.astype(np.float32), max(1, KEPT_WEIGHTS // n_items)))


def _largest(weights: np.ndarray, kept: int) -> sp.csr_array:
    """The `kept` largest weights by size of every column."""
    if kept < len(weights):
        rows = np.argpartition(-np.abs(weights), kept, axis=0)[:kept]
        columns = np.broadcast_to(np.arange(len(weights)), rows.shape)
        values = np.take_along_axis(weights, rows, axis=0)
        return sp.coo_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=weights.shape).tocsr()
    return sp.csr_array(weights)


@REFERENCES.register("als")
def als(edges: Edges, n_users: int, n_items: int, settings: ReferenceSettings) -> Embeddings:
    """Implicit ALS: weighted factors by alternating least squares (Hu, Koren, Volinsky, ICDM 2008), as `implicit` does it."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=settings.als_factors,
        regularization=settings.als_reg,
        alpha=settings.als_alpha,
        iterations=settings.als_iterations,
        random_state=settings.seed,
    )
    model.fit(sp.csr_matrix(_matrix(edges, n_users, n_items)), show_progress=False)
    return Embeddings(np.asarray(model.user_factors, np.float32), np.asarray(model.item_factors, np.float32))


def _matrix(edges: Edges, n_users: int, n_items: int) -> sp.csr_array:
    return sp.coo_array((edges.weight.astype(np.float32), (edges.user, edges.item)), shape=(n_users, n_items)).tocsr()
