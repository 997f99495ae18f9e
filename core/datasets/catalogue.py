"""What is known about items, users and pairs beside the interactions: their tables, checked against the interactions."""

import re

import pandas as pd

from core.datasets import columns
from core.datasets.files import Table
from core.datasets.report import Problem, counted
from core.datasets.sieve import Sieve
from core.errors import DatasetError
from core.records import Label
from core.settings import ImportSettings

TEXT_ROLES = ("title", "category", "text")


def _keyed(table: Table, key: str, kind: str) -> Sieve:
    """A table of items or users with clean ids in column "id", one row per id."""
    sieve = Sieve(table)
    sieve.rows["id"], _ = columns.ids(table.frame[key].reset_index(drop=True))
    sieve.drop(sieve.rows["id"] == "", "missing-id", f"Left out {{n}} without an id of the {kind}.")
    again = sieve.rows["id"].duplicated()
    sieve.drop(again, "duplicate-id", f"Left out {{n}} repeating the id of an earlier {kind}.", sieve.rows["id"], "warning")
    return sieve


def _key_column(table: Table, role: str, settings: ImportSettings) -> str:
    """The id column of an item or user table: named as in the interactions, or as usual, or "id", or the first one."""
    names = list(table.frame.columns)
    same = getattr(settings, role)
    return same if same in names else columns.guessed(names, role) or ("id" if "id" in names else names[0])


def inline(table: Table, kept: pd.Index, mapping: dict[str, str], settings: ImportSettings) -> Table | None:
    """The item table that stands in the interactions themselves, row by row; `kept` are the places of the usable rows.

    A column is about the item when the settings say so, or when its name does and it never changes for one item (a
    review's text does).
    """
    frame, lines = table.frame.iloc[kept], table.lines[kept]
    rest = [name for name in frame.columns if name not in mapping.values()]
    roles = columns.mapped(rest, settings, TEXT_ROLES, table.file)
    item = frame[mapping["item"]].str.strip()
    first = ~item.duplicated().to_numpy()
    told = not first.all()  # with one row per item nothing can be told by change
    steady = [
        column
        for role, column in roles.items()
        if getattr(settings, role) or (told and frame.groupby(item.to_numpy())[column].nunique().max() == 1)
    ]
    return Table(table.file, frame.loc[first, [mapping["item"], *steady]], lines[first], int(first.sum())) if steady else None


def items(table: Table | None, interactions: Sieve, settings: ImportSettings) -> tuple[pd.DataFrame, list[Problem]]:
    """The catalogue: all items of the table (they can be recommended, clicked or not) and those it lacks."""
    clicked = pd.Index(interactions.rows["item"].unique())
    known, problems = pd.DataFrame({"id": [], "title": [], "category": [], "text": []}, dtype="str"), []
    if table is not None:
        key = _key_column(table, "item", settings)
        sieve = _keyed(table, key, "item")
        rest = [name for name in table.frame.columns if name != key]
        mapping = columns.mapped(rest, settings, TEXT_ROLES, table.file)
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


def users(table: Table | None, interactions: Sieve, settings: ImportSettings) -> tuple[pd.DataFrame, list[Problem]]:
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
        message = f"Found no row here for {counted(len(unknown), kind)} of {interactions.file}: {effect}."
        sieve.say(f"unknown-{kind}", "warning", message, len(unknown), unknown[0])
    idle = known[~known.isin(used)]
    if len(idle):
        deed = "Kept in the catalogue, to be recommended," if kind == "item" else "Left out"
        message = f"{deed} {counted(len(idle), kind)} of this table without any interaction."
        sieve.say(f"idle-{kind}", "note", message, len(idle), idle.iloc[0])


def _in_order(index: pd.Index) -> list[str]:
    """Ids in the order of their positions: whole numbers by value, everything else as text."""
    values = index.tolist()
    if all(re.fullmatch(r"[0-9]{1,18}", value) for value in values):
        return sorted(values, key=lambda value: (int(value), value))
    return sorted(values)


def truth(
    table: Table | None, interactions: Sieve, items: pd.DataFrame, users: pd.DataFrame
) -> tuple[pd.DataFrame | None, list[Problem]]:
    """Known labels of pairs, from a table of their own or else from the interactions' truth column."""
    rows = interactions.rows
    if table is None:
        labelled = rows[rows["positive"] & (rows["truth"] != Label.CLEAN)] if "truth" in rows else None
        return (None if labelled is None else labelled[["user", "item", "truth"]]), []
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
        f"Left out {{n}} whose truth is none of {known}.",
        frame[mapping["truth"]],
    )
    sieve.rows = sieve.rows[sieve.rows["truth"] != Label.CLEAN]  # as is every pair without a row
    strange = ~(sieve.rows["user"].isin(users["user"]) & sieve.rows["item"].isin(items["item"]))
    sieve.drop(strange, "truth", "Left out {n} about unknown users or items.", severity="warning")
    sieve.drop(sieve.rows.duplicated(["user", "item"]), "truth", "Left out {n} repeating a pair.", severity="warning")
    positives = pd.MultiIndex.from_frame(rows.loc[rows["positive"], ["user", "item"]])
    observed = pd.MultiIndex.from_frame(sieve.rows[["user", "item"]]).isin(positives)
    missed = sieve.rows["truth"] == Label.MISSED_POSITIVE
    message = "Left out {n} calling a pair missed that is a positive of the data, or noisy or hard that is not."
    sieve.drop(observed == missed, "truth", message, severity="warning")
    return sieve.rows[["user", "item", "truth"]].reset_index(drop=True), sieve.problems
