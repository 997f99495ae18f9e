"""What every judge is to the runner: it renders a question, and answers it or raises one of five classes of error."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import BadAnswer
from core.prompts import Prompt
from core.records import Candidates, Dataset


class CutOff(BadAnswer):
    """The answer ran into its length limit; more room may help."""


@dataclass(frozen=True)
class Health:
    """Whether a judge can work now, in words, and what to do when it cannot."""

    ok: bool
    message: str
    hint: str = ""
    models: tuple[str, ...] = ()  # that the server offers


@dataclass(frozen=True)
class Request:
    """One question about one pair in one view."""

    key: str  # of the question as it was wanted
    user: int  # position
    item: int  # position
    view: str  # one of core.records.VIEWS
    prompt: Prompt
    bad_answers: int = 0  # invalid answers so far: a judge may vary its sampling
    room: int = 1  # times the usual length of an answer


@dataclass(frozen=True)
class Reply:
    """A valid answer and what it cost."""

    rating: str  # a Rating
    analysis: str
    raw: str  # as it came
    how: str = "strict"  # or "repaired"
    confidence: float | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


class Judge(Protocol):
    """A member of JUDGES, made of (JudgeSettings, cache folder). It knows nothing of the store.

    Order of calls: check, prepare, then prompt and judge (from several threads), close.
    """

    name: str  # in JUDGES
    is_llm: bool
    model: str
    digest: str  # of the weights, or of the rater's parameters; known after `prepare`
    version: str  # of the prompts or rules

    def identity(self) -> dict[str, Any]:
        """What its answers depend on besides the messages; part of every key. No addresses, timeouts or concurrency."""

    def check(self) -> Health:
        """Whether it can work now."""

    def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        """Read what is needed to ask about these pairs; `Fatal` when it cannot work."""

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        """The question in full, or shortened after the judge refused it for its length."""

    def judge(self, request: Request) -> Reply:
        """One answer; raises Busy, Transient, BadAnswer, Refused or Fatal."""

    def close(self) -> None:
        """Give up connections; calls in flight may fail."""


def question_key(judge: Judge, prompt: Prompt) -> str:
    """sha256 (hex) of all that the answer depends on: change any text, the rubric, the weights or an option and it differs."""
    content = [judge.version, judge.identity(), prompt.messages]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
