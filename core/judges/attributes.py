"""Named attributes of items (categories and words) and how much each tells about taste: what the built-in rater shows."""

import re
from collections import Counter

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from core.records import Dataset

_WORD = re.compile(r"[^\W\d_]{3,}")
PRIOR_PAIRS = 10.0
"""Pairs of chosen items by which the weight of a rare attribute is drawn to "tells nothing"."""


class Attributes:
    """Which item has which attribute, which user speaks of it, and its weight.

    An attribute's weight is the logarithm of how much more often two items of one user share it than two clicks by
    chance do, never below 0: words that are everywhere weigh nothing, however rare they are, a taste's words weigh much.
    """

    def __init__(self, dataset: Dataset) -> None:
        rows = [_of_item(dataset, item) for item in range(dataset.n_items)]
        counts = Counter(name for row in rows for name in row)
        self.names = np.array(sorted(name for name, n in counts.items() if n > 1), dtype=object)
        self._place = {name: column for column, name in enumerate(self.names)}
        self.of_item = self._matrix(rows)  # 0/1 float32 (n_items, n_attributes)
        self.of_user = self._matrix(self._said(dataset.user_text))  # (n_users, n_attributes): words of the user's own text
        shape = (dataset.n_users, dataset.n_items)
        ones = np.ones(len(dataset.train), np.float32)
        self.chosen = sparse.csr_array((ones, (dataset.train.user, dataset.train.item)), shape=shape)
        self.weight = _togetherness(self.chosen, self.of_item)  # float32 (n_attributes,)

    def words(self, columns: np.ndarray) -> list[str]:
        """Attribute names as people read them."""
        return [self.names[column].removeprefix("=") for column in columns.tolist()]

    def _matrix(self, rows: list[set[str]]) -> sparse.csr_array:
        pairs = [(row, self._place[name]) for row, names in enumerate(rows) for name in sorted(names) if name in self._place]
        row, column = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return sparse.csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(rows), len(self.names)))

    def _said(self, texts: np.ndarray) -> list[set[str]]:
        """Words of users' texts, and categories that they name in full."""
        categories = {name.removeprefix("=").casefold(): name for name in self.names if name.startswith("=")}
        spoken = re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(categories, key=len, reverse=True))) + r")\b")
        said = []
        for text in map(str.casefold, texts):
            named = {categories[found] for found in spoken.findall(text)} if categories else set()
            said.append(named | _words(text))
        return said


def _of_item(dataset: Dataset, item: int) -> set[str]:
    """Categories as "=Jazz", words of title and description in lower case."""
    title = "" if dataset.item_title[item] == dataset.item_ids[item] else dataset.item_title[item]
    categories = {f"={value.strip()}" for value in dataset.item_category[item].split("|") if value.strip()}
    known = {value.removeprefix("=").casefold() for value in categories}
    return categories | (_words(f"{title} {dataset.item_text[item]}".casefold()) - known)


def _words(text: str) -> set[str]:
    """Words that can be evidence: "and" shows no taste, even where chance gives it some weight."""
    return set(_WORD.findall(text)) - ENGLISH_STOP_WORDS


def _togetherness(chosen: sparse.csr_array, of_item: sparse.csr_array) -> np.ndarray:
    """log(observed / expected) of pairs of one user's items that share an attribute: float32 (n_attributes,), >= 0."""
    counts = chosen @ of_item
    clicks = np.asarray(counts.sum(axis=0)).ravel().astype(np.float64)
    shared = (np.asarray(counts.multiply(counts).sum(axis=0)).ravel() - clicks) / 2
    per_user = np.asarray(chosen.sum(axis=1)).ravel().astype(np.float64)
    pairs = (per_user * (per_user - 1) / 2).sum()
    expected = pairs * (clicks / max(per_user.sum(), 1)) ** 2
    return np.log(np.maximum((shared + PRIOR_PAIRS) / (expected + PRIOR_PAIRS), 1)).astype(np.float32)
