"""All pairs of a dataset that anything is known about, as columns of codes: what filters are tested on.

What no decision changes (`ground`) is worked out once; labels, ratings and decisions are spread over it (`known`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import browse, dynamics, labels, queue
from core.records import Candidates, Dataset, LabelSet, Pairs, Rating

CLICKED = (*browse.SPLITS, "no")
RATED = (*(rating.value.lower() for rating in Rating), "none")
VIEWS_SAY = ("agree", "differ", "missing")
STATUSES = ("undecided", "mine", "others", "flagged", "conflict")
_UNRATED = len(Rating)


@dataclass(frozen=True, eq=False)
class Rows(Pairs):
    """What no decision changes of pairs."""

    clicked: np.ndarray  # int8 (n,) place in CLICKED
    loss: np.ndarray  # float32 (n,) share [0, 1] of the clicks with a lower averaged loss; NaN where none was recorded
    doubt: np.ndarray  # float32 (n,) of the candidates, (0, 1); NaN where there is none


@dataclass(frozen=True, eq=False)
class Ground:
    """Every interaction, in the order of browse.Listing, then candidates that were not clicked; and what they are found by."""

    dataset: Dataset
    rows: Rows  # (m,)
    codes: np.ndarray  # int64 (m,) pair codes, sorted
    order: np.ndarray  # int64 (m,) the row of each
    words: tuple[str, ...]  # (n_items,) id and title in small letters
    popularity: np.ndarray  # int8 (n_items,) third of the items by training clicks
    history: np.ndarray  # int8 (n_users,) third of the users by training clicks


@dataclass(frozen=True, eq=False)
class Known:
    """The rows of a ground, then examined pairs that it lacks, with what is said of each now."""

    ground: Ground
    rows: Rows  # (n,)
    extra: np.ndarray  # int64 (n - m,) codes of the pairs that the ground lacks, sorted
    label: np.ndarray  # int8 (n,) Label
    source: np.ndarray  # int8 (n,) Source
    user_view: np.ndarray  # int8 (n,) place in RATED
    item_view: np.ndarray  # int8 (n,)
    decided: dict[str, np.ndarray]  # {annotator: int64 rows of the pairs that they have an answer about}
    flagged: np.ndarray  # int64 rows
    conflict: np.ndarray  # int64 rows of pairs that people differ about

    def __len__(self) -> int:
        return len(self.rows)

    def places(self, codes: np.ndarray) -> np.ndarray:
        """Rows int64 of pair codes, of a pair that is there twice the first; -1 where it is not known."""
        return _places(self.ground, self.extra, codes)

    def place(self, side: str, raw_id: str) -> int:
        """Position of a raw id of a user or an item (`side`); -1 where the dataset has none."""
        ids = self.ground.dataset.user_ids if side == "user" else self.ground.dataset.item_ids
        return next(iter(np.flatnonzero(ids == raw_id)), -1)

    def titled(self, text: str) -> np.ndarray:
        """Which items have these words in their id or title: bool (n_items,)."""
        wanted = text.casefold()
        return np.fromiter((wanted in words for words in self.ground.words), bool, len(self.ground.words))

    def among(self, name: str, places: Sequence[int]) -> np.ndarray:
        """Which pairs have one of these codes in a column, `views`, or a third of the items or users: bool (n,)."""
        allowed = np.zeros(8, bool)
        allowed[list(places)] = True
        if name == "popularity":
            return allowed[self.ground.popularity][self.rows.item]
        if name == "history":
            return allowed[self.ground.history][self.rows.user]
        return allowed[self._column(name)]

    def _column(self, name: str) -> np.ndarray:
        if name == "clicked":
            return self.rows.clicked
        if name != "views":
            return getattr(self, name)
        missing = (self.user_view == _UNRATED) | (self.item_view == _UNRATED)
        return np.where(missing, 2, self.user_view != self.item_view).astype(np.int8)

    def decided_by(self, annotator: str) -> np.ndarray:
        """Which pairs this person has an answer about: bool (n,)."""
        return self._marked(self.decided.get(annotator, self.flagged[:0]))

    def with_status(self, wanted: Sequence[str], me: str) -> np.ndarray:
        """Which pairs are in one of the STATUSES: bool (n,)."""
        found = np.zeros(len(self), bool)
        people = {"mine": [me], "others": [who for who in self.decided if who != me]}
        for status in wanted:
            if status == "undecided":
                found |= ~self._marked(*self.decided.values())
            elif status in people:
                found |= self._marked(*(self.decided[who] for who in people[status] if who in self.decided))
            else:
                found |= self._marked(self.flagged if status == "flagged" else self.conflict)
        return found

    def _marked(self, *rows: np.ndarray) -> np.ndarray:
        found = np.zeros(len(self), bool)
        for some in rows:
            found[some] = True
        return found


def ground(dataset: Dataset, found: Candidates | None, losses: dict[str, np.ndarray] | None) -> Ground:
    """What no decision changes; `losses` as RunFolder.losses() gives them."""
    parts = (dataset.train, dataset.valid, dataset.test)
    user, item = (np.concatenate([getattr(part, side) for part in parts]) for side in ("user", "item"))
    clicked = np.repeat(np.arange(3, dtype=np.int8), [len(part) for part in parts])
    doubt = np.full(len(user), np.nan, np.float32)
    if found is not None:
        place = dynamics.place_of(dataset.train, found.user, found.item, dataset.n_items)
        doubt[: len(place)] = np.where(place >= 0, found.doubt[place], np.nan)
        more = found.where(~found.observed)
        user, item = np.concatenate([user, more.user]), np.concatenate([item, more.item])
        clicked = np.concatenate([clicked, np.full(len(more), CLICKED.index("no"), np.int8)])
        doubt = np.concatenate([doubt, np.full(len(more), np.nan, np.float32)])
    loss = np.full(len(user), np.nan, np.float32)
    loss[: len(dataset.train)] = dynamics.loss_share(dataset.train, losses, dataset.n_items)
    rows = Rows(user, item, clicked, loss, doubt)
    codes = rows.codes(dataset.n_items)
    order = np.argsort(codes, kind="stable")
    words = tuple(f"{one}\n{title}".casefold() for one, title in zip(dataset.item_ids, dataset.item_title, strict=True))
    popularity = dynamics.thirds(np.bincount(dataset.train.item, minlength=dataset.n_items))
    history = dynamics.thirds(np.bincount(dataset.train.user, minlength=dataset.n_users))
    return Ground(dataset, rows, codes[order], order, words, popularity, history)


def known(base: Ground, found: LabelSet, rated: pd.DataFrame, standing: pd.DataFrame) -> Known:
    """What is said of every pair now.

    rated: as browse.ratings gives it; standing: as Store.standing gives it.
    """
    dataset = base.dataset
    codes = found.codes(dataset.n_items)
    none = np.zeros(0, np.int64)
    extra = codes[_places(base, none, codes) < 0]
    rows, n = base.rows, len(extra)
    if n:
        blank = np.full(n, np.nan, np.float32)
        more = (extra // dataset.n_items).astype(np.int32), (extra % dataset.n_items).astype(np.int32)
        tail = Rows(*more, np.full(n, CLICKED.index("no"), np.int8), blank, blank)
        rows = Rows(*(np.concatenate([getattr(part, name) for part in (rows, tail)]) for name in rows.__dataclass_fields__))
    column = {name: np.zeros(len(rows), np.int8) for name in ("label", "source")}
    column |= {name: np.full(len(rows), _UNRATED, np.int8) for name in ("user_view", "item_view")}
    at = _places(base, extra, codes)
    column["label"][at], column["source"][at] = found.label, found.source
    at = _raw_places(base, extra, rated)
    for name in ("user_view", "item_view"):
        place = rated[name.replace("_", " ")].str.lower().map({rating: code for code, rating in enumerate(RATED)})
        column[name][at[at >= 0]] = place.fillna(_UNRATED).to_numpy(np.int8)[at >= 0]
    said = pd.Series(_raw_places(base, extra, standing), index=standing.index)
    said = said[said >= 0]

    def rows_of(some: pd.DataFrame) -> np.ndarray:
        return said.reindex(some.index).dropna().to_numpy(np.int64)

    decided = {str(who): rows_of(some) for who, some in standing.groupby("annotator")}
    people = {"decided": decided, "flagged": rows_of(queue.flagged(standing)), "conflict": rows_of(queue.differing(standing))}
    return Known(base, rows, extra, **column, **people)


def _raw_places(base: Ground, extra: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
    """Rows int64 of pairs by raw ids; -1 where one is not known."""
    user, item = labels.positions(base.dataset, pairs)
    return _places(base, extra, np.where((user >= 0) & (item >= 0), user.astype(np.int64) * base.dataset.n_items + item, -1))


def _places(base: Ground, extra: np.ndarray, codes: np.ndarray) -> np.ndarray:
    place = _in_sorted(base.codes, codes)
    late = _in_sorted(extra, codes)
    at = base.order[place] if len(base.order) else place
    return np.where(place >= 0, at, np.where(late >= 0, late + len(base.codes), -1))


def _in_sorted(ascending: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The first place of each of `wanted` in sorted values: int64, -1 where it is not."""
    if not len(ascending):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[place] == wanted, place, -1)
