"""Recorded judgments, passed on as they are: somebody else asked, here nobody is asked.

Each answer keeps who gave it, and says that it is replayed. It never stands for an answer to a question that was asked
here, whose key is another one.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json

from core import prompts
from core.errors import BadAnswer, Fatal
from core.judges.base import Health, NoAnswer, Rater, Reply, Request
from core.judges.lines import REPLAY, REPLAYED
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset, fingerprint
from core.settings import JudgeSettings
from core.store.counterfactuals import Change
from core.untrusted import plain_cell

NEEDED = ("user_id", "item_id", "view", "rating")
HINT = f"Give a .jsonl, .csv or .parquet file with {', '.join(NEEDED)} and analysis; model, judge and more may be there."
CUT = ("true", "1", "yes")


@dataclass(frozen=True)
class _Recorded:
    """One judgment of the file, as far as it is passed on."""

    reply: Reply
    profile: str


class ReplayJudge:
    """Answers from `settings.file` by user, item and view; of several raters in it, who said most about a pair, then the last.

    Columns beyond those needed: analysis, raw, confidence, and who rated: model, judge, is_llm, digest, prompt_version. A row
    that does not say whether its rater is a language model is taken for one when it names a model.
    """

    name = REPLAY
    pointless = dict.fromkeys(Change, "its answers are recorded, so nobody can be asked again")
    is_llm = False  # nobody is asked; who answered is told in each reply
    lanes = ("",)
    hosted = False
    version = "1"

    def __init__(self, settings: JudgeSettings, cache: Path) -> None:
        self._file = Path(settings.file or "")
        self.model = self._file.name
        self.digest = ""
        self._dataset: Dataset | None = None
        self._found: dict[tuple[str, str], dict[str, _Recorded]] = {}  # pair: by view

    def identity(self) -> dict[str, Any]:
        return {"judge": self.name}

    async def check(self) -> Health:
        """How many judgments the file has."""
        try:
            n = sum(1 for _ in _recorded(self._file))
        except Fatal as error:
            return Health(False, error.message, error.hint)
        if not n:
            return Health(False, f"{self._file} has no judgments.", HINT)
        return Health(True, f"{self._file} has {n:,} judgments, which are replayed as they are; nobody is asked.")

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        self._dataset = dataset
        asked = set(zip(dataset.user_ids[pairs.user].tolist(), dataset.item_ids[pairs.item].tolist(), strict=True))
        told: dict[tuple[str, str], dict[Rater, dict[str, _Recorded]]] = {}
        for user_id, item_id, view, recorded in _recorded(self._file):
            if (user_id, item_id) in asked:
                raters = told.setdefault((user_id, item_id), {})
                views = raters.pop(recorded.reply.rater, {})
                raters[recorded.reply.rater] = views | {view: recorded}  # at the end: the last one
        self._found = {pair: max(reversed(raters.values()), key=len) for pair, raters in told.items()}
        self.digest = fingerprint(sorted((pair, sorted(views.items(), key=str)) for pair, views in self._found.items()))

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        """The pair and the recorded answer as one JSON message: another answer is another question."""
        user_id, item_id = self._pair(user, item)
        content: dict[str, Any] = {"user": user_id, "item": item_id, "view": view, "recorded": None}
        recorded = self._found.get((user_id, item_id), {}).get(view)
        if recorded:
            reply = recorded.reply
            content["recorded"] = {**vars(reply.rater), "raw": reply.raw, "analysis": reply.analysis}
        message = {"role": REPLAY, "content": json.dumps(content, ensure_ascii=False, sort_keys=True)}
        return Prompt((message,), truncated=False, profile=recorded.profile if recorded else "")

    async def judge(self, request: Request) -> Reply:
        """The recorded answer; NoAnswer when the file has none."""
        pair = self._pair(request.user, request.item)
        recorded = self._found.get(pair, {}).get(request.view)
        if recorded is None:
            raise NoAnswer(f"{self._file.name} has no judgment of {pair[0]} and {pair[1]} in the {request.view} view.")
        return recorded.reply

    async def alive(self, lane: str) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is open."""

    def _pair(self, user: int, item: int) -> tuple[str, str]:
        if self._dataset is None:
            raise RuntimeError("prepare() comes first")
        return self._dataset.user_ids[user], self._dataset.item_ids[item]


def _recorded(file: Path) -> Iterator[tuple[str, str, str, _Recorded]]:
    """(user id, item id, view, judgment) row by row; Fatal, with the row's number, for what cannot be read."""
    readers = {".jsonl": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}
    if file.suffix.lower() not in readers:
        raise Fatal(f"{file} is no file with judgments.", HINT)
    number = 0
    try:
        for row in readers[file.suffix.lower()](file):
            number += 1
            missing = [name for name in NEEDED if row.get(name) in (None, "")]
            if missing:
                raise ValueError(f"it has no {missing[0]}")
            yield str(row["user_id"]), str(row["item_id"]), _view(row), _judgment(row)
    except (OSError, ValueError, TypeError, csv.Error, pa.ArrowException, BadAnswer) as error:
        where = f"{file}, judgment {number}" if number else str(file)
        raise Fatal(f"{where} cannot be read: {error}", HINT) from error


def _json_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with file.open("rb") as lines:
        for line in lines:
            if line.strip():
                row = from_json(line)
                if not isinstance(row, dict):
                    raise ValueError("it is no JSON object")
                yield row


def _csv_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        for row in csv.DictReader(text, strict=True):
            yield {name: plain_cell(cell) for name, cell in row.items() if isinstance(cell, str)}


def _parquet_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches():
            yield from batch.to_pylist()


def _view(row: Mapping[str, Any]) -> str:
    if row["view"] not in VIEWS:
        raise ValueError(f"its view is {row['view']!r}, not {' or '.join(VIEWS)}")
    return row["view"]


def _judgment(row: Mapping[str, Any]) -> _Recorded:
    """A rating is read as that of a model is: exact, or spelled in a way that leaves no doubt."""
    analysis, raw, model = (str(row.get(name) or "") for name in ("analysis", "raw", "model"))
    answer = prompts.parse(json.dumps({"analysis": analysis, "rating": row["rating"]}))
    confidence = row.get("confidence")
    is_llm = row.get("is_llm")
    rater = Rater(
        judge=str(row.get("judge") or REPLAY),
        is_llm=bool(model) if is_llm in (None, "") else str(is_llm).strip().lower() in CUT,
        model=model or "not recorded",
        digest=str(row.get("digest") or ""),
        prompt_version=str(row.get("prompt_version") or "not recorded"),
    )
    reply = Reply(
        answer.rating.value,
        analysis,
        raw or json.dumps({"analysis": analysis, "rating": answer.rating.value}, ensure_ascii=False),
        answer.how,
        None if confidence in (None, "") else float(confidence),
        rater=rater,
        origin=REPLAYED,
    )
    return _Recorded(reply, str(row.get("profile") or ""))
