"""Tables that people look through: interactions with label and loss, users, items, and pairs with both ratings of a judge."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import dynamics
from core import labels as label_rules
from core.records import VIEWS, Columns, Dataset, Label, LabelSet, Rating, Source

SPLITS = ("train", "valid", "test")
ORDERS = ("as imported", "highest loss", "lowest loss", "newest", "oldest")


@dataclass(frozen=True, eq=False)
class Listing(Columns):
    """Every interaction of a dataset, train first; labels and losses exist in train only."""

    user: np.ndarray  # int32 (n,)
    item: np.ndarray  # int32 (n,)
    split: np.ndarray  # int8 (n,) place in SPLITS
    label: np.ndarray  # int8 (n,) Label
    loss: np.ndarray  # float32 (n,) averaged over training; NaN where none was recorded
    time: np.ndarray | None = None  # int64 (n,) [Unix s]


def listing(dataset: Dataset, train_labels: np.ndarray, losses: dict[str, np.ndarray] | None) -> Listing:
    """All interactions; `train_labels` int8 (n_train,), `losses` as a run folder gives them."""
    parts = (dataset.train, dataset.valid, dataset.test)
    n = sum(map(len, parts))
    label, loss = np.full(n, Label.CLEAN, np.int8), np.full(n, np.nan, np.float32)
    label[: len(dataset.train)] = train_labels
    if losses is not None:
        loss[: len(dataset.train)] = dynamics.loss_of(dataset.train, losses, dataset.n_items)
    times = [part.time for part in parts]
    return Listing(
        np.concatenate([part.user for part in parts]),
        np.concatenate([part.item for part in parts]),
        np.repeat(np.arange(3, dtype=np.int8), [len(part) for part in parts]),
        label,
        loss,
        None if any(time is None for time in times) else np.concatenate(times),
    )


def ordered(rows: Listing, keep: np.ndarray, order: str = ORDERS[0]) -> np.ndarray:
    """Positions int64 (m,) of the rows that a mask (n,) keeps, in `order`; rows without a loss or time come last."""
    at = np.flatnonzero(keep)
    if order in ("highest loss", "lowest loss"):
        key = -rows.loss[at] if order == "highest loss" else rows.loss[at]
        return at[np.argsort(key, kind="stable")]
    if order in ("newest", "oldest") and rows.time is not None:
        key = -rows.time[at] if order == "newest" else rows.time[at]
        return at[np.argsort(key, kind="stable")]
    return at


def interaction_table(dataset: Dataset, rows: Listing) -> pd.DataFrame:
    """Raw ids and words of a few rows: user, item, title, split, label, loss, and when, if known."""
    words = np.array([label.word for label in Label], dtype=object)
    table = pd.DataFrame(
        {
            "user": dataset.user_ids[rows.user],
            "item": dataset.item_ids[rows.item],
            "title": dataset.item_title[rows.item],
            "split": np.array(SPLITS, dtype=object)[rows.split],
            "label": words[rows.label],
            "loss": rows.loss,
        }
    )
    if rows.time is not None:
        table["when"] = pd.to_datetime(rows.time, unit="s")
    return table


def side_table(dataset: Dataset, rows: Listing, side: str) -> pd.DataFrame:
    """One line per user or item (`side`), the most active first: what it is, how often, what is labelled, mean loss."""
    place = rows.user if side == "user" else rows.item
    n = dataset.n_users if side == "user" else dataset.n_items
    if side == "user":
        table = pd.DataFrame({"user": dataset.user_ids, "about": dataset.user_text})
    else:
        table = pd.DataFrame({"item": dataset.item_ids, "title": dataset.item_title, "category": dataset.item_category})
    for code, name in enumerate(SPLITS):
        table[name] = np.bincount(place[rows.split == code], minlength=n)
    for label in (Label.HARD_POSITIVE, Label.NOISY_POSITIVE):
        table[label.word] = np.bincount(place[rows.label == label], minlength=n)
    known = ~np.isnan(rows.loss)
    if known.any():
        total = np.bincount(place[known], rows.loss[known], n)
        count = np.bincount(place[known], minlength=n)
        table["mean loss"] = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return table.sort_values("train", ascending=False, kind="stable", ignore_index=True)


def pair_table(dataset: Dataset, labels: LabelSet, judgments: pd.DataFrame) -> pd.DataFrame:
    """Every examined pair with the two ratings that count: user, item, title, observed, label, source (codes), user view,
    item view (a Rating, "" where there is none), rater, is_llm."""
    table = pd.DataFrame(
        {
            "user": dataset.user_ids[labels.user],
            "item": dataset.item_ids[labels.item],
            "title": dataset.item_title[labels.item],
            "observed": labels.observed,
            "label": labels.label,
            "source": labels.source,
        }
    )
    rated = ratings(judgments).rename(columns={"user_id": "user", "item_id": "item"})
    joined = table.merge(rated, on=["user", "item"], how="left")
    words = [f"{view} view" for view in VIEWS] + ["rater"]
    return joined.fillna(dict.fromkeys(words, "")).assign(is_llm=joined["is_llm"].eq(True))


def ratings(judgments: pd.DataFrame) -> pd.DataFrame:
    """One line per pair: the ratings of one rater, never mixed: with both views before one, then the better source, then the
    newest. Columns user_id, item_id, "user view", "item view" ("" where missing), rater, is_llm."""
    rater = ["judge", "model", "digest", "prompt_version"]
    pair = ["user_id", "item_id"]
    columns = [*pair, *(f"{view} view" for view in VIEWS), "rater", "is_llm"]
    if not len(judgments):
        return pd.DataFrame({name: pd.Series(dtype=bool if name == "is_llm" else object) for name in columns})
    wide = judgments.pivot_table(index=[*pair, *rater, "is_llm"], columns="view", values="rating", aggfunc="last", dropna=True)
    wide = wide.reindex(columns=list(VIEWS)).rename(columns={view: f"{view} view" for view in VIEWS})
    asked = judgments.groupby([*pair, *rater, "is_llm"])["at"].max().rename("_at")
    wide = wide.assign(_both=wide.notna().sum(axis=1)).join(asked).reset_index()
    wide["_source"] = label_rules.sources(wide)
    wide = wide.sort_values(["_both", "_source", "_at"], kind="stable").drop_duplicates(pair, keep="last")
    wide["rater"] = np.where(wide["is_llm"], wide["model"], wide["judge"])
    # a view that nobody answered is a column of numbers, all NaN
    named = {name: wide[name].astype(object).fillna("") for name in columns if name != "is_llm"}
    return wide[columns].assign(**named).reset_index(drop=True)


def agreement(table: pd.DataFrame) -> np.ndarray:
    """Pairs by both ratings: int64 (3, 3), rows user view, columns item view, High to Low; only pairs with both."""
    order = [rating.value for rating in Rating]
    counts = pd.crosstab(table["user view"], table["item view"])
    return counts.reindex(index=order, columns=order, fill_value=0).to_numpy(np.int64)


def counts_by_label(labels: LabelSet) -> dict[Label, int]:
    """How many pairs have each label, those with none left out."""
    return {Label(code): int((labels.label == code).sum()) for code in dynamics.groups(labels.label)}


def reviewed(labels: LabelSet) -> int:
    """Pairs whose label a person gave."""
    return int((labels.source == Source.HUMAN).sum())


def changed(before: pd.DataFrame, after: pd.DataFrame) -> int:
    """Pairs whose label differs between two label frames (labels.to_frame), those in only one of them included."""
    pair = ["user_id", "item_id"]
    both = before[[*pair, "label"]].merge(after[[*pair, "label"]], on=pair, how="outer", suffixes=("_before", "_after"))
    return int((both["label_before"].fillna("") != both["label_after"].fillna("")).sum())
