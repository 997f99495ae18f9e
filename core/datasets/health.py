"""What is good and what is doubtful about a dataset, before anybody trains on it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from core.datasets.report import clipped, counted
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


SHARE, TIMES_MEDIAN = 0.05, 10
"""One user or item with more than this share of the clicks, and so many times the median's, is hardly a usual one."""
SAME_TIME = 0.2
"""When so many interactions carry one time, it is hardly when they happened."""


@dataclass(frozen=True)
class Check:
    """One finding. ok: nothing to do; note: good to know; warning: results may suffer; error: results cannot be trusted."""

    name: str
    severity: Literal["ok", "note", "warning", "error"]
    count: int  # of what the message speaks about
    message: str  # a full sentence
    fix: str = ""  # what to do about it; "" when there is nothing to do
    of: Literal["", "user", "item", "interaction"] = ""  # what `rows` are; "" when the finding is about no rows in particular
    rows: np.ndarray | None = field(default=None, compare=False, repr=False)
    """int64 positions of what is concerned; of interactions as core.browse.listing has them: train, then valid, then test."""


def health(dataset: Dataset) -> list[Check]:
    """All checks in a fixed order, good ones too. Counts are about positives."""
    parts = (dataset.train, dataset.valid, dataset.test)
    checks = [
        *_repeated(dataset, parts),
        _few_positives(dataset),
        _cold_users(dataset),
        _cold_items(dataset),
        _only_in_test(dataset),
        _texts(dataset),
        _same_titles(dataset),
        _density(dataset, parts),
        _concentration(dataset),
        _share(dataset, "user"),
        _share(dataset, "item"),
        _evaluated(dataset),
    ]
    if all(part.time is not None for part in parts):
        checks += _times(dataset, parts)
    if dataset.train.truth is not None:
        checks.append(_truth(dataset.train.truth))
    return checks


def _count(part: Interactions, side: str, n: int) -> np.ndarray:
    return np.bincount(getattr(part, side), minlength=n)


def percent(share: float) -> str:
    """ "0.52%", "10.0%"."""
    return f"{share:.2%}" if share < 0.01 else f"{share:.1%}"


def _repeated(dataset: Dataset, parts: tuple[Interactions, ...]) -> Iterator[Check]:
    """Pairs that occur twice in one part, and pairs of one part that are in another: the answer of the evaluation is learned."""
    codes = np.concatenate([part.codes(dataset.n_items) for part in parts])
    split = np.repeat(np.arange(3), [len(part) for part in parts])
    again = pd.Series(codes * 3 + split).duplicated().to_numpy()
    twice = np.flatnonzero(again)
    leaked = np.flatnonzero(pd.Series(codes).duplicated().to_numpy() & ~again)  # first in its part, but not in the data
    if len(twice):
        message = f"Repeating the user and item of another row of their part: {counted(len(twice), 'row')}."
        fix = "Import the data again; the importer keeps one row per pair."
        yield Check("duplicates", "error", len(twice), message, fix, "interaction", twice)
    else:
        yield Check("duplicates", "ok", 0, "Every pair of user and item occurs once in its part.")
    if not len(leaked):
        yield Check("leakage", "ok", 0, "No pair is in more than one of train, valid and test.")
        return
    message = f"In more than one of train, valid and test: {counted(len(leaked), 'pair')}; what is measured on was learned."
    fix = "Import the data again without the column of splits, or take these pairs out of one of the parts."
    yield Check("leakage", "error", len(leaked), message, fix, "interaction", leaked)


def _few_positives(dataset: Dataset) -> Check:
    name, count = "users with few positives", _count(dataset.train, "user", dataset.n_users)
    few = (count > 0) & (count < FEW_POSITIVES)
    n, single = int(few.sum()), int((count == 1).sum())
    if not n:
        return Check(name, "ok", 0, f"Every user of train has at least {FEW_POSITIVES} positives there.")
    message = f"Fewer than {FEW_POSITIVES} positives in train: {counted(n, 'user')}, {single:,} of them with a single one."
    severity = "warning" if n > 0.2 * (count > 0).sum() else "note"
    # a core counts the positives of every part, and train has only its share of them
    core = math.ceil(FEW_POSITIVES * sum(map(len, (dataset.train, dataset.valid, dataset.test))) / len(dataset.train))
    fix = f"Import with core {core}, which leaves a user about {FEW_POSITIVES} in train, or read their metrics with care."
    return Check(name, severity, n, message, fix, "user", np.flatnonzero(few))


