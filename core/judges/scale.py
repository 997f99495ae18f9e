"""From measures of likeness to one score per view, and the cut-offs: read off random and observed pairs.

Observed pairs hold some noise, random pairs some relevant ones. Both are mixtures of the same two kinds of pairs, so
what separates them best also separates the kinds best, whatever the shares are (learning from positive and unlabelled
examples).
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from core.records import VIEWS

LEAST_SEPARATION = 0.05
"""Below this the difference between observed and random pairs may be chance."""


class Scale:
    """Per view a logistic model of "observed rather than random", as likely as not at 0.5, with weights >= 0.

    `high` is the one cut-off for both views at which "High in both" is most more frequent among observed pairs than
    among random ones (`separation`); below a view's `low`, the middle of the random pairs, it is Low.
    """

    def __init__(self, random: dict[str, np.ndarray], observed: dict[str, np.ndarray]) -> None:
        self._models = {view: _fit(random[view], observed[view]) for view in VIEWS}
        of_random, of_observed = self.scores(random), self.scores(observed)
        self._random = {view: np.sort(of_random[view]) for view in VIEWS}
        weakest_random, weakest_observed = (np.minimum(*(scores[view] for view in VIEWS)) for scores in (of_random, of_observed))
        self.high, self.separation = _best_cut(weakest_random, weakest_observed)
        self.low = {view: min(self.high, _middle(self._random[view])) for view in VIEWS}

    def scores(self, measures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Scores (n,) in [0, 1] by view."""
        found = {}
        for view in VIEWS:
            weights, offset = self._models[view]
            found[view] = 1 / (1 + np.exp(-(measures[view] @ weights + offset)))
        return found

    def above_random(self, view: str, score: float) -> float:
        """Share of the random pairs that score lower."""
        return float(np.searchsorted(self._random[view], score) / max(len(self._random[view]), 1))


def _fit(random: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (n_measures,) and offset. A measure that would count against likeness is left out: it stands in for another."""
    used = np.arange(observed.shape[1])
    weights, offset = np.zeros(observed.shape[1]), 0.0
    if not len(random) or not len(observed):
        return weights, offset
    rows = np.concatenate([random, observed])
    kind = np.repeat([0, 1], [len(random), len(observed)])
    while len(used):
        model = LogisticRegression(class_weight="balanced").fit(rows[:, used], kind)
        if (model.coef_[0] >= 0).all():
            weights[used], offset = model.coef_[0], float(model.intercept_[0])
            break
        used = np.delete(used, model.coef_[0].argmin())
    return weights, offset


def _best_cut(random: np.ndarray, observed: np.ndarray) -> tuple[float, float]:
    """The cut with the largest difference between the shares of observed and random scores that reach it (Youden's J)."""
    if not len(random) or not len(observed):
        return 1.0, 0.0
    cuts = np.unique(observed)
    reach = [1 - np.searchsorted(np.sort(scores), cuts, side="left") / len(scores) for scores in (observed, random)]
    best = int(np.argmax(reach[0] - reach[1]))
    return float(cuts[best]), float((reach[0] - reach[1])[best])


def _middle(scores: np.ndarray) -> float:
    return float(np.median(scores)) if len(scores) else 0.0
