"""Two raters about the same pairs: how far they agree, whose labels would differ, and which is righter by people's answers.

A rater is a judge with its model, weights and prompt version, so two versions of a rubric are two raters.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from core import agreement, labels
from core.agreement import Estimate
from core.assessment import People
from core.labels import PAIR, RATER
from core.records import VIEWS, Dataset, Label, Rating
from core.store.audits import population
from core.wording import counted

RELEVANT = (Label.HARD_POSITIVE.word, Label.MISSED_POSITIVE.word)
A, B = " A", " B"
"""Ends of the names of columns that both raters have."""
CLEAR = 0.05


@dataclass(frozen=True, eq=False)
class Rivals:
    """Raters A and B about the pairs that both have judged in both views."""

    pairs: pd.DataFrame  # user_id, item_id, and with A and B behind: user view, item view, label
    views: dict[str, np.ndarray]  # int64 (3, 3) by view: pairs by A's and B's rating, High to Low
    kappa: dict[str, Estimate]  # by view, quadratic weights
    labels_kappa: Estimate  # of relevant or not
    differ: Estimate  # pairs with another label
    outcomes: np.ndarray  # int64 (2, 2): pairs with a person's answer by A's and B's, right first
    right: tuple[Estimate, Estimate]  # of A and B: pairs labelled as people say
    difference: Estimate  # B less A
    chance: float | None  # of a difference as clear when both err as often (McNemar, exact); None without any

    @property
    def clear(self) -> bool:
        """Whether people's answers tell which is righter."""
        one = self.difference
        return one.value is not None and not one.low <= 0 <= one.high and self.chance < CLEAR

    @property
    def verdict(self) -> str:
        """Which is righter, in a sentence."""
        n, one = self.difference.n, self.difference
        if one.value is None:
            return "Nobody has answered about these pairs yet, so which is righter cannot be told."
        a, b = (part.value for part in self.right)
        about = f"A is right about {a:.0%} and B about {b:.0%} of {counted(n, 'pair')}"
        points = [100 * value for value in (one.value, one.low, one.high)]
        if not self.clear:
            low, high = points[1:]
            return f"Which is righter cannot be told yet: {about}; B less A lies between {low:+.0f} and {high:+.0f} points."
        more, (least, most) = abs(points[0]), sorted(map(abs, points[1:]))
        return f"{'B' if one.low > 0 else 'A'} is righter: {about}, {more:.0f} points more ({least:.0f} to {most:.0f})."


def opinions(dataset: Dataset, answers: pd.DataFrame) -> pd.DataFrame:
    """The newest complete opinion of every rater about every pair, by Store.answers: columns of core.store.audits.population."""
    return population(dataset, answers).drop_duplicates([*PAIR, *RATER], keep="last")


def beside(dataset: Dataset, known: pd.DataFrame, a: pd.Series, b: pd.Series, people: People) -> Rivals:
    """Compare two raters; `known` is what `opinions` gives."""
    columns = [*PAIR, *(f"{view} view" for view in VIEWS), "label"]
    pairs = known[labels.of_rater(known, a)][columns].merge(known[labels.of_rater(known, b)][columns], on=PAIR, suffixes=(A, B))
    user, _ = labels.positions(dataset, pairs)
    levels = {view: [_levels(pairs[f"{view} view{end}"]) for end in (A, B)] for view in VIEWS}
    relevant = [pairs[f"label{end}"].isin(RELEVANT).to_numpy() for end in (A, B)]
    said = pairs.assign(a=relevant[0], b=relevant[1]).merge(people.rows, on=PAIR)
    right = [(said[name] == said["relevant"]).to_numpy(bool) for name in ("a", "b")]
    weight = said["weight"].to_numpy(float)
    apart = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    return Rivals(
        pairs=pairs,
        views={view: agreement.crossed(*levels[view], len(Rating)) for view in VIEWS},
        kappa={view: agreement.kappa(user, *levels[view], len(Rating)) for view in VIEWS},
        labels_kappa=agreement.kappa(user, *(part.astype(np.int64) for part in relevant), 2),
        differ=agreement.share(relevant[0] != relevant[1], np.ones(len(pairs))),
        outcomes=agreement.crossed(*((~part).astype(np.int64) for part in right), 2),
        right=(agreement.share(right[0], weight), agreement.share(right[1], weight)),
        difference=agreement.paired(*right, weight),
        chance=float(stats.binomtest(apart[0], sum(apart)).pvalue) if sum(apart) else None,
    )


def _levels(ratings: pd.Series) -> np.ndarray:
    return ratings.map({rating.value: level for level, rating in enumerate(Rating)}).to_numpy(np.int64)
