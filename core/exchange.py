"""Decisions, labels and judgments as CSV; decisions out for a spreadsheet, and in again without changing a character.

A cell that a spreadsheet would run as a formula gets a leading apostrophe, which the import takes away again. An import
only ever adds: `difference` says first what it would do.
"""

import csv
import dataclasses
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core import labels
from core.errors import SettingsError
from core.records import Dataset, Decision
from core.store import Store
from core.store.decisions import ANSWERS, COLUMNS
from core.untrusted import plain_cell, safe_cell, safe_cells

NEEDED = ("user_id", "item_id", "relevant")
CONTENT = ("user_id", "item_id", "relevant", "annotator", "at", "note", "reason", "saw_judge")


@dataclass(frozen=True)
class Difference:
    """What an import would do. `new` goes to `Store.add` together with `known`."""

    new: tuple[Decision, ...]
    same: int  # rows that are in the store already
    conflicting: tuple[Decision, ...]  # of `new`: those whose answer differs from one that stands now
    known: dict[int, int]  # id in the file -> id in the store, for the rows that are there already


@dataclass(frozen=True)
class Undated(Decision):
    """A row of a file that does not say when it was decided; `at` is when it was read."""


def to_csv(decisions: Sequence[Decision]) -> str:
    """All rows with a header; times in Unix seconds, exact."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for decision in decisions:
        writer.writerow([safe_cell(getattr(decision, name)) for name in COLUMNS])
    return out.getvalue()


KINDS = ("decisions", "labels", "judgments")
"""What can be written to a file; decisions are what can be read back."""


def file_of(store: Store, dataset: Dataset, what: str, version: str | None = None) -> tuple[str, int]:
    """The CSV of one of KINDS, and its number of rows. `version`: of labels, those of a frozen version."""
    if what not in KINDS:
        raise SettingsError(f"There is no file of {what!r}.", f"Choose one of: {', '.join(KINDS)}.")
    if what == "decisions":
        decisions = store.decisions(dataset.name)
        return to_csv(decisions), len(decisions)
    if what == "labels":
        table = store.version(dataset.name, version) if version else labels.to_frame(dataset, store.labels(dataset))
        table = table.assign(version=version or "now")
    else:
        table = store.judgments(dataset.name, texts=False)
    return safe_cells(table).to_csv(index=False), len(table)


def from_csv(text: str, *, annotator: str) -> list[Decision]:
    """Decisions of a file that `to_csv` wrote, or of any CSV with user_id, item_id and relevant (yes, no, unsure).

    What a row does not say: `annotator` took it now, seeing the judge. One bad row is a SettingsError that names its line.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        header = reader.fieldnames or []
    except csv.Error as error:
        raise SettingsError(f"The header cannot be read: {error}.", f"It needs {', '.join(NEEDED)}.") from error
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise SettingsError(f"The file has no column {missing[0]!r}.", f"It needs a header with {', '.join(NEEDED)}.")
    now = time.time()
    try:
        return [_parse(row, number, annotator, now) for number, row in enumerate(reader, 1)]
    except (ValueError, csv.Error) as error:
        line = reader.line_num + isinstance(error, csv.Error)  # which comes before the line is counted
        raise SettingsError(f"Line {line}: {error}.", "Correct the line; nothing was imported.") from error


def difference(rows: Sequence[Decision], existing: Sequence[Decision], standing: pd.DataFrame) -> Difference:
    """What adding `rows` to a store with `existing` rows (Store.decisions) and `standing` answers (Store.standing) does.

    A row is the same when everything but its id and batch is; an undo row when it also undoes the same row. A row without
    a time is the same when its annotator's answer stands already, in the store or by an earlier row of the file.
    """
    there = {_content(row, row.undoes): row.id for row in existing}
    answers = standing.groupby(["user_id", "item_id"])["relevant"].agg(set).to_dict()
    stands = {(row.user_id, row.item_id, row.annotator): row for row in standing.itertuples()}
    last = {_who(row): row for row in rows}
    settled = {who for who, row in last.items() if who in stands and _says(row, stands[who])}
    told: dict[tuple[str, str, str], Decision] = {}  # the newest of `new` that an annotator says about a pair
    known: dict[int, int] = {}
    new: list[Decision] = []
    for row in rows:
        target = None if row.undoes is None else known.get(row.undoes, -1)  # -1: undoes a row that is new itself
        identifier = there.get(_content(row, target))
        who = _who(row)
        if identifier is not None:
            known[row.id] = identifier
        elif not (isinstance(row, Undated) and who in settled) and not (who in told and _says(row, told[who])):
            new.append(row)
            told[who] = row
    conflicting = [
        row for row in new if row.relevant and answers.get((row.user_id, row.item_id), {row.relevant}) != {row.relevant}
    ]
    return Difference(tuple(new), len(rows) - len(new), tuple(conflicting), known)


def read(store: Store, dataset: Dataset, text: str, *, annotator: str) -> Difference:
    """What importing a file would do (`from_csv`, `difference`); NotFoundError for a pair that the dataset does not know."""
    rows = from_csv(text, annotator=annotator)
    change = difference(rows, store.decisions(dataset.name), store.standing(dataset.name))
    for row in change.new:
        labels.known_pair(dataset, row.user_id, row.item_id)
    return change


def _parse(row: dict[str | None, str | None], number: int, annotator: str, now: float) -> Decision:
    if None in row or None in row.values():
        raise ValueError("it has another number of fields than the header")
    cells = {name: plain_cell(cell) for name, cell in row.items() if name in COLUMNS and cell is not None}
    undoes = int(cells["undoes"]) if cells.get("undoes") else None
    answer = cells["relevant"].strip().lower() or None
    if (answer is None) != (undoes is not None) or answer not in (None, *ANSWERS):
        raise ValueError(f"relevant is {cells['relevant']!r}, not {', '.join(ANSWERS)}")
    if not cells["user_id"] or not cells["item_id"]:
        raise ValueError("the user or the item is empty")
    dated = bool(cells.get("at"))
    at = float(cells["at"]) if dated else now
    if not math.isfinite(at) or at > now + 60:
        raise ValueError(f"at is {cells['at']}, which is no time in the past (Unix seconds)")
    saw = cells.get("saw_judge", "").strip().lower()
    if saw not in ("", "true", "false", "1", "0"):
        raise ValueError(f"saw_judge is {saw!r}, not true or false")
    decision = (Decision if dated else Undated)(
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


def _who(row: Decision) -> tuple[str, str, str]:
    return row.user_id, row.item_id, row.annotator


def _says(row: Decision, stands: Any) -> bool:
    """Whether a row has no time and tells nothing beyond what stands (a Decision, or a row of Store.standing)."""
    return (
        isinstance(row, Undated)
        and row.relevant is not None
        and row.relevant == stands.relevant
        and row.note in ("", stands.note)
        and row.reason in ("", stands.reason)
        and (row.saw_judge or not stands.saw_judge)
    )


def _content(row: Decision, undoes: int | None) -> tuple[object, ...]:
    return (*(getattr(row, name) for name in CONTENT), undoes)
