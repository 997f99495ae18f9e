"""A dataset as its labels leave it, as files for other programs: what was dropped, weighed down or added, and why.

A folder in one of three formats: CSV or Parquet, which can be imported again, and RecBole's atomic files (typed headers, one
file a split, recbole.io/docs/user_guide/data/atomic_files.html). Beside the data: changes.csv with a line for every changed
pair, and export.json, which says what the folder is. It appears whole or not at all.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core import graph, splits
from core import labels as label_rules
from core.artifacts import Home, write_json
from core.datasets.disk import load, whole
from core.datasets.tables import tables_of
from core.errors import DatasetError
from core.records import Dataset, Decision, Edges, Label, LabelSet, Source
from core.settings import ExportSettings
from core.store import Store
from core.untrusted import safe_cells

PAIR = ["user", "item"]
DEEDS = ("dropped", "weighed down", "added")
TRUTHS = {Label.NOISY_POSITIVE: "noisy", Label.HARD_POSITIVE: "hard", Label.MISSED_POSITIVE: "missed"}
"""The words of the importer's truth column."""
RECBOLE = {"user": "user_id:token", "item": "item_id:token", "rating": "rating:float", "time": "timestamp:float"}
RECBOLE |= {"weight": "weight:float", "title": "title:token_seq", "category": "categories:token_seq", "text": "text:token_seq"}
RECBOLE |= {"about": "about:token_seq"}


