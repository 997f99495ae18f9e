"""Raw tables to clean ones: every row that cannot be used is left out and reported with its line; nothing is repaired silently."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import splits
from core.datasets import columns
from core.datasets.files import Table
from core.datasets.formats import RawTables
from core.datasets.report import ImportReport, Problem, Severity, about, found
from core.errors import DatasetError
from core.records import Label
from core.settings import ImportSettings

ROLES = ("user", "item", "rating", "time", "split", "truth")


@dataclass(frozen=True, eq=False)
class Tables:
    """What a dataset consists of on disk: raw ids, one row per pair; items and users in the order of their positions."""

    interactions: pd.DataFrame  # user, item, split int8, positive bool; rating float32 and time int64 [Unix s] if known
    items: pd.DataFrame  # item, title, category, text
    users: pd.DataFrame  # user, text
    truth: pd.DataFrame | None  # user, item, truth int8 Label; pairs that are not in it are clean


class Sieve:
    """Rows of one table on their way to being clean, and what was found on the way."""

    def __init__(self, table: Table) -> None:
        self.file = table.file
        self.rows = pd.DataFrame({"line": table.lines})
        self.problems = list(table.problems)

    def drop(
        self, bad: np.ndarray, kind: str, message: str, cells: pd.Series | None = None, severity: Severity = "error"
    ) -> None:
        """Leave out the `bad` rows bool (n,); `cells` (n,) has the text that serves as example."""
        bad = np.asarray(bad, bool)
        if bad.any():
            example = cells[bad].iloc[0] if cells is not None else ""
            self.problems.append(found(kind, severity, self.file, message, self.rows["line"].to_numpy()[bad], example))
            self.rows = self.rows[~bad]

    def say(self, kind: str, severity: Severity, message: str, count: int, example: object = "") -> None:
        """Report something that concerns no row in particular."""
        self.problems.append(about(kind, severity, self.file, message, count, example))


def check(raw: RawTables, settings: ImportSettings) -> tuple[Tables, ImportSettings, ImportReport]:
    """Clean tables, the settings with the columns that were used, and the report. Raises DatasetError when nothing usable is left."""
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
    items, item_problems = _items(raw.items, sieve, settings)
    users, user_problems = _users(raw.users, sieve, settings)
    truth, truth_problems = _truth(raw.truth, sieve, items, users)
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


def _keyed(table: Table, key: str, kind: str) -> Sieve:
    """A table of items or users with clean ids in column "id", one row per id."""
    sieve = Sieve(table)
    sieve.rows["id"], _ = columns.ids(table.frame[key].reset_index(drop=True))
    sieve.drop(sieve.rows["id"] == "", "missing-id", f"{{n}} rows have no {kind} id and were left out.")
    again = sieve.rows["id"].duplicated()
    sieve.drop(
        again, "duplicate-id", f"{{n}} rows repeat an {kind} id of an earlier row and were left out.", sieve.rows["id"], "warning"
    )
    return sieve


def _key_column(table: Table, role: str, settings: ImportSettings) -> str:
    """The id column of an item or user table: named as in the interactions, else by its usual names, else "id", else the first."""
    names = list(table.frame.columns)
    same = getattr(settings, role)
    return same if same in names else columns.guessed(names, role) or ("id" if "id" in names else names[0])


def _items(table: Table | None, interactions: Sieve, settings: ImportSettings) -> tuple[pd.DataFrame, list[Problem]]:
    """The catalogue: all items of the table (they can be recommended, clicked or not) and those it lacks."""
    clicked = pd.Index(interactions.rows["item"].unique())
    known, problems = pd.DataFrame({"id": [], "title": [], "category": [], "text": []}, dtype="str"), []
    if table is not None:
        key = _key_column(table, "item", settings)
        sieve = _keyed(table, key, "item")
        rest = [name for name in table.frame.columns if name != key]
        mapping = columns.mapped(rest, settings, ("title", "category", "text"), table.file)
        frame = table.frame.reset_index(drop=True).loc[sieve.rows.index]
        cells = {role: frame[mapping[role]].str.strip() if role in mapping else "" for role in known.columns[1:]}
        known = pd.DataFrame({"id": sieve.rows["id"], **cells})
        known["category"] = columns.categories(known["category"].astype("str"))
        known = known[known["id"].isin(clicked)] if settings.core else known
        _compare(sieve, interactions, clicked, known["id"], "item")
        problems = sieve.problems
    items = known.set_index("id").reindex(_in_order(clicked.union(known["id"], sort=False)), fill_value="")
    items["title"] = items["title"].mask(items["title"] == "", items.index.to_series())
    return items.rename_axis("item").reset_index(), problems


def _users(table: Table | None, interactions: Sieve, settings: ImportSettings) -> tuple[pd.DataFrame, list[Problem]]:
    """Everyone with a row; people of the table who never did anything are left out."""
    active = pd.Index(interactions.rows["user"].unique())
    known, problems = pd.DataFrame({"id": [], "text": []}, dtype="str"), []
    if table is not None:
        key = _key_column(table, "user", settings)
        sieve = _keyed(table, key, "user")
        frame = table.frame.drop(columns=key).reset_index(drop=True).loc[sieve.rows.index]
        column = columns.mapped(list(frame.columns), settings, ("about",), table.file).get("about")
        known = pd.DataFrame({"id": sieve.rows["id"], "text": frame[column].str.strip() if column else columns.described(frame)})
        _compare(sieve, interactions, active, known["id"], "user")
        problems = sieve.problems
    users = known.set_index("id").reindex(_in_order(active), fill_value="")
    return users.rename_axis("user").reset_index(), problems


def _compare(sieve: Sieve, interactions: Sieve, used: pd.Index, known: pd.Series, kind: str) -> None:
    """Ids that only one of the two tables has."""
    unknown = used[~used.isin(known)]
    if len(unknown) == len(used):
        hint = f"Check that both files use the same {kind} ids; name the id column with a mapping."
        message = f"None of the {kind} ids of {interactions.file} is in {sieve.file} (such as {used[0]!r})."
        raise DatasetError(message, hint)
    if len(unknown):
        effect = "their ids serve as titles" if kind == "item" else "nothing is known about them"
        message = f"{len(unknown):,} {kind}s of {interactions.file} are not in this table; {effect}."
        sieve.say(f"unknown-{kind}", "warning", message, len(unknown), unknown[0])
    idle = known[~known.isin(used)]
    if len(idle):
        effect = "they stay in the catalogue and can be recommended" if kind == "item" else "they were left out"
        message = f"{len(idle):,} {kind}s of this table have no interaction; {effect}."
        sieve.say(f"idle-{kind}", "note", message, len(idle), idle.iloc[0])


def _in_order(index: pd.Index) -> list[str]:
    """Ids in the order of their positions: whole numbers by value, everything else as text."""
    values = index.tolist()
    if all(re.fullmatch(r"[0-9]{1,18}", value) for value in values):
        return sorted(values, key=lambda value: (int(value), value))
    return sorted(values)


def _truth(
    table: Table | None, interactions: Sieve, items: pd.DataFrame, users: pd.DataFrame
) -> tuple[pd.DataFrame | None, list[Problem]]:
    """Known labels of pairs, from a table of their own or else from the interactions' truth column."""
    rows = interactions.rows
    if table is None:
        return (rows.loc[rows["truth"] != Label.CLEAN, ["user", "item", "truth"]] if "truth" in rows else None), []
    names = list(table.frame.columns)
    mapping = columns.mapped(names, ImportSettings(), ("user", "item", "truth"), table.file)
    columns.need_user_and_item(mapping, names, table.file)
    if "truth" not in mapping:
        raise DatasetError(f"{table.file} has no column truth.", f"Its columns are: {', '.join(names)}.")
    sieve = Sieve(table)
    frame = table.frame.reset_index(drop=True)
    for role in ("user", "item"):
        sieve.rows[role], _ = columns.ids(frame[mapping[role]])
    sieve.rows["truth"] = columns.coded(frame[mapping["truth"]], columns.TRUTH_WORDS)
    known = ", ".join(word for word in columns.TRUTH_WORDS if word)
    sieve.drop(
        sieve.rows["truth"] == -1,
        "truth",
        f"{{n}} rows have a truth that is none of {known}, and were left out.",
        frame[mapping["truth"]],
    )
    strange = ~(sieve.rows["user"].isin(users["user"]) & sieve.rows["item"].isin(items["item"]))
    sieve.drop(strange, "truth", "{n} rows are about unknown users or items and were left out.", severity="warning")
    sieve.drop(sieve.rows.duplicated(["user", "item"]), "truth", "{n} rows repeat a pair and were left out.", severity="warning")
    positives = pd.MultiIndex.from_frame(rows.loc[rows["positive"], ["user", "item"]])
    observed = pd.MultiIndex.from_frame(sieve.rows[["user", "item"]]).isin(positives)
    missed = sieve.rows["truth"] == Label.MISSED_POSITIVE
    message = "{n} rows call a pair missed that is a positive of the data, or noisy or hard that is not, and were left out."
    sieve.drop(observed == missed, "truth", message, severity="warning")
    return sieve.rows.loc[sieve.rows["truth"] != Label.CLEAN, ["user", "item", "truth"]].reset_index(drop=True), sieve.problems