def _cold_users(dataset: Dataset) -> Check:
    trained = _count(dataset.train, "user", dataset.n_users) > 0
    held = _count(dataset.valid, "user", dataset.n_users) + _count(dataset.test, "user", dataset.n_users) > 0
    cold = np.flatnonzero(held & ~trained)
    if not len(cold):
        return Check("users without training", "ok", 0, "Every user of valid and test has positives in train.")
    told = counted(len(cold), "user")
    message = f"Positives in valid or test only: {told}, whose recommendations are chance and pull the metrics down."
    fix = "Split each user's rows by time or leave-one-out, or import with a core."
    return Check("users without training", "warning", len(cold), message, fix, "user", cold)


def _cold_items(dataset: Dataset) -> Check:
    trained = _count(dataset.train, "item", dataset.n_items) > 0
    wanted = np.zeros(dataset.n_items, bool)
    wanted[dataset.test.item] = True
    n, hopeless = int((~trained).sum()), int((wanted & ~trained).sum())
    if not n:
        return Check("items without training", "ok", 0, "Every item has a positive in train.")
    message = f"No positive in train: {n:,} of {dataset.n_items:,} items, {hopeless:,} of them looked for in the test."
    severity = "warning" if n > 0.5 * dataset.n_items else "note"
    fix = "Import with a core to leave rare items out."
    return Check("items without training", severity, n, message, fix, "item", np.flatnonzero(~trained))


def _only_in_test(dataset: Dataset) -> Check:
    trained = _count(dataset.train, "item", dataset.n_items) > 0
    rows = _count(dataset.test, "item", dataset.n_items)
    unseen = np.flatnonzero(~trained & (rows > 0))
    if not len(unseen):
        return Check("items only in test", "ok", 0, "Every item of the test has positives in train.")
    share = rows[unseen].sum() / len(dataset.test)
    message = (
        f"In the test and never in train: {counted(len(unseen), 'item')} with {percent(share)} of the test's positives, "
        "which no model that learns from clicks can find."
    )
    severity = "warning" if share > 0.05 else "note"
    return Check("items only in test", severity, len(unseen), message, "Import with a core, or split at random.", "item", unseen)


def _texts(dataset: Dataset) -> Check:
    titled = dataset.item_title != dataset.item_ids
    told = titled | (dataset.item_category != "") | (dataset.item_text != "")
    n = int((~told).sum())
    if not n:
        return Check("items without text", "ok", 0, "Every item has a title, a category or a description.")
    clicks = float((~told)[dataset.train.item].mean()) if len(dataset.train) else 0.0
    message = f"Without any text to judge by: {n:,} of {dataset.n_items:,} items, {percent(clicks)} of the training clicks."
    severity = "error" if n == dataset.n_items else "warning"
    fix = "Import again with an item table that has titles or descriptions."
    return Check("items without text", severity, n, message, fix, "item", np.flatnonzero(~told))


def _same_titles(dataset: Dataset) -> Check:
    titles = pd.Series(dataset.item_title)
    shared = np.flatnonzero(titles.duplicated(keep=False))
    if not len(shared):
        return Check("shared titles", "ok", 0, "No two items have the same title.")
    count = titles.iloc[shared].value_counts()
    example = clipped(str(count.index[0]))
    message = f"Shared by several items: {counted(len(count), 'title')}, such as '{example}'; one thing may have two ids."
    fix = "Merge the ids before the import if they are the same item."
    return Check("shared titles", "note", len(count), message, fix, "item", shared)


def _density(dataset: Dataset, parts: tuple[Interactions, ...]) -> Check:
    n = sum(map(len, parts))
    density = n / (dataset.n_users * dataset.n_items)
    message = f"{n:,} of {dataset.n_users * dataset.n_items:,} possible pairs are observed ({density:.3%})."
    if density >= SPARSE:
        return Check("density", "ok", n, message)
    return Check("density", "note", n, message, "Import with a core, or expect weak collaborative signals.")


def most_popular(count: np.ndarray) -> tuple[np.ndarray, float]:
    """Positions of the 1 % of the items with the most clicks (at least one item), and their share of all the clicks."""
    top = np.argsort(-count, kind="stable")[: max(1, round(len(count) / 100))]
    return top, float(count[top].sum() / max(count.sum(), 1))


def _concentration(dataset: Dataset) -> Check:
    top, share = most_popular(_count(dataset.train, "item", dataset.n_items))
    message = f"The most popular 1 % of the items ({len(top):,}) take {percent(share)} of the training clicks."
    if share <= CONCENTRATED:
        return Check("popularity", "ok", len(top), message)
    fix = "Compare with a ranking by popularity, and look at rare items separately."
    return Check("popularity", "warning", len(top), message, fix, "item", top)


