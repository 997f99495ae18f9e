"""Objective alignment: it learns what was planted, lets no click speak for itself, and trains the paper's preset end to end."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core import alignment, datasets, jobs, runs, semantic
from core.artifacts import Home
from core.errors import SettingsError
from core.records import Interactions, Relevance
from core.settings import TRAIN_PRESETS, DemoSettings, TrainSettings
from tests.judging_fixtures import pairs

N_USERS, N_ITEMS, DIM = 240, 120, 48


class Shop:
    """Readers of four shelves; a text says the shelf in 4 of its 48 dimensions, the others are loud and mean nothing."""

    def __init__(self) -> None:
        draw = np.random.default_rng(5)
        self.vectors = draw.normal(0, 1, (N_ITEMS, DIM)).astype(np.float32)
        self.vectors[:, :4] = 1.2 * np.eye(4)[np.arange(N_ITEMS) % 4]
        inside = np.arange(N_USERS)[:, None] % 4 == np.arange(N_ITEMS)[None, :] % 4
        lot = draw.random(inside.shape)
        self.train, self.held_out = (
            Interactions(*(axis.astype(np.int32) for axis in np.nonzero(inside & part))) for part in (lot < 0.5, lot >= 0.5)
        )


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="module")
def aligned(shop: Shop) -> alignment.Aligned:
    return alignment.align(shop.vectors, shop.train, N_USERS)


def accuracy(relevance: Relevance, held_out: Interactions) -> float:
    """How often a held-out pair beats the same user's pair with an item of another shelf."""
    other = (held_out.item + 1) % N_ITEMS
    return float((relevance.score(held_out.user, held_out.item) > relevance.score(held_out.user, other)).mean())


def test_profiles_are_sums_of_what_was_chosen(shop: Shop) -> None:
    found = semantic.profiles(shop.vectors, shop.train, N_USERS)
    rows = semantic.centred(shop.vectors)
    mine = rows[shop.train.item[shop.train.user == 3]].sum(axis=0)
    np.testing.assert_allclose(found.user[3], mine / np.linalg.norm(mine), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.item, rows)
    assert not semantic.profiles(shop.vectors, pairs((0, 1)), 2).user[1].any()


def test_aligned_texts_tell_held_out_clicks_better_than_raw_ones(shop: Shop, aligned: alignment.Aligned) -> None:
    raw = accuracy(semantic.profiles(shop.vectors, shop.train, N_USERS), shop.held_out)
    assert accuracy(aligned.relevance, shop.held_out) > raw + 0.02


def test_unit_rows_and_scores_in_bounds(shop: Shop, aligned: alignment.Aligned) -> None:
    for rows in (aligned.relevance.user, aligned.relevance.item):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
        assert rows.dtype == np.float32
    assert np.abs(aligned.observed).max() <= 1
    assert (len(aligned.observed), aligned.observed.dtype) == (len(shop.train), np.float32)


def test_a_click_does_not_speak_for_itself(shop: Shop) -> None:
    """A stray click looks stray by the leave-one-out score, less so by the user's whole profile, in which it takes part."""
    few = shop.train.where(shop.train.item < 12)
    stray = Interactions(np.append(few.user, 0).astype(np.int32), np.append(few.item, 1).astype(np.int32))
    found = alignment.align(shop.vectors, stray, N_USERS)
    whole = found.relevance.score(stray.user, stray.item)
    assert found.observed[-1] < whole[-1] - 0.1
    assert (found.observed <= whole + 1e-3).mean() > 0.9


def test_the_same_seed_gives_the_same_numbers(shop: Shop, aligned: alignment.Aligned) -> None:
    torch.manual_seed(99)
    np.testing.assert_array_equal(alignment.align(shop.vectors, shop.train, N_USERS).observed, aligned.observed)
    assert not np.allclose(alignment.align(shop.vectors, shop.train, N_USERS, seed=1).observed, aligned.observed)


def test_what_has_no_text_gives_no_pairs_and_zero_rows(shop: Shop) -> None:
    vectors = shop.vectors.copy()
    vectors[::4] = 0  # a whole shelf: its readers have no text at all
    found = alignment.align(vectors, shop.train, N_USERS)
    assert not found.relevance.item[::4].any()
    assert not found.relevance.user[::4].any()
    assert found.relevance.user[1].any()
    np.testing.assert_array_equal(found.observed == 0, shop.train.item % 4 == 0)
    alone = alignment.align(shop.vectors, pairs((0, 0)), 2)
    assert alone.observed.tolist() == [0]
    nothing = alignment.align(np.zeros((3, 2), np.float32), pairs((0, 0), (0, 1)), 1)
    assert not any(part.any() for part in (nothing.relevance.user, nothing.relevance.item, nothing.observed))
    assert len(alignment.align(shop.vectors, pairs(), 2).observed) == 0


