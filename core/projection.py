"""The vectors of a training on a plane, by UMAP (McInnes, Healy, Melville 2018), and which points lie within an outline.

Distances between far points of such a plane mean nothing; neighbourhoods do. A large set is fitted on a sample, and every
other row is put at the weighted mean of its nearest fitted rows, so that each row has a place.

Two trainings share one layout by one joint fit: vectors of two trainings differ by a rotation that no score depends on, so
the second's are turned onto the first's before (orthogonal Procrustes), and both are fitted together.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

from core.records import Embeddings, Interactions
from core.rng import stream
from core.settings import ProjectSettings

Side = Literal["users", "items", "pairs"]

LEAST_ROWS = 10
CHUNK = 50_000
"""Rows that are placed between two reports."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Where every row lies: users, items, or the training clicks in their order."""

    points: np.ndarray  # float32 (n, 2)
    fitted: np.ndarray  # bool (n,) whether UMAP itself saw the row; the others were placed by their neighbours
    other: np.ndarray | None = None  # float32 (n, 2) of the second training, in the same layout


def rows(vectors: Embeddings, of: Side, pairs: Interactions) -> np.ndarray:
    """What is projected: unit rows float32 (n, dim); of a pair both its vectors side by side, (n, 2 dim)."""
    user, item = _unit(vectors.user), _unit(vectors.item)
    if of == "pairs":
        return np.hstack([user[pairs.user], item[pairs.item]]) / np.sqrt(2, dtype=np.float32)
    return user if of == "users" else item


def turned(vectors: Embeddings, onto: Embeddings) -> Embeddings:
    """`vectors` rotated as close as can be to `onto`; all scores stay. The smaller dimension is filled up with zeros."""
    width = max(vectors.user.shape[1], onto.user.shape[1])
    user, item, to_user, to_item = (_padded(part, width) for part in (vectors.user, vectors.item, onto.user, onto.item))
    rotation, _ = orthogonal_procrustes(np.vstack([user, item]), np.vstack([to_user, to_item]))
    rotation = rotation.astype(np.float32)
    return Embeddings(user @ rotation, item @ rotation)


def project(
    first: np.ndarray,
    second: np.ndarray | None,
    settings: ProjectSettings,
    report: Callable[[str, int, int], bool] = lambda phase, done, total: True,
) -> Projection | None:
    """Places of the rows (n, dim) of one training, or of two in one layout; n of at least LEAST_ROWS.

    `report` is told (phase, done, total) and says whether to go on; None when it did not.
    """
    n = len(first)
    fitted = np.zeros(n, bool)
    fitted[stream(settings.seed, "projection").choice(n, min(n, settings.fit_at_most), replace=False)] = True
    parts = [first] if second is None else [_padded(first, second.shape[1]), second]
    if not report("fitting", 0, n):
        return None
    seen = np.vstack([part[fitted] for part in parts])
    layout = _fit(seen, settings)
    placed = [np.empty((n, 2), np.float32) for _ in parts]
    near = KNeighborsRegressor(min(settings.neighbours, len(seen)), weights="distance", algorithm="brute").fit(seen, layout)
    for number, (part, points) in enumerate(zip(parts, placed, strict=True)):
        points[fitted] = layout[number * fitted.sum() : (number + 1) * fitted.sum()]
        rest = np.flatnonzero(~fitted)
        for start in range(0, len(rest), CHUNK):
            if not report("placing the rest", start, len(rest)):
                return None
            points[rest[start : start + CHUNK]] = near.predict(part[rest[start : start + CHUNK]])
    return Projection(placed[0], fitted, placed[1] if len(placed) > 1 else None)


def _fit(seen: np.ndarray, settings: ProjectSettings) -> np.ndarray:
    import umap  # takes seconds: only the job pays for it

    k = min(settings.neighbours, len(seen) - 1)
    distance, index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(seen).kneighbors(seen)
    # exact neighbours are handed over: UMAP's own search compiles for a minute and only approximates
    reducer = umap.UMAP(
        n_neighbors=k,
        min_dist=settings.min_dist,
        init="pca",
        random_state=settings.seed,
        n_jobs=1,
        precomputed_knn=(index.astype(np.int32), distance.astype(np.float32)),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="precomputed_knn")  # new rows are placed by `project`
        return reducer.fit_transform(seen).astype(np.float32)


def inside(points: np.ndarray, x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    """Which points (n, 2) lie within the polygon with corners (x, y): bool (n,), by the even-odd rule.

    Points are sorted by height first, so that each side of the polygon looks only at those that it can concern.
    """
    order = np.argsort(points[:, 1], kind="stable")
    across, height = points[order].astype(np.float64).T
    odd = np.zeros(len(points), bool)
    corners = np.column_stack([x, y]).astype(np.float64)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        start, stop = np.searchsorted(height, sorted((y1, y2)))
        if start < stop:
            side = x1 + (height[start:stop] - y1) * ((x2 - x1) / (y2 - y1))
            odd[start:stop] ^= across[start:stop] < side
    found = np.empty(len(points), bool)
    found[order] = odd
    return found


def drawn(n: int, limit: int, strata: np.ndarray | None = None) -> np.ndarray:
    """Rows to draw of n, ascending: all of them, or a random sample of `limit`.

    With `strata` (codes (n,)) every stratum gets an equal part of the sample; what a small one leaves goes to the others.
    """
    if n <= limit:
        return np.arange(n)
    lot = stream(0, "drawn").random(n)
    if strata is None:
        return np.sort(_lowest(lot, limit))
    groups = [np.flatnonzero(strata == code) for code in np.unique(strata)]
    kept, left = [], limit
    for place, rows in enumerate(sorted(groups, key=len)):
        quota = min(len(rows), left // (len(groups) - place))
        kept.append(rows[_lowest(lot[rows], quota)])
        left -= quota
    return np.sort(np.concatenate(kept))


def _lowest(values: np.ndarray, n: int) -> np.ndarray:
    """Places of the n lowest, in no order; an order of a million takes half a second."""
    return np.argpartition(values, n - 1)[:n] if 0 < n < len(values) else np.arange(n)


def typical(vectors: Embeddings, pairs: Interactions, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `pairs` nearest to and farthest from their common centre, each int64 (at most n,), the most telling first.

    By the cosine of a pair's two vectors side by side, as they are projected, and their mean: in the space of the training,
    not on the plane. No row is in both.
    """
    user, item = _unit(vectors.user), _unit(vectors.item)
    to_user, to_item = (
        side @ (np.bincount(place, minlength=len(side)) @ side) for side, place in ((user, pairs.user), (item, pairs.item))
    )
    order = np.argsort(-(to_user[pairs.user] + to_item[pairs.item]), kind="stable")
    n = min(n, len(order) // 2)
    return order[:n], order[::-1][:n]


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (_padded(vectors, 2) / np.maximum(length, 1e-12)).astype(np.float32)


def _padded(vectors: np.ndarray, width: int) -> np.ndarray:
    return np.pad(vectors, ((0, 0), (0, max(width - vectors.shape[1], 0))))
