"""What there is to ask: every pair in both views, as arrays, so that 100 000 pairs take megabytes."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from core.judges.base import Judge, question_key
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings
from core.store import Want

LOOK_PAIRS = 100
"""While the questions are written, a stop is looked for this often."""

Look = Callable[[int], bool]
"""Told how many pairs are written, says whether to go on."""


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs (n,) by position in the order of their worth, and the key of each of their questions."""

    user: np.ndarray  # int32 (n,)
    item: np.ndarray  # int32 (n,)
    keys: np.ndarray  # bytes (n, len(VIEWS)), hex
    chars: np.ndarray  # int32 (n, len(VIEWS)), of the whole prompt

    def __len__(self) -> int:
        return len(self.user)

    def key(self, pair: int, view: int) -> str:
        return self.keys[pair, view].decode()

    def wants(self, dataset: Dataset, judge: Judge) -> Iterator[Want]:
        """What the store is told, pair by pair."""
        users, items = dataset.user_ids, dataset.item_ids
        for pair, (user, item) in enumerate(zip(self.user.tolist(), self.item.tolist(), strict=True)):
            for number, view in enumerate(VIEWS):
                yield Want(users[user], items[item], view, judge.name, judge.model, self.key(pair, number))


def write(judge: Judge, pairs: Candidates, look: Look = lambda done: True) -> Questions | None:
    """The questions of a judge that is prepared; None when `look` said to stop."""
    n = len(pairs)
    keys, chars = np.zeros((n, len(VIEWS)), "S64"), np.zeros((n, len(VIEWS)), np.int32)
    for pair, (user, item) in enumerate(zip(pairs.user.tolist(), pairs.item.tolist(), strict=True)):
        if pair % LOOK_PAIRS == 0 and not look(pair):
            return None
        for number, view in enumerate(VIEWS):
            prompt = judge.prompt(user, item, view)
            keys[pair, number] = question_key(judge, prompt).encode()
            chars[pair, number] = sum(len(message["content"]) for message in prompt.messages)
    return Questions(pairs.user, pairs.item, keys, chars) if look(n) else None


def profile_questions(judge: Judge, pairs: Candidates) -> dict[int, tuple[str, Prompt]]:
    """Key and question of the profiles that the model writes, by user position."""
    prompts = {user: judge.profile_prompt(user) for user in np.unique(pairs.user).tolist()}
    return {user: (question_key(judge, prompt), prompt) for user, prompt in prompts.items() if prompt}


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
