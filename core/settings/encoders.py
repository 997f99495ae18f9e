"""Settings of what turns texts into vectors."""

import re
from typing import Annotated, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.settings.base import ReadBy, Settings

Encoder = Annotated[
    str,
    Field(
        title="Text encoder",
        description="auto (sentence-transformers when its weights can be had, else tfidf), sentence-transformers, tfidf, or a server: ollama, openai (any server that speaks OpenAI's API).",
    ),
]
EncoderModel = Annotated[
    str | None,
    Field(
        title="Encoder model",
        validate_default=True,
        description="Model on the server, or name or local folder of the sentence-transformers model; left out, all-MiniLM-L6-v2, nomic-embed-text (ollama) or text-embedding-3-small (openai).",
    ),
]
EncoderUrl = Annotated[
    str | None,
    Field(
        title="Encoder's address",
        description="Address of the encoder's server; left out, http://localhost:11434 (ollama) or https://api.openai.com/v1 (openai).",
    ),
    ReadBy(("ollama", "openai"), "encoder"),
]
EncoderKeyEnv = Annotated[
    str,
    Field(
        title="Key is in",
        description="Environment variable with the server's key, which is never stored; a server nearby may need none.",
    ),
    ReadBy(("openai",), "encoder"),
]
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
"""What names an environment variable: most keys do not look like one."""

ENCODER_MODELS = {"ollama": "nomic-embed-text", "openai": "text-embedding-3-small"}
"""The model of an encoder when none is named; the others use DEFAULT_WEIGHTS."""

DEFAULT_WEIGHTS = "all-MiniLM-L6-v2"


class EncoderSettings(Settings):
    """Text to vectors. `encoder_model` is never None once the settings are made."""

    encoder: Encoder = "auto"
    encoder_model: EncoderModel = None
    encoder_url: EncoderUrl = None
    encoder_key_env: EncoderKeyEnv = "OPENAI_API_KEY"

    @field_validator("encoder_model")
    @classmethod
    def _named(cls, model: str | None, info: ValidationInfo) -> str:
        """Manifests say which model was meant, whatever the defaults will be."""
        return model or ENCODER_MODELS.get(info.data.get("encoder", ""), DEFAULT_WEIGHTS)

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        """Settings are written to manifests. The messages do not repeat what was given."""
        if not VARIABLE.fullmatch(self.encoder_key_env):
            raise ValueError("encoder_key_env is the name of an environment variable in capitals, not the key itself")
        if "@" in (self.encoder_url or ""):
            raise ValueError("encoder_url holds a name or a password, which would be stored; give the address alone")
        return self
