"""Which pairs are doubtful: against plain loops, under the budget, never held-out ones."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import candidates, doubt, dynamics
from core.artifacts import Home
from core.errors import NotFoundError
from core.records import Candidates, Dataset, Embeddings, Interactions, Label, LabelSet, Signals, Source
from core.settings import CandidateSettings
from tests.judging_fixtures import catalogue, pairs


def model(dataset: Dataset, seed: int = 0) -> Embeddings:
    draw = np.random.default_rng(seed)
    return Embeddings(*(draw.normal(size=(n, 4)).astype(np.float32) for n in (dataset.n_users, dataset.n_items)))


def losses_of(dataset: Dataset, seed: int = 0) -> dict[str, np.ndarray]:
    mean = np.random.default_rng(seed).random(len(dataset.train)).astype(np.float32)
    return {"user": dataset.train.user, "item": dataset.train.item, "mean": mean}


def as_set(part: Interactions | Candidates) -> set[tuple[int, int]]:
    return set(zip(part.user.tolist(), part.item.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1), st.integers(0, 25))
def test_all_of_them_against_plain_loops(seed: int, share: float, top_k: int) -> None:
    shop = dataclasses.replace(catalogue(), disliked=pairs((0, 15), (3, 2)))
    scores = (vectors := model(shop, seed)).user @ vectors.item.T
    found = candidates.find(shop, vectors, None, None, CandidateSettings(budget=10_000, bottom_share=share, top_k=top_k))
    known = as_set(shop.train) | as_set(shop.valid) | as_set(shop.test) | as_set(shop.disliked)
    low, high = set(), set()
    for user in range(shop.n_users):
        own = sorted((item for one, item in as_set(shop.train) if one == user), key=lambda item: scores[user, item])
        low |= {(user, item) for item in own[: int(share * len(own) + 1e-9)]}
        unseen = sorted((item for item in range(shop.n_items) if (user, item) not in known), key=lambda item: -scores[user, item])
        high |= {(user, item) for item in unseen[:top_k]}
    assert as_set(found.where(found.observed)) == low
    assert as_set(found.where(~found.observed)) == high
    assert len(found) == len(low) + len(high)
    np.testing.assert_allclose(found.score, scores[found.user, found.item], rtol=1e-5, atol=1e-6)
    assert np.isnan(found.loss).all()
    assert np.isnan(found.semantic).all()


@pytest.mark.parametrize("block", [1, 37, 8_000_000])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    shop = catalogue()
    expected = candidates.find(shop, model(shop), losses_of(shop), None, CandidateSettings(budget=60))
    monkeypatch.setattr(candidates, "BLOCK_SCORES", block)
    found = candidates.find(shop, model(shop), losses_of(shop), None, CandidateSettings(budget=60))
    assert list(zip(found.user, found.item, strict=True)) == list(zip(expected.user, expected.item, strict=True))


@pytest.mark.parametrize(("budget", "share", "observed"), [(10, 0.8, 8), (10, 0.0, 0), (10, 1.0, 10), (1, 0.8, 1), (60, 0.9, 32)])
def test_the_budget_and_its_shares(budget: int, share: float, observed: int) -> None:
    shop = catalogue()
    chosen = CandidateSettings(budget=budget, positive_share=share, bottom_share=0.5)
    found = candidates.find(shop, model(shop), losses_of(shop), None, chosen)
    assert len(found) == budget
    assert found.observed.sum() == observed  # of 60, at most the 32 that are in the bottom half: the rest goes to the others


def test_the_most_doubtful_come_first_and_both_kinds_in_turn() -> None:
    shop = catalogue()
    losses = losses_of(shop)
    found = candidates.find(shop, model(shop), losses, None, CandidateSettings(budget=20, positive_share=0.5))
    assert found.observed[:10].sum() == 5
    of_pair = dict(zip(zip(shop.train.user, shop.train.item, strict=True), losses["mean"], strict=True))
    for user, item, loss in zip(found.user, found.item, found.loss, strict=True):
        assert (loss == of_pair[user, item]) if (user, item) in of_pair else np.isnan(loss)


def test_clicks_come_in_order_of_their_doubt_whose_signals_are_told() -> None:
    shop = catalogue()
    aligned = np.random.default_rng(2).uniform(-1, 1, len(shop.train)).astype(np.float32)
    vectors = np.eye(shop.n_items, dtype=np.float32)
    found = candidates.find(shop, model(shop), losses_of(shop), vectors, CandidateSettings(budget=60, bottom_share=1), aligned)
    of_click = doubt.signals(shop.train, shop.n_users, shop.n_items, losses_of(shop), vectors, aligned)
    clicks = found.where(found.observed)
    assert (np.diff(clicks.doubt) <= 0).all()
    place = dynamics.place_of(shop.train.where(slice(None)), clicks.user, clicks.item, shop.n_items)
    np.testing.assert_array_equal(clicks.doubt[place[place >= 0]], doubt.doubt(of_click)[place >= 0])
    assert clicks.signals.named().keys() == of_click.named().keys()
    for name, column in of_click.named().items():
        np.testing.assert_array_equal(clicks.signals.named()[name][place[place >= 0]], column[place >= 0], err_msg=name)
    others = found.where(~found.observed)
    assert np.isnan([others.doubt, *others.signals.named().values()]).all()


def test_text_relevance_is_told(home: Home) -> None:
    shop = catalogue()
    vectors = np.eye(shop.n_items, dtype=np.float32)
    found = candidates.find(shop, model(shop), None, vectors, CandidateSettings(budget=30))
    assert np.isfinite(found.semantic).all()


def test_kept_and_read_again(home: Home) -> None:
    shop = catalogue()
    found = candidates.find(shop, model(shop), losses_of(shop), None, CandidateSettings(budget=30))
    first = candidates.save(home, shop, found.where(slice(5)), CandidateSettings(), "run-1")
    second = candidates.save(home, shop, found, CandidateSettings(budget=30), "run-2", encoder="TF-IDF", why="no weights")
    newest, info = candidates.load(home, shop)
    assert (info["id"], info["run"], info["settings"]["budget"], info["encoder"]) == (second, "run-2", 30, "TF-IDF")
    for name in ("user", "item", "observed", "score", "loss", "semantic", "doubt"):
        np.testing.assert_array_equal(getattr(newest, name), getattr(found, name))
        assert getattr(newest, name).dtype == getattr(found, name).dtype
    assert newest.signals.named().keys() == found.signals.named().keys()
    for name, column in found.signals.named().items():
        np.testing.assert_array_equal(newest.signals.named()[name], column)
    assert len(candidates.load(home, shop, first)[0]) == 5


def test_a_file_from_before_there_was_a_doubt(home: Home) -> None:
    shop = catalogue()
    found = candidates.find(shop, model(shop), losses_of(shop), None, CandidateSettings(budget=30))
    name = candidates.save(home, shop, found, CandidateSettings(), "run-1")
    path = home.path / "candidates" / shop.name / f"{name}.parquet"
    old = pd.read_parquet(path)
    old[["user_id", "item_id", "observed", "score", "loss", "semantic"]].to_parquet(path, index=False)
    read, _ = candidates.load(home, shop)
    assert as_set(read) == as_set(found)
    assert np.isnan(read.doubt).all()
    assert read.signals is None


def test_candidates_follow_the_dataset(home: Home) -> None:
    """After another split, what is held out now is no candidate any more; ids that are gone are left out."""
    shop = catalogue()
    found = candidates.find(shop, model(shop), None, None, CandidateSettings(budget=1000, positive_share=0.5))
    candidates.save(home, shop, found, CandidateSettings(), "run-1")
    unseen = found.where(~found.observed)
    moved = (int(unseen.user[0]), int(unseen.item[0]))
    other = dataclasses.replace(
        shop, test=pairs(*as_set(shop.test), moved), user_ids=np.where(shop.user_ids == "u7", "new", shop.user_ids)
    )
    now, _ = candidates.load(home, other)
    assert as_set(now) == {pair for pair in as_set(found) if pair != moved and pair[0] != 7}


def few(n: int, **signals: list[float]) -> Candidates:
    """Clicks of user 0 on items 0 ... n-1, the last the most doubtful, and one pair that is no click."""
    user, item = np.zeros(n + 1, np.int32), np.arange(n + 1, dtype=np.int32)
    nothing = np.zeros(n + 1, np.float32)
    doubts = np.append((np.arange(n) + 0.5) / n, np.nan).astype(np.float32)
    columns = {name: np.array([*values, np.nan], np.float32) for name, values in signals.items()}
    made = Signals(user, item, **columns)
    return Candidates(user, item, np.arange(n + 1) < n, nothing, nothing, nothing, doubts, made)


def test_why_a_click_is_doubted_by_hand() -> None:
    found = few(4, rank=[0.1, 0.2, 0.3, 0.4], taste=[5, 5, 5, np.nan], text=[np.nan, 2, np.nan, 1])
    assert candidates.why(found, 0, 2) == candidates.Why(2, 0.625, {"rank": 0.5, "taste": 0.0})
    assert candidates.why(found, 0, 3) == candidates.Why(3, 0.875, {"rank": 0.75, "text": 0.0})
    assert candidates.why(found, 0, 1).signals["text"] == 0.5
    assert candidates.why(found, 0, 4) is None  # no click
    assert candidates.why(found, 1, 2) is None
    undoubted = dataclasses.replace(found, doubt=np.full(5, np.nan, np.float32), signals=None)
    assert candidates.why(undoubted, 0, 2) is None


def labelled(label: np.ndarray, source: int) -> LabelSet:
    n = len(label)
    user, item = np.zeros(n, np.int32), np.arange(n, dtype=np.int32)
    return LabelSet(user, item, np.ones(n, bool), label.astype(np.int8), np.full(n, source, np.int8))


def test_only_what_people_said_of_clicks_calibrates_the_doubt() -> None:
    found = few(100)
    label = np.where(np.arange(100) < 50, Label.HARD_POSITIVE, Label.NOISY_POSITIVE)
    label[[3, 97]] = Label.UNSURE
    made = candidates.answered(found, labelled(label, Source.HUMAN), 101)
    assert (made.answers, made.against) == (98, False)
    assert made.calibration.auc == 1
    assert np.isnan(made.calibration.probability).tolist() == [False] * 100 + [True]
    assert (np.diff(made.calibration.probability[:100]) >= 0).all()
    judged = candidates.answered(found, labelled(label, Source.LLM), 101)
    assert (judged.answers, judged.calibration.probability) == (0, None)
    assert judged.calibration.reason == "not enough labels yet: 0 of 30 noisy clicks"
    assert candidates.answered(found, labelled(label[::-1], Source.HUMAN), 101).against


def test_nothing_found_yet(home: Home) -> None:
    assert candidates.newest(home, "shop") is None
    with pytest.raises(NotFoundError, match="no candidates yet"):
        candidates.load(home, catalogue())
    shop = catalogue()
    known = candidates.save(
        home, shop, candidates.find(shop, model(shop), None, None, CandidateSettings()), CandidateSettings(), "r"
    )
    assert candidates.newest(home, shop.name) == known
    with pytest.raises(NotFoundError, match=known):
        candidates.load(home, shop, "other")
