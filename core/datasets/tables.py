"""Datasets as arrays of positions, and as the tables of raw ids that are kept on disk: there and back."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core import splits
from core.datasets.checking import Tables
from core.records import Dataset, Interactions, Label, fingerprint


def dataset_of(name: str, content: str, tables: Tables) -> Dataset:
    """Raw ids to positions, rows to splits. Raises KeyError or ValueError when the tables do not fit together."""
    rows, items, users = tables.interactions, tables.items, tables.users
    user, item = _positions(rows["user"], users["user"]), _positions(rows["item"], items["item"])
    labels = _labels(tables, user, item)
    whole = Interactions(
        user,
        item,
        rows["rating"].to_numpy(np.float32) if "rating" in rows else None,
        rows["time"].to_numpy(np.int64) if "time" in rows else None,
        labels,
    )
    positive, split = rows["positive"].to_numpy(bool), rows["split"].to_numpy()
    train, valid, test = (whole.where(positive & (split == code)) for code in range(len(splits.SPLITS)))
    return Dataset(
        name=name,
        user_ids=_texts(users["user"]),
        item_ids=_texts(items["item"]),
        user_text=_texts(users["text"]),
        item_title=_texts(items["title"]),
        item_category=_texts(items["category"]),
        item_text=_texts(items["text"]),
        train=train,
        valid=valid,
        test=test,
        fingerprint=content,
        disliked=None if positive.all() else whole.where(~positive),
        missed=_missed(tables),
    )


def _positions(ids: pd.Series, known: pd.Series) -> np.ndarray:
    found = pc.index_in(pa.array(ids, pa.large_string()), value_set=pa.array(known, pa.large_string()))
    if found.null_count:
        raise ValueError(f"{found.null_count:,} rows have an unknown {ids.name}")
    return found.to_numpy(zero_copy_only=False).astype(np.int32)


def _texts(column: pd.Series) -> np.ndarray:
    return np.array(column.tolist(), dtype=object)


def _labels(tables: Tables, user: np.ndarray, item: np.ndarray) -> np.ndarray | None:
    """Label codes int8 of all rows; None when nothing is known about any."""
    if tables.truth is None:
        return None
    n_items = len(tables.items)
    labels = np.full(len(user), Label.CLEAN, np.int8)
    code = user.astype(np.int64) * n_items + item
    known = _positions(tables.truth["user"], tables.users["user"]).astype(np.int64) * n_items
    known += _positions(tables.truth["item"], tables.items["item"])
    order = np.argsort(known)
    place = np.searchsorted(known[order], code).clip(max=max(len(known) - 1, 0))
    hit = known[order][place] == code if len(known) else np.zeros(len(code), bool)
    labels[hit] = tables.truth["truth"].to_numpy(np.int8)[order][place[hit]]
    return labels


def _missed(tables: Tables) -> Interactions | None:
    if tables.truth is None:
        return None
    rows = tables.truth[tables.truth["truth"] == Label.MISSED_POSITIVE]
    return Interactions(_positions(rows["user"], tables.users["user"]), _positions(rows["item"], tables.items["item"]))


def content_of(dataset: Dataset) -> str:
    """The fingerprint of ids, texts and splits; two imports of one content are the same, whatever their names and truth."""
    texts = (dataset.user_ids, dataset.item_ids, dataset.user_text, dataset.item_title, dataset.item_category, dataset.item_text)
    parts = (dataset.train, dataset.valid, dataset.test)
    return fingerprint(*texts, *(array for part in parts for array in (part.user, part.item)))


def tables_of(dataset: Dataset) -> Tables:
    """Back from positions to raw ids: loaded again, these tables give the same dataset."""
    parts = [dataset.train, dataset.valid, dataset.test]
    rows = [_rows(dataset, part).assign(split=np.int8(code), positive=True) for code, part in enumerate(parts)]
    if dataset.disliked is not None:  # nobody reads in which split a dislike was
        parts.append(dataset.disliked)
        rows.append(_rows(dataset, dataset.disliked).assign(split=np.int8(splits.TRAIN), positive=False))
    items = {"title": dataset.item_title, "category": dataset.item_category, "text": dataset.item_text}
    return Tables(
        interactions=pd.concat(rows, ignore_index=True),
        items=pd.DataFrame({"item": dataset.item_ids} | items),
        users=pd.DataFrame({"user": dataset.user_ids, "text": dataset.user_text}),
        truth=None if dataset.train.truth is None else _known(dataset, parts),
    )


def _rows(dataset: Dataset, part: Interactions) -> pd.DataFrame:
    known = {name: getattr(part, name) for name in ("rating", "time") if getattr(part, name) is not None}
    return pd.DataFrame({"user": dataset.user_ids[part.user], "item": dataset.item_ids[part.item]} | known)


def _known(dataset: Dataset, parts: list[Interactions]) -> pd.DataFrame:
    """The truth of all pairs that are not clean."""
    told = [(part, part.truth) for part in parts if part.truth is not None]
    if dataset.missed is not None:
        told.append((dataset.missed, np.full(len(dataset.missed), Label.MISSED_POSITIVE, np.int8)))
    rows = pd.concat([_rows(dataset, part)[["user", "item"]].assign(truth=truth) for part, truth in told], ignore_index=True)
    return rows[rows["truth"] != Label.CLEAN].reset_index(drop=True)
