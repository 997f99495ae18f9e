"""What every client of a model server needs: its address, when proxies apply, one deadline for the whole answer."""

import ipaddress
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.errors import Busy, Fatal, JudgeError, Refused, Transient

CONNECT_S = 3.0

PASSING = (408, 409, 425, 499, 502, 504)
"""With 429 and 503 the statuses that speak of the moment, not of what was asked, whatever words they use."""

TOO_LONG = (
    "exceed_context_size",
    "context_length_exceeded",
    "context length",
    "context size",
    "available context",
    "input length",
    "too long",
)
"""What servers say of what is too long for their model."""

OUT_OF_MONEY = ("insufficient_quota", "billing")


@dataclass(frozen=True)
class Answer:
    """What a server answered, whatever its status."""

    status: int
    text: str
    wait_s: float | None  # after which it wants to be asked again (Retry-After)

    @property
    def error(self) -> str:
        """What a refusal says, at most 300 characters: `{"error": "..."}`, `{"error": {"message": "..."}}`, or the text."""
        try:
            value = json.loads(self.text)
        except (json.JSONDecodeError, RecursionError):
            value = self.text
        for name in ("error", "message"):
            value = value.get(name, value) if isinstance(value, dict) else value
        return " ".join(str(value).split())[:300]


def server_url(url: str) -> str:
    """The address as a client can use it: with a scheme, without /v1, and not the server's own 0.0.0.0."""
    full = url.strip().rstrip("/")
    full = full if "://" in full else f"http://{full}"
    try:
        parts = urlsplit(full.removesuffix("/v1"))
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", full)
    except ValueError:  # brackets that do not close, a port that is no number
        known = False
    if not known:
        raise Fatal(f"{url!r} is no address of a server.", "Write it like http://localhost:11434.")
    return parts.geturl().replace("//0.0.0.0", "//127.0.0.1")


def is_near(url: str) -> bool:
    """Whether the host is this machine or in a private network: then proxies of the environment do not apply."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith(".local")


def client(url: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """A client of the server at `url`, safe to use from several threads. Making one takes 20 ms and more: keep it."""
    try:
        return httpx.Client(base_url=url, headers=headers, trust_env=not is_near(url))
    except httpx.InvalidURL as error:
        raise Fatal(f"{url!r} is no address of a server: {error}.", "Write it like http://localhost:11434.") from error


def send(to: httpx.Client, method: str, path: str, limit_s: float, *, hint: str = "", **sent: Any) -> Answer:
    """The whole answer within `limit_s`: a server that dribbles passes every read timeout. `sent`: as httpx takes it.

    Transient when nothing answers, the connection breaks or the time is up; `hint` says how the server is started.
    """
    url = str(to.base_url).rstrip("/")
    late = Transient(f"{url} did not answer within {limit_s:g} s.", "Look at the server's load, or choose a smaller model.")
    deadline = time.monotonic() + limit_s
    try:
        with to.stream(method, path, timeout=httpx.Timeout(limit_s, connect=min(CONNECT_S, limit_s)), **sent) as response:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise late
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Transient(f"Nothing answers at {url}.", hint) from error
    except httpx.TimeoutException as error:
        raise late from error
    except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed, the work is over
        raise Transient(f"The connection to {url} broke: {error}.") from error
    text = b"".join(parts).decode("utf-8", errors="replace")
    return Answer(response.status_code, text, wait_s(response.headers.get("retry-after", "")))


def refusal(url: str, answer: Answer, *, no_model: Fatal, permit: str, too_long: Sequence[str] = ()) -> JudgeError:
    """The class of error that an answer of another status than 200 is, which says whether it is worth trying again.

    no_model: what it is when the server lacks the model; permit: how to be let in; too_long: further signs beside TOO_LONG.
    """
    status, small = answer.status, answer.text.lower()
    message = f"{url} answered {status}: {answer.error}"
    if status in (402, 403, 429) and any(sign in small for sign in OUT_OF_MONEY):
        return Fatal(message, "The account that the key belongs to has no credit left.")
    if status in (429, 503):
        return Busy(message, wait_s=answer.wait_s)
    if status in PASSING:
        return Transient(message, "The server's log says more.")
    if status == 413 or (status in (400, 422, 500) and any(sign in small for sign in (*TOO_LONG, *too_long))):
        return Refused(message, "What was sent is too long for the model.")
    if status >= 500:
        return Transient(message, "The server's log says more.")
    if status in (401, 403):
        return Fatal(message, permit)
    if status == 404 and "model" in answer.error.lower():
        return no_model
    return Fatal(message, "Check the address and the model.")


def wait_s(value: str) -> float | None:
    """Retry-After, which is a number of seconds or a date."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
