"""What there is to ask: every pair in both views, as arrays, so that 100 000 pairs take megabytes."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from core.judges.base import Judge, question_key
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings
from core.store import Want

LOOK_PAIRS = 100
"""While the questions are written, a stop is looked for this often."""

PART = 5000
"""Keys that are Python objects at a time: as an array they take a third of the memory."""

KEY = "S32"
"""Digests as they are: half of what their hex takes. NumPy drops the zeros at their ends, `_hex` puts them back."""

Look = Callable[[int], bool]
"""Told how many pairs are written, says whether to go on."""


class Stopped(Exception):  # noqa: N818 - an event, no error
    """Somebody wants the run to end before the first question."""


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs (n,) by position in the order of their worth; a question's number is pair * len(VIEWS) + view.

    Questions with one text share a key and are asked once.
    """

    user: np.ndarray  # int32 (n,)
    item: np.ndarray  # int32 (n,)
    chars: np.ndarray  # int32 (n, len(VIEWS)), of the whole prompt
    keys: np.ndarray  # KEY (m,), each once
    place: np.ndarray  # int32 (n, len(VIEWS)), of each question's key in `keys`
    first: np.ndarray  # int64 (m,), number of the first question with that key
    views: np.ndarray  # int64 (m,), number of questions with that key

    def __len__(self) -> int:
        return len(self.user)

    def key(self, place: int) -> str:
        return _hex(self.keys[place])

    def wants(self, dataset: Dataset, judge: Judge, look: Look = lambda done: True) -> Iterator[Want]:
        """What the store is told, pair by pair; raises Stopped when `look` says so."""
        users, items = dataset.user_ids, dataset.item_ids
        for pair, (user, item) in enumerate(zip(self.user.tolist(), self.item.tolist(), strict=True)):
            if pair % LOOK_PAIRS == 0 and not look(pair):
                raise Stopped
            for number, view in enumerate(VIEWS):
                key = self.key(self.place[pair, number])
                yield Want(users[user], items[item], view, judge.name, judge.model, key)

    def which(self, known: Callable[[list[str]], set[str]], among: np.ndarray | None = None) -> np.ndarray:
        """bool (m,): the keys that `known` finds, asked for a part of them at a time; `among`: bool (m,), others are not."""
        found = np.zeros(len(self.keys), bool)
        rows = np.arange(len(self.keys)) if among is None else np.flatnonzero(among)
        for start in range(0, len(rows), PART):
            part = rows[start : start + PART]
            keys = list(map(_hex, self.keys[part]))
            there = known(keys)
            found[part] = [key in there for key in keys]
        return found

    def groups(self, open_: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """(user, numbers) of one view each: the questions with an open key, bool (m,), each key once.

        Users stand in the order of their first pair, the views of one after each other, the pairs in their order.
        """
        numbers = self.first[open_]
        if not len(numbers):
            return []
        pair, view = np.divmod(numbers, len(VIEWS))
        begins = np.full(self.user.max() + 1, len(self))
        np.minimum.at(begins, self.user, np.arange(len(self)))
        order = np.lexsort((pair, view, begins[self.user[pair]]))
        numbers, user, view = numbers[order], self.user[pair[order]], view[order]
        ends = np.flatnonzero((np.diff(user) != 0) | (np.diff(view) != 0)) + 1
        parts = np.split(numbers, ends)
        return [(int(self.user[part[0] // len(VIEWS)]), part) for part in parts]


def write(judge: Judge, pairs: Candidates, look: Look = lambda done: True) -> Questions:
    """The questions of a judge that is prepared; raises Stopped when `look` says so."""
    n = len(pairs)
    keys, chars = np.zeros((n, len(VIEWS)), KEY), np.zeros((n, len(VIEWS)), np.int32)
    for pair, (user, item) in enumerate(zip(pairs.user.tolist(), pairs.item.tolist(), strict=True)):
        if pair % LOOK_PAIRS == 0 and not look(pair):
            raise Stopped
        for number, view in enumerate(VIEWS):
            prompt = judge.prompt(user, item, view)
            keys[pair, number] = bytes.fromhex(question_key(judge, prompt))
            chars[pair, number] = prompt.characters
    if not look(n):
        raise Stopped
    unique, first, place, views = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return Questions(pairs.user, pairs.item, chars, unique, place.reshape(keys.shape).astype(np.int32), first, views)


def profile_keys(judge: Judge, pairs: Candidates) -> dict[int, str]:
    """Keys of the profiles that the model writes, by user position."""
    prompts = ((user, judge.profile_prompt(user)) for user in np.unique(pairs.user).tolist())
    return {user: question_key(judge, prompt) for user, prompt in prompts if prompt}


def _hex(digest: bytes) -> str:
    return digest.ljust(32, b"\0").hex()


def wanted(dataset: Dataset, candidates: Candidates, settings: JudgeSettings) -> Candidates:
    """The candidates that a run is about: chosen pairs, one shard's users, at most `limit`.

    What is left out is still up for judgment, so that no other question changes.
    """
    chosen = candidates
    if settings.pairs:
        asked = set(settings.pairs)
        ids = zip(dataset.user_ids[chosen.user], dataset.item_ids[chosen.item], strict=True)
        chosen = chosen.where(np.fromiter((pair in asked for pair in ids), bool, len(chosen)))
    if settings.shard:
        number, shards = map(int, settings.shard.split("/"))
        mine = np.array([shard_of(dataset.user_ids[user], shards) == number for user in chosen.user.tolist()], bool)
        chosen = chosen.where(mine)
    return chosen.where(slice(settings.limit))


def shard_of(user_id: str, shards: int) -> int:
    """Which of the shards 1..n a user belongs to, by a hash of the id alone."""
    return zlib.crc32(user_id.encode()) % shards + 1
