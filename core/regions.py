"""What a plane of points shows beside the points themselves: how dense it is, and where a group gathers.

The place where a group gathers is the circle with the highest likelihood ratio, as in the spatial scan statistic (Kulldorff
1997). The best of many circles looks good by chance, so it is looked for on one half of the rows and measured on the other.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from scipy.special import rel_entr

from core.dynamics import Share, share
from core.rng import stream

BINS = 128
MARGIN = 0.04
"""Around the box of the points, as a share of its widths: so much of a plane is empty, and a density fades out there."""
CELLS = 48
RADII = (1.5, 2.5, 4.0, 6.0, 9.0, 13.0)
"""Of the circles that are tried [cells]."""
LEAST = 30
"""Rows that a circle must hold in the half on which it is looked for."""
STANDS_OUT = 1.25
"""The least that the ratio of shares must surely be, by its interval, to be worth a sentence."""


@dataclass(frozen=True, eq=False)
class Density:
    """How many points lie where, on a logarithmic scale from 0 (none) to 255 (the most)."""

    x: np.ndarray  # float64 (BINS,) middles
    y: np.ndarray  # float64 (BINS,)
    level: np.ndarray  # uint8 (BINS, BINS), rows by y


@dataclass(frozen=True, eq=False)
class Gathering:
    """A circle on the plane and the share of a group within and elsewhere, on rows that had no part in choosing it."""

    group: int
    x: np.ndarray  # float64 (corners,) of the circle, in the units of the plane
    y: np.ndarray  # float64 (corners,)
    inside: Share
    outside: Share
    ratio: float
    low: float  # 95 % interval (Katz 1978)
    high: float

    @property
    def stands_out(self) -> bool:
        return self.low >= STANDS_OUT


def density(points: np.ndarray) -> Density:
    """Of points (n, 2), n > 0: counted in bins, smoothed over one bin."""
    low, width = _frame(points)
    low, width = low - MARGIN * width, (1 + 2 * MARGIN) * width
    count = np.bincount(_cell(points, BINS, (low, width)), minlength=BINS**2).reshape(BINS, BINS)
    smooth = np.log1p(gaussian_filter(count.astype(np.float64), 1))
    middle = (np.arange(BINS) + 0.5) / BINS
    x, y = (low[axis] + width[axis] * middle for axis in (0, 1))
    return Density(x, y, np.round(255 * smooth / max(smooth.max(), 1e-12)).astype(np.uint8))


def gathers(points: np.ndarray, group: np.ndarray, wanted: list[int]) -> Gathering | None:
    """Which of the `wanted` codes of `group` (n,) gathers most surely in one circle of the plane (n, 2), and where.

    None when no wanted group has a circle: too few rows, or all in one place.
    """
    first, cell = stream(0, "regions").random(len(points)) < 0.5, _cell(points, CELLS)
    found = [one for code in wanted if (one := _scan(points, cell, group == code, first, code)) is not None]
    return max(found, key=lambda one: one.low, default=None)


def explained(points: np.ndarray, values: np.ndarray) -> float:
    """Share [0, 1] of the variance of `values` (n,) that the place on the plane (n, 2) explains.

    Means of cells from one half of the rows foretell the other; NaN values are left out, and without variance it is 0.
    """
    known = np.isfinite(values)
    points, values = points[known], values[known].astype(np.float64)
    first = stream(0, "regions").random(len(points)) < 0.5
    if first.all() or not first.any() or values[~first].var() == 0:
        return 0.0
    side = CELLS // 2
    cell, mean, prior = _cell(points, side), values[first].mean(), 5
    n = np.bincount(cell[first], minlength=side**2)
    told = (np.bincount(cell[first], values[first], side**2) + prior * mean) / (n + prior)
    return float(max(1 - np.mean((values[~first] - told[cell[~first]]) ** 2) / values[~first].var(), 0))


def _scan(points: np.ndarray, cell: np.ndarray, member: np.ndarray, first: np.ndarray, code: int) -> Gathering | None:
    n_all, n_own = (np.bincount(cell[rows], minlength=CELLS**2).reshape(CELLS, CELLS) for rows in (first, first & member))
    best, place = 0.0, None
    if not first.any():
        return None
    for radius in RADII:
        reach = np.arange(-int(radius), int(radius) + 1)
        disc = (reach[:, None] ** 2 + reach**2 <= radius**2).astype(np.float64)
        n, own = (np.round(fftconvolve(count, disc, mode="same")) for count in (n_all, n_own))
        score = np.where((n >= LEAST) & (n <= n_all.sum() / 2), _likelihood(own, n, n_own.sum(), n_all.sum()), 0)
        if score.max() > best:
            best, place = score.max(), (*divmod(int(score.argmax()), CELLS), radius)
    if place is None:
        return None
    low, width = _frame(points)
    row, column, radius = place
    centre, reach = low + width * (np.array([column, row]) + 0.5) / CELLS, width * (radius + 0.5) / CELLS
    within = sum(((points[:, axis] - centre[axis]) / reach[axis]) ** 2 for axis in (0, 1)) <= 1
    inside, outside = (share(int((rows & member).sum()), int(rows.sum())) for rows in (~first & within, ~first & ~within))
    angle = np.linspace(0, 2 * np.pi, 49)[:-1]
    ratio, low_ratio, high_ratio = _ratio(inside, outside)
    x, y = centre[0] + reach[0] * np.cos(angle), centre[1] + reach[1] * np.sin(angle)
    return Gathering(code, x, y, inside, outside, ratio, low_ratio, high_ratio)


def _likelihood(own: np.ndarray, n: np.ndarray, all_own: int, all_n: int) -> np.ndarray:
    """Log of the likelihood ratio of two shares, inside and outside, to one share; 0 where it is not higher inside."""
    rest, rest_own = all_n - n, all_own - own
    told = sum(
        rel_entr(part, whole * total / all_n)
        for part, whole, total in (
            (own, n, all_own),
            (n - own, n, all_n - all_own),
            (rest_own, rest, all_own),
            (rest - rest_own, rest, all_n - all_own),
        )
    )
    return np.where(own * rest > rest_own * n, told, 0)


def _ratio(inside: Share, outside: Share) -> tuple[float, float, float]:
    """Ratio of two shares with its 95 % interval; (0, 0, inf) when it cannot be told."""
    if not inside.hits or not outside.hits:
        return 0.0, 0.0, np.inf
    spread = 1.96 * np.sqrt(1 / inside.hits - 1 / inside.n + 1 / outside.hits - 1 / outside.n)
    ratio = inside.value / outside.value
    return ratio, ratio * np.exp(-spread), ratio * np.exp(spread)


def corners(*clouds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest corner of the box around all points of clouds (n, 2): float64 (2,), (2,)."""
    columns = [[cloud[:, axis] for cloud in clouds] for axis in range(2)]  # numpy is slow along rows of two
    low, high = ([float(find(list(map(find, column)))) for column in columns] for find in (np.min, np.max))
    return np.array(low), np.array(high)


def _frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest corner and widths of the box around points: float64 (2,), (2,)."""
    low, high = corners(points)
    return low, np.maximum(high - low, 1e-9)


def _cell(points: np.ndarray, side: int, frame: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
    """The cell of each point in a grid of side x side over a frame, or the box around all: int64 (n,), rows by y."""
    low, width = frame or _frame(points)
    x, y = (np.minimum((points[:, axis] - low[axis]) / width[axis] * side, side - 1).astype(np.int64) for axis in (0, 1))
    return y * side + x
