"""Answers from files into the database: of a provider's batch, or of another machine. Each line is checked on its own.

Nothing is asked. The first answer to a question stays, so a file can be read again, also after a crash in the middle.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError
from pydantic_core import from_json

from core import datasets
from core.artifacts import Home
from core.errors import BadAnswer, JudgeError, Refused, SettingsError, Transient
from core.judges import JUDGES, batch
from core.judges.lines import REPLAYED, Line
from core.records import Judgment
from core.store import Answer, Failure, Noted, Sent, Store

CHUNK = 300
"""Lines in a transaction."""
MOST_LINE = 16_000_000
"""Bytes of a line: a longer one is no answer."""
MOST_TOLD = 100
"""Lines that are named one by one."""

NEW, KNOWN, INVALID, UNANSWERED, UNKNOWN, ELSEWHERE, REFUSED, BROKEN = OUTCOMES = (
    "new",  # answers that were not here
    "known",  # answers that were here already
    "invalid",  # answers that hold no rating: noted as failures
    "unanswered",  # lines that say why there is no answer: noted as failures
    "unknown",  # answers to questions, or about pairs, that nobody here asked about
    "elsewhere",  # answers about another dataset
    "refused",  # lines that do not hold what they claim
    "broken",  # lines that cannot be read
)
_KINDS: dict[type[JudgeError], str] = {BadAnswer: "bad answer", Refused: "refused", Transient: "transient"}


@dataclass(frozen=True)
class Trouble:
    """A line that brought nothing, and why."""

    file: str
    line: int
    outcome: str
    message: str


@dataclass
class Report:
    """What the lines of some files came to."""

    counts: Counter[str] = field(default_factory=Counter)  # by outcome
    troubles: list[Trouble] = field(default_factory=list)  # the first ones

    @property
    def lines(self) -> int:
        return self.counts.total()

    def note(self, place: tuple[Path, int], outcome: str, message: str = "") -> None:
        self.counts[outcome] += 1
        if message and len(self.troubles) < MOST_TOLD:
            self.troubles.append(Trouble(str(place[0]), place[1], outcome, message))


def take_in(
    home: Home,
    store: Store,
    files: Sequence[Path],
    *,
    dataset: str | None = None,
    dry_run: bool = False,
    watch: Callable[[Path, int], None] = lambda file, lines: None,
) -> Report:
    """Read the files line by line; `dataset`: only answers about this one. A dry run writes nothing and reports the same.

    `watch` is told how many lines of a file are done. Raises OSError for a file that cannot be opened, before any is read.
    """
    for file in files:
        if not file.is_file():
            raise SettingsError(f"There is no file {file}.", "Give files with answers, one JSON object a line.")
    taking = _Import(home, store, dataset, dry_run)
    for file in files:
        with file.open("rb") as stream:
            numbered = enumerate(_lines(stream), 1)
            while part := list(islice(numbered, CHUNK)):
                taking.take([((file, number), line) for number, line in part])
                watch(file, part[-1][0])
    return taking.report


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long only the beginning, which no JSON object is."""
    while line := stream.readline(MOST_LINE):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MOST_LINE)
        yield line


Place = tuple[Path, int]


