"""Questions and answers in files: open questions for a provider's batch, answers for another machine's database.

A folder holds the files, none longer than providers take, and `manifest.json`, which is written last.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.artifacts import atomic, write_json
from core.errors import Fatal, SettingsError
from core.judges.base import Judge, Request
from core.judges.batch import question_line
from core.judges.lines import line_of
from core.judges.questions import Questions, profile_keys, shard_of, wanted, write
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings
from core.store import Sent, Store
from core.store.database import CHUNK

Format = Literal["openai", "winnow"]
MANIFEST = "manifest.json"
MOST_LINES, MOST_BYTES = 50_000, 190_000_000
"""Of a file: OpenAI takes 50 000 lines and 200 MB."""
SETTINGS_APART = {"pairs", "estimate", "workers", "timeout_s", "wait_s", "samples", "price_in", "price_out", "api_key_env"}
"""Settings that say nothing about the questions."""


@dataclass(frozen=True)
class Part:
    """One file of an export."""

    name: str
    shard: str
    lines: int
    bytes: int
    sha256: str


def export(
    store: Store,
    dataset: Dataset,
    candidates: Candidates,
    judge: Judge,
    settings: JudgeSettings,
    folder: Path,
    *,
    form: Format,
    shards: int = 1,
) -> dict[str, Any]:
    """Write what the judge would ask about the candidates, or what it has answered, and return the manifest.

    "openai": the open questions as a batch; their pairs count as asked from now on. "winnow": the answered ones.
    `shards`: by how many files or more the users are split.
    """
    if (folder / MANIFEST).exists():
        raise SettingsError(f"{folder} holds an export already.", "Choose another folder, or remove this one.")
    if form == "openai" and not hasattr(judge, "body"):
        raise SettingsError(f"The questions of the judge {judge.name} cannot be sent away.", "Choose the judge openai.")
    return asyncio.run(_Export(store, dataset, candidates, judge, settings, folder, form, shards).carry_out())


@dataclass
class _Export:
    store: Store
    dataset: Dataset
    candidates: Candidates
    judge: Judge
    settings: JudgeSettings
    folder: Path
    form: Format
    shards: int

    async def carry_out(self) -> dict[str, Any]:
        pairs = wanted(self.dataset, self.candidates, self.settings)
        try:
            unasked = await self._prepare()
        finally:
            await self.judge.close()
        made = self._use_profiles(pairs)
        questions = write(self.judge, pairs)
        answered = questions.which(self.store.answered)
        if self.form == "openai":
            self.store.ask(self.dataset.name, questions.wants(self.dataset, self.judge))
        parts = [part for shard in range(1, self.shards + 1) for part in self._shard(questions, answered, shard)]
        manifest = {
            "format": self.form,
            "at": time.time(),
            "dataset": self.dataset.name,
            "fingerprint": self.dataset.fingerprint,
            "settings": self.settings.model_dump(exclude=SETTINGS_APART),
            "judge": self.judge.name,
            "model": self.judge.model,
            "digest": self.judge.digest,
            "prompt_version": self.judge.version,
            "identity": self.judge.identity(),
            "pairs": len(questions),
            "questions": len(answered),
            "answered": int(answered.sum()),
            "open": int((~answered).sum()),
            "profiles_not_written": made,
            "server_not_asked": unasked,
            "files": [asdict(part) for part in parts],
        }
        write_json(self.folder / MANIFEST, manifest)
        return manifest

    async def _prepare(self) -> str:
        """Why no server was asked; "" when one was, or none is needed."""
        if hasattr(self.judge, "prepare_file"):
            return await self.judge.prepare_file(self.dataset, self.candidates)
        health = await self.judge.check()
        if not health.ok:
            raise Fatal(health.message, health.hint)
        await self.judge.prepare(self.dataset, self.candidates)
        return ""

    def _use_profiles(self, pairs: Candidates) -> int:
        """Take the profiles that a run has had written; how many users lack theirs, and have the made one."""
        if self.settings.profiles != "written" or not self.judge.is_llm:
            return 0
        keys = profile_keys(self.judge, pairs)
        known = self.store.profiles(keys.values())
        self.judge.use_profiles({user: known[key] for user, key in keys.items() if key in known})
        return sum(key not in known for key in keys.values())

    def _shard(self, questions: Questions, answered: np.ndarray, shard: int) -> list[Part]:
        name = f"{shard} of {self.shards}" if self.shards > 1 else ""
        stem = {"openai": "questions", "winnow": "answers"}[self.form]
        stem += f"-{shard:03}-of-{self.shards:03}" if self.shards > 1 else ""
        numbers = self._numbers(questions, answered, shard)
        lines = self._questions(questions, numbers) if self.form == "openai" else self._answers(questions, numbers)
        return list(_written(self.folder, stem, name, lines))

    def _numbers(self, questions: Questions, answered: np.ndarray, shard: int) -> np.ndarray:
        """Numbers of the questions for the files, each key once over all shards, user after user, view after view."""
        wished = answered if self.form == "winnow" else ~answered
        ids = self.dataset.user_ids
        parts = [part for user, part in questions.groups(wished) if shard_of(ids[user], self.shards) == shard]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _questions(self, questions: Questions, numbers: np.ndarray) -> Iterator[bytes]:
        judge = self.judge
        for part in _chunks(numbers):
            requests = [self._request(questions, number) for number in part]
            rater = (judge.name, judge.is_llm, judge.model, judge.digest, judge.version)
            self.store.send_away(
                Sent(each.key, each.view, each.prompt.messages, *rater, each.prompt.profile, each.prompt.truncated)
                for each in requests
            )
            yield from (question_line(each.key, judge.body(each)) for each in requests)

    def _answers(self, questions: Questions, numbers: np.ndarray) -> Iterator[bytes]:
        for part in _chunks(numbers):
            asked = {each.key: each.prompt.messages for each in (self._request(questions, number) for number in part)}
            for row in self.store.judgments_of(self.dataset.name, list(asked)).to_dict("records"):
                line = line_of(row, self.dataset, self.judge, list(asked[row["key"]]))
                yield line.model_dump_json().encode() + b"\n"

    def _request(self, questions: Questions, number: int) -> Request:
        pair, view = divmod(number, len(VIEWS))
        user, item = int(questions.user[pair]), int(questions.item[pair])
        prompt = self.judge.prompt(user, item, VIEWS[view])
        return Request(questions.key(questions.place.flat[number]), user, item, VIEWS[view], prompt)


def _chunks(numbers: np.ndarray) -> Iterator[Sequence[int]]:
    return (numbers[start : start + CHUNK].tolist() for start in range(0, len(numbers), CHUNK))


def _written(folder: Path, stem: str, shard: str, lines: Iterator[bytes]) -> Iterator[Part]:
    """As many files as the lines need."""
    line, number = next(lines, None), 0
    while line is not None:
        number += 1
        name, digest, count = f"{stem}-{number:03}.jsonl", hashlib.sha256(), Counter[str]()
        with atomic(folder / name) as temporary, temporary.open("wb") as file:
            while line is not None and not (count["lines"] and _full(count, line)):
                file.write(line)
                digest.update(line)
                count.update(lines=1, bytes=len(line))
                line = next(lines, None)
        yield Part(name, shard, count["lines"], count["bytes"], digest.hexdigest())


def _full(count: Counter[str], line: bytes) -> bool:
    return count["lines"] >= MOST_LINES or count["bytes"] + len(line) > MOST_BYTES
