"""The demo: its planted truth is where it claims to be, and it shows the confusion that Winnow is about."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from core import datasets
from core.artifacts import Home
from core.datasets import demo
from core.errors import DatasetError, SettingsError
from core.evaluate import evaluate
from core.metrics import detection_auc
from core.records import Dataset, Label, LabelSet, Source
from core.settings import DemoSettings, TrainSettings
from core.train import Fit, fit


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    home = Home.at(tmp_path_factory.mktemp("demo"))
    datasets.import_demo(home)
    return datasets.load(home, "demo")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads on a busy machine take ten times as long for matrices of this size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(shop: Dataset) -> Fit:
    return train(shop)


def train(shop: Dataset, labels: LabelSet | None = None) -> Fit:
    settings = TrainSettings(
        epochs=45, min_epochs=45, device="cpu", labels=None if labels is None else "truth", train_on="refined"
    )
    return fit(shop.train, shop.valid, shop.n_users, shop.n_items, settings, labels)


def test_it_is_an_ordinary_dataset_of_the_promised_size(shop: Dataset) -> None:
    sizes = [len(part) for part in (shop.train, shop.valid, shop.test)]
    assert (shop.n_users, shop.n_items) == (800, 600)
    assert 24_500 <= sum(sizes) <= 25_500
    assert np.allclose(np.array(sizes) / sum(sizes), [0.6, 0.2, 0.2], atol=0.01)
    assert len(set(shop.item_title)) == 600
    assert all(shop.item_category) and all(shop.item_text) and all(shop.user_text)


def test_noise_is_planted_in_train_only_and_in_the_promised_shares(shop: Dataset) -> None:
    settings = DemoSettings()
    assert abs((shop.train.truth == Label.NOISY_POSITIVE).mean() - settings.noisy_share) < 0.015
    assert abs((shop.train.truth == Label.HARD_POSITIVE).mean() - settings.hard_share) < 0.015
    for held in (shop.valid, shop.test):
        assert set(np.unique(held.truth)) == {Label.CLEAN, Label.HARD_POSITIVE}
    observed = np.concatenate([part.codes(shop.n_items) for part in (shop.train, shop.valid, shop.test)])
    assert len(np.unique(observed)) == len(observed)
    assert len(shop.missed) > 1000
    assert not np.isin(shop.missed.codes(shop.n_items), observed).any()


def test_the_truth_is_what_the_texts_say(shop: Dataset) -> None:
    """A reader's text names every taste; ordinary and hard clicks and what was missed are on its shelves, misclicks never."""
    shelf = np.array([category.split("|")[0].lower() for category in shop.item_category])
    named = np.array([[name in text.lower() for name in np.unique(shelf)] for text in shop.user_text])
    place = np.searchsorted(np.unique(shelf), shelf)
    liked = named[shop.train.user, place[shop.train.item]]
    assert liked[shop.train.truth != Label.NOISY_POSITIVE].all()
    assert not liked[shop.train.truth == Label.NOISY_POSITIVE].any()
    assert named[shop.missed.user, place[shop.missed.item]].all()
    assert named[shop.test.user, place[shop.test.item]].all()
    hard = shop.train.truth == Label.HARD_POSITIVE
    at_side = [
        shelf[item] in shop.user_text[user].split("(")[1] for user, item in zip(shop.train.user, shop.train.item, strict=True)
    ]
    assert (np.array(at_side) == hard).all()


def test_misclicks_fall_on_popular_books(shop: Dataset) -> None:
    clicks = np.bincount(shop.train.item, minlength=shop.n_items)[shop.train.item]
    truth = shop.train.truth
    assert (
        clicks[truth == Label.NOISY_POSITIVE].mean()
        > 1.2 * clicks[truth == Label.CLEAN].mean()
        > clicks[truth == Label.HARD_POSITIVE].mean()
    )


def test_the_final_loss_confuses_hard_and_noisy_while_the_texts_tell_them_apart(shop: Dataset, trained: Fit) -> None:
    truth = shop.train.truth
    doubtful = np.isin(truth, (Label.HARD_POSITIVE, Label.NOISY_POSITIVE))
    noisy = truth == Label.NOISY_POSITIVE
    assert 0.45 < detection_auc(trained.losses["last"][doubtful], noisy[doubtful]) < 0.65
    assert 0.45 < detection_auc(trained.losses["mean"][doubtful], noisy[doubtful]) < 0.65
    assert detection_auc(trained.losses["last"], noisy) > 0.6  # against ordinary clicks the loss does tell something
    assert detection_auc(-history_likeness(shop)[doubtful], noisy[doubtful]) > 0.75


