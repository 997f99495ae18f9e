"""What a language model reads about a pair: the person's profile and history, drawn so that the pair does not answer itself.

A history holds train items that are not up for judgment themselves, so that one history serves all questions about a
user: nothing leaks, and a server re-uses what it has read. Users with too few such items get all others: leave-one-out.
The profile rests on items that the history does not show, as far as there are any, so that the views stay two opinions.
"""

import re
import zlib
from collections import Counter

import numpy as np

from core import prompts
from core.judges.base import AS_IT_IS, Changed
from core.prompts import MADE, PAST_CHARS, PROFILE_CHARS, RUBRIC, TEXT_CHARS, TITLE_CHARS, WRITTEN, Item, Prompt, Rubric
from core.records import Candidates, Dataset
from core.store.counterfactuals import Change
from core.untrusted import tame

ENOUGH = 3
"""With fewer items that are not up for judgment, a user's history is all items but the one in question."""

EXAMPLES, CATEGORIES = 8, 10


class PairTexts:
    """Prompts for pairs of a dataset; `pairs` are all that are up for judgment, whether they are asked about now or not.

    profiles: "written" when the language model writes profiles first: `profile_prompt` asks for one, and the answer belongs
    into `written`. A user without an entry there has the profile that is made here.
    """

    def __init__(
        self, dataset: Dataset, pairs: Candidates, history_items: int, rubric: Rubric = RUBRIC, profiles: str = MADE
    ) -> None:
        self.written: dict[int, str] = {}  # position of a user: the profile
        self._dataset = dataset
        self._size = history_items
        self._rubric = rubric
        self._profiles = profiles
        self._titles = np.where(dataset.item_title == dataset.item_ids, "", dataset.item_title)
        self._told = (self._titles != "") | (dataset.item_category != "") | (dataset.item_text != "")
        users = np.unique(pairs.user)
        self._chosen = _by_user(dataset, users)
        doubted = _grouped(pairs.user[pairs.observed], pairs.item[pairs.observed])
        self._sure = {user: [item for item in self._chosen[user] if item not in doubted.get(user, ())] for user in users.tolist()}

    def prompt(self, user: int, item: int, view: str, short: bool = False, change: Changed = AS_IT_IS) -> Prompt:
        """What is left out of a history gives its place to nothing else: one thing is changed, not two."""
        past = self.past(user, item)
        size = max(1, self._size // 2) if short else self._size
        shown, candidate = change.told(past[:size]), self._item(item)
        if change.kind is Change.TITLE:
            candidate = Item(candidate.title)
        if short:
            candidate = Item(candidate.title, candidate.category, candidate.description[:200])
        if view == "item":
            return prompts.item_view([self._item(other) for other in shown], candidate, self._rubric)
        if written := self.written.get(user):
            return prompts.user_view(self._without_titles(written, past[:size]), candidate, self._rubric, WRITTEN)
        return prompts.user_view(self._profile(user, past, size, change), candidate, self._rubric)

    def history(self, user: int, item: int) -> list[int]:
        """Positions of the items that the item view of a pair shows."""
        return self.past(user, item)[: self._size]

    def profile_prompt(self, user: int) -> Prompt | None:
        """The question by which the model writes this user's profile.

        None where one profile could not be leave-one-out for all pairs, or would have nothing to rest on.
        """
        sure = self._sure[user]
        past = [other for other in sure if self._told[other]]
        if self._profiles != WRITTEN or len(sure) < ENOUGH or not past:
            return None
        apart = past[self._size : 2 * self._size]
        items = apart if len(apart) >= ENOUGH else past[: self._size]
        return prompts.profile_prompt([self._item(other) for other in items], self._known(user, past, self._often(past)))

    def longest(self) -> int:
        """Characters of the longest user message that may come: the largest history or profile, and an item."""
        data = self._dataset
        texts = zip(self._titles, data.item_category, data.item_text, strict=True)
        most = (TITLE_CHARS, TITLE_CHARS, PAST_CHARS)
        lengths = [30 + sum(min(len(text), limit) for text, limit in zip(row, most, strict=True)) for row in texts]
        histories = (
            sum(sorted((lengths[item] for item in chosen), reverse=True)[: self._size]) for chosen in self._chosen.values()
        )
        person = max(PROFILE_CHARS, *histories, 0) + (PROFILE_CHARS if self._profiles == WRITTEN else 0)
        return person + 2 * TITLE_CHARS + TEXT_CHARS + 200

    def past(self, user: int, item: int) -> list[int]:
        """The user's items that may be shown beside this one, in an order that depends on nothing else."""
        sure = self._sure[user]
        past = sure if len(sure) >= ENOUGH else self._chosen[user]
        return [other for other in past if other != item and self._told[other]]

    def _item(self, item: int) -> Item:
        data = self._dataset
        return Item(self._titles[item], data.item_category[item], data.item_text[item])

    def _profile(self, user: int, past: list[int], size: int, change: Changed) -> str:
        """What is known, and titles that the history does not show."""
        kept = change.kept(past)
        often = self._often(kept)
        others = change.told(past[size : size + EXAMPLES] if often else past[:EXAMPLES])
        titles = "; ".join(self._titles[other] for other in others if self._titles[other])
        known = self._known(user, kept, often)
        return f"{known} Chose for example: {titles}.".strip() if titles else known

    def _known(self, user: int, past: list[int], often: str) -> str:
        """Attributes and frequent categories."""
        known = self._dataset.user_text[user].strip()
        parts = [known if known.endswith((".", "!", "?")) or not known else f"{known}."]
        parts += [f"Of {len(past)} items chosen before, categories and how often: {often}."] if often else []
        return " ".join(part for part in parts if part)

    def _often(self, past: list[int]) -> str:
        counts = Counter(value for other in past for value in self._dataset.item_category[other].split("|") if value)
        return ", ".join(f"{value} ({n})" for value, n in counts.most_common(CATEGORIES))

    def _without_titles(self, profile: str, shown: list[int]) -> str:
        """A model's profile less the titles that the history shows. A title of one word may be the name of a taste."""
        titles = [tame(self._titles[other], TITLE_CHARS)[0] for other in shown]
        named = sorted((title for title in titles if " " in title), key=len, reverse=True)
        if not named:
            return profile
        return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, named))})(?!\w)", "(a title)", profile, flags=re.IGNORECASE)


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
