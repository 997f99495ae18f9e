"""Raw tables to clean ones: a row that cannot be used is left out and reported with its line; nothing is repaired silently."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import splits
from core.datasets import catalogue, columns
from core.datasets.formats import RawTables
from core.datasets.report import ImportReport, Problem, counted, found
from core.datasets.sieve import Sieve
from core.errors import DatasetError
from core.records import Label
from core.settings import ImportSettings

SPLIT_HINT = "A split is train, valid or test."
SPLITTING = ("split_by", "valid_share", "test_share", "seed")
WEIGHT = "weight"  # of an exported dataset
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
    _weights(sieve, table.frame)
    _one_row_a_pair(sieve)
    _mark_positives(sieve, settings)
    _cut_to_core(sieve, settings.core)
    _split(sieve, settings)
    items, item_problems = catalogue.items(
        raw.items or catalogue.inline(table, sieve.rows.index, mapping, settings), sieve, settings
    )
    users, user_problems = catalogue.users(raw.users, sieve, settings)
    truth, truth_problems = catalogue.truth(raw.truth, sieve, items, users)
    _look_at_splits(sieve)
    rows = sieve.rows.drop(columns=["line", "truth"], errors="ignore").reset_index(drop=True)
    problems = (*sieve.problems, *item_problems, *user_problems, *truth_problems)
    return Tables(rows, items, users, truth), settings, ImportReport(table.rows_read, len(rows), problems)


def _read_cells(sieve: Sieve, frame: pd.DataFrame, mapping: dict[str, str]) -> None:
    """The mapped columns with their meaning; rows with a cell that cannot be read are left out."""
    cells = {role: frame[column].reset_index(drop=True) for role, column in mapping.items()}
    for role in ("user", "item"):
        sieve.rows[role], changes = columns.ids(cells[role])
        for change in changes:
            sieve.say("ids", "note", f"Column {mapping[role]!r}: {change}.", 1)
    for role in ("user", "item"):
        sieve.drop(sieve.rows[role] == "", "missing-id", f"Left out {{n}} without {'an' if role == 'item' else 'a'} {role} id.")
    if "rating" in mapping:
        ratings = columns.ratings(cells["rating"])
        _keep_readable(sieve, "rating", ratings, mapping["rating"], cells["rating"], "Ratings must be numbers such as 4 or 3.5.")
        sieve.rows["rating"] = sieve.rows["rating"].astype(np.float32)
    if "time" in mapping:
        seconds, unit = columns.times(cells["time"])
        hint = "Times must be Unix seconds or dates such as 2024-01-31."
        _keep_readable(sieve, "time", seconds, mapping["time"], cells["time"], hint)
        sieve.rows["time"] = sieve.rows["time"].astype(np.int64)
        if unit != "seconds":
            severity = "warning" if unit == columns.EITHER_FIRST else "note"
            sieve.say("time", severity, f"The times in column {mapping['time']!r} were read as {unit}.", len(sieve.rows))
    if "split" in mapping:
        codes = columns.coded(cells["split"], columns.SPLIT_WORDS).astype(np.float64)
        _keep_readable(sieve, "split", np.where(codes < 0, np.nan, codes), mapping["split"], cells["split"], SPLIT_HINT)
        sieve.rows["split"] = sieve.rows["split"].astype(np.int8)
    if "truth" in mapping:
        _known_or_clean(sieve, columns.coded(cells["truth"], columns.TRUTH_WORDS), cells["truth"])
    if not len(sieve.rows):
        raise DatasetError(f"No row of {sieve.file} can be used. {_reasons(sieve.problems)}", "Correct the file or the mapping.")


def _keep_readable(sieve: Sieve, role: str, values: np.ndarray, column: str, cells: pd.Series, hint: str) -> None:
    """A column of numbers (n,), without the rows where it is NaN. Not one readable cell means a wrong column, not bad rows."""
    sieve.rows[role] = values[sieve.rows.index]
    bad, cells = sieve.rows[role].isna(), cells[sieve.rows.index]
    if len(bad) and bad.all():
        hint += f" To do without, choose none as its column (on the command line: --mapping {role}=)."
        raise DatasetError(f"No {role} in column {column!r} of {sieve.file} can be read, such as {cells.iloc[0]!r}.", hint)
    sieve.drop(bad, role, f"Left out {{n}} with a {role} that cannot be read.", cells)


def _weights(sieve: Sieve, frame: pd.DataFrame) -> None:
    """Weights are of a training, not of the data: what an export weighed down comes in as a whole click again."""
    if WEIGHT in frame and (n := int((columns.numbers(frame[WEIGHT]) < 1).sum())):
        message = f"Took {counted(n, 'row')} with a weight below 1 as whole clicks: weights are not imported."
        sieve.say("weight", "warning", message, n)


def _known_or_clean(sieve: Sieve, codes: np.ndarray, cells: pd.Series) -> None:
    """The truth column: it serves evaluation only, so a word that is not known costs no row."""
    codes, cells = codes[sieve.rows.index], cells[sieve.rows.index]
    strange = np.isin(codes, (-1, Label.MISSED_POSITIVE))  # an observed pair was not missed
    sieve.rows["truth"] = np.where(strange, Label.CLEAN, codes).astype(np.int8)
    if strange.any():
        message = f"Took {{n}} as clean whose truth is none of {', '.join(columns.OBSERVED_TRUTHS)}."
        lines = sieve.rows["line"].to_numpy()[strange]
        sieve.problems.append(found("truth", "warning", sieve.file, message, lines, cells[strange].iloc[0]))


def _reasons(problems: list[Problem]) -> str:
    return " ".join(problem.message for problem in problems if problem.severity == "error") or "There is none under the header."


def _one_row_a_pair(sieve: Sieve) -> None:
    """Of rows about one pair the highest-rated is kept, then the latest, then the last in the file."""
    rows = sieve.rows
    user, item = pd.factorize(rows["user"])[0], pd.factorize(rows["item"])[0]
    code = user.astype(np.int64) * (item.max() + 1) + item
    if "split" in rows and (torn := int((rows.groupby(code)["split"].nunique() > 1).sum())):
        message = f"Found {counted(torn, 'pair')} in more than one split, and kept one row of each."
        sieve.say("leak", "warning", message, torn)
    keys = [rows[name].to_numpy() for name in ("line", "time", "rating") if name in rows]
    order = np.lexsort((*keys, code))
    again = np.zeros(len(rows), bool)
    again[order[:-1]] = code[order[:-1]] == code[order[1:]]
    message = "Left out {n} repeating the user and item of another; the highest-rated was kept, then the latest."
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
        message = f"Counted {counted(under, 'row')} with a rating under {threshold:g} as dislikes, not as positives."
        sieve.say("threshold", "note", message, under)


def _cut_to_core(sieve: Sieve, k: int) -> None:
    """Leave out users and items with fewer than k positives; dislikes between the others stay."""
    if k == 0:
        return
    rows = sieve.rows
    positives = rows[rows["positive"]]
    user, item = pd.factorize(positives["user"])[0], pd.factorize(positives["item"])[0]
    kept = positives[splits.k_core(user, item, k)]
    if not len(kept):
        largest = next(smaller for smaller in range(k - 1, -1, -1) if splits.k_core(user, item, smaller).any())
        message = f"No user and item of {sieve.file} keep {k} positives each ({k}-core)."
        raise DatasetError(message, f"Choose a core of at most {largest}, or 0 to keep everything.")
    inside = rows["user"].isin(kept["user"].unique()) & rows["item"].isin(kept["item"].unique())
    message = f"Left out {{n}} of users or items with fewer than {k} positives ({k}-core)."
    sieve.drop(~inside, "core", message, severity="warning")


def _split(sieve: Sieve, settings: ImportSettings) -> None:
    """Codes for every row. By time and leave-one-out place the positives only, so that dislikes do not fill anyone's test."""
    rows = sieve.rows
    if "split" in rows:
        unused = [name for name in SPLITTING if getattr(settings, name) != ImportSettings.model_fields[name].default]
        if unused:
            message = f"Column {settings.split!r} says how to split, so {' and '.join(unused)} had no effect. "
            message += "To split anew, choose none as the split column (on the command line: --mapping split=)."
            sieve.say("split-by", "warning", message, len(rows))
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
        message = f"Nothing can be learned about {counted(len(cold), 'user')} with positives in valid or test, but none in train."
        sieve.say("cold-user", "warning", message, len(cold), cold[0])
