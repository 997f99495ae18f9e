"""A language model on one or several Ollama servers.

Requests go through httpx: the ollama package cannot send `truncate` and `shift`, without which a long prompt is cut in
silence (to half), and it waits for ever. The package's types read the answers.
"""

import statistics
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import ollama
from pydantic import ValidationError

from core.errors import BadAnswer, Fatal, JudgeError, Refused, Transient
from core.judges.base import Cost, Health
from core.judges.confidence import Token
from core.judges.llm import Ask, Chat, LanguageModel
from core.judges.servers import Kind, Servers
from core.settings import JudgeSettings

URL = "http://localhost:11434"
SMALLEST_CONTEXT = 2048
VERIFY_S = 10.0
"""While a run is at work, the weights behind the model's name are looked at this often."""
LIKELY = 10
"""Alternatives that are told of each token: three labels in several spellings."""


class OllamaJudge(LanguageModel):
    """Speaks Ollama's own API, which tells its window, its waiting time and its weights."""

    name = "ollama"
    hosted = False

    def _connect(self, settings: JudgeSettings) -> Servers:
        self._think: bool | str | None = None
        self._context = SMALLEST_CONTEXT
        self._ratios: deque[float] = deque(maxlen=50)  # characters per token of the latest prompts
        self._verified: dict[str, float] = {}
        start = "Start it with `ollama serve`, or choose the built-in rater (judge: builtin)."
        permit = "The server, or a proxy before it, wants permission: check the address."
        return Servers(settings.url, URL, Kind("Ollama", start, self._how_to_get(), permit))

    def _identity(self) -> dict[str, Any]:
        return {"digest": self.digest, "think": self._think}

    async def check(self) -> Health:
        """Is there an Ollama at each address, and does it have the model?"""
        facts: dict[str, str] = {}
        models: dict[str, str] = {}
        for url in self.lanes:
            try:
                version = (await self._servers.look(url, "/api/version")).get("version", "")
                models = await self._models(url)
            except JudgeError as error:
                return Health(False, error.message, error.hint)
            names = tuple(sorted(models))
            if self._full_name(models) is None:
                message = f"Ollama {version} at {url} has no model {self.model!r}."
                return Health(False, message, self._how_to_get(names), names, missing=self.model)
            try:
                facts |= await self._facts(url)
            except JudgeError as error:
                return Health(False, error.message, error.hint, names)
        where = self.lanes[0] if len(self.lanes) == 1 else f"{len(self.lanes)} addresses"
        return Health(True, f"Ollama {version} at {where} with {self.model}.", models=tuple(sorted(models)), facts=facts)

    async def _visit(self, lane: str) -> None:
        await self._servers.look(lane, "/api/version")
        await self._verify(lane)

    async def _get_ready(self, window: int) -> None:
        """The servers must have the same weights under the model's name: an answer must not depend on who gave it."""
        digests: dict[str, str] = {}
        for url in self.lanes:
            models = await self._models(url)
            name = self._full_name(models)
            if name is None:
                raise Fatal(f"Ollama at {url} has no model {self.model!r}.", self._how_to_get(tuple(sorted(models))))
            digests[url] = models[name]
            self._verified[url] = time.monotonic()
        if len(set(digests.values())) > 1:
            told = "; ".join(f"{url}: {digest[:12]}" for url, digest in digests.items())
            message = f"The servers have different weights under the name {self.model!r} ({told})."
            raise Fatal(message, f"Run `ollama pull {self.model}` on each.")
        self.digest = next(iter(digests.values()))
        shown = await self._shown(self.lanes[0])
        if "completion" not in (shown.capabilities or ["completion"]):
            raise Fatal(
                f"The model {self.model!r} cannot chat.", "Choose a chat model; embedding models do not answer questions."
            )
        family = (shown.details.family or "") if shown.details else ""
        if "thinking" in (shown.capabilities or []):
            self._think = "low" if family.startswith("gptoss") else False  # gpt-oss cannot switch thinking off
        self._context = SMALLEST_CONTEXT
        while self._context < window:
            self._context *= 2
        self._context = min(self._context, _longest_context(shown) or self._context)

    async def _chat(self, ask: Ask) -> Chat:
        if time.monotonic() - self._verified[ask.lane] > VERIFY_S:
            await self._verify(ask.lane)
        value = await self._servers.ask(ask.lane, "/api/chat", self._body(ask), self._settings.timeout_s, self.model)
        try:
            chat = ollama.ChatResponse.model_validate(value)
        except ValidationError as error:
            raise Transient(f"The answer of {ask.lane} is not Ollama's: {str(value)[:200]}.") from error
        content = chat.message.content or ""
        if not chat.done or chat.done_reason not in ("stop", "length", None):
            raise BadAnswer(f"The answer is not finished (done {chat.done}, {chat.done_reason}): {content[:200]!r}.")
        if chat.message.thinking and not content:
            raise BadAnswer("The model thought and did not answer.")
        self._check_whole(ask, chat.prompt_eval_count)
        if chat.done_reason == "length" and (chat.prompt_eval_count or 0) + (chat.eval_count or 0) >= self._context - 2:
            raise Refused(f"The question leaves no room for an answer: the window has {self._context:,} tokens.")
        return Chat(content, chat.done_reason == "length", _cost(chat, value), _tokens(chat))

    def _body(self, ask: Ask) -> dict[str, Any]:
        """The same options for all first attempts: another num_ctx would reload the model."""
        options: dict[str, Any] = {"temperature": ask.temperature, "seed": ask.seed, "num_ctx": self._context}
        options |= {"num_predict": ask.tokens} | ({} if ask.temperature else {"top_k": 1})
        body = {
            "model": self.model,
            "messages": list(ask.messages),
            "stream": False,
            "format": dict(ask.schema),
            "truncate": False,
            "shift": False,
            "keep_alive": "30m",
            "options": options,
        }
        thinking = {} if self._think is None else {"think": self._think}
        likely = {"logprobs": True, "top_logprobs": LIKELY} if ask.likely else {}
        return body | thinking | likely

    def _check_whole(self, ask: Ask, count: int | None) -> None:
        """Old servers ignore `shift` and cut a long prompt to half the window: such an answer judges half a question."""
        if not count:
            return
        chars = sum(len(message["content"]) for message in ask.messages)
        usual = statistics.median(self._ratios) if len(self._ratios) >= 5 else 6.0
        if abs(count - (self._context // 2 + 2)) <= 8 and count < 0.8 * chars / usual:
            raise BadAnswer(f"The server read only {count} tokens of the question: its window is smaller than asked for.")
        self._ratios.append(chars / count)

    async def _verify(self, url: str) -> None:
        """Raise Fatal when the model's name now stands for other weights: the answers would be another rater's."""
        models = await self._models(url)
        name = self._full_name(models)
        if name is None:
            raise Fatal(f"Ollama at {url} has no model {self.model!r} any more.", self._how_to_get(tuple(sorted(models))))
        if models[name] != self.digest:
            message = f"The weights of {self.model!r} at {url} have changed ({self.digest[:12]} is now {models[name][:12]})."
            raise Fatal(message, "Start the judging again: the new weights are another rater, which is asked everything anew.")
        self._verified[url] = time.monotonic()

    async def _models(self, url: str) -> dict[str, str]:
        """{name: digest} of the models that the server has."""
        try:
            listed = ollama.ListResponse.model_validate(await self._servers.look(url, "/api/tags"))
        except ValidationError as error:
            raise Fatal(f"What answers at {url} is not Ollama.", "Check the address.") from error
        return {model.model: model.digest or "" for model in listed.models if model.model}

    async def _shown(self, url: str) -> ollama.ShowResponse:
        value = await self._servers.look(url, "/api/show", self.model, json={"model": self.model})
        try:
            return ollama.ShowResponse.model_validate(value)
        except ValidationError as error:
            raise Fatal(f"Ollama at {url} describes {self.model!r} in an unknown way.", "Update Ollama.") from error

    async def _facts(self, url: str) -> dict[str, str]:
        """What a person wants to know before they trust a model with a night's work."""
        shown = await self._shown(url)
        details = shown.details
        facts = (
            {"weights": " ".join(part for part in (details.parameter_size, details.quantization_level) if part)}
            if details
            else {}
        )
        if longest := _longest_context(shown):
            facts["context window"] = f"{longest:,} tokens"
        try:
            loaded = ollama.ProcessResponse.model_validate(await self._servers.look(url, "/api/ps"))
        except ValidationError as error:
            raise Fatal(f"Ollama at {url} tells in an unknown way what is loaded.", "Update Ollama.") from error
        mine = [model for model in loaded.models if model.model in (self.model, f"{self.model}:latest")]
        facts["loaded"] = (
            f"yes, with {mine[0].context_length or 0:,} tokens" if mine else "not yet; the first answer takes longer"
        )
        if "thinking" in (shown.capabilities or []):
            facts["thinking"] = "switched off, where the model allows it"
        return facts

    def _full_name(self, models: Mapping[str, str]) -> str | None:
        names = (self.model, f"{self.model}:latest")
        return next((name for name in names if name in models), None)

    def _how_to_get(self, names: tuple[str, ...] | None = None) -> str:
        there = "" if names is None else f" There are: {', '.join(names)}." if names else " It has no model yet."
        return f"Run `ollama pull {self.model}`, or choose another model.{there}"


def _longest_context(shown: ollama.ShowResponse) -> int | None:
    """Tokens that the model was made for."""
    known = shown.modelinfo or {}
    lengths = (value for name, value in known.items() if name.endswith(".context_length"))
    return next((value for value in lengths if isinstance(value, int) and value > 0), None)


def _cost(chat: ollama.ChatResponse, value: Mapping[str, Any]) -> Cost:
    """All durations are optional. The whole begins with the request, loading ends before a slot is free: what no part
    accounts for is the wait for a slot (server/routes.go)."""
    whole, parts = chat.total_duration, (chat.load_duration, chat.prompt_eval_duration, chat.eval_duration)
    wait = None if whole is None else max(0, whole - sum(part or 0 for part in parts)) / 1e9
    cached = value.get("prompt_eval_cached_count")  # newer than the package's types
    return Cost(
        prompt_tokens=chat.prompt_eval_count,
        cached_tokens=cached if isinstance(cached, int) else None,
        answer_tokens=chat.eval_count,
        wait_s=wait,
        prefill_s=None if chat.prompt_eval_duration is None else chat.prompt_eval_duration / 1e9,
        decode_s=None if chat.eval_duration is None else chat.eval_duration / 1e9,
    )


def _tokens(chat: ollama.ChatResponse) -> tuple[Token, ...]:
    return tuple(
        Token(each.token, tuple((other.token, other.logprob) for other in each.top_logprobs or []))
        for each in chat.logprobs or []
    )
