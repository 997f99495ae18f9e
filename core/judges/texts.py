"""What a language model reads about a pair: the person's profile and history, drawn so that the pair does not answer itself.

A history holds train items that are not up for judgment themselves, so that one history serves all questions about a
user: nothing leaks, and a server re-uses what it has read. Users with too few such items get all others: leave-one-out.
"""

import zlib
from collections import Counter

import numpy as np

from core.prompts import PROFILE_CHARS, TEXT_CHARS, TITLE_CHARS, Item, Prompt, item_view, user_view
from core.records import Candidates, Dataset

ENOUGH = 3
"""With fewer items that are not up for judgment, a user's history is all items but the one in question."""

EXAMPLES, CATEGORIES = 8, 10


class PairTexts:
    """Prompts for pairs of a dataset; `pairs` are all that are up for judgment, whether they are asked about now or not."""

    def __init__(self, dataset: Dataset, pairs: Candidates, history_items: int) -> None:
        self._dataset = dataset
        self._size = history_items
        self._titles = np.where(dataset.item_title == dataset.item_ids, "", dataset.item_title)
        self._told = (self._titles != "") | (dataset.item_category != "") | (dataset.item_text != "")
        users = np.unique(pairs.user)
        self._chosen = _by_user(dataset, users)
        doubted = _grouped(pairs.user[pairs.observed], pairs.item[pairs.observed])
        self._sure = {user: [item for item in self._chosen[user] if item not in doubted.get(user, ())] for user in users.tolist()}

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        past = self._past(user, item)
        size = max(1, self._size // 2) if short else self._size
        candidate = self._item(item)
        if short:
            candidate = Item(candidate.title, candidate.category, candidate.description[:200])
        if view == "item":
            return item_view([self._item(other) for other in past[:size]], candidate)
        return user_view(self._profile(user, past, size), candidate)

    def longest(self) -> int:
        """Characters of the longest user message that may come: the largest history or profile, and an item."""
        data = self._dataset
        texts = zip(self._titles, data.item_category, data.item_text, strict=True)
        lengths = [min(len(title), 200) + min(len(category), 200) + min(len(text), 160) + 30 for title, category, text in texts]
        histories = (
            sum(sorted((lengths[item] for item in chosen), reverse=True)[: self._size]) for chosen in self._chosen.values()
        )
        return max(PROFILE_CHARS, *histories, 0) + 2 * TITLE_CHARS + TEXT_CHARS + 200

    def _past(self, user: int, item: int) -> list[int]:
        """The user's items that may be shown beside this one, in an order that depends on nothing else."""
        sure = self._sure[user]
        past = sure if len(sure) >= ENOUGH else self._chosen[user]
        return [other for other in past if other != item and self._told[other]]

    def _item(self, item: int) -> Item:
        data = self._dataset
        return Item(self._titles[item], data.item_category[item], data.item_text[item])

    def _profile(self, user: int, past: list[int], size: int) -> str:
        """Attributes, frequent categories, and titles that the history does not show, so that the views stay two opinions."""
        counts = Counter(value for other in past for value in self._dataset.item_category[other].split("|") if value)
        often = ", ".join(f"{value} ({n})" for value, n in counts.most_common(CATEGORIES))
        others = past[size : size + EXAMPLES] if often else past[:EXAMPLES]
        titles = "; ".join(self._titles[other] for other in others if self._titles[other])
        known = self._dataset.user_text[user].strip()
        parts = [known if known.endswith((".", "!", "?")) or not known else f"{known}."]
        parts += [f"Of {len(past)} items chosen before, categories and how often: {often}."] if often else []
        parts += [f"Chose for example: {titles}."] if titles else []
        return " ".join(part for part in parts if part)


def _grouped(user: np.ndarray, item: np.ndarray) -> dict[int, set[int]]:
    groups: dict[int, set[int]] = {}
    for one, other in zip(user.tolist(), item.tolist(), strict=True):
        groups.setdefault(one, set()).add(other)
    return groups


def _by_user(dataset: Dataset, users: np.ndarray) -> dict[int, list[int]]:
    """Each user's train items in an order of their own that stays when others come or go: by a hash of the ids."""
    kept = np.isin(dataset.train.user, users)
    groups = _grouped(dataset.train.user[kept], dataset.train.item[kept])

    def order(user: int, item: int) -> int:
        return zlib.crc32(f"{dataset.user_ids[user]}\x00{dataset.item_ids[item]}".encode())

    return {user: sorted(groups.get(user, ()), key=lambda item: (order(user, item), item)) for user in users.tolist()}
