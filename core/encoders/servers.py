"""Encoders that are servers: Ollama, and whatever speaks OpenAI's API (OpenAI, vLLM, llama-server, LM Studio)."""

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

import numpy as np
import ollama
from pydantic import BaseModel, ValidationError

from core import http
from core.encoders.asking import CHECK_S, ServerEncoder
from core.errors import BadAnswer, Fatal, Transient
from core.settings import EncoderSettings


class Ollama(ServerEncoder):
    """`POST /api/embed` of an Ollama server."""

    kind, at_once, cuts = "ollama", 2, True  # one is served at a time: the second keeps it from waiting for us

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(settings, http.server_url(settings.encoder_url or "http://localhost:11434"))

    def _identity(self) -> tuple[str, ...]:
        """With the digest of the weights: the same name may stand for other weights tomorrow."""
        text = self._sent("GET", "/api/tags", CHECK_S)
        try:
            models = ollama.ListResponse.model_validate_json(text).models
        except ValidationError as error:
            raise Fatal(f"What answers at {self._url} is not Ollama.", "Check the address.") from error
        for model in models:
            if model.model in (self.model, f"{self.model}:latest"):
                return (self.kind, self.model, model.digest or "")
        raise self._no_model()

    def _request(self, texts: list[str], cut: bool) -> Sequence[Sequence[float]]:
        text = self._post("/api/embed", {"model": self.model, "input": texts, "truncate": cut, "keep_alive": "30m"})
        try:
            return ollama.EmbedResponse.model_validate_json(text).embeddings
        except ValidationError as error:
            raise Transient(f"The answer of {self._url} is not Ollama's: {text[:200]!r}.") from error

    def _no_model(self) -> Fatal:
        return Fatal(f"Ollama at {self._url} has no model {self.model!r}.", f"Run `ollama pull {self.model}`, or choose another.")

    def _how_to_start(self) -> str:
        return "Start it with `ollama serve`, or choose another text encoder."

    def _how_to_be_let_in(self) -> str:
        return "The server wants permission: check its address, or sign in with `ollama signin`."


class _Vector(BaseModel):
    embedding: list[float]
    index: int | None = None


class _Vectors(BaseModel):
    data: list[_Vector]


class OpenAI(ServerEncoder):
    """`POST /v1/embeddings` of OpenAI, or of a server that speaks its API. The key comes from the environment."""

    kind, at_once = "openai", 4

    def __init__(self, settings: EncoderSettings) -> None:
        given = settings.encoder_url or "https://api.openai.com/v1"
        root = http.server_url(given)
        base = root if urlsplit(root).path and not given.strip().rstrip("/").endswith("/v1") else f"{root}/v1"
        self._variable = settings.encoder_key_env
        self._key = os.environ.get(self._variable, "").strip()
        if not self._key.isascii() or not self._key.isprintable():  # a header cannot hold it, and the error would show it
            raise Fatal(f"What the environment variable {self._variable} holds is no key.", "Copy the key once more.")
        super().__init__(settings, base, {"Authorization": f"Bearer {self._key}"} if self._key else None)

    def _identity(self) -> tuple[str, ...]:
        return (self.kind, self.model)

    def _request(self, texts: list[str], cut: bool) -> Sequence[Sequence[float]]:
        text = self._post("/embeddings", {"model": self.model, "input": texts, "encoding_format": "float"})
        try:
            rows = _Vectors.model_validate_json(text).data
        except ValidationError as error:
            raise Transient(f"The answer of {self._url} is not one of OpenAI's API: {text[:200]!r}.") from error
        places = [place if row.index is None else row.index for place, row in enumerate(rows)]
        if sorted(places) != list(range(len(texts))):
            raise BadAnswer(f"{self._url} gave {len(rows)} vectors for {len(texts)} texts.")
        return [rows[place].embedding for place in np.argsort(places)]

    def _may_ask(self) -> None:
        if not self._key and not http.is_near(self._url):
            hint = f"Set it: export {self._variable}=..., or name another variable (encoder_key_env)."
            raise Fatal(f"The environment variable {self._variable} with the key of {self._url} is not set.", hint)

    def _shown(self, text: str) -> str:
        """Some servers repeat the key in their refusals."""
        return text.replace(self._key, "...") if self._key else text

    def _no_model(self) -> Fatal:
        return Fatal(f"{self._url} has no model {self.model!r}.", "Name one that it has (encoder_model).")

    def _how_to_start(self) -> str:
        return "Check the address and the connection, or choose another text encoder."

    def _how_to_be_let_in(self) -> str:
        return f"Check the key in the environment variable {self._variable} (encoder_key_env)."