class _Import:
    def __init__(self, home: Home, store: Store, dataset: str | None, dry_run: bool) -> None:
        self._store, self._dataset, self._dry_run = store, dataset, dry_run
        self.report = Report()
        self._seen: set[object] = set()  # keys and wants that this chunk brings, in a dry run all that came before, too
        self._known_ids = lru_cache(maxsize=8)(lambda name: _ids(home, name))

    def take(self, part: Sequence[tuple[Place, bytes]]) -> None:
        """A chunk of lines in one transaction."""
        found: list[tuple[Place, Line | dict]] = []
        for place, raw in part:
            try:
                if (value := parse_line(raw)) is not None:
                    found.append((place, value))
            except ValueError as error:
                self.report.note(place, BROKEN, str(error))
        keys = list({value.key if isinstance(value, Line) else value["custom_id"] for _, value in found})
        self._answered, self._awaited = self._store.answered(keys), self._store.awaited(keys)
        self._wants = self._store.wanting(keys)
        self._answers: list[Answer] = []
        self._noted: list[Noted] = []
        self._failures: list[Failure] = []
        for place, value in found:
            if isinstance(value, Line):
                self._merge(place, value)
            else:
                self._batch(place, value)
        if not self._dry_run:
            self._store.take_in(self._answers, self._noted, self._failures)
            self._seen.clear()

    def _batch(self, place: Place, value: dict) -> None:
        key, note = value["custom_id"], self.report.note
        elsewhere = self._dataset and self._dataset not in {name for name, *_, wanted in self._wants if wanted == key}
        if key not in self._answered and key not in self._awaited:
            note(place, UNKNOWN, f"Nobody here sent a question {key[:12]!r} away.")
        elif elsewhere:
            note(place, ELSEWHERE, f"Its question is not one of the dataset {self._dataset!r}.")
        elif key in self._answered or key in self._seen:
            note(place, KNOWN)
        else:
            try:
                answer = _answer(self._awaited[key], value)
            except JudgeError as error:
                kind = next(name for base, name in _KINDS.items() if isinstance(error, base))
                self._failures.append(Failure(key, kind, error.message))
                note(place, INVALID if isinstance(error, BadAnswer) else UNANSWERED, error.message)
            else:
                self._answers.append(answer)
                self._seen.add(key)
                note(place, NEW)

    def _merge(self, place: Place, line: Line) -> None:
        note, now = self.report.note, time.time()
        if self._dataset not in (None, line.dataset):
            note(place, ELSEWHERE, f"It is about the dataset {line.dataset!r}.")
            return
        content, users, items = self._known_ids(line.dataset)
        if content is None:
            note(place, ELSEWHERE, f"It is about {line.dataset!r}, and there is no such dataset here.")
        elif content != line.fingerprint:
            note(place, ELSEWHERE, f"It is about {line.dataset!r} with another content than here.")
        elif line.user_id not in users or line.item_id not in items:
            note(place, UNKNOWN, f"The dataset has no pair {line.user_id!r}, {line.item_id!r}.")
        else:
            want = (line.dataset, line.user_id, line.item_id, line.view, line.key)
            is_answered = line.key in self._answered or line.key in self._seen
            is_wanted = want in self._wants or want in self._seen
            if is_answered and is_wanted:
                note(place, KNOWN)
                return
            try:
                line.check()
                _check_rater(line)
            except BadAnswer as error:
                note(place, REFUSED, error.message)
                return
            self._answers += [] if is_answered else [line.answer(now)]
            self._noted += [] if is_wanted else [line.noted(now)]
            self._seen |= {line.key, want}
            note(place, NEW)


def parse_line(raw: bytes) -> Line | dict | None:
    """What a line holds: an answer of another machine, a line of a batch's output, or None for an empty line.

    ValueError, with what is wrong, for anything else.
    """
    if len(raw) >= MOST_LINE:
        raise ValueError(f"The line has more than {MOST_LINE:,} bytes.")
    text = raw.strip().removeprefix(b"\xef\xbb\xbf")
    if not text:
        return None
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        reason = str(error).replace("line 1 ", "")  # its own count: to the parser this line is all there is
        raise ValueError(f"The line is not JSON: {reason}.") from error
    if isinstance(value, dict) and "winnow" in value:
        try:
            return Line.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"The line is no answer of Winnow: {where}: {first['msg']}.") from error
    if isinstance(value, dict) and batch.is_answer(value):
        return value
    raise ValueError("The line is neither an answer of a batch nor one of Winnow.")


def _answer(sent: Sent, value: dict) -> Answer:
    """The answer to a question that was sent away; raises like a judge."""
    reply, at = batch.read_answer(value)
    judgment = Judgment(
        key=sent.key,
        user_id="",  # those of its wants: an answer may be about several pairs with one text
        item_id="",
        view=sent.view,
        rating=reply.rating,
        analysis=reply.analysis,
        confidence=reply.confidence,
        judge=sent.judge,
        is_llm=sent.is_llm,
        model=sent.model,
        digest=sent.digest,
        prompt_version=sent.prompt_version,
        prompt_tokens=reply.cost.prompt_tokens,
        answer_tokens=reply.cost.answer_tokens,
        seconds=0.0,  # nobody waited
        at=at,
        profile=sent.profile,
        cached_tokens=reply.cost.cached_tokens,
        origin="batch",
    )
    return Answer(judgment, sent.prompt, reply.raw, reply.how, sent.truncated)


def _check_rater(line: Line) -> None:
    """No rater passes for a language model that is none. What a replayed file said of its raters is for its owner to know."""
    if line.origin != REPLAYED and line.judge in JUDGES and JUDGES[line.judge].is_llm != line.is_llm:
        raise BadAnswer(f"The judge {line.judge} is {'not ' if line.is_llm else ''}a language model.")


def _ids(home: Home, name: str) -> tuple[str | None, frozenset[str], frozenset[str]]:
    """Content, users and items of a dataset; None and nothing when it is not here."""
    if name not in {info.name for info in datasets.listing(home)}:
        return None, frozenset(), frozenset()
    data = datasets.load(home, name)
    return data.fingerprint, frozenset(data.user_ids), frozenset(data.item_ids)
