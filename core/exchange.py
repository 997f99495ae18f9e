"""Decisions, labels, judgments and selections as CSV: out for a spreadsheet, and in again without changing a character.

A cell that a spreadsheet would run as a formula gets a leading apostrophe, which the import takes away again. An import
only ever adds: `difference` says first what it would do.
"""

import csv
import dataclasses
import io
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
DELIMITERS = (",", ";", "\t")
CORRECT = "Correct the line; nothing was imported."
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
    return _written(COLUMNS, ([getattr(decision, name) for name in COLUMNS] for decision in decisions))


def selections_csv(store: Store, dataset: str, names: Sequence[str]) -> tuple[str, int]:
    """Saved selections as one CSV, a row a pair in the order in which they were kept, and the number of rows."""
    about = store.selections(dataset).set_index("name")
    rows = [
        (pair.user_id, pair.item_id, name, about.loc[name, "note"], about.loc[name, "annotator"])
        for name in names
        for pair in store.selection(dataset, name).itertuples()
    ]
    return _written(SELECTION, rows), len(rows)


def _written(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


SELECTION = ("user_id", "item_id", "name", "note", "annotator")
KINDS = ("decisions", "labels", "judgments", "selections")
"""What can be written to a file; what comes back in, and how, is for core.incoming."""


def file_of(store: Store, dataset: Dataset, what: str, version: str | None = None) -> tuple[str, int]:
    """The CSV of one of KINDS, and its number of rows. `version`: of labels, those of a frozen version."""
    if what not in KINDS:
        raise SettingsError(f"There is no file of {what!r}.", f"Choose one of: {', '.join(KINDS)}.")
    if what == "decisions":
        decisions = store.decisions(dataset.name)
        return to_csv(decisions), len(decisions)
    if what == "selections":
        return selections_csv(store, dataset.name, store.selections(dataset.name)["name"].tolist()[::-1])
    if what == "labels":
        table = store.version(dataset.name, version) if version else labels.to_frame(dataset, store.labels(dataset))
        table = table.assign(version=version or "now")
    else:
        table = store.judgments(dataset.name, texts=False)
    return safe_cells(table).to_csv(index=False), len(table)


def numbered(text: str, annotator: str) -> list[tuple[int, Decision]]:
    """(line, decision) of a file that `to_csv` wrote, or of any CSV with user_id, item_id and relevant (yes, no, unsure).

    What a row does not say: `annotator` took it now, seeing the judge. One bad row is a SettingsError that names its line.
    """
    now, found = time.time(), []
    for line, row in rows_of(text, NEEDED):
        with at_line(line):
            found.append((line, _parse(row, len(found) + 1, annotator, now)))
    return found


def header_of(text: str) -> tuple[list[str], str]:
    """Column names of a CSV, and what separates them: a comma, or a semicolon or tab that a spreadsheet has put in its place."""
    first = text.removeprefix("\ufeff").lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        return [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])], delimiter
    except csv.Error as error:
        raise SettingsError(f"The header cannot be read: {error}.", "Its first line must name the columns.") from error


def rows_of(text: str, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of every row of a CSV, cells as they were before `safe_cell`.

    SettingsError without one of the `needed` columns, and for a row with another number of fields than the header.
    """
    header, delimiter = header_of(text)
    if missing := [name for name in needed if name not in header]:
        raise SettingsError(f"The file has no column {missing[0]!r}.", f"It needs a header with {', '.join(needed)}.")
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    begun = False
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise SettingsError(f"Line {line}: {error}.", CORRECT) from error
        if cells is None:
            return
        if cells and begun:
            if len(cells) != len(header):
                raise SettingsError(f"Line {line}: it has another number of fields than the header.", CORRECT)
            yield line, {name: plain_cell(cell) for name, cell in zip(header, cells, strict=True)}
        begun |= bool(cells)


@contextmanager
def at_line(line: int) -> Iterator[None]:
    """A ValueError about a row becomes a SettingsError that names the line."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"Line {line}: {error}.", CORRECT) from error


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


def _parse(cells: dict[str, str], number: int, annotator: str, now: float) -> Decision:
    undoes = _whole(cells["undoes"], "undoes") if cells.get("undoes") else None
    answer = cells["relevant"].strip().lower() or None
    if (answer is None) != (undoes is not None) or answer not in (None, *ANSWERS):
        raise ValueError(f"relevant is {cells['relevant']!r}, not {', '.join(ANSWERS)}")
    if not cells["user_id"] or not cells["item_id"]:
        raise ValueError("the user or the item is empty")
    dated = bool(cells.get("at"))
    at = _number(cells["at"]) if dated else now
    if not math.isfinite(at) or at > now + 60:
        raise ValueError(f"at is {cells['at']!r}, which is no time in the past (Unix seconds)")
    saw = cells.get("saw_judge", "").strip().lower()
    if saw not in ("", "true", "false", "1", "0"):
        raise ValueError(f"saw_judge is {saw!r}, not true or false")
    decision = (Decision if dated else Undated)(
        id=_whole(cells.get("id") or str(-number), "id"),
        user_id=cells["user_id"],
        item_id=cells["item_id"],
        relevant=answer,
        annotator=cells.get("annotator") or annotator,
        at=at,
        undoes=undoes,
        saw_judge=saw in ("", "true", "1"),
    )
    return dataclasses.replace(decision, **{name: cells.get(name, "") for name in ("note", "reason", "batch")})


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}, which is no whole number") from error


def _number(text: str) -> float:
    """NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


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