def _share(dataset: Dataset, side: Literal["user", "item"]) -> Check:
    """Whether one user or one item alone makes up much of the training."""
    ids = dataset.user_ids if side == "user" else dataset.item_ids
    count, name = _count(dataset.train, side, len(ids)), f"one {side}'s share"
    if not count.sum():
        return Check(name, "ok", 0, "There is no click in train.")
    most, usual = int(count.argmax()), max(float(np.median(count[count > 0])), 1.0)
    share = count[most] / count.sum()
    who = clipped(str(ids[most] if side == "user" else dataset.item_title[most]))
    message = f"The most {'active' if side == 'user' else 'popular'} {side}, '{who}', has {percent(share)} of the training clicks"
    if share <= SHARE or count[most] <= TIMES_MEDIAN * usual:
        return Check(name, "ok", 1, f"{message}.")
    fix = {
        "user": "Look whether it is a robot, a test account or many people in one; leave its rows out of the import if so.",
        "item": "Look whether it is a default, a gift or a mistake in the log; leave its rows out of the import if so.",
    }
    message += f", {count[most] / usual:,.0f} times as many as the median {side}."
    return Check(name, "warning", 1, message, fix[side], side, np.array([most]))


def _evaluated(dataset: Dataset) -> Check:
    n = len(np.unique(dataset.test.user))
    message = f"With positives in the test: {counted(n, 'user')}; in valid: {len(np.unique(dataset.valid.user)):,}."
    if n >= FEW_EVALUATED and len(dataset.valid):
        return Check("evaluated users", "ok", n, message)
    severity = "error" if n == 0 else "warning"
    return Check("evaluated users", severity, n, message, "Use more data, or larger shares for valid and test.")


def _times(dataset: Dataset, parts: tuple[Interactions, ...]) -> Iterator[Check]:
    """Whether times tell anything, whether the test lies after the training, and whether the record has holes."""
    every = np.concatenate([part.time for part in parts])
    order = np.argsort(every, kind="stable")
    times = every[order]
    if not len(times):
        return
    starts = np.flatnonzero(np.diff(times, prepend=times[0] - 1))
    lengths = np.diff(starts, append=len(times))
    most = lengths.argmax()
    if lengths[most] > SAME_TIME * len(times):
        when = np.datetime64(int(times[starts[most]]), "s")
        message = f"One and the same time, {when}, stands at {lengths[most]:,} of {len(times):,} interactions."
        fix = "Look whether another column holds the time; if there is none, split at random instead of by time."
        rows = np.sort(order[starts[most] : starts[most] + lengths[most]])
        yield Check("same time", "warning", int(lengths[most]), message, fix, "interaction", rows)
    else:
        yield Check("same time", "ok", 0, f"The interactions have {len(starts):,} different times.")
    if len(starts) == 1:
        return
    newest = np.full(dataset.n_users, np.iinfo(np.int64).min)
    np.maximum.at(newest, dataset.train.user, dataset.train.time)
    early = np.flatnonzero(dataset.test.time < newest[dataset.test.user])
    if len(early):
        share = percent(len(early) / len(dataset.test))
        told = counted(len(early), "test positive")
        message = f"Older than their user's newest in train: {told} ({share}), predicted from the future."
        fix = "Split by time if the figures should hold for what comes next."
        rows = early + len(dataset.train) + len(dataset.valid)
        yield Check("time order", "note", len(early), message, fix, "interaction", rows)
    else:
        yield Check("time order", "ok", 0, "Every test positive is newer than its user's training.")
    gaps = np.diff(times)
    span = int(times[-1] - times[0])
    long = np.flatnonzero(gaps > max(GAP_SHARE * span, DAY))
    if not len(long):
        yield Check("time gaps", "ok", 0, f"The interactions cover {span / DAY:,.0f} days without a long gap.")
        return
    start = np.datetime64(int(times[gaps.argmax()]), "s").astype("datetime64[D]")
    message = f"Nothing happens for {gaps.max() / DAY:,.0f} days after {start}, in a record of {span / DAY:,.0f} days."
    fix = "Look whether a part of the data was lost; the rows on both sides of each gap are where to begin."
    sides = np.unique(np.concatenate([long, long + 1]))
    yield Check("time gaps", "warning", len(long), message, fix, "interaction", order[sides])


def _truth(truth: np.ndarray) -> Check:
    noisy, hard = (int((truth == label).sum()) for label in (Label.NOISY_POSITIVE, Label.HARD_POSITIVE))
    message = f"Known truth in train: {noisy:,} noisy positives ({percent(noisy / max(len(truth), 1))}) and {hard:,} hard ones."
    return Check("known truth", "ok", noisy, message, "It serves evaluation only; no training or judge sees it.")
