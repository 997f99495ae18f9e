"""Known noise in a dataset: clicks that nobody meant are added to train, and that they are noisy is kept for evaluation.

Random pairs are easily told from tastes and flatter every method; ratings that say dislike do not.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from core import datasets
from core.artifacts import Home
from core.datasets import DatasetInfo, ImportReport, disk, tables
from core.datasets.report import about, counted
from core.errors import SettingsError
from core.records import Dataset, Interactions, Label
from core.rng import stream
from core.settings import InjectSettings

BLOCK_PAIRS = 4_000_000
"""Pairs that draw lots at once."""


@dataclass(frozen=True)
class Injected:
    """A dataset that was made by injection."""

    info: DatasetInfo
    report: ImportReport
    clicks: int  # injected


def make(
    home: Home, source: str, settings: InjectSettings | None = None, *, name: str | None = None, replace: bool = False
) -> Injected:
    """Write a noisy copy of the dataset `source`, named `<source>-<kind>` when no name is given.

    An existing name without `replace` is a DatasetError, and the source itself is never replaced.
    """
    settings = settings or InjectSettings()
    name = disk.checked_name(name or f"{source}-{settings.kind}")
    if name == source:
        raise SettingsError(f"The noisy copy of {source!r} needs a name of its own.", "Choose another --name.")
    clean = datasets.load(home, source)
    noisy = inject(clean, settings)
    clicks = len(noisy.train) - len(clean.train)
    note = f"Added {counted(clicks, 'click')} to train ({settings.kind}), known to be noisy."
    rows = sum(len(part) for part in (clean.train, clean.valid, clean.test, clean.disliked) if part is not None)
    report = ImportReport(rows, rows, (about("injected", "note", source, note, clicks),))
    threshold = datasets.info(home, source).threshold
    info = disk.save(home, name, "injected", source, tables.tables_of(noisy), settings, threshold, report, replace=replace)
    return Injected(info, report, clicks)


def inject(dataset: Dataset, settings: InjectSettings) -> Dataset:
    """The dataset, named `<name>-<kind>`, with noisy clicks at the end of train; valid, test, texts and ids stay as they are.

    Truth of the other clicks is kept where it is known, else they count as clean. No pair of train, valid, test or the
    known missed positives is injected. Injected dislikes leave `disliked`; the other kinds avoid them. Random clicks have
    no rating (NaN) and the time of another click. SettingsError when there is nothing, or too little, to inject.
    """
    if settings.kind == "dislikes":
        chosen = _dislikes(dataset, settings)
        clicks, left = dataset.disliked.where(chosen), dataset.disliked.where(~chosen)
        disliked = left if len(left) else None
    else:
        clicks, disliked = _random_clicks(dataset, settings), dataset.disliked
    name = f"{dataset.name}-{settings.kind}"
    made = dataclasses.replace(dataset, name=name, train=_joined(dataset.train, clicks), disliked=disliked)
    return dataclasses.replace(made, fingerprint=tables.content_of(made))


def _dislikes(dataset: Dataset, settings: InjectSettings) -> np.ndarray:
    """Mask (n,) of the dislikes that become clicks."""
    disliked = dataset.disliked
    if disliked is None or disliked.rating is None:
        hint = "Import it with ratings and a threshold, or inject uniform or popular noise."
        raise SettingsError(f"Dataset {dataset.name!r} has no dislikes: no rating in it is under a threshold.", hint)
    free = ~np.isin(disliked.codes(dataset.n_items), _taken(dataset, dataset.missed))
    bad = np.flatnonzero(free & (disliked.rating <= settings.worst))
    if not len(bad):
        message = f"No dislike of {dataset.name!r} has a rating of at most {settings.worst:g}."
        raise SettingsError(message, f"The lowest rating is {disliked.rating.min():g}: choose a higher worst.")
    chosen = np.zeros(len(disliked), bool)
    draw = stream(settings.seed, "inject", settings.kind)
    chosen[draw.choice(bad, round(settings.part * len(bad)), replace=False)] = True
    return chosen


def _random_clicks(dataset: Dataset, settings: InjectSettings) -> Interactions:
    """Unobserved pairs in the order in which they were drawn."""
    train = dataset.train
    if settings.kind == "popular":
        chances = (np.bincount(train.user, minlength=dataset.n_users), np.bincount(train.item, minlength=dataset.n_items))
    else:
        chances = (np.ones(dataset.n_users), np.ones(dataset.n_items))
    n = round(settings.part / (1 - settings.part) * len(train))
    draw = stream(settings.seed, "inject", settings.kind)
    codes = _drawn(*chances, _taken(dataset, dataset.missed, dataset.disliked), n, draw)
    if len(codes) < n:
        message = f"Dataset {dataset.name!r} has room for {counted(len(codes), f'{settings.kind} click')}, not for {n:,}."
        raise SettingsError(message, "Choose a smaller share.")
    user, item = (codes // dataset.n_items).astype(np.int32), (codes % dataset.n_items).astype(np.int32)
    rating = None if train.rating is None else np.full(n, np.nan, np.float32)
    return Interactions(user, item, rating, None if train.time is None else _times(train, user, draw))


def _taken(dataset: Dataset, *others: Interactions | None) -> np.ndarray:
    """Codes (n,), ascending, of the observed pairs and those of the others."""
    parts = (dataset.train, dataset.valid, dataset.test, *others)
    return np.unique(np.concatenate([part.codes(dataset.n_items) for part in parts if part is not None]))


def _drawn(user: np.ndarray, item: np.ndarray, taken: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Codes int64 of up to n different pairs that are not taken; fewer when there are not that many with a chance.

    Drawn one after the other, each with a chance in proportion to user[u] * item[i] (n_users,), (n_items,). That is a race:
    every pair waits for an exponential time with this rate, and the first n are the ones. So blocks of users can run it one
    after the other, and no pair has to be drawn in vain.
    """
    codes, waits, slowest = np.empty(0, np.int64), np.empty(0), np.inf
    n_items = len(item)
    step = max(1, BLOCK_PAIRS // n_items)
    for start in range(0, len(user), step):
        rate = np.outer(user[start : start + step], item).ravel().astype(np.float64)
        first = start * n_items
        low, high = np.searchsorted(taken, (first, first + len(rate)))
        rate[taken[low:high] - first] = 0
        wait = np.full(len(rate), np.inf)
        np.divide(draw.standard_exponential(len(rate)), rate, out=wait, where=rate > 0)
        near = np.flatnonzero(wait < slowest)
        codes, waits = np.concatenate([codes, first + near]), np.concatenate([waits, wait[near]])
        if len(codes) > n:
            best = np.argsort(waits, kind="stable")[:n]
            codes, waits = codes[best], waits[best]
            slowest = waits[-1] if n else 0.0
    return codes[np.argsort(waits, kind="stable")]


def _times(train: Interactions, user: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Times int64 (n,) [Unix s]: of another click of each of these users (n,), or of anybody's where a user has none."""
    order = np.argsort(train.user, kind="stable")
    first, last = (np.searchsorted(train.user, user, side, sorter=order) for side in ("left", "right"))
    alone = first == last
    first[alone], last[alone] = 0, len(train)
    return train.time[order[draw.integers(first, last)]]


def _joined(train: Interactions, clicks: Interactions) -> Interactions:
    """Train, then the noisy clicks, with the truth of both."""
    truth = np.full(len(train) + len(clicks), Label.NOISY_POSITIVE, np.int8)
    truth[: len(train)] = Label.CLEAN if train.truth is None else train.truth
    names = [name for name in ("user", "item", "rating", "time") if getattr(train, name) is not None]
    columns = {name: np.concatenate([getattr(train, name), getattr(clicks, name)]) for name in names}
    return Interactions(**columns, truth=truth)