def history_likeness(shop: Dataset) -> np.ndarray:
    """Cosine of each training pair's text with the user's other books, by words alone."""
    texts = [" ".join(parts) for parts in zip(shop.item_title, shop.item_category, shop.item_text, strict=True)]
    words = TfidfVectorizer(stop_words="english").fit_transform(texts)
    mine = words[shop.train.item]
    total = np.zeros((shop.n_users, words.shape[1]), np.float32)
    np.add.at(total, shop.train.user, mine.toarray())
    others = total[shop.train.user] - mine.toarray()
    return mine.multiply(others).sum(axis=1).A1 / np.linalg.norm(others, axis=1).clip(1e-9)


def test_knowing_the_truth_helps_the_recommendations(shop: Dataset, trained: Fit) -> None:
    noisy = shop.train.where(shop.train.truth == Label.NOISY_POSITIVE)
    label = np.repeat([Label.NOISY_POSITIVE, Label.MISSED_POSITIVE], [len(noisy), len(shop.missed)]).astype(np.int8)
    user, item = np.concatenate([noisy.user, shop.missed.user]), np.concatenate([noisy.item, shop.missed.item])
    labels = LabelSet(user, item, label == Label.NOISY_POSITIVE, label, np.full(len(label), Source.HUMAN, np.int8))
    before, after = (recall(shop, result) for result in (trained, train(shop, labels)))
    assert 0.15 < before < 0.45
    assert after > 1.04 * before


def recall(shop: Dataset, result: Fit) -> float:
    return evaluate(result.embeddings, shop.test, [shop.train, shop.valid]).means()["recall@20"]


def test_equal_seeds_write_equal_files_and_others_do_not(tmp_path: Path) -> None:
    small = DemoSettings(users=60, items=60, interactions=900)
    for name, settings in (("a", small), ("b", small), ("c", small.model_copy(update={"seed": 8}))):
        demo.write(settings, tmp_path / name)
    for file in demo.FILES:
        first, same, other = ((tmp_path / name / f"{file}.csv").read_bytes() for name in "abc")
        assert first == same != other


@pytest.mark.parametrize(
    "settings",
    [
        {"users": 50, "items": 50, "interactions": 500},
        {"users": 80, "items": 60, "interactions": 1500},
        {"users": 50, "items": 2000, "interactions": 5000},
        {"noisy_share": 0, "hard_share": 0, "users": 60, "items": 100, "interactions": 900},
        {"noisy_share": 0.6, "hard_share": 0.2, "users": 60, "items": 100, "interactions": 900},
    ],
)
def test_other_sizes_and_shares(home: Home, settings: dict[str, float]) -> None:
    wanted = DemoSettings.checked(**settings)
    info, report = datasets.import_demo(home, wanted)
    assert not [problem for problem in report.problems if problem.severity != "note"]
    assert abs(info.interactions - wanted.interactions) < 0.05 * wanted.interactions
    truth = datasets.load(home, "demo").train.truth
    assert abs((truth == Label.NOISY_POSITIVE).mean() - wanted.noisy_share) < 0.1
    assert abs((truth == Label.HARD_POSITIVE).mean() - wanted.hard_share) < 0.1


def test_it_is_written_as_plain_csv_that_anyone_could_import(home: Home) -> None:
    info, _ = datasets.import_demo(home, DemoSettings(users=60, items=60, interactions=900))
    again, _ = datasets.import_path(home, home.path / "demo" / "demo", name="again")
    assert again.fingerprint == info.fingerprint
    clicks = pd.read_csv(home.path / "demo" / "demo" / "interactions.csv")
    assert list(clicks.columns) == ["user", "item", "time", "split"]


def test_what_does_not_fit_is_refused_with_what_does(home: Home) -> None:
    with pytest.raises(SettingsError, match="ask for 480 to"):
        datasets.import_demo(home, DemoSettings(users=60, items=60, interactions=50_000))
    with pytest.raises(SettingsError, match="too few ordinary clicks"):
        DemoSettings.checked(noisy_share=0.5, hard_share=0.5)
    datasets.import_demo(home, DemoSettings(users=60, items=60, interactions=900))
    with pytest.raises(DatasetError, match="already a dataset"):
        datasets.import_demo(home)
