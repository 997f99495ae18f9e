"""Text relevance: leave-one-out, centred, zero where nothing is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import semantic
from core.artifacts import Home
from core.records import Interactions
from core.settings import EncoderSettings
from tests.judging_fixtures import catalogue, pairs, texts


def by_hand(vectors: np.ndarray, train: Interactions, user: int, item: int) -> float:
    rows = vectors - vectors[vectors.any(axis=1)].mean(axis=0)
    rows[~vectors.any(axis=1)] = 0
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    others = {other for one, other in zip(train.user.tolist(), train.item.tolist(), strict=True) if one == user} - {item}
    profile = sum((rows[other] for other in others), np.zeros(rows.shape[1]))
    return float(rows[item] @ profile / max(np.linalg.norm(profile), 1e-12))


@given(st.integers(0, 10_000))
def test_against_a_plain_loop(seed: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(9, 4)).astype(np.float32)
    vectors[draw.random(9) < 0.2] = 0
    codes = draw.permutation(6 * 9)[:20]
    train = Interactions((codes // 9).astype(np.int32), (codes % 9).astype(np.int32))
    asked = draw.permutation(6 * 9)[:15]
    user, item = (asked // 9).astype(np.int32), (asked % 9).astype(np.int32)
    found = semantic.text_relevance(vectors, train, user, item)
    assert found.dtype == np.float32
    if vectors.any():
        expected = [by_hand(vectors, train, u, i) for u, i in zip(user.tolist(), item.tolist(), strict=True)]
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_an_item_is_no_evidence_for_itself() -> None:
    vectors = np.eye(4, dtype=np.float32)
    train = pairs((0, 0), (1, 0), (1, 1))
    assert semantic.text_relevance(vectors, train, np.array([0]), np.array([0])).tolist() == [0.0]
    with_itself, without = semantic.text_relevance(vectors, train, np.array([1, 1]), np.array([0, 2]))
    assert with_itself == pytest.approx(-1 / 3, abs=1e-6)
    assert without == pytest.approx(-np.sqrt(1 / 3), abs=1e-5)  # two of four centred corners against a third


def test_nothing_known_is_zero() -> None:
    nothing = np.zeros((3, 2), np.float32)
    assert not semantic.text_relevance(nothing, pairs((0, 0), (0, 1)), np.array([0, 0]), np.array([1, 2])).any()
    assert len(semantic.text_relevance(nothing, pairs(), np.zeros(0, np.int32), np.zeros(0, np.int32))) == 0


def test_texts_of_items() -> None:
    shop = catalogue()
    assert semantic.item_texts(shop)[0] == "Swing amber. Jazz, Trumpet. A jazz trumpet session, swing and bebop, number amber"
    bare = dataclasses.replace(shop, item_title=shop.item_ids, item_category=texts(*[""] * 20), item_text=texts(*[""] * 20))
    assert set(semantic.item_texts(bare)) == {""}


def test_text_tells_a_stray_click_from_a_taste(home: Home) -> None:
    shop = catalogue()
    encoded = semantic.encode_items(shop, EncoderSettings(encoder="tfidf"), home.cache)
    found = semantic.text_relevance(encoded.vectors, shop.train, shop.train.user, shop.train.item)
    stray = (shop.train.user == 0) & (shop.train.item == 10)
    assert found[stray].max() < found[~stray].min()


def test_what_was_encoded_last_is_found_without_encoding(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = catalogue()
    assert semantic.kept_items(shop, home.cache) is None
    encoded = semantic.encode_items(shop, EncoderSettings(encoder="tfidf"), home.cache)
    monkeypatch.setattr(semantic.encoders, "encode", None)
    vectors, name = semantic.kept_items(shop, home.cache)
    np.testing.assert_array_equal(vectors, encoded.vectors)
    assert name == encoded.name
    assert semantic.kept_items(dataclasses.replace(shop, fingerprint="another"), home.cache) is None