@pytest.mark.parametrize(("quantile", "share"), [(0, 1), (0.5, 0.5), (0.9, 0.1)])
def test_only_reliable_clicks_teach(shop: Shop, monkeypatch: pytest.MonkeyPatch, quantile: float, share: float) -> None:
    taught: list[Interactions] = []
    monkeypatch.setattr(alignment, "_learn", lambda network, texts, chosen, seed: taught.append(chosen))
    alignment.align(shop.vectors, shop.train, N_USERS, quantile=quantile)
    assert len(taught[0]) == pytest.approx(share * len(shop.train), rel=0.01)
    raw = semantic.text_relevance(shop.vectors, shop.train, shop.train.user, shop.train.item)
    kept = np.isin(shop.train.codes(N_ITEMS), taught[0].codes(N_ITEMS))
    assert kept.all() or raw[kept].min() >= raw[~kept].max()


def test_other_positives_of_a_user_are_no_negatives() -> None:
    train = pairs((0, 0), (0, 1), (1, 1), (1, 2))
    clicked = semantic.chosen(train, np.arange(2), 3)
    texts = alignment._Texts(np.eye(3, dtype=np.float32), clicked @ np.eye(3, dtype=np.float32), clicked, torch.device("cpu"))
    masked = texts.other_positives(train.user, train.item)
    expected = [[False, True, True, False], [True, False, True, False], [False, True, False, True], [False, True, True, False]]
    np.testing.assert_array_equal(masked, expected)
    np.testing.assert_array_equal(texts.without(np.array([0]), np.array([0])), [[0, 1, 0]])


def test_kept_by_content(shop: Shop, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = alignment.align_cached(shop.vectors, shop.train, N_USERS, home.cache, quantile=0.5, seed=3)
    again = alignment.align_cached(shop.vectors, shop.train, N_USERS, home.cache, quantile=0.5, seed=3)
    np.testing.assert_array_equal(first.observed, again.observed)
    asked: list[int] = []
    monkeypatch.setattr(alignment, "align", lambda *args, **options: asked.append(1) or first)
    alignment.align_cached(shop.vectors, shop.train, N_USERS, home.cache, quantile=0.5, seed=3)
    assert not asked
    fewer, options = shop.train.where(slice(1, None)), {"quantile": 0.5, "seed": 3}
    alignment.align_cached(shop.vectors, fewer, N_USERS, home.cache, **options)
    alignment.align_cached(shop.vectors + 1, shop.train, N_USERS, home.cache, **options)
    alignment.align_cached(shop.vectors, shop.train, N_USERS, home.cache, **options | {"seed": 4})
    alignment.align_cached(shop.vectors, shop.train, N_USERS, home.cache, **options | {"quantile": 0.4})
    assert len(asked) == 4


def paper(**changes: object) -> dict[str, object]:
    small = {"dim": 8, "layers": 1, "epochs": 3, "min_epochs": 3, "encoder": "tfidf", "device": "cpu"}
    return TrainSettings.checked(**TRAIN_PRESETS["paper"] | small | changes).model_dump()


def test_the_papers_preset_trains_end_to_end(home: Home) -> None:
    datasets.import_demo(home, DemoSettings(users=60, items=100, interactions=1000))
    done = [jobs.work(home, jobs.create(home, "train", "demo", paper()).id) for _ in range(2)]
    assert [run.state for run in done] == [runs.State.DONE] * 2
    assert done[0].result["metrics"] == done[1].result["metrics"]
    assert len(list((home.cache / "aligned").glob("*.npz"))) == 1
    jobs.work(home, jobs.create(home, "train", "demo", paper(reliable_quantile=0.2)).id)
    assert len(list((home.cache / "aligned").glob("*.npz"))) == 2


def test_profiles_as_encoded_for_a_denoiser_that_asks_for_them(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from core import train
    from core.denoisers import DENOISERS

    datasets.import_demo(home, DemoSettings(users=60, items=100, interactions=1000))
    given: list[Relevance | None] = []
    fit = train.fit
    monkeypatch.setattr(DENOISERS["plain"], "text", classmethod(lambda cls, settings: "profiles"))
    monkeypatch.setattr(train, "fit", lambda *args, **options: given.append(args[6]) or fit(*args, **options))
    jobs.work(home, jobs.create(home, "train", "demo", paper(denoiser="plain")).id)
    shop = datasets.load(home, "demo")
    assert given[0].user.shape == (shop.n_users, given[0].item.shape[1])
    assert not (home.cache / "aligned").exists()


def test_without_texts_it_is_refused_before_any_work(home: Home, tmp_path: Path) -> None:
    rows = [f"u{user},i{item}" for user in range(12) for item in range(user % 3, 12, 2)]
    path = tmp_path / "bare.csv"
    path.write_text("\n".join(["user,item", *rows]) + "\n", encoding="utf-8")
    name = datasets.import_path(home, path)[0].name
    with pytest.raises(SettingsError, match="needs item texts") as caught:
        jobs.create(home, "train", name, paper())
    assert "plain" in caught.value.hint
    assert runs.listing(home) == []
    jobs.create(home, "train", name, paper(hard_negatives="dynamic"))  # which spares none needs no texts
