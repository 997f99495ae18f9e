"""What is good and what is doubtful about a dataset, before anybody trains on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.datasets.report import counted
from core.records import Dataset, Interactions, Label

FEW_POSITIVES = 5
"""A user with fewer training positives than this gets a vector that is mostly chance."""
SPARSE = 1e-4
"""Under one observed pair in ten thousand, collaborative signals are thin."""
CONCENTRATED = 0.2
"""The most popular 1 % of the items in more than this share of the clicks drown the rest."""
FEW_EVALUATED = 100
"""With fewer users in the test, a difference between two runs is hardly ever more than chance."""
GAP_SHARE = 0.1
"""A silence of this share of the whole time looks like lost data."""
DAY = 86_400


@dataclass(frozen=True)
class Check:
    """One finding. ok: nothing to do; note: good to know; warning: results may suffer; error: results cannot be trusted."""

    name: str
    severity: Literal["ok", "note", "warning", "error"]
    count: int  # of what the message speaks about
    message: str  # a full sentence
    fix: str = ""  # what to do about it; "" when there is nothing to do


def health(dataset: Dataset) -> list[Check]:
    """All checks in a fixed order, good ones too. Counts are about positives."""
    parts = (dataset.train, dataset.valid, dataset.test)
    checks = [
        _duplicates(dataset, parts),
        _few_positives(dataset),
        _cold_users(dataset),
        _cold_items(dataset),
        _texts(dataset),
        _same_titles(dataset),
        _density(dataset, parts),
        _concentration(dataset),
        _evaluated(dataset),
    ]
    if all(part.time is not None for part in parts):
        checks += _times(dataset, parts)
    if dataset.train.truth is not None:
        checks.append(_truth(dataset.train.truth))
    return checks


def _count(part: Interactions, side: str, n: int) -> np.ndarray:
    return np.bincount(getattr(part, side), minlength=n)


def _percent(share: float) -> str:
    return f"{share:.2%}" if share < 0.01 else f"{share:.1%}"


def _duplicates(dataset: Dataset, parts: tuple[Interactions, ...]) -> Check:
    codes = np.concatenate([part.codes(dataset.n_items) for part in parts])
    n = len(codes) - len(np.unique(codes))
    if not n:
        return Check("duplicates", "ok", 0, "Every pair of user and item occurs once.")
    message = f"More than one row for {counted(n, 'pair')}, perhaps in both train and test."
    return Check("duplicates", "error", n, message, "Import the data again; the importer keeps one row per pair.")


def _few_positives(dataset: Dataset) -> Check:
    name, count = "users with few positives", _count(dataset.train, "user", dataset.n_users)
    n, single = int(((count > 0) & (count < FEW_POSITIVES)).sum()), int((count == 1).sum())
    if not n:
        return Check(name, "ok", 0, f"Every user of train has at least {FEW_POSITIVES} positives there.")
    message = f"Fewer than {FEW_POSITIVES} positives in train: {counted(n, 'user')}, {single:,} of them with a single one."
    severity = "warning" if n > 0.2 * (count > 0).sum() else "note"
    return Check(name, severity, n, message, f"Import with core {FEW_POSITIVES}, or read their metrics with care.")


def _cold_users(dataset: Dataset) -> Check:
    trained = _count(dataset.train, "user", dataset.n_users) > 0
    held = _count(dataset.valid, "user", dataset.n_users) + _count(dataset.test, "user", dataset.n_users) > 0
    n = int((held & ~trained).sum())
    if not n:
        return Check("users without training", "ok", 0, "Every user of valid and test has positives in train.")
    message = (
        f"Positives in valid or test only: {counted(n, 'user')}, whose recommendations are chance and pull the metrics down."
    )
    return Check("users without training", "warning", n, message, "Split each user's rows by time, or import with a core.")


def _cold_items(dataset: Dataset) -> Check:
    trained = _count(dataset.train, "item", dataset.n_items) > 0
    wanted = np.zeros(dataset.n_items, bool)
    wanted[dataset.test.item] = True
    n, hopeless = int((~trained).sum()), int((wanted & ~trained).sum())
    if not n:
        return Check("items without training", "ok", 0, "Every item has a positive in train.")
    message = f"No positive in train: {n:,} of {dataset.n_items:,} items, {hopeless:,} of them looked for in the test."
    severity = "warning" if n > 0.5 * dataset.n_items else "note"
    return Check("items without training", severity, n, message, "Import with a core to leave rare items out.")


def _texts(dataset: Dataset) -> Check:
    titled = dataset.item_title != dataset.item_ids
    told = titled | (dataset.item_category != "") | (dataset.item_text != "")
    n = int((~told).sum())
    if not n:
        return Check("items without text", "ok", 0, "Every item has a title, a category or a description.")
    clicks = float((~told)[dataset.train.item].mean()) if len(dataset.train) else 0.0
    message = f"Without any text to judge by: {n:,} of {dataset.n_items:,} items, {_percent(clicks)} of the training clicks."
    severity = "error" if n == dataset.n_items else "warning"
    return Check("items without text", severity, n, message, "Import again with an item table that has titles or descriptions.")


def _same_titles(dataset: Dataset) -> Check:
    titles, count = np.unique(dataset.item_title.astype(str), return_counts=True)
    n = int((count > 1).sum())
    if not n:
        return Check("shared titles", "ok", 0, "No two items have the same title.")
    message = f"Shared by several items: {counted(n, 'title')}, such as '{titles[count.argmax()]}'; one thing may have two ids."
    return Check("shared titles", "note", n, message, "Merge the ids before the import if they are the same item.")


def _density(dataset: Dataset, parts: tuple[Interactions, ...]) -> Check:
    n = sum(map(len, parts))
    density = n / (dataset.n_users * dataset.n_items)
    message = f"{n:,} of {dataset.n_users * dataset.n_items:,} possible pairs are observed ({density:.3%})."
    if density >= SPARSE:
        return Check("density", "ok", n, message)
    return Check("density", "note", n, message, "Import with a core, or expect weak collaborative signals.")


def _concentration(dataset: Dataset) -> Check:
    name, count = "popularity", np.sort(_count(dataset.train, "item", dataset.n_items))[::-1]
    top = max(1, round(dataset.n_items / 100))
    share = float(count[:top].sum() / max(count.sum(), 1))
    message = f"The most popular 1 % of the items ({top:,}) take {_percent(share)} of the training clicks."
    if share <= CONCENTRATED:
        return Check(name, "ok", top, message)
    return Check(name, "warning", top, message, "Compare with a ranking by popularity, and look at rare items separately.")


def _evaluated(dataset: Dataset) -> Check:
    n = len(np.unique(dataset.test.user))
    message = f"With positives in the test: {counted(n, 'user')}; in valid: {len(np.unique(dataset.valid.user)):,}."
    if n >= FEW_EVALUATED and len(dataset.valid):
        return Check("evaluated users", "ok", n, message)
    severity = "error" if n == 0 else "warning"
    return Check("evaluated users", severity, n, message, "Use more data, or larger shares for valid and test.")


def _times(dataset: Dataset, parts: tuple[Interactions, ...]) -> Iterator[Check]:
    """Whether the test lies after the training, and whether the record has holes."""
    newest = np.full(dataset.n_users, np.iinfo(np.int64).min)
    np.maximum.at(newest, dataset.train.user, dataset.train.time)
    n = int((dataset.test.time < newest[dataset.test.user]).sum())
    if n:
        share = _percent(n / len(dataset.test))
        message = f"Older than their user's newest in train: {counted(n, 'test positive')} ({share}), predicted from the future."
        yield Check("time order", "note", n, message, "Split by time if the figures should hold for what comes next.")
    else:
        yield Check("time order", "ok", 0, "Every test positive is newer than its user's training.")
    times = np.sort(np.concatenate([part.time for part in parts]))
    gaps = np.diff(times)
    span = int(times[-1] - times[0]) if len(times) else 0
    long = gaps > max(GAP_SHARE * span, DAY)
    if not long.any():
        yield Check("time gaps", "ok", 0, f"The interactions cover {span / DAY:,.0f} days without a long gap.")
        return
    start = np.datetime64(int(times[gaps.argmax()]), "s").astype("datetime64[D]")
    message = f"Nothing happens for {gaps.max() / DAY:,.0f} days after {start}, in a record of {span / DAY:,.0f} days."
    yield Check("time gaps", "warning", int(long.sum()), message, "Look whether a part of the data was lost.")


def _truth(truth: np.ndarray) -> Check:
    noisy, hard = (int((truth == label).sum()) for label in (Label.NOISY_POSITIVE, Label.HARD_POSITIVE))
    message = f"Known truth in train: {noisy:,} noisy positives ({_percent(noisy / max(len(truth), 1))}) and {hard:,} hard ones."
    return Check("known truth", "ok", noisy, message, "It serves evaluation only; no training or judge sees it.")
