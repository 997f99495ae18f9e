"""Decisions as CSV: out for a spreadsheet, and in again without changing a character.

A cell that a spreadsheet would run as a formula gets a leading apostrophe, which the import takes away again. An import
only ever adds: `difference` says first what it would do.
"""

import csv
import dataclasses
import io
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from core.errors import SettingsError
from core.records import Decision
from core.store.decisions import ANSWERS, COLUMNS

NEEDED = ("user_id", "item_id", "relevant")
CONTENT = ("user_id", "item_id", "relevant", "annotator", "at", "note", "reason", "saw_judge")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True)
class Difference:
    """What an import would do. `new` goes to `Store.add` together with `known`."""

    new: tuple[Decision, ...]
    same: int  # rows that are in the store already
    conflicting: tuple[Decision, ...]  # of `new`: those whose answer differs from one that stands now
    known: dict[int, int]  # id in the file -> id in the store, for the rows that are there already


def to_csv(decisions: Sequence[Decision]) -> str:
    """All rows with a header; times in Unix seconds, exact."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for decision in decisions:
        writer.writerow([_cell(getattr(decision, name)) for name in COLUMNS])
    return out.getvalue()


def from_csv(text: str, *, annotator: str) -> list[Decision]:
    """Decisions of a file that `to_csv` wrote, or of any CSV with user_id, item_id and relevant (yes, no, unsure).

    What a row does not say: `annotator` took it now, seeing the judge. One bad row is a SettingsError that names its line.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    missing = [name for name in NEEDED if name not in (reader.fieldnames or [])]
    if missing:
        raise SettingsError(f"The file has no column {missing[0]!r}.", f"It needs a header with {', '.join(NEEDED)}.")
    now = time.time()
    decisions: list[Decision] = []
    for number, row in enumerate(reader, 1):
        try:
            decisions.append(_parse(row, number, annotator, now))
        except ValueError as error:
            raise SettingsError(f"Line {reader.line_num}: {error}.", "Correct the line; nothing was imported.") from error
    return decisions


def difference(rows: Sequence[Decision], existing: Sequence[Decision], standing: pd.DataFrame) -> Difference:
    """What adding `rows` to a store with `existing` rows (Store.decisions) and `standing` answers (Store.standing) does.

    A row is the same when everything but its id and batch is; an undo row when it also undoes the same row.
    """
    there = {_content(row, row.undoes): row.id for row in existing}
    answers = standing.groupby(["user_id", "item_id"])["relevant"].agg(set).to_dict()
    known: dict[int, int] = {}
    new: list[Decision] = []
    for row in rows:
        target = None if row.undoes is None else known.get(row.undoes, -1)  # -1: undoes a row that is new itself
        identifier = there.get(_content(row, target))
        if identifier is None:
            new.append(row)
        else:
            known[row.id] = identifier
    conflicting = [
        row for row in new if row.relevant and answers.get((row.user_id, row.item_id), {row.relevant}) != {row.relevant}
    ]
    return Difference(tuple(new), len(rows) - len(new), tuple(conflicting), known)


def safe_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose text cells no spreadsheet runs as a formula: for every CSV that leaves the app."""
    texts = table.select_dtypes(include=["object", "str"]).columns
    return table.assign(**{name: table[name].map(_cell) for name in texts})


def _cell(value: object) -> object:
    """Bijective on text: only an apostrophe in front of a formula is ever added or, by `_plain`, removed."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _plain(cell: str) -> str:
    return cell[1:] if _ESCAPED.match(cell) else cell


def _parse(row: dict[str | None, str | None], number: int, annotator: str, now: float) -> Decision:
    if None in row or None in row.values():
        raise ValueError("it has another number of fields than the header")
    cells = {name: _plain(cell) for name, cell in row.items() if name in COLUMNS and cell is not None}
    undoes = int(cells["undoes"]) if cells.get("undoes") else None
    answer = cells["relevant"].strip().lower() or None
    if (answer is None) != (undoes is not None) or answer not in (None, *ANSWERS):
        raise ValueError(f"relevant is {cells['relevant']!r}, not {', '.join(ANSWERS)}")
    if not cells["user_id"] or not cells["item_id"]:
        raise ValueError("the user or the item is empty")
    at = float(cells.get("at") or now)
    if not math.isfinite(at) or at > now + 60:
        raise ValueError(f"at is {cells['at']}, which is no time in the past (Unix seconds)")
    saw = cells.get("saw_judge", "").strip().lower()
    if saw not in ("", "true", "false", "1", "0"):
        raise ValueError(f"saw_judge is {saw!r}, not true or false")
    decision = Decision(
        id=int(cells.get("id") or -number),
        user_id=cells["user_id"],
        item_id=cells["item_id"],
        relevant=answer,
        annotator=cells.get("annotator") or annotator,
        at=at,
        undoes=undoes,
        saw_judge=saw in ("", "true", "1"),
    )
    return dataclasses.replace(decision, **{name: cells.get(name, "") for name in ("note", "reason", "batch")})


def _content(row: Decision, undoes: int | None) -> tuple[object, ...]:
    return (*(getattr(row, name) for name in CONTENT), undoes)
