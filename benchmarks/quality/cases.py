"""The datasets of the tables, and the protocol under which each is evaluated."""

import dataclasses
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core import datasets, noise
from core.artifacts import ROOT, Home
from core.errors import NotFoundError
from core.records import Dataset, Interactions
from core.settings import InjectSettings

SHARED = ROOT.parent / "shared" / "data"
WORST = 2.0
"""Ratings of at most this are MovieLens' real dislikes."""
USUAL = "All items are ranked, train and valid positives masked; valid chose the epoch, the test set was used once."


@dataclass(frozen=True, eq=False)
class Case:
    """A dataset as a table uses it."""

    name: str
    dataset: Dataset
    protocol: str
    hidden: Interactions | None = None  # masked in the ranking though not in train or valid
    epochs_from: str | None = None  # the case whose best epoch is used, because here nothing is left to choose it by


def load(home: Home, name: str) -> Case:
    """`amazon-book`, `amazon-book+valid`, `ml-100k`, `ml-100k-<kind>-<percent>`, `demo`, or any dataset of the home."""
    if name == "amazon-book":
        protocol = f"RLMRec's split, trained on its train part. {USUAL}"
        return Case(name, _imported(home, name), protocol)
    if name == "amazon-book+valid":
        source = _imported(home, "amazon-book")
        protocol = (
            "RLMRec's split, trained on train and valid (LLaRD's protocol, very likely the paper's). All items are ranked, train "
            "and valid masked; the number of epochs is the best one of the same seed's training on train alone."
        )
        return Case(name, _joined(source), protocol, epochs_from="amazon-book")
    if name.startswith("ml-100k"):
        return _movielens(home, name)
    if name == "demo" and name not in {info.name for info in datasets.listing(home)}:
        datasets.import_demo(home)
    return Case(name, datasets.load(home, name), USUAL)


def _movielens(home: Home, name: str) -> Case:
    clean = _imported(home, "ml-100k")
    dislikes = clean.disliked.where(clean.disliked.rating <= WORST)
    masked = "Train, valid and all ratings of 1-2 are masked in every table, so that clean and noisy figures compare."
    if name == "ml-100k":
        return Case(name, clean, f"Ratings of 4-5 are positives, 60/20/20. {masked} Valid chose the epoch.", dislikes)
    kind, percent = name.removeprefix("ml-100k-").split("-")
    share = int(percent) / 100
    noisy = noise.inject(clean, InjectSettings(kind=kind, share=share, worst=WORST))
    added = len(noisy.train) - len(clean.train)
    what = f"{percent} % of the ratings of 1-2" if kind == "dislikes" else f"{kind} random pairs"
    protocol = f"Ratings of 4-5 are positives; {what} are clicks in train: {added:,} of {len(noisy.train):,}. {masked}"
    return Case(name, noisy, f"{protocol} Valid and test hold positives only; valid chose the epoch.", dislikes)


def _joined(dataset: Dataset) -> Dataset:
    """Valid becomes part of train."""
    pairs = (np.concatenate([getattr(part, name) for part in (dataset.train, dataset.valid)]) for name in ("user", "item"))
    none = np.empty(0, np.int32)
    train, valid = Interactions(*pairs), Interactions(none, none)
    return dataclasses.replace(dataset, train=train, valid=valid, fingerprint=f"{dataset.fingerprint}+valid")


def _imported(home: Home, name: str) -> Dataset:
    """The dataset from the home, imported there first when it is not yet."""
    if name not in {info.name for info in datasets.listing(home)}:
        if not (SHARED / name).exists():
            raise NotFoundError(f"The real data are not at {SHARED / name}.", "Give --dataset to measure one of your own.")
        if name == "ml-100k":
            sys.path.insert(0, str(ROOT / "tests"))
            from movielens_folder import write_movielens

            with tempfile.TemporaryDirectory() as folder:
                datasets.import_path(home, write_movielens(SHARED, Path(folder) / name))
        else:
            source = SHARED / name
            datasets.import_path(home, source / "interactions.parquet", name=name, items=source / "items.parquet")
    return datasets.load(home, name)
