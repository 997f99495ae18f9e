"""Phrases of reasons that come with ratings which people confirm, and with those that they override."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 20
"""Reasons of each kind that it takes."""
LEAST_OF_PHRASE = 3
"""Reasons that a phrase stands in at least."""
PRIOR = 10.0
"""Reasons in all by which rare phrases are drawn to "as often in both"."""


@dataclass(frozen=True)
class Phrase:
    """Two or three words in a row."""

    words: str
    confirmed: int  # reasons that it stands in
    overridden: int
    z: float  # of the log-odds ratio, above 0 where it comes with overridden ratings


@dataclass(frozen=True)
class Phrases:
    """The most telling ones of each kind; none while there are too few reasons."""

    confirmed: list[Phrase]
    overridden: list[Phrase]
    n_confirmed: int  # reasons
    n_overridden: int

    @property
    def needed(self) -> tuple[int, int]:
        """How many more confirmed and overridden ratings it takes."""
        return max(LEAST - self.n_confirmed, 0), max(LEAST - self.n_overridden, 0)


def telling(reasons: Sequence[str], confirmed: np.ndarray, shown: int = 10) -> Phrases:
    """Log-odds ratios with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008, "Fightin' Words") over phrases, each
    counted once a reason; of `confirmed` and other reasons, bool (n,), the `shown` most telling phrases of each kind."""
    n_confirmed, n_overridden = int(confirmed.sum()), int((~confirmed).sum())
    nothing = Phrases([], [], n_confirmed, n_overridden)
    if max(nothing.needed):
        return nothing
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    counting = CountVectorizer(ngram_range=(2, 3), binary=True, min_df=LEAST_OF_PHRASE)
    try:
        counts = counting.fit_transform(reasons)
    except ValueError:  # no phrase is in so many reasons
        return nothing
    words = counting.get_feature_names_out()
    says = np.array([not set(phrase.split()) <= ENGLISH_STOP_WORDS for phrase in words])
    kept, words = counts[:, says], words[says]
    with_it, without = (np.asarray(kept[part].sum(axis=0)).ravel() for part in (confirmed, ~confirmed))
    z = log_odds(without, with_it)
    found = [Phrase(*row) for row in zip(words.tolist(), with_it.tolist(), without.tolist(), z.tolist(), strict=True)]
    ranked = sorted(found, key=lambda phrase: phrase.z)
    lower = [phrase for phrase in ranked if phrase.z < 0][:shown]
    higher = [phrase for phrase in reversed(ranked) if phrase.z > 0][:shown]
    return Phrases(lower, higher, n_confirmed, n_overridden)


def log_odds(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """z of the log-odds ratio of each phrase, counts (m,) in two groups: float (m,), above 0 where the first has more.

    The prior is that of both groups together, PRIOR counts in all.
    """
    total = first + second
    prior = PRIOR * total / max(total.sum(), 1)

    def odds(counts: np.ndarray) -> np.ndarray:
        return np.log((counts + prior) / (counts.sum() + PRIOR - counts - prior))

    return (odds(first) - odds(second)) / np.sqrt(1 / (first + prior) + 1 / (second + prior))
