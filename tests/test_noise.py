"""Injected noise: what was there stays, truth is kept, no pair is taken twice, and the result is a dataset like any other."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from movielens_folder import write_movielens

from core import datasets, noise
from core.__main__ import run
from core.artifacts import Home
from core.datasets import disk, tables
from core.errors import DatasetError, NotFoundError, SettingsError
from core.records import Dataset, Interactions, Label
from core.settings import DemoSettings, ImportSettings, InjectSettings
from tests.judging_fixtures import catalogue, texts

KINDS = ("dislikes", "uniform", "popular")
PARTS = ("train", "valid", "test", "disliked", "missed")
TEXTS = ("user_ids", "item_ids", "user_text", "item_title", "item_category", "item_text")


def shop(seed: int, *, rated: bool = True, told: bool = True) -> Dataset:
    """10 users, 12 items; every pair is in train, valid, test, disliked, missed or free, by lot."""
    draw = np.random.default_rng(seed)
    lot = draw.permutation(np.arange(120) % 10)
    n_users, n_items = 10, 12

    def part(*lots: int, low: int = 4, high: int = 5) -> Interactions:
        code = np.flatnonzero(np.isin(lot, lots)).astype(np.int32)
        rating = draw.integers(low, high + 1, len(code)).astype(np.float32) if rated else None
        time = draw.integers(10, 99, len(code)) if rated else None
        truth = draw.choice([Label.CLEAN, Label.HARD_POSITIVE], len(code)).astype(np.int8) if told else None
        return Interactions(code // n_items, code % n_items, rating, time, truth)

    missed = part(5)
    made = Dataset(
        name="shop",
        user_ids=texts(*(f"u{user}" for user in range(n_users))),
        item_ids=texts(*(f"i{item:02}" for item in range(n_items))),
        user_text=texts(*("about" for _ in range(n_users))),
        item_title=texts(*(f"Title {item}" for item in range(n_items))),
        item_category=texts(*("A|B" for _ in range(n_items))),
        item_text=texts(*("text" for _ in range(n_items))),
        train=part(0, 1),
        valid=part(2),
        test=part(3),
        fingerprint="",
        disliked=part(4, low=1, high=3) if rated else None,
        missed=Interactions(missed.user, missed.item) if told else None,
    )
    return dataclasses.replace(made, fingerprint=tables.content_of(made))


def rows(part: Interactions | None) -> list[tuple[float, ...]]:
    columns = [] if part is None else [part.user, part.item, part.rating, part.time, part.truth]
    return list(zip(*(column.tolist() for column in columns if column is not None), strict=True))


def codes(dataset: Dataset, *names: str) -> set[int]:
    parts = [part for name in names if (part := getattr(dataset, name)) is not None]
    return {code for part in parts for code in part.codes(dataset.n_items).tolist()}


def injected(before: Dataset, after: Dataset) -> Interactions:
    return after.train.where(slice(len(before.train), None))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 50),
    kind=st.sampled_from(KINDS),
    share=st.floats(0.05, 0.4),
    rated=st.booleans(),
    told=st.booleans(),
    chance=st.integers(0, 9),
)
def test_what_holds_for_every_injection(seed: int, kind: str, share: float, rated: bool, told: bool, chance: int) -> None:
    assume(rated or kind != "dislikes")
    before = shop(seed, rated=rated, told=told)
    after = noise.inject(before, InjectSettings(kind=kind, share=share, seed=chance))
    n, clicks = len(before.train), injected(before, after)
    assert (clicks.truth == Label.NOISY_POSITIVE).all()
    assert (after.train.truth[:n] == (before.train.truth if told else Label.CLEAN)).all()
    for name in ("user", "item", "rating", "time"):
        old, new = getattr(before.train, name), getattr(after.train, name)
        assert new is None if old is None else (new[:n] == old).all() and new.dtype == old.dtype
    assert all(getattr(after, name) is getattr(before, name) for name in ("valid", "test", "missed", *TEXTS))
    added = codes(after, "train") - codes(before, "train")
    assert len(added) == len(clicks)
    assert not added & codes(before, "train", "valid", "test", "missed")
    if kind == "dislikes":
        bad = before.disliked.where(before.disliked.rating <= 2)
        assert added <= set(bad.codes(before.n_items).tolist())
        assert len(added) == round(share * len(bad))
        became = before.disliked.where(np.isin(before.disliked.codes(before.n_items), list(added)))
        assert sorted(rows(after.disliked) + rows(became)) == sorted(rows(before.disliked))
    else:
        assert after.disliked is before.disliked
        assert not added & codes(before, "disliked")
        assert len(clicks) / len(after.train) == pytest.approx(share, abs=0.5 / len(after.train) + 1e-9)
    assert (after.fingerprint == before.fingerprint) == (len(clicks) == 0)
    assert after.fingerprint == tables.content_of(after)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 20), kind=st.sampled_from(KINDS), chance=st.integers(0, 9), block=st.sampled_from([1, 30, 10**6]))
def test_the_seed_alone_decides(seed: int, kind: str, chance: int, block: int) -> None:
    before, chosen = shop(seed), InjectSettings(kind=kind, share=0.3, seed=chance)
    first = noise.inject(before, chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "BLOCK_PAIRS", block)
        again = noise.inject(before, chosen)
    np.testing.assert_equal(rows(again.train), rows(first.train))


def test_other_seeds_choose_other_pairs() -> None:
    for kind in KINDS:
        made = [noise.inject(shop(0), InjectSettings(kind=kind, share=0.3, seed=seed)) for seed in range(20)]
        assert len({one.fingerprint for one in made}) > 10


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 50), kind=st.sampled_from(KINDS), told=st.booleans())
def test_on_disk_it_is_the_same_dataset(tmp_path: Path, seed: int, kind: str, told: bool) -> None:
    home, source = Home.at(tmp_path), shop(seed, told=told)
    made, report = ImportSettings(threshold=4), datasets.ImportReport(0, 0, ())
    disk.save(home, "shop", "table", "x.csv", tables.tables_of(source), made, 4, report, replace=True)
    told_settings = InjectSettings(kind=kind, seed=seed)
    expected = noise.inject(datasets.load(home, "shop"), told_settings)
    result = noise.make(home, "shop", told_settings, replace=True)
    found = datasets.load(home, f"shop-{kind}")
    assert datasets.info(home, found.name) == result.info
    assert result.info in datasets.listing(home)
    assert datasets.import_report(home, found.name) == result.report
    assert (result.info.fingerprint, found.fingerprint) == (expected.fingerprint, expected.fingerprint)
    for name in TEXTS:
        assert (getattr(found, name) == getattr(expected, name)).all()
    for name in PARTS:
        wanted = rows(getattr(expected, name))
        if name in ("valid", "test", "disliked") and not told:  # once anything is known, all other rows are clean
            wanted = [(*row[:4], Label.CLEAN) for row in wanted]
        np.testing.assert_equal(rows(getattr(found, name)), wanted)


def test_uniform_clicks_are_any_free_pair_alike() -> None:
    before = shop(1)
    free = set(range(120)) - codes(before, *PARTS)
    drawn = [injected(before, noise.inject(before, InjectSettings(kind="uniform", share=0.2, seed=seed))) for seed in range(600)]
    count = pd.Series(np.concatenate([clicks.codes(12) for clicks in drawn])).value_counts()
    assert set(count.index) == free
    expected = 600 * 6 / len(free)
    assert ((count - expected) ** 2 / expected).sum() < 2 * len(free)


def test_misclicks_follow_activity_and_popularity() -> None:
    """Against the chance that each free pair has of being the first one drawn."""
    before = shop(2)
    per_user, per_item = np.bincount(before.train.user, minlength=10), np.bincount(before.train.item, minlength=12)
    chance = np.outer(per_user, per_item).ravel().astype(float)
    chance[list(codes(before, *PARTS))] = 0
    made = [noise.inject(before, InjectSettings(kind="popular", share=0.1, seed=seed)) for seed in range(2000)]
    count = np.bincount([injected(before, one).codes(12)[0] for one in made], minlength=120)
    expected = 2000 * chance / chance.sum()
    assert not count[chance == 0].any()
    kept = chance > 0
    assert ((count - expected)[kept] ** 2 / expected[kept]).sum() < 2 * kept.sum()


def test_random_clicks_happen_when_their_user_was_there() -> None:
    before = shop(3)
    clicks = injected(before, noise.inject(before, InjectSettings(kind="uniform", share=0.4)))
    assert np.isnan(clicks.rating).all()
    for user, time in zip(clicks.user, clicks.time, strict=True):
        own = before.train.time[before.train.user == user]
        assert time in (own if len(own) else before.train.time)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "uniform", "share": 0.5}, "Share 0.5 of uniform noise is not between .05 and .4."),
        ({"kind": "popular", "share": 0.01}, "Share 0.01 of popular noise"),
        ({"kind": "dislikes", "share": 0}, "share"),
        ({"kind": "dislikes", "share": 1.5}, "share"),
        ({"kind": "gossip"}, "kind"),
    ],
)
def test_settings_that_cannot_work_are_one_sentence(given: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        InjectSettings.checked(**given)


def test_without_dislikes_it_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match="has no dislikes.*uniform or popular"):
        noise.inject(catalogue(), InjectSettings())
    with pytest.raises(SettingsError, match="at most 0.5.*lowest rating is 1"):
        noise.inject(shop(0), InjectSettings(worst=0.5))


def test_a_full_catalogue_has_no_room() -> None:
    before = catalogue()
    jazz = before.train.where((before.train.item < 10) & (before.train.user % 2 == 0))
    full = dataclasses.replace(before, train=jazz)  # nobody clicked on the other items, so nobody slips there
    with pytest.raises(SettingsError, match="room for .*smaller share"):
        noise.inject(full, InjectSettings(kind="popular", share=0.4))


def test_the_noisy_copy_is_written_beside_its_source(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.import_demo(home, DemoSettings(users=60, items=60, interactions=900))
    source, chosen = datasets.info(home, "demo"), InjectSettings(kind="popular")
    first = noise.make(home, "demo", chosen)
    assert (first.info.name, first.info.source, first.info.has_truth) == ("demo-popular", "demo", True)
    assert first.clicks == first.info.train - source.train == round(0.25 * source.train)
    assert "noisy" in first.report.sentences()[1]
    with pytest.raises(DatasetError, match="already a dataset named 'demo-popular'"):
        noise.make(home, "demo", chosen)
    with pytest.raises(SettingsError, match="name of its own"):
        noise.make(home, "demo", chosen, name="demo", replace=True)
    with pytest.raises(NotFoundError):
        noise.make(home, "nothing", chosen)

    def full(*args: object, **rest: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(DatasetError, match="No space left"):
        noise.make(home, "demo", chosen, name="other")
    assert datasets.listing(home) == [source, first.info]
    assert sorted(path.name for path in home.datasets.iterdir()) == ["demo", "demo-popular"]


def test_noise_on_noise_keeps_the_first_truth(home: Home) -> None:
    datasets.import_demo(home, DemoSettings(users=60, items=60, interactions=900))
    known = datasets.load(home, "demo").train.truth
    noise.make(home, "demo", InjectSettings(kind="uniform"), name="once")
    twice = noise.make(home, "once", InjectSettings(kind="popular"), name="twice")
    truth = datasets.load(home, "twice").train.truth
    assert (truth[: len(known)] == known).all()
    assert (truth == Label.NOISY_POSITIVE).sum() == (known == Label.NOISY_POSITIVE).sum() + len(truth) - len(known)
    assert twice.clicks < len(truth) - len(known)


@pytest.mark.real
def test_the_dislikes_of_movielens(home: Home, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datasets.import_path(home, write_movielens(shared_data, tmp_path / "ml-100k"))
    assert run(["inject"]) == 0
    assert "17480 noisy clicks" in capsys.readouterr().out
    data = datasets.load(home, "ml-100k-dislikes")
    assert (len(data.train), len(data.valid), len(data.test), len(data.disliked)) == (33_316 + 17_480, 11_018, 11_041, 27_145)
    noisy = data.train.where(data.train.truth == Label.NOISY_POSITIVE)
    assert len(noisy) == 17_480
    assert set(noisy.rating) == {1, 2}
    assert (data.train.truth[data.train.rating >= 4] == Label.CLEAN).all()
    assert set(data.disliked.rating) == {3}
