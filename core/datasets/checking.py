"""Raw tables to clean ones: a row that cannot be used is left out and reported with its line; nothing is repaired silently."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import splits
from core.datasets import catalogue, columns
from core.datasets.formats import RawTables
from core.datasets.report import ImportReport, Problem
from core.datasets.sieve import Sieve
from core.errors import DatasetError
from core.settings import ImportSettings

ROLES = ("user", "item", "rating", "time", "split", "truth")


@dataclass(frozen=True, eq=False)
class Tables:
    """What a dataset consists of on disk: raw ids, one row per pair; items and users in the order of their positions."""

    interactions: pd.DataFrame  # user, item, split int8, positive bool; rating float32 and time int64 [Unix s] if known
    items: pd.DataFrame  # item, title, category, text
    users: pd.DataFrame  # user, text
    truth: pd.DataFrame | None  # user, item, truth int8 Label; pairs that are not in it are clean


def check(raw: RawTables, settings: ImportSettings) -> tuple[Tables, ImportSettings, ImportReport]:
    """Clean tables, the settings with the columns that were used, and the report.

    Raises DatasetError when nothing usable is left.
    """
    table = raw.interactions
    names = list(table.frame.columns)
    mapping = columns.mapped(names, settings, ROLES, table.file)
    columns.need_user_and_item(mapping, names, table.file)
    settings = settings.model_copy(update={role: mapping.get(role, "") for role in ROLES})
    if settings.threshold is not None and "rating" not in mapping:
        raise DatasetError(
            f"A threshold needs ratings, and {table.file} has no rating column.", "Leave the threshold out, or name the column."
        )
    sieve = Sieve(table)
    _read_cells(sieve, table.frame, mapping)
    _one_row_a_pair(sieve)
    _mark_positives(sieve, settings)
    _cut_to_core(sieve, settings.core)
    _split(sieve, settings)
    items, item_problems = catalogue.items(raw.items, sieve, settings)
    users, user_problems = catalogue.users(raw.users, sieve, settings)
    truth, truth_problems = catalogue.truth(raw.truth, sieve, items, users)
    _look_at_splits(sieve)
    rows = sieve.rows.drop(columns=["line", "truth"], errors="ignore").reset_index(drop=True)
    problems = (*sieve.problems, *item_problems, *user_problems, *truth_problems)
    return Tables(rows, items, users, truth), settings, ImportReport(table.rows_read, len(rows), problems)


def _read_cells(sieve: Sieve, frame: pd.DataFrame, mapping: dict[str, str]) -> None:
    """The mapped columns with their meaning; rows with a cell that cannot be read are left out."""
    frame = frame.reset_index(drop=True)
    for role in ("user", "item"):
        sieve.rows[role], changes = columns.ids(frame[mapping[role]])
        for change in changes:
            sieve.say("ids", "note", f"In column {mapping[role]!r} {change}.", 1)
    for role in ("user", "item"):
        sieve.drop(sieve.rows[role] == "", "missing-id", f"{{n}} rows have no {role} id and were left out.")
    if "rating" in mapping:
        cells = frame[mapping["rating"]]
        sieve.rows["rating"] = columns.numbers(cells).astype(np.float32)[sieve.rows.index]
        _refuse_all(sieve, "rating", mapping["rating"], cells, "Ratings must be numbers with a decimal point.")
        sieve.drop(
            sieve.rows["rating"].isna(),
            "rating",
            "{n} rows have a rating that is no number and were left out.",
            cells[sieve.rows.index],
        )
    if "time" in mapping:
        cells = frame[mapping["time"]]
        seconds, unit = columns.times(cells)
        sieve.rows["time"] = seconds[sieve.rows.index]
        _refuse_all(sieve, "time", mapping["time"], cells, "Times must be Unix seconds or dates such as 2024-01-31.")
        sieve.drop(
            sieve.rows["time"].isna(),
            "time",
            "{n} rows have a time that cannot be read and were left out.",
            cells[sieve.rows.index],
        )
        sieve.rows["time"] = sieve.rows["time"].astype(np.int64)
        if unit != "seconds":
            sieve.say("time", "note", f"The times in column {mapping['time']!r} were read as {unit}.", len(sieve.rows))
    for role, words in (("split", columns.SPLIT_WORDS), ("truth", columns.TRUTH_WORDS)):
        if role in mapping:
            cells = frame[mapping[role]][sieve.rows.index]
            sieve.rows[role] = columns.coded(cells, words)
            known = ", ".join(word for word in words if word)
            sieve.drop(
                sieve.rows[role] == -1, role, f"{{n}} rows have a {role} that is none of {known}, and were left out.", cells
            )
    if not len(sieve.rows):
        raise DatasetError(f"No row of {sieve.file} can be used: {_reasons(sieve.problems)}", "Correct the file or the mapping.")


def _refuse_all(sieve: Sieve, role: str, column: str, cells: pd.Series, hint: str) -> None:
    """Not one readable cell means the wrong column, not bad rows."""
    if len(sieve.rows) and sieve.rows[role].isna().all():
        example = cells[sieve.rows.index[0]]
        hint += f" Without a {role}, give an empty {role} column."
        raise DatasetError(f"No {role} in column {column!r} of {sieve.file} can be read, such as {example!r}.", hint)


def _reasons(problems: list[Problem]) -> str:
    return " ".join(problem.message for problem in problems if problem.severity == "error") or "there is no row under the header."


def _one_row_a_pair(sieve: Sieve) -> None:
    """Of rows about one pair the highest-rated is kept, then the latest, then the last in the file."""
    rows = sieve.rows
    user, item = pd.factorize(rows["user"])[0], pd.factorize(rows["item"])[0]
    code = user.astype(np.int64) * (item.max() + 1) + item
    keys = [rows[name].to_numpy() for name in ("line", "time", "rating") if name in rows]
    order = np.lexsort((*keys, code))
    again = np.zeros(len(rows), bool)
    again[order[:-1]] = code[order[:-1]] == code[order[1:]]
    message = "{n} rows repeat a user and item of another row and were left out; the highest-rated was kept, then the latest."
    sieve.drop(again, "duplicate", message, rows["user"] + ", " + rows["item"], severity="warning")


def _mark_positives(sieve: Sieve, settings: ImportSettings) -> None:
    rows, threshold = sieve.rows, settings.threshold
    if threshold is None:
        sieve.rows = rows.assign(positive=True)
        if "rating" in rows and rows["rating"].nunique() > 1:
            message = "There are ratings but no threshold, so every row counts as a positive, whatever its rating."
            sieve.say("threshold", "note", message, len(rows))
        return
    sieve.rows = rows.assign(positive=rows["rating"] >= threshold)
    if not sieve.rows["positive"].any():
        raise DatasetError(
            f"No rating of {sieve.file} reaches the threshold {threshold:g}; the highest is {rows['rating'].max():g}.",
            "Choose a lower threshold.",
        )
    under = int((~sieve.rows["positive"]).sum())
    if under:
        sieve.say(
            "threshold",
            "note",
            f"{under:,} rows have a rating under {threshold:g}: they count as dislikes, not as positives.",
            under,
        )


def _cut_to_core(sieve: Sieve, k: int) -> None:
    """Leave out users and items with fewer than k positives; dislikes between the others stay."""
    if k == 0:
        return
    rows = sieve.rows
    positives = rows[rows["positive"]]
    kept = positives[splits.k_core(pd.factorize(positives["user"])[0], pd.factorize(positives["item"])[0], k)]
    if not len(kept):
        most = min(int(positives[side].value_counts().max()) for side in ("user", "item"))
        raise DatasetError(
            f"The {k}-core of {sieve.file} is empty.", f"Choose a core under {min(k, most + 1)}, or 0 to keep everything."
        )
    inside = rows["user"].isin(kept["user"].unique()) & rows["item"].isin(kept["item"].unique())
    message = f"{{n}} rows belong to users or items with fewer than {k} positives ({k}-core) and were left out."
    sieve.drop(~inside, "core", message, severity="warning")


def _split(sieve: Sieve, settings: ImportSettings) -> None:
    """Codes for every row. By time and leave-one-out place the positives only, so that dislikes do not fill anyone's test."""
    rows = sieve.rows
    if "split" in rows:
        return
    shares = (settings.valid_share, settings.test_share)
    codes = np.zeros(len(rows), np.int8)
    positive = rows["positive"].to_numpy()
    user = pd.factorize(rows["user"])[0][positive]
    time = rows["time"].to_numpy()[positive] if "time" in rows else None
    if settings.split_by == "random":
        codes = splits.random_split(len(rows), *shares, settings.seed)
    elif settings.split_by == "leave-one-out":
        codes[positive] = splits.leave_one_out(user, time)
    elif time is None:
        raise DatasetError(
            f"A split by time needs times, and {sieve.file} has no time column.", "Split at random, or name the column."
        )
    else:
        codes[positive] = splits.temporal_split(user, time, *shares)
    sieve.rows = rows.assign(split=codes)


def _look_at_splits(sieve: Sieve) -> None:
    rows = sieve.rows[sieve.rows["positive"]]
    if not (rows["split"] == splits.TRAIN).any():
        raise DatasetError(
            f"No positive of {sieve.file} is in train.", "Look at the split column, or lower valid_share and test_share."
        )
    for code, word in enumerate(splits.SPLITS):
        if not (rows["split"] == code).any():
            sieve.say("split", "warning", f"No positive is in {word}, so nothing can be measured on it.", 1)
    trained = rows.loc[rows["split"] == splits.TRAIN, "user"].unique()
    cold = rows.loc[~rows["user"].isin(trained), "user"].unique()
    if len(cold):
        message = f"{len(cold):,} users have positives in valid or test but none in train, so nothing can be learned about them."
        sieve.say("cold-user", "warning", message, len(cold), cold[0])
