"""HTTP to the servers of a judge: addresses, total deadlines, and which class of error each failure is."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import Fatal, Transient
from core.http import CONNECT_S, Answer, is_near, refusal, server_url, wait_s
from core.judges.base import Unreachable

CHECK_S, FIRST_S = 5.0, 600.0


@dataclass(frozen=True)
class Kind:
    """What stands at the addresses, in words for messages."""

    name: str
    start: str  # what to do when nobody answers
    get: str  # what to do when it lacks the model
    permit: str  # what to do when it wants permission


class Servers:
    """One client an address. The first call to a model gets time to load it."""

    def __init__(self, addresses: str | None, default: str, kind: Kind, key: str = "") -> None:
        """`addresses`: with spaces or commas between. `key`: sent with every request, and never part of a message."""
        given = (addresses or "").replace(",", " ").split() or [default]
        self.urls = tuple(dict.fromkeys(server_url(url) for url in given))
        self._kind, self._key = kind, key
        self._clients = {url: self._client(url) for url in self.urls}
        self._loaded: set[str] = set()

    async def ask(self, url: str, path: str, body: Mapping[str, Any], limit_s: float, model: str) -> dict[str, Any]:
        """The JSON object that a model's server answers."""
        text = await self._send(url, "POST", path, limit_s if url in self._loaded else max(limit_s, FIRST_S), model, json=body)
        value = _object(text)
        if value is None:
            raise Transient(f"The answer of {url} is not one of {self._kind.name}: {text[:200]!r}.")
        if "error" in value:
            raise Transient(f"{url} says: {Answer(200, text, None).error}")
        self._loaded.add(url)
        return value

    async def look(self, url: str, path: str, model: str = "", **sent: Any) -> dict[str, Any]:
        """What a server says about itself; Fatal when something else stands at the address."""
        text = await self._send(url, "POST" if sent else "GET", path, CHECK_S, model, **sent)
        value = _object(text)
        if value is None:
            raise Fatal(f"What answers at {url} is not {self._kind.name}.", "Check the address.")
        return value

    async def close(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    def _client(self, url: str) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                base_url=url,
                timeout=None,  # every call has a deadline in total instead: a server that dribbles passes every read timeout
                trust_env=not is_near(url),
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            )
        except httpx.InvalidURL as error:
            raise Fatal(f"{url!r} is no address of a server: {error}.", "Write it like http://localhost:11434.") from error

    async def _send(self, url: str, method: str, path: str, limit_s: float, model: str, **sent: Any) -> str:
        """The body of a good answer within `limit_s` in total."""
        timeout = httpx.Timeout(None, connect=min(CONNECT_S, limit_s))
        try:
            async with asyncio.timeout(limit_s):
                response = await self._clients[url].request(method, path, timeout=timeout, **sent)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._loaded.discard(url)  # who listens there next has to load the model again
            raise Unreachable(f"No {self._kind.name} answers at {url}.", self._kind.start) from error
        except TimeoutError as error:
            message = f"{url} did not answer within {limit_s:.0f} s."
            raise Transient(message, "Raise the time limit, or choose a smaller model.") from error
        except httpx.HTTPError as error:
            raise Transient(f"The connection to {url} broke: {error}.") from error
        text = response.text.replace(self._key, "(the key)") if self._key else response.text  # some servers repeat it
        if response.status_code == 200:
            return text
        answer = Answer(response.status_code, text, wait_s(response.headers.get("retry-after", "")))
        no_model = Fatal(f"{self._kind.name} at {url} has no model {model!r}.", self._kind.get)
        raise refusal(url, answer, no_model=no_model, permit=self._kind.permit)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