@dataclass(frozen=True)
class Exported:
    """What an export wrote: interactions of every split, and the changes of train by deed."""

    folder: Path
    format: str
    version: str  # of the labels; "" for those that stand now
    splits: dict[str, int]
    changes: dict[str, int]  # one of DEEDS -> pairs
    filled: dict[str, int]  # column -> cells that were not known and got a value of the same user
    files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The tables of a cleaned dataset, raw ids."""

    interactions: pd.DataFrame  # user, item, rating and time where known, split word, weight
    items: pd.DataFrame  # item, title, category, text
    users: pd.DataFrame  # user, about
    truth: pd.DataFrame | None  # user, item, truth word; of what is left
    dislikes: pd.DataFrame | None  # rows under the rating threshold, which are no positives
    changes: pd.DataFrame  # user, item, title, deed, weight, label, source, annotators, reason, note, at [Unix s], version
    filled: dict[str, int]


def export(
    home: Home, name: str, folder: Path, settings: ExportSettings, version: str | None = None, *, replace: bool = False
) -> Exported:
    """Write a dataset as a label version (the labels as they stand now without one) leaves it.

    Raises DatasetError when the folder is there and `replace` is not given, or cannot be written: then nothing is left of it.
    """
    if folder.exists() and not replace:
        raise DatasetError(f"{folder} is already there.", "Choose another folder, or replace it.")
    dataset, store = load(home, name), Store.open(home)
    found = cleaned(dataset, store, settings, version)
    with whole(folder, replace) as building:
        _write(building, found, settings.format, name)
        found.changes.pipe(safe_cells).to_csv(building / "changes.csv", index=False)
        counts = found.interactions["split"].value_counts()
        told = Exported(
            folder,
            settings.format,
            version or "",
            {word: int(counts.get(word, 0)) for word in splits.SPLITS},
            {deed: int((found.changes["deed"] == deed).sum()) for deed in DEEDS},
            found.filled,
            tuple(sorted([*(path.name for path in building.iterdir()), "export.json"])),
        )
        about = {
            "dataset": name,
            "dataset_fingerprint": dataset.fingerprint,
            "settings": settings.model_dump(),
            "at": time.time(),
        }
        write_json(building / "export.json", about | asdict(told) | {"folder": folder.name})
    return told


def cleaned(dataset: Dataset, store: Store, settings: ExportSettings, version: str | None = None) -> Cleaned:
    """The tables, without writing anything."""
    until = np.inf
    if version:
        labels = label_rules.from_frame(dataset, store.version(dataset.name, version))
        versions = store.versions(dataset.name)
        until = float(versions.loc[versions["version"] == version, "at"].item())
    else:
        labels = store.labels(dataset)
    edges = graph.refine(dataset.train, labels, dataset.n_items, settings.noisy_weight, settings.add_missed)
    tables = tables_of(dataset)
    train, filled = _train(dataset, edges)
    held_out = tables.interactions[tables.interactions["positive"] & (tables.interactions["split"] != splits.TRAIN)]
    held_out = held_out.drop(columns="positive").assign(weight=np.float32(1))
    rows = pd.concat([train.assign(split=splits.TRAIN), held_out], ignore_index=True)
    rows["split"] = np.array(splits.SPLITS, object)[rows["split"].to_numpy(int)]
    disliked = tables.interactions[~tables.interactions["positive"]].drop(columns=["split", "positive"])
    return Cleaned(
        rows[[*PAIR, *(name for name in ("rating", "time") if name in rows), "split", "weight"]],
        tables.items,
        tables.users.rename(columns={"text": "about"}),
        _truth(tables.truth, rows),
        disliked if len(disliked) else None,
        _changes(dataset, labels, edges, store, until).assign(version=version or "now"),
        filled,
    )


def _train(dataset: Dataset, edges: Edges) -> tuple[pd.DataFrame, dict[str, int]]:
    """The refined edges with rating and time. A pair that has none gets its user's median, else that of all: some readers
    of such files leave out rows with an empty cell."""
    known = pd.DataFrame(
        {name: getattr(dataset.train, name) for name in ("rating", "time") if getattr(dataset.train, name) is not None}
    )
    known.index = pd.Index(dataset.train.codes(dataset.n_items))
    rows = known.reindex(edges.codes(dataset.n_items)).reset_index(drop=True)
    filled = {}
    for name in rows:
        missing = rows[name].isna()
        own = known[name].groupby(dataset.train.user).median().reindex(edges.user).to_numpy()
        whole_column = rows[name].fillna(pd.Series(own)).fillna(known[name].median())
        rows[name] = whole_column.astype(np.int64) if name == "time" else whole_column.astype(np.float32)
        if missing.any():
            filled[str(name)] = int(missing.sum())
    ids = {"user": dataset.user_ids[edges.user], "item": dataset.item_ids[edges.item]}
    return pd.DataFrame(ids).assign(**{str(name): rows[name] for name in rows}, weight=edges.weight), filled


def _truth(truth: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame | None:
    """What is known about pairs that are still there, and about missed ones that are still missing."""
    if truth is None:
        return None
    there = pd.MultiIndex.from_frame(truth[PAIR]).isin(pd.MultiIndex.from_frame(rows[PAIR]))
    kept = truth[there != (truth["truth"] == Label.MISSED_POSITIVE)]
    return kept.assign(truth=kept["truth"].map(TRUTHS))


def _changes(dataset: Dataset, labels: LabelSet, edges: Edges, store: Store, until: float) -> pd.DataFrame:
    """Every pair of train whose weight the labels change, with who says so and why."""
    weight = pd.Series(edges.weight, index=edges.codes(dataset.n_items))
    after = weight.reindex(labels.codes(dataset.n_items), fill_value=0).to_numpy()
    before = labels.observed.astype(np.float32)
    changed = labels.where(before != after)
    before, after = before[before != after], after[before != after]
    frame = label_rules.to_frame(dataset, changed).rename(columns={"user_id": "user", "item_id": "item"})
    told = frame.drop(columns="observed").assign(
        title=dataset.item_title[changed.item],
        deed=np.select([before == 0, after == 0], [DEEDS[2], DEEDS[0]], DEEDS[1]),
        weight=after,
    )
    human = (changed.source == Source.HUMAN)[:, None]
    people, judges = (
        _look_up(told, reasons) for reasons in (_by_people(store, dataset.name, until), _by_judges(store, dataset.name, until))
    )
    told[people.columns] = np.where(human, people, judges)
    return told[[*PAIR, "title", "deed", "weight", "label", "source", *people.columns]]


def _look_up(pairs: pd.DataFrame, reasons: pd.DataFrame) -> pd.DataFrame:
    return reasons.reindex(pd.MultiIndex.from_frame(pairs[PAIR])).reset_index(drop=True)


def _by_people(store: Store, name: str, until: float) -> pd.DataFrame:
    """Of every pair, by (user, item): who decided until then, and the newest reason, note and time."""
    rows = [row for row in store.decisions(name) if row.at <= until]
    standing = pd.DataFrame([asdict(row) for row in _standing(rows)], columns=list(Decision.__dataclass_fields__))
    grouped = standing.sort_values(["at", "id"]).groupby(["user_id", "item_id"])
    names = grouped["annotator"].agg(lambda column: "; ".join(dict.fromkeys(column)))
    return pd.DataFrame({"annotators": names} | {column: grouped[column].last() for column in ("reason", "note", "at")})


def _standing(rows: list[Decision]) -> Iterable[Decision]:
    """Decisions that no standing undo takes back; an undo that was taken back itself does not stand."""
    taken: set[int] = set()
    for row in reversed(rows):
        if row.undoes is not None and row.id not in taken:
            taken.add(row.undoes)
    return [row for row in rows if row.relevant is not None and row.id not in taken]


def _by_judges(store: Store, name: str, until: float) -> pd.DataFrame:
    """Of every pair, by (user, item): the best judge that was asked until then, its ratings as reason, its words as note."""
    rows = store.judgments(name, texts=False)
    rows = rows[rows["asked_at"] <= until].copy()
    rows["source"] = label_rules.sources(rows)
    best = rows.sort_values(["source", "asked_at"], kind="stable").groupby(["user_id", "item_id"]).tail(2)
    rater = np.where(best["model"].fillna("") == "", best["judge"], best["judge"] + ": " + best["model"].fillna(""))
    best = best.assign(annotators=rater, reason=best["view"] + " view " + best["rating"], note=best["analysis"])
    grouped = best.sort_values("view", ascending=False).groupby(["user_id", "item_id"])
    joined = {
        column: grouped[column].agg(lambda texts: "; ".join(dict.fromkeys(texts))) for column in ("annotators", "reason", "note")
    }
    return pd.DataFrame(joined | {"at": grouped["at"].last()})


def _write(folder: Path, found: Cleaned, format: str, name: str) -> None:
    if format == "recbole":
        _write_recbole(folder, found, name)
        return
    for stem in ("interactions", "items", "users", "truth", "dislikes"):
        table = getattr(found, stem)
        if table is None:
            continue
        if format == "csv":
            table.to_csv(folder / f"{stem}.csv", index=False)
        else:
            table.to_parquet(folder / f"{stem}.parquet", index=False, compression="zstd")


def _write_recbole(folder: Path, found: Cleaned, name: str) -> None:
    """One .inter a split, which `benchmark_filename` names, .item and .user, and the settings that read them."""
    for word, rows in found.interactions.groupby("split"):
        _atomic_file(folder / f"{name}.{word}.inter", rows.drop(columns="split"))
    words = found.items["category"].str.replace(" ", "_").str.replace("|", " ")
    _atomic_file(folder / f"{name}.item", found.items.assign(category=words))
    _atomic_file(folder / f"{name}.user", found.users)
    columns = ", ".join(RECBOLE[column].split(":")[0] for column in found.interactions if column != "split")
    present = [word for word in splits.SPLITS if (folder / f"{name}.{word}.inter").exists()]
    lines = [f"dataset: {name}", f"benchmark_filename: [{', '.join(present)}]", "load_col:", f"  inter: [{columns}]"]
    (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _atomic_file(path: Path, table: pd.DataFrame) -> None:
    texts = table.select_dtypes(include=["object", "str"]).columns
    flat = table.assign(**{name: table[name].str.replace(r"[\t\r\n]+", " ", regex=True) for name in texts})
    flat.rename(columns=RECBOLE).to_csv(path, sep="\t", index=False)
