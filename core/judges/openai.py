"""A language model behind OpenAI's API: vLLM, llama.cpp's server, LM Studio, OpenAI and its many likes.

They agree on the address and the shape, not on what a request may hold. So before a run one small question finds out
which optional parts this server takes; a part that it refuses is left out from then on.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any

from core.errors import BadAnswer, Busy, Fatal, JudgeError, Refused, Transient
from core.http import is_near
from core.judges.base import Cost, Health, Request, Unreachable
from core.judges.confidence import Token
from core.judges.llm import Ask, Chat, LanguageModel
from core.judges.servers import Kind, Servers
from core.records import Candidates, Dataset
from core.settings import JudgeSettings

URL = "http://localhost:8000/v1"
LIKELY = 10
OPTIONAL = ("response_format", "logprobs", "chat_template_kwargs", "seed", "temperature", "max_tokens")
"""Parts of a request that some server refuses, the least missed first."""
TRIES, PAUSE_S = 3, 0.5
"""Before a run: calls that may break, and seconds after which the next one is made."""
TRIED = {"type": "object", "additionalProperties": False, "required": ["ready"], "properties": {"ready": {"type": "boolean"}}}


class OpenAIJudge(LanguageModel):
    """Speaks chat completions. There is no digest: the weights are known by the name that the server gives them."""

    name = "openai"
    hosted = True

    def _connect(self, settings: JudgeSettings) -> Servers:
        self._refused: set[str] = set()
        key, variable = os.environ.get(settings.api_key_env, "").strip(), settings.api_key_env
        if not (key.isascii() and key.isprintable()):
            raise Fatal(f"What the environment variable {variable} holds is no key.", "Copy it again, without quotes or dots.")
        start = "Start it, check the address, or choose another judge."
        permit = f"Put the key into the environment variable {variable}, and start Winnow from there."
        get = "Check the model's name, or choose another model."
        return Servers(settings.url, URL, Kind("server with OpenAI's API", start, get, permit), key)

    def _identity(self) -> dict[str, Any]:
        return {"model": self.model, "without": sorted(self._refused & {"response_format", "seed", "temperature"})}

    async def check(self) -> Health:
        names: tuple[str, ...] = ()
        for url in self.lanes:
            try:
                names = await self._models(url)
            except JudgeError as error:
                return Health(False, error.message, error.hint)
            if names and self.model not in names:
                there = f"There are: {', '.join(names[:20])}."
                return Health(False, f"{url} has no model {self.model!r}.", f"Choose another model. {there}", names)
        where = self.lanes[0] if len(self.lanes) == 1 else f"{len(self.lanes)} addresses"
        return Health(True, f"{where} with {self.model}.", models=names, facts={"weights": "the server tells no digest"})

    async def _visit(self, lane: str) -> None:
        await self._models(lane)

    async def _get_ready(self, window: int) -> None:
        self._do_without_what_is_local()
        for url in self.lanes:
            await self._settle(url)

    def _do_without_what_is_local(self) -> None:
        if not any(is_near(url) for url in self.lanes):
            self._refused.add("chat_template_kwargs")  # vLLM's and llama.cpp's own: switches thinking off

    async def _settle(self, url: str) -> None:
        """Leave out what this server refuses. It may be busy, or loading its model, for as long as one answer may take."""
        messages = [{"role": "user", "content": 'Answer with this JSON and nothing else: {"ready": true}'}]
        until = time.monotonic() + self._settings.timeout_s
        broken = 0
        while True:
            try:
                await self._complete(Ask(url, messages, TRIED, 0.0, 1, 32, True))
                return
            except Fatal as error:
                self._leave_out(error, url)
            except (Busy, Transient) as error:
                broken += isinstance(error, Transient)
                pause_s = max(PAUSE_S, error.wait_s or 0) if isinstance(error, Busy) else PAUSE_S
                if isinstance(error, Unreachable) or broken == TRIES or time.monotonic() + pause_s > until:
                    raise Fatal(error.message, error.hint) from error
                await asyncio.sleep(pause_s)

    def _leave_out(self, error: Fatal, url: str) -> None:
        """Do without the part of the request that the server complains about; the error again when it names none."""
        said = error.message.replace(url, "").lower()
        spelled = {"response_format": ("response_format", "json_schema", "guided"), "logprobs": ("logprob",)}
        for part in OPTIONAL:
            if part not in self._refused and any(sign in said for sign in spelled.get(part, (part,))):
                self._refused.add(part)
                return
        raise error

    async def prepare_file(self, dataset: Dataset, pairs: Candidates) -> str:
        """Without a server the questions hold all optional parts, but the one that is only of servers nearby, unless the
        address is one."""
        window = self._read_texts(dataset, pairs)
        health = await self.check()
        if health.ok:
            await self._get_ready(window)
            return ""
        if not self._settings.url:
            self._refused.add("chat_template_kwargs")
        self._do_without_what_is_local()
        return health.message

    def body(self, request: Request) -> dict[str, Any]:
        return self._body(self._question(request))

    async def _chat(self, ask: Ask) -> Chat:
        return read_completion(await self._complete(ask), ask.lane)

    async def _complete(self, ask: Ask) -> dict[str, Any]:
        limit_s = self._settings.timeout_s
        return await self._servers.ask(ask.lane, "/v1/chat/completions", self._body(ask), limit_s, self.model)

    def _body(self, ask: Ask) -> dict[str, Any]:
        """`maxLength` is left out: strict servers refuse it, and the tokens are bounded anyway."""
        schema = {"name": "answer", "strict": True, "schema": _without(ask.schema, "maxLength")}
        parts: dict[str, dict[str, Any]] = {
            "response_format": {"response_format": {"type": "json_schema", "json_schema": schema}},
            "logprobs": {"logprobs": True, "top_logprobs": LIKELY} if ask.likely else {},
            "chat_template_kwargs": {"chat_template_kwargs": {"enable_thinking": False}},
            "seed": {"seed": ask.seed},
            "temperature": {"temperature": ask.temperature},
            "max_tokens": {"max_tokens": ask.tokens},
        }
        body: dict[str, Any] = {"model": self.model, "messages": list(ask.messages), "stream": False}
        for name, part in parts.items():
            body |= part if name not in self._refused else {}
        if "max_tokens" in self._refused:
            body["max_completion_tokens"] = ask.tokens
        return body

    async def _models(self, url: str) -> tuple[str, ...]:
        listed = await self._servers.look(url, "/v1/models")
        found = listed.get("data")
        if not isinstance(found, list):
            raise Fatal(f"What answers at {url} is not a server with OpenAI's API.", "Check the address.")
        return tuple(sorted(str(model.get("id")) for model in found if isinstance(model, dict)))


def read_completion(value: Mapping[str, Any], source: str) -> Chat:
    """What a chat completion holds; `source` gave it. Raises Refused, BadAnswer, or Transient when it is no completion."""
    try:
        choice = value["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        content, refusal = message.get("content") or "", message.get("refusal")
        if not isinstance(content, str):
            raise TypeError("content")
        cost, tokens = _cost(value), _tokens(choice)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise Transient(f"The answer of {source} is not one of OpenAI's API: {str(value)[:200]}.") from error
    if refusal or reason == "content_filter":
        raise Refused(f"The model does not answer this: {refusal or 'its filter stopped it'}.")
    if reason not in ("stop", "length", None):
        raise BadAnswer(f"The answer is not finished ({reason}): {content[:200]!r}.")
    return Chat(content, reason == "length", cost, tokens)


def _without(schema: Any, name: str) -> Any:
    """A schema without one keyword, at any depth."""
    if isinstance(schema, Mapping):
        return {key: _without(value, name) for key, value in schema.items() if key != name}
    return [_without(each, name) for each in schema] if isinstance(schema, list) else schema


def _cost(value: Mapping[str, Any]) -> Cost:
    """Servers that count otherwise, or not at all, tell nothing."""
    usage = _dict(value.get("usage"))
    details = _dict(usage.get("prompt_tokens_details"))
    told = (usage.get("prompt_tokens"), details.get("cached_tokens"), usage.get("completion_tokens"))
    return Cost(*(n if isinstance(n, int) and 0 <= n < 2**31 else None for n in told))


def _tokens(choice: Mapping[str, Any]) -> tuple[Token, ...]:
    """None where they have another shape than OpenAI's."""
    try:
        return tuple(
            Token(
                str(each["token"]),
                tuple((str(other["token"]), min(float(other["logprob"]), 0.0)) for other in each["top_logprobs"]),
            )
            for each in choice["logprobs"]["content"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
