"""How far raters agree and how often they are right: shares, kappa and alpha, each with its interval and its n.

Levels are whole numbers from 0, in order. Intervals hold 95 %. Those of kappa and alpha resample users, whose answers
belong together; those of shares are Wilson's, which also hold for few answers and for none or all that are right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import krippendorff
import numpy as np

from core.rng import stream

Z = NormalDist().inv_cdf(0.975)
RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval. None where it cannot be told; `how` then says why, else where the interval is from."""

    value: float | None
    low: float | None
    high: float | None
    n: int  # answers that it rests on
    how: str
    effective: float = 0.0  # as many answers of equal weight would tell as much


def share(hit: np.ndarray, weight: np.ndarray) -> Estimate:
    """The weighted share of hits: bool (n,), weights > 0 float (n,).

    The interval is Wilson's at Kish's effective number of answers, (sum w)^2 / sum w^2, which is n with equal weights.
    """
    n = len(hit)
    if not n:
        return Estimate(None, None, None, 0, "no answers yet")
    value, effective = float(np.average(hit, weights=weight)), float(weight.sum() ** 2 / (weight**2).sum())
    equal = np.allclose(weight, weight[0])
    how = "Wilson" if equal else f"Wilson, weighted by strata: worth {effective:.0f} answers of equal weight"
    return Estimate(value, *wilson(value, effective), n, how, effective)


def wilson(value: float, n: float) -> tuple[float, float]:
    """The score interval of a share of n answers (Wilson 1927); n > 0 need not be whole."""
    middle = (value + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * np.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2))
    return max(float(middle - reach), 0.0), min(float(middle + reach), 1.0)


def paired(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> Estimate:
    """By how much the second's share of hits is above the first's, about the same things: bool (n,), weights > 0 float (n,).

    The interval is Newcombe's hybrid score interval for paired shares (1998, method 10), from both Wilson intervals and their
    correlation, at Kish's effective number of answers.
    """
    n = len(first)
    if not n:
        return _undefined(0, "no answers yet")
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    shares = [float(np.average(part, weights=weight)) for part in (first & second, second & ~first, first & ~second)]
    both, gained, lost = (effective * part for part in shares)
    neither = effective - both - gained - lost
    p, q = shares[0] + shares[1], shares[0] + shares[2]
    together = both * neither - gained * lost
    together = max(together - effective / 2, 0.0) if together > 0 else together
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    phi = together / np.sqrt(margins) if margins > 0 else 0.0
    (p_low, p_high), (q_low, q_high) = wilson(p, effective), wilson(q, effective)

    def reach(one: float, other: float) -> float:
        return float(np.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0)))

    low, high = p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low)
    return Estimate(p - q, max(low, -1.0), min(high, 1.0), n, "Newcombe, paired", effective)


def crossed(first: np.ndarray, second: np.ndarray, levels: int) -> np.ndarray:
    """How often two raters gave which levels: int64 (levels, levels), rows the first rater's."""
    return np.bincount(first * levels + second, minlength=levels**2).reshape(levels, levels)


def kappa(user: np.ndarray, first: np.ndarray, second: np.ndarray, levels: int, seed: int = 0) -> Estimate:
    """Cohen's kappa with quadratic weights of two raters' levels (n,), over answers of users (n,)."""
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    counts = crossed(first, second, levels)
    if not len(first):
        return _undefined(0, "no pair has both answers")
    if np.count_nonzero(counts) == 1 and np.trace(counts):
        return _undefined(len(first), ALL_THE_SAME)
    place = np.indices(counts.shape).reshape(2, -1)
    value = cohen_kappa_score(*place, weights="quadratic", labels=range(levels), sample_weight=counts.ravel())
    group, n_groups = _groups(user)
    cell = (group * levels + first) * levels + second
    by_user = np.bincount(cell, minlength=n_groups * levels**2).reshape(n_groups, -1)
    return _resampled(float(value), len(first), by_user, _kappas, levels, seed)


def alpha(user: np.ndarray, answers: np.ndarray, levels: int, seed: int = 0) -> Estimate:
    """Krippendorff's ordinal alpha of raters' levels (n, raters), NaN where one gave none, over answers about users' pairs (n,).

    `n` is the number of pairs with two answers or more; the others tell nothing about agreement.
    """
    counts = (answers[:, :, None] == np.arange(levels)).sum(axis=1)
    kept = counts.sum(axis=1) >= 2
    counts, n = counts[kept], int(kept.sum())
    if not n:
        return _undefined(0, "no pair has two answers")
    if np.count_nonzero(counts.sum(axis=0)) == 1:
        return _undefined(n, ALL_THE_SAME)
    value = krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal")
    together = (counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(levels)) / (
        counts.sum(axis=1)[:, None, None] - 1
    )
    group, n_groups = _groups(user[kept])
    by_user = np.stack([np.bincount(group, cell, n_groups) for cell in together.reshape(n, -1).T], axis=1)
    return _resampled(float(value), n, by_user, _alphas, levels, seed)


ALL_THE_SAME = "every answer is the same, so there is nothing to agree on beyond chance"


def _undefined(n: int, why: str) -> Estimate:
    return Estimate(None, None, None, n, why)


def _groups(user: np.ndarray) -> tuple[np.ndarray, int]:
    names, group = np.unique(user, return_inverse=True)
    return group, len(names)


def _resampled(
    value: float, n: int, by_user: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], levels: int, seed: int
) -> Estimate:
    """The percentile interval of a statistic of tables (resamples, levels, levels); users' own are (users, levels ** 2)."""
    users = len(by_user)
    if users < 2:
        return Estimate(value, None, None, n, "one user only, so no interval")
    rng = stream(seed, "agreement")
    draws = (np.bincount(rng.integers(users, size=users), minlength=users) @ by_user for _ in range(RESAMPLES))
    tables = np.stack(list(draws)).reshape(RESAMPLES, levels, levels).astype(float)
    with np.errstate(invalid="ignore"):  # a resample may hold one level alone
        values = statistic(tables)
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n, f"{RESAMPLES} resamples of {users} users")


def _kappas(tables: np.ndarray) -> np.ndarray:
    """What scikit-learn computes for one table, for many (m, levels, levels) at once."""
    level = np.arange(tables.shape[1])
    chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :] / tables.sum(axis=(1, 2))[:, None, None]
    return _beyond_chance(tables, chance, (level[:, None] - level) ** 2)


def _alphas(tables: np.ndarray) -> np.ndarray:
    """What krippendorff computes from one coincidence matrix, for many (m, levels, levels) at once."""
    given = tables.sum(axis=1)
    chance = given[:, :, None] * given[:, None, :] / (given.sum(axis=1) - 1)[:, None, None]
    middle = given.cumsum(axis=1) - given / 2  # levels lie as far apart as there are answers between them
    return _beyond_chance(tables, chance, (middle[:, :, None] - middle[:, None, :]) ** 2)


def _beyond_chance(seen: np.ndarray, chance: np.ndarray, distance: np.ndarray) -> np.ndarray:
    return 1 - (seen * distance).sum(axis=(1, 2)) / (chance * distance).sum(axis=(1, 2))
