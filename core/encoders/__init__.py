"""Text to vectors: with what this machine has, or by a server that the settings name.

"auto" is sentence-transformers when its weights are here, else TF-IDF and SVD; it never touches the network. Which
encoder was used, and why, is part of the result.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from core.encoders import local
from core.encoders.base import Encoded, Report, TextEncoder, unit_rows, unreported
from core.encoders.servers import Ollama, OpenAI
from core.registry import Registry
from core.settings import EncoderSettings

__all__ = ["ENCODERS", "Encoded", "Report", "check", "encode", "kept", "unit_rows", "unreported"]

ENCODERS: Registry[Callable[[EncoderSettings], TextEncoder]] = Registry("text encoder")
ENCODERS.register("tfidf")(local.tfidf)
ENCODERS.register("sentence-transformers")(local.sentence_transformers)
ENCODERS.register("ollama")(Ollama)
ENCODERS.register("openai")(OpenAI)


def encode(texts: Sequence[str], settings: EncoderSettings, cache: Path, report: Report = unreported) -> Encoded:
    """Vectors of `texts`, from the cache when these texts were encoded before by the same encoder and weights.

    "auto" never touches the network. Naming sentence-transformers may download its model once; SettingsError when the
    weights cannot be had. Naming a server asks it for the texts that it has not encoded yet; `report` is told how many
    are done, and whatever it raises ends the work, of which everything is kept.
    """
    return _made(settings).encode(list(texts), cache, report)


def kept(texts: Sequence[str], settings: EncoderSettings, cache: Path) -> Encoded | None:
    """Vectors of `texts` that an encoder of this machine has made before; None when there are none, or a server made them.

    Encodes nothing, downloads nothing and asks nobody.
    """
    if settings.encoder not in ("auto", "tfidf", "sentence-transformers"):
        return None
    here = local.tfidf(settings) if settings.encoder == "tfidf" else local.automatic(settings)
    return here.kept(list(texts), cache)


def check(settings: EncoderSettings) -> None:
    """Raises for what would make every `encode` fail: an unknown encoder, a server that does not answer or lacks the model."""
    _made(settings).check()


def _made(settings: EncoderSettings) -> TextEncoder:
    return local.automatic(settings) if settings.encoder == "auto" else ENCODERS[settings.encoder](settings)
