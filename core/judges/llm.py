"""What all language models have in common: the questions, the reading of the answers, profiles. Servers differ below it."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import prompts
from core.errors import BadAnswer, Fatal, JudgeError
from core.judges.base import Changed, Cost, CutOff, Health, Reply, Request, Written
from core.judges.confidence import Token, of_rating
from core.judges.servers import Servers
from core.judges.texts import PairTexts
from core.prompts import Prompt, Rubric
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings
from core.store.counterfactuals import Change

SEED, SAMPLE_TEMPERATURE, RETRY_TEMPERATURE = 7, 0.7, 0.3
PROBE_TOKENS = 16


@dataclass(frozen=True)
class Ask:
    """One call to a model."""

    lane: str
    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    temperature: float
    seed: int
    tokens: int  # of the answer at most
    likely: bool  # tell the tokens' probabilities


@dataclass(frozen=True)
class Chat:
    """What a model answered."""

    content: str
    cut: bool  # it ran into the limit
    cost: Cost
    tokens: tuple[Token, ...] = ()


class LanguageModel(abc.ABC):
    """A judge that asks a model on one or several servers; made of settings and rubric, knows the servers after `prepare`."""

    name: str
    is_llm = True
    pointless: Mapping[Change, str] = {}
    hosted: bool

    def __init__(self, settings: JudgeSettings, cache: Path, rubric: Rubric = prompts.RUBRIC) -> None:
        self._settings, self._rubric = settings, rubric
        self.model = settings.model
        self.digest = ""
        self.version = prompts.prompt_version(rubric, settings.profiles)
        self._servers = self._connect(settings)
        self.lanes = self._servers.urls
        self._texts: PairTexts | None = None

    def identity(self) -> dict[str, Any]:
        """A prompt is never cut by the server, so its window changes no answer; neither do probabilities told beside it."""
        sampling = {"temperature": self._settings.temperature, "seed": SEED, "tokens": self._settings.num_predict}
        return {"judge": self.name, "schema": prompts.SCHEMA} | sampling | self._identity()

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        await self._get_ready(self._read_texts(dataset, pairs))

    def _read_texts(self, dataset: Dataset, pairs: Candidates) -> int:
        """Tokens of the longest question and its answer."""
        self._texts = PairTexts(dataset, pairs, self._settings.history_items, self._rubric, self._settings.profiles)
        longest = max(len(prompts.system(view, self._rubric)) for view in VIEWS) + self._texts.longest()
        return int(1.1 * (longest / prompts.CHARS_PER_TOKEN + 2 * self._settings.num_predict))

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        return self._ready().prompt(user, item, view, short)

    def changed(self, user: int, item: int, view: str, change: Changed, short: bool = False) -> Prompt:
        return self._ready().prompt(user, item, view, short, change)

    def profile_prompt(self, user: int) -> Prompt | None:
        return self._ready().profile_prompt(user)

    def use_profiles(self, written: Mapping[int, str]) -> None:
        self._ready().written.update(written)

    async def judge(self, request: Request) -> Reply:
        """The answer; a repeated question gets other sampling, and more room after an answer that was cut."""
        return reply(await self._finished(self._question(request)))

    async def probe(self, request: Request) -> Reply:
        """The rating alone: after its own reasoning a model is sure of it, without one the probabilities still tell doubt."""
        return reply(await self._finished(self._ask(request, prompts.PROBE_SCHEMA, PROBE_TOKENS * request.room, True)))

    async def write(self, request: Request) -> Written:
        tokens = self._settings.num_predict * request.room
        chat = await self._finished(self._ask(request, prompts.PROFILE_SCHEMA, tokens, False))
        return Written(prompts.parse_profile(chat.content), chat.content, chat.cost)

    async def close(self) -> None:
        await self._servers.close()

    @abc.abstractmethod
    async def check(self) -> Health: ...

    async def alive(self, lane: str) -> bool:
        try:
            await self._visit(lane)
        except Fatal:
            raise
        except JudgeError:
            return False
        return True

    @abc.abstractmethod
    async def _visit(self, lane: str) -> None:
        """Raise what keeps a server from work."""

    @abc.abstractmethod
    def _connect(self, settings: JudgeSettings) -> Servers: ...

    @abc.abstractmethod
    def _identity(self) -> dict[str, Any]:
        """What else the answers depend on."""

    @abc.abstractmethod
    async def _get_ready(self, window: int) -> None:
        """Look at the servers; `window`: tokens of the longest question and its answer. `Fatal` when they cannot work."""

    @abc.abstractmethod
    async def _chat(self, ask: Ask) -> Chat:
        """One call; BadAnswer for an answer that did not end."""

    def _ready(self) -> PairTexts:
        if self._texts is None:
            raise RuntimeError("prepare() comes first")
        return self._texts

    def _question(self, request: Request) -> Ask:
        tokens = self._settings.num_predict * request.room
        return self._ask(request, prompts.SCHEMA, tokens, self._settings.confidence != "none")

    def _ask(self, request: Request, schema: Mapping[str, Any], tokens: int, likely: bool) -> Ask:
        temperature = self._settings.temperature
        if request.sample:
            temperature = max(SAMPLE_TEMPERATURE, temperature)
        elif request.bad_answers:
            temperature = max(RETRY_TEMPERATURE, temperature)
        seed = SEED + 100 * request.sample + request.bad_answers
        return Ask(request.lane or self.lanes[0], request.prompt.messages, schema, temperature, seed, tokens, likely)

    async def _finished(self, ask: Ask) -> Chat:
        return finished(await self._chat(ask))


def finished(chat: Chat) -> Chat:
    """The answer, when it came to its end and says something; else CutOff or BadAnswer."""
    if chat.cut:
        raise CutOff(f"The answer ran into its limit of tokens: {chat.content[:200]!r}.")
    if not chat.content.strip():
        raise BadAnswer("The answer is empty.")
    return chat


def reply(chat: Chat) -> Reply:
    """The rating that a finished answer holds; BadAnswer when it holds none that is certain."""
    answer = prompts.parse(chat.content)
    rating = answer.rating.value
    sure = of_rating(rating, chat.tokens) if chat.tokens else None
    return Reply(rating, answer.analysis, chat.content, answer.how, sure, chat.cost)
