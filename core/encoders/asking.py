"""How a server is asked for the vectors of very many texts.

Texts go out in batches, a few at once. Every answer is checked and kept as it arrives, text by text, so that a killed
encoding goes on where it was. A server may cut a long text without a word, and Ollama since 0.13.5 does not always cut
when it is told to (ollama #14186); so it is first asked not to, and a text that is too long is cut here and counted.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tenacity
from filelock import FileLock, Timeout

from core import http
from core.encoders.base import NAMED, Encoded, Report, unit_rows
from core.encoders.kept import KeptVectors
from core.errors import BadAnswer, Busy, Fatal, JudgeError, Refused, Transient
from core.records import fingerprint
from core.settings import EncoderSettings
from core.untrusted import harmless

log = logging.getLogger(__name__)

BATCH_TEXTS, BATCH_CHARS = 64, 100_000
CHECK_S, LIMIT_S, FIRST_S = 5.0, 120.0, 600.0
"""For a question about the server, for a batch, and for the first one, which may load the model [s]."""

ATTEMPTS, BUSY_S, PAUSE_S = 5, 600.0, 0.5
"""Attempts at a batch; how long a busy server is waited for; the first pause, which doubles [s]."""

SHORTEST = 32
"""Characters: a text that is refused as too long even so is not too long."""

TOO_LARGE = ("too large", "tokens per request")
"""What servers say of a batch that is too long for them."""


class ServerEncoder:
    """Base of the encoders that are servers: a kind says what is sent and how the answer is read. It encodes once."""

    kind: str  # a member of ENCODERS
    at_once: int  # requests
    cuts = False  # whether it can be asked to cut a long text

    def __init__(self, settings: EncoderSettings, url: str, headers: dict[str, str] | None = None) -> None:
        self.model, self._url = settings.encoder_model, url
        self._http = http.client(url, headers)
        self._over = threading.Event()
        self._answered = threading.Event()
        self._dim, self._dim_lock = 0, threading.Lock()

    def check(self) -> None:
        with self._http:
            self._identity()
            self._may_ask()

    def encode(self, texts: list[str], cache: Path, report: Report) -> Encoded:
        clean = [harmless(text) for text in texts]
        wanted = list(dict.fromkeys(text for text in clean if text))
        name = f"{self.model} ({self.kind})"
        if not wanted:
            return Encoded(np.zeros((len(texts), 1), np.float32), name, NAMED)
        with self._http:
            rows, cut = self._encode(wanted, cache / "vectors", report)
        place = {text: row for row, text in enumerate(wanted)}
        vectors = np.zeros((len(texts), rows.shape[1]), np.float32)
        told = [row for row, text in enumerate(clean) if text]
        vectors[told] = rows[[place[clean[row]] for row in told]]
        why = f"{NAMED}; {cut} of {len(wanted)} texts were too long for the model and were cut" if cut else NAMED
        log.info("%d texts encoded by %s: %s", len(texts), name, why)
        return Encoded(vectors, name, why)

    def _encode(self, texts: list[str], folder: Path, report: Report) -> tuple[np.ndarray, int]:
        """Unit rows of distinct texts, and how many of them were cut. One process at a time asks one model."""
        identity = self._identity()
        keys = {text: _key(*identity, text) for text in texts}
        kept = KeptVectors(folder / "texts.db")
        try:
            with _claimed(folder / f".{fingerprint(*identity)}.lock", lambda: report(0, len(texts))):
                while missing := _without(keys, kept.known(list(keys.values()))):
                    self._ask(missing, keys, kept, len(texts), report)
            return kept.read(list(keys.values()))
        finally:
            kept.close()

    def _ask(self, missing: list[str], keys: dict[str, bytes], kept: KeptVectors, total: int, report: Report) -> None:
        """Asks for all of `missing` and keeps what comes. An error ends it once the requests under way are answered."""
        self._may_ask()
        done = total - len(missing)
        report(done, total)
        with ThreadPoolExecutor(self.at_once) as pool:
            asked = {pool.submit(self._embed, part, keys, kept): len(part) for part in _batches(missing)}
            try:
                for future in as_completed(asked):
                    future.result()
                    done += asked[future]
                    report(done, total)
            except JudgeError as error:
                error.hint = f"{error.hint} What is encoded is kept: the next try goes on from there.".strip()
                raise
            finally:
                self._over.set()
                pool.shutdown(cancel_futures=True)
                self._over.clear()

    def _embed(self, texts: list[str], keys: dict[str, bytes], kept: KeptVectors) -> None:
        """One batch; halves of it when the server does not like it, down to the text that is too long."""
        if self._over.is_set():
            return
        try:
            rows, cut = self._asked(texts), False
        except (Refused, BadAnswer) as error:
            if len(texts) > 1:
                middle = len(texts) // 2
                self._embed(texts[:middle], keys, kept)
                self._embed(texts[middle:], keys, kept)
                return
            if isinstance(error, BadAnswer):
                raise
            rows, cut = self._cut(texts[0]), True
        kept.keep([keys[text] for text in texts], rows, cut=cut)

    def _cut(self, text: str) -> np.ndarray:
        """The vector (1, dim) of a text that is too long: of what the server leaves, else of ever less of its beginning."""
        if self.cuts:
            try:
                return self._asked([text], cut=True)
            except Refused:
                log.debug("%s does not cut texts", self._url)
        while len(text) > SHORTEST:
            text = text[: len(text) * 3 // 4]
            try:
                return self._asked([text])
            except Refused:
                log.debug("%d characters are too many", len(text))
        raise Fatal(f"{self._url} refuses every text as too long: {text!r}.", "Choose another model.")

    def _asked(self, texts: list[str], cut: bool = False) -> np.ndarray:
        """Unit rows of one request, tried again as long as that may help."""

        def worth_it(error: BaseException) -> bool:
            return isinstance(error, Busy | Transient) or (isinstance(error, BadAnswer) and len(texts) == 1)

        attempt = tenacity.Retrying(
            retry=tenacity.retry_if_exception(worth_it),
            wait=_pause,
            stop=tenacity.stop_any(tenacity.stop_when_event_set(self._over), _enough),
            sleep=tenacity.sleep_using_event(self._over),
            reraise=True,
        )
        return attempt(self._checked, texts, cut)

    def _checked(self, texts: list[str], cut: bool) -> np.ndarray:
        try:
            rows = np.array(self._request(texts, cut), dtype=np.float64)
        except ValueError as error:
            raise BadAnswer(f"{self._url} gave vectors of different lengths.") from error
        self._answered.set()
        if rows.ndim != 2 or len(rows) != len(texts) or not rows.shape[1]:
            raise BadAnswer(f"{self._url} gave {len(rows)} vectors for {len(texts)} texts.")
        bad = ~np.isfinite(rows).all(axis=1) | ~rows.any(axis=1)
        if bad.any():
            raise BadAnswer(f"{self._url} gave no usable vector for {texts[int(bad.argmax())][:80]!r}.")
        with self._dim_lock:
            self._dim = self._dim or rows.shape[1]
        if rows.shape[1] != self._dim:
            raise BadAnswer(f"{self._url} gave vectors of {rows.shape[1]} numbers after others of {self._dim}.")
        return unit_rows(rows)

    def _post(self, path: str, body: dict[str, Any]) -> str:
        limit_s = LIMIT_S if self._answered.is_set() else FIRST_S
        return self._sent("POST", path, limit_s, json=body)

    def _sent(self, method: str, path: str, limit_s: float, **sent: Any) -> str:
        answer = http.send(self._http, method, path, limit_s, hint=self._how_to_start(), **sent)
        if answer.status == 200:
            return answer.text
        raise self._refusal(replace(answer, text=self._shown(answer.text)))

    def _refusal(self, answer: http.Answer) -> JudgeError:
        """The class of error, which says whether it is worth trying again."""
        low = answer.error.lower()
        if "unsupported value: nan" in low:  # Ollama cannot write it down; one text of the batch is the cause
            return BadAnswer(f"{self._url} answered {answer.status}: {answer.error}")
        if "not support embed" in low:
            return Fatal(f"{self._url} answered {answer.status}: {answer.error}", "Choose an embedding model.")
        how = {"no_model": self._no_model(), "permit": self._how_to_be_let_in(), "too_long": TOO_LARGE}
        return http.refusal(self._url, answer, **how)

    def _may_ask(self) -> None:
        """Raises when the server would refuse whatever it is asked."""

    def _shown(self, text: str) -> str:
        """What a server says, as it may be shown and logged."""
        return text

    def _identity(self) -> tuple[str, ...]:
        """What its vectors depend on besides the text: part of every key. No addresses."""
        raise NotImplementedError

    def _request(self, texts: list[str], cut: bool) -> Sequence[Sequence[float]]:
        raise NotImplementedError

    def _no_model(self) -> Fatal:
        raise NotImplementedError

    def _how_to_start(self) -> str:
        raise NotImplementedError

    def _how_to_be_let_in(self) -> str:
        raise NotImplementedError


def _key(*parts: str) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _without(keys: dict[str, bytes], known: set[bytes]) -> list[str]:
    return [text for text, key in keys.items() if key not in known]


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """At most BATCH_TEXTS of them together, and more than one only within BATCH_CHARS."""
    part: list[str] = []
    chars = 0
    for text in texts:
        if part and (len(part) == BATCH_TEXTS or chars + len(text) > BATCH_CHARS):
            yield part
            part, chars = [], 0
        part.append(text)
        chars += len(text)
    yield part


def _pause(state: tenacity.RetryCallState) -> float:
    """What a busy server asks for, else longer and longer."""
    error = state.outcome.exception()
    if isinstance(error, Busy) and error.wait_s is not None:
        return min(error.wait_s, BUSY_S)
    return tenacity.wait_random_exponential(multiplier=PAUSE_S, max=30)(state)


def _enough(state: tenacity.RetryCallState) -> bool:
    if isinstance(state.outcome.exception(), Busy):
        return state.seconds_since_start > BUSY_S
    return state.attempt_number >= ATTEMPTS


@contextmanager
def _claimed(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """The lock at `path`, which the system releases when its holder dies; `waiting` is called every second until then."""
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            waiting()
    try:
        yield
    finally:
        lock.release()
