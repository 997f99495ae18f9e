"""Two components of the loss: the split that learning with noisy labels makes when nobody has labelled anything.

As in DivideMix (Li, Socher, Hoi, ICLR 2020), with the logarithm of the loss, which is nearer to normal than the loss itself.
Whether the upper component is noise is another question: hard clicks lie there, too.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from core.rng import stream

FITTED = 50_000
"""Losses that are looked at, at most."""
LEAST = 50


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two normal distributions of log(loss), the lower one first."""

    mean: np.ndarray  # float64 (2,)
    deviation: np.ndarray  # float64 (2,)
    weight: np.ndarray  # float64 (2,), sums to 1
    crossing: float | None  # loss above which the upper one is likelier; None when that does not happen between the means
    better: bool  # than one component, by BIC
    n: int  # losses that it was fitted on

    def below(self, loss: np.ndarray) -> np.ndarray:
        """The share of each component at or below losses (n,) > 0: (2, n)."""
        return norm.cdf((np.log(loss) - self.mean[:, None]) / self.deviation[:, None])


def fit(loss: np.ndarray, seed: int = 0) -> Mixture | None:
    """Of losses (n,); those that are not above 0 have no logarithm and stay out. None with fewer than LEAST different ones."""
    known = loss[loss > 0].astype(np.float64)
    if len(known) > FITTED:
        known = stream(seed, "mixture").choice(known, FITTED, replace=False)
    if len(np.unique(known)) < LEAST:
        return None
    rows = np.log(known)[:, None]
    one, two = (GaussianMixture(parts, random_state=seed).fit(rows) for parts in (1, 2))
    order = np.argsort(two.means_[:, 0])
    mean, weight = two.means_[order, 0], two.weights_[order]
    deviation = np.sqrt(two.covariances_[order, 0, 0])
    return Mixture(mean, deviation, weight, _crossing(mean, deviation, weight), bool(two.bic(rows) < one.bic(rows)), len(rows))


def _crossing(mean: np.ndarray, deviation: np.ndarray, weight: np.ndarray) -> float | None:
    """Where both weighted densities are equal: a root of a quadratic in log(loss)."""
    square = 1 / (2 * deviation**2)
    height = np.log(weight / deviation) - square * mean**2
    roots = np.roots([square[0] - square[1], -2 * (square * mean) @ [1, -1], height[1] - height[0]])
    between = [float(root.real) for root in roots if np.isreal(root) and mean[0] < root.real < mean[1]]
    return float(np.exp(between[0])) if between else None
