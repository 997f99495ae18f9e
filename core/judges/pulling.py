"""Getting a model onto an Ollama server, with progress. A pull that is broken off goes on where it was when it is repeated."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import ollama

from core.errors import JudgeError, Transient
from core.http import is_near, server_url
from core.judges.ollama import URL

SILENCE_S = 300.0
"""A server that says nothing for so long has stopped pulling: verifying large files takes a minute or two."""


@dataclass(frozen=True)
class Pulled:
    """How far a pull is."""

    status: str
    done: int = 0  # bytes
    total: int = 0  # bytes, of the part that is being loaded; 0 while that is not known
    over: bool = False


def pull(url: str | None, model: str) -> Iterator[Pulled]:
    """Have the server at `url` (the first of several) fetch a model; the last one has `over`. JudgeError when it cannot."""
    address = server_url((url or URL).replace(",", " ").split()[0])
    client = ollama.Client(host=address, timeout=httpx.Timeout(SILENCE_S, connect=3.0), trust_env=not is_near(address))
    status = ""
    try:
        for step in client.pull(model, stream=True):
            status = step.status or ""
            yield Pulled(status, step.completed or 0, step.total or 0, over=status == "success")
    except ollama.ResponseError as error:
        raise JudgeError(
            f"{address} could not pull {model!r}: {error.error}", "Check the model's name and the connection."
        ) from error
    except (httpx.HTTPError, ConnectionError) as error:
        raise Transient(f"The connection to {address} broke: {error}.", "Pull again: it goes on where it was.") from error
    if status != "success":
        raise Transient(f"{address} ended the pull of {model!r} with {status!r}.", "Pull again: it goes on where it was.")


class Pulling:
    """A pull in the background of this process."""

    def __init__(self, url: str | None, model: str) -> None:
        self.model = model
        self.at = Pulled("starting")
        self.error: JudgeError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(url,), name=f"pull-{model}", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Hang up after the next message of the server; what has been loaded stays there."""
        self._stopped.set()

    def _work(self, url: str | None) -> None:
        try:
            for step in pull(url, self.model):
                self.at = step
                if self._stopped.is_set():
                    return
        except JudgeError as error:
            self.error = error
