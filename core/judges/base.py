"""What every judge is to the runner: it renders a question, and answers it or raises one of five classes of error."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.errors import BadAnswer, Transient
from core.prompts import Prompt
from core.records import Candidates, Dataset
from core.store.counterfactuals import Change


@dataclass(frozen=True)
class Changed:
    """A question as it is but for one thing."""

    kind: Change = Change.NOTHING
    items: tuple[int, ...] = ()  # positions of those that are left out of the history
    number: int = 0  # of the further answer, or added to the seed

    def kept(self, history: Sequence[int]) -> list[int]:
        """The items of a history that stay, in their order."""
        return [item for item in history if item not in self.items]

    def told(self, history: Sequence[int]) -> list[int]:
        """A history as the changed question shows it."""
        return self.kept(history)[:: -1 if self.kind is Change.REVERSED else 1]


AS_IT_IS = Changed()


class CutOff(BadAnswer):
    """The answer ran into its length limit; more room may help."""


class NoAnswer(BadAnswer):
    """There is no answer, however often one asks."""


class Unreachable(Transient):
    """Nobody listens at the address: no question is to blame, and none loses an attempt."""


@dataclass(frozen=True)
class Health:
    """Whether a judge can work now, in words, and what to do when it cannot."""

    ok: bool
    message: str
    hint: str = ""
    models: tuple[str, ...] = ()  # that the server offers
    missing: str = ""  # the model that the server lacks and could pull
    facts: Mapping[str, str] = field(default_factory=dict)  # what else is known, for people: {"context window": "8,192 tokens"}


@dataclass(frozen=True)
class Request:
    """One question about one pair in one view."""

    key: str  # of the question as it was wanted
    user: int  # position
    item: int  # position
    view: str  # one of core.records.VIEWS
    prompt: Prompt
    lane: str = ""  # one of the judge's lanes
    bad_answers: int = 0  # invalid answers so far: a judge may vary its sampling
    room: int = 1  # times the usual length of an answer
    sample: int = 0  # 0: the answer; n: the n-th further one, drawn at a higher temperature


@dataclass(frozen=True)
class Cost:
    """What one call took, as far as the server tells."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None  # of those, read before and re-used
    answer_tokens: int | None = None
    wait_s: float | None = None  # for a free slot
    prefill_s: float | None = None
    decode_s: float | None = None


@dataclass(frozen=True)
class Rater:
    """Who gave an answer, as judgments keep it."""

    judge: str
    is_llm: bool
    model: str
    digest: str
    prompt_version: str


@dataclass(frozen=True)
class Reply:
    """A valid answer and what it cost."""

    rating: str  # a Rating
    analysis: str
    raw: str  # as it came
    how: str = "strict"  # or "repaired"
    confidence: float | None = None  # of the rating, by its tokens' probabilities, [0, 1]
    cost: Cost = Cost()
    rater: Rater | None = None  # who gave it, when the judge only passes on what somebody else said
    origin: str = "asked"  # as in core.records.Judgment


@dataclass(frozen=True)
class Written:
    """A profile that a model wrote, and what it cost."""

    text: str
    raw: str
    cost: Cost = Cost()


class Judge(Protocol):
    """A member of JUDGES. It knows nothing of the store, and lives in one event loop.

    Order of calls: check, prepare, then prompt, judge, probe and write (many at once), close.
    """

    name: str  # in JUDGES
    is_llm: bool
    model: str
    digest: str  # of the weights, or of the rater's parameters; known after `prepare`
    version: str  # of the prompts or rules
    pointless: Mapping[Change, str]
    """Changes of a question that cannot move its answer, or that it cannot be asked with, and why."""
    lanes: tuple[str, ...]
    """Servers that work side by side; one for judges without a server."""
    hosted: bool
    """Whether its servers tell no waiting time and refuse what is too much (core.judges.engine)."""

    def identity(self) -> dict[str, Any]:
        """What its answers depend on besides the messages; part of every key. No addresses, timeouts or concurrency."""

    async def check(self) -> Health:
        """Whether it can work now."""

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        """Read what is needed to ask about these pairs; `Fatal` when it cannot work."""

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        """The question in full, or shortened after the judge refused it for its length."""

    async def judge(self, request: Request) -> Reply:
        """One answer; raises Busy, Transient, BadAnswer, Refused or Fatal."""

    async def alive(self, lane: str) -> bool:
        """Whether somebody answers there; asked while a lane sleeps."""

    async def close(self) -> None:
        """Give up connections."""


class Changing(Protocol):
    """A judge that can be asked with something changed (core.judges.again)."""

    def changed(self, user: int, item: int, view: str, change: Changed, short: bool = False) -> Prompt:
        """Like `prompt`, with the change; the same prompt where this view does not read what is changed."""


class Probing(Protocol):
    """A judge whose server tells token probabilities."""

    async def probe(self, request: Request) -> Reply:
        """The rating alone, without an analysis; `confidence` is None when the server tells no probabilities."""


class Writing(Protocol):
    """A judge that can write the profiles that its user view reads."""

    def profile_prompt(self, user: int) -> Prompt | None:
        """What asks for a user's profile; None where none is to be written."""

    async def write(self, request: Request) -> Written:
        """The profile; raises like `judge`."""

    def use_profiles(self, written: Mapping[int, str]) -> None:
        """Profiles by user position, for the prompts from now on."""


class Batching(Protocol):
    """A judge whose questions can be sent away in a file."""

    async def prepare_file(self, dataset: Dataset, pairs: Candidates) -> str:
        """Like `prepare`, also where no server answers now; says why none was asked, "" when one was."""

    def body(self, request: Request) -> dict[str, Any]:
        """What `judge` would send."""


def question_key(judge: Judge, prompt: Prompt) -> str:
    """sha256 (hex) of all that the answer depends on: change any text, the rubric, the weights or an option and it differs."""
    return key_of(judge.version, judge.identity(), prompt.messages)


def key_of(version: str, identity: Mapping[str, Any], messages: Sequence[Mapping[str, str]]) -> str:
    """The key of the question that these messages are to a judge with this identity."""
    text = json.dumps([version, identity, messages], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
