"""Named attributes of items (categories and words), weighted by rarity: what the built-in rater compares and can show."""

import re
from collections import Counter

import numpy as np
from scipy import sparse

from core.records import Dataset

_WORD = re.compile(r"[^\W\d_]{3,}")
COMMON_SHARE = 0.2
"""Words in more than this share of the items tell nothing about one of them; categories count however common they are."""


class Attributes:
    """Which item has which attribute, and how rare each is."""

    def __init__(self, dataset: Dataset) -> None:
        rows = [_of_item(dataset, item) for item in range(dataset.n_items)]
        counts = Counter(name for row in rows for name in row)
        common = COMMON_SHARE * dataset.n_items
        self.names = np.array(
            sorted(name for name, n in counts.items() if n > 1 and (name[0] == "=" or n <= common)), dtype=object
        )
        place = {name: column for column, name in enumerate(self.names)}
        pairs = [(item, place[name]) for item, row in enumerate(rows) for name in sorted(row) if name in place]
        item, column = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        self.of_item = sparse.csr_array(
            (np.ones(len(item), np.float32), (item, column)), shape=(dataset.n_items, len(self.names))
        )
        frequency = np.array([counts[name] for name in self.names], dtype=np.float64)
        self.rarity = np.log(max(dataset.n_items, 1) / np.maximum(frequency, 1)).astype(np.float32)

    def words(self, columns: np.ndarray) -> list[str]:
        """Attribute names as people read them, rarest first."""
        ordered = sorted(columns.tolist(), key=lambda column: -self.rarity[column])
        return [self.names[column].removeprefix("=") for column in ordered]


def _of_item(dataset: Dataset, item: int) -> set[str]:
    """Categories as "=Jazz", words of title and description in lower case."""
    title = "" if dataset.item_title[item] == dataset.item_ids[item] else dataset.item_title[item]
    categories = {f"={value.strip()}" for value in dataset.item_category[item].split("|") if value.strip()}
    known = {value.removeprefix("=").casefold() for value in categories}
    return categories | (set(_WORD.findall(f"{title} {dataset.item_text[item]}".casefold())) - known)
