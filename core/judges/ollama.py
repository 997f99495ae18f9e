"""A language model on an Ollama server.

Requests go through httpx: the ollama package cannot send `truncate` and `shift`, without which a long prompt is cut in
silence (to half), and it waits for ever. The package's types read the answers.
"""

import ipaddress
import json
import statistics
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import ollama
from pydantic import ValidationError

from core import prompts
from core.errors import BadAnswer, Busy, Fatal, JudgeError, Refused, Transient
from core.judges.base import CutOff, Health, Reply, Request
from core.judges.texts import PairTexts
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings

CONNECT_S, CHECK_S, FIRST_S = 3.0, 5.0, 600.0
CHARS_PER_TOKEN = 3.0
"""Fewer than texts have on average: the context is rather too large than too small."""

SMALLEST_CONTEXT = 2048
TOO_LONG = ("exceed_context_size", "exceeds the available context", "context length", "too long", "input length")


class OllamaJudge:
    """Asks one model; made of the settings alone, knows the server after `prepare`."""

    name = "ollama"
    is_llm = True
    version = prompts.prompt_version(prompts.RUBRIC, prompts.MADE)

    def __init__(self, settings: JudgeSettings, cache: Path) -> None:
        self._settings = settings
        self._url = server_url(settings.url)
        self._http = httpx.Client(
            base_url=self._url, timeout=httpx.Timeout(CHECK_S, connect=CONNECT_S), trust_env=not is_near(self._url)
        )
        self.model = settings.model
        self.digest = ""
        self._think: bool | str = False
        self._context = SMALLEST_CONTEXT
        self._texts: PairTexts | None = None
        self._ratios: deque[float] = deque(maxlen=50)  # characters per token of the latest prompts
        self._loaded = threading.Event()

    def identity(self) -> dict[str, Any]:
        options = self._options(0, 1)
        options.pop("num_ctx")  # a prompt is never cut (truncate: false), so the window changes no answer
        return {"judge": self.name, "digest": self.digest, "options": options, "think": self._think, "schema": prompts.SCHEMA}

    def check(self) -> Health:
        """Is there an Ollama, and does it have the model?"""
        try:
            version = self._get("/api/version").get("version", "")
            models = self._models()
        except JudgeError as error:
            return Health(False, error.message, error.hint)
        names = tuple(sorted(models))
        if self._full_name(models) is None:
            message = f"Ollama {version} at {self._url} has no model {self.model!r}."
            return Health(False, message, self._how_to_get(names), names)
        return Health(True, f"Ollama {version} at {self._url} with {self.model}.", models=names)

    def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        models = self._models()
        name = self._full_name(models)
        if name is None:
            raise Fatal(f"Ollama at {self._url} has no model {self.model!r}.", self._how_to_get(tuple(sorted(models))))
        self.digest = models[name]
        shown = self._shown()
        if "completion" not in (shown.capabilities or ["completion"]):
            raise Fatal(
                f"The model {self.model!r} cannot chat.", "Choose a chat model; embedding models do not answer questions."
            )
        family = (shown.details.family or "") if shown.details else ""
        self._think = "low" if family.startswith("gptoss") else False  # gpt-oss cannot switch thinking off
        self._texts = PairTexts(dataset, pairs, self._settings.history_items)
        longest = max(len(prompts.system(view, prompts.RUBRIC)) for view in VIEWS) + self._texts.longest()
        needed = 1.1 * (longest / CHARS_PER_TOKEN + 2 * self._settings.num_predict)
        self._context = SMALLEST_CONTEXT
        while self._context < needed:
            self._context *= 2

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        if self._texts is None:
            raise RuntimeError("prepare() comes first")
        return self._texts.prompt(user, item, view, short)

    def judge(self, request: Request) -> Reply:
        body = {
            "model": self.model,
            "messages": request.prompt.messages,
            "stream": False,
            "think": self._think,
            "format": prompts.SCHEMA,
            "truncate": False,
            "shift": False,
            "keep_alive": "30m",
            "options": self._options(request.bad_answers, request.room),
        }
        chat = self._chat(body)
        content = chat.message.content or ""
        if not chat.done or chat.done_reason not in ("stop", "length", None):
            raise BadAnswer(f"The answer is not finished (done {chat.done}, {chat.done_reason}): {content[:200]!r}.")
        if chat.done_reason == "length":
            raise CutOff(f"The answer is longer than {body['options']['num_predict']} tokens: {content[:200]!r}.")
        self._check_whole(request.prompt, chat.prompt_eval_count)
        answer = prompts.parse(content)
        return Reply(
            rating=answer.rating.value,
            analysis=answer.analysis,
            raw=content,
            how=answer.how,
            prompt_tokens=chat.prompt_eval_count,
            answer_tokens=chat.eval_count,
        )

    def close(self) -> None:
        self._http.close()

    def _options(self, bad_answers: int, room: int) -> dict[str, Any]:
        """The same for all first attempts: another num_ctx would reload the model. A repeated question gets other sampling."""
        again = bad_answers > 0
        options = {
            "temperature": max(0.3, self._settings.temperature) if again else self._settings.temperature,
            "seed": 7 + bad_answers,
            "num_ctx": self._context,
            "num_predict": self._settings.num_predict * room,
        }
        return options if again or self._settings.temperature else options | {"top_k": 1}

    def _chat(self, body: dict[str, Any]) -> ollama.ChatResponse:
        first = not self._loaded.is_set()
        text = self._send("POST", "/api/chat", FIRST_S if first else self._settings.timeout_s, json=body)
        try:
            value = json.loads(text)
            if isinstance(value, dict) and "error" in value:
                raise Transient(f"Ollama says: {value['error']}")
            chat = ollama.ChatResponse.model_validate(value)
        except (json.JSONDecodeError, ValidationError) as error:
            raise Transient(f"The answer of {self._url} is not Ollama's: {text[:200]!r}.") from error
        self._loaded.set()
        return chat

    def _check_whole(self, prompt: Prompt, count: int | None) -> None:
        """Old servers ignore `shift` and cut a long prompt to half the window: such an answer judges half a question."""
        if not count:
            return
        chars = sum(len(message["content"]) for message in prompt.messages)
        usual = statistics.median(self._ratios) if len(self._ratios) >= 5 else 6.0
        if abs(count - (self._context // 2 + 2)) <= 8 and count < 0.8 * chars / usual:
            raise BadAnswer(f"The server read only {count} tokens of the question: its window is smaller than asked for.")
        self._ratios.append(chars / count)

    def _get(self, path: str) -> dict[str, Any]:
        return self._parsed("GET", path)

    def _parsed(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        text = self._send(method, path, CHECK_S, **sent)
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise Fatal(f"What answers at {self._url} is not Ollama.", "Check the address.") from error
        if not isinstance(value, dict):
            raise Fatal(f"What answers at {self._url} is not Ollama.", "Check the address.")
        return value

    def _models(self) -> dict[str, str]:
        """{name: digest} of the models that the server has."""
        try:
            listed = ollama.ListResponse.model_validate(self._get("/api/tags"))
        except ValidationError as error:
            raise Fatal(f"What answers at {self._url} is not Ollama.", "Check the address.") from error
        return {model.model: model.digest or "" for model in listed.models if model.model}

    def _shown(self) -> ollama.ShowResponse:
        value = self._parsed("POST", "/api/show", json={"model": self.model})
        try:
            return ollama.ShowResponse.model_validate(value)
        except ValidationError as error:
            raise Fatal(f"Ollama at {self._url} describes {self.model!r} in an unknown way.", "Update Ollama.") from error

    def _full_name(self, models: dict[str, str]) -> str | None:
        names = (self.model, f"{self.model}:latest")
        return next((name for name in names if name in models), None)

    def _how_to_get(self, names: tuple[str, ...]) -> str:
        there = f"There are: {', '.join(names)}." if names else "It has no model yet."
        return f"Run `ollama pull {self.model}`, or choose another model. {there}"

    def _send(self, method: str, path: str, limit_s: float, **sent: Any) -> str:
        """The body of a good answer within `limit_s` in total: a server that dribbles passes every read timeout."""
        deadline = time.monotonic() + limit_s
        try:
            with self._http.stream(method, path, timeout=httpx.Timeout(limit_s, connect=CONNECT_S), **sent) as response:
                parts = []
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > deadline:
                        raise Transient(f"{self._url} did not answer within {limit_s:.0f} s.")
                text = b"".join(parts).decode("utf-8", errors="replace")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            hint = "Start it with `ollama serve`, or choose the built-in rater (judge: builtin)."
            raise Transient(f"No Ollama answers at {self._url}.", hint) from error
        except httpx.TimeoutException as error:
            raise Transient(
                f"{self._url} did not answer within {limit_s:.0f} s.", "Raise timeout_s, or choose a smaller model."
            ) from error
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed, the run is over
            raise Transient(f"The connection to {self._url} broke: {error}.") from error
        if response.status_code == 200:
            return text
        raise _refusal(response.status_code, text, self._url, self.model)


def server_url(url: str) -> str:
    """The address as a client can use it: with a scheme, without /v1, and not the server's own 0.0.0.0."""
    full = url.strip().rstrip("/")
    full = full if "://" in full else f"http://{full}"
    parts = urlsplit(full.removesuffix("/v1"))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Fatal(f"{url!r} is no address of a server.", "Write it like http://localhost:11434.")
    return parts.geturl().replace("//0.0.0.0", "//127.0.0.1")


def is_near(url: str) -> bool:
    """Whether the host is this machine or in a private network: then proxies of the environment do not apply."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith(".local")


def _refusal(status: int, text: str, url: str, model: str) -> JudgeError:
    """The error class of an HTTP status: see the retry policies in core.judges.runner."""
    try:
        value = json.loads(text)
        detail = str(value.get("error", value)) if isinstance(value, dict) else text
    except json.JSONDecodeError:
        detail = text
    detail = " ".join(detail.split())[:300]
    message = f"{url} answered {status}: {detail}"
    if status in (429, 503):
        return Busy(message)
    if status >= 500 or status in (408, 499):
        return Transient(message, "The log of `ollama serve` says more.")
    if status == 404 and "model" in detail:
        return Fatal(f"Ollama at {url} has no model {model!r}.", f"Run `ollama pull {model}`, or choose another model.")
    if status == 400 and any(sign in detail.lower() for sign in TOO_LONG):
        return Refused(message, "The texts of this pair are too long for the model's window.")
    if status in (401, 403):
        return Fatal(message, "The server wants permission: check its address, or sign in with `ollama signin`.")
    return Fatal(message, "Check the address and the model.")
