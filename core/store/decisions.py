"""The append-only log of what people said. Nothing is ever changed or deleted: an undo is a row that names another row."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select, func, insert, select

from core.errors import NotFoundError, SettingsError
from core.records import Decision
from core.store.database import Database, frame

ANSWERS = ("yes", "no", "unsure")
"""What a person may answer to "is this item relevant to this user?"."""

COLUMNS = tuple(field.name for field in fields(Decision))


class DecisionLog(Database):
    """Decisions of people: written in batches, undone and redone by batch, read as a timeline or as what stands."""

    def decide(
        self,
        dataset: str,
        pairs: Sequence[tuple[str, str]],
        relevant: str,
        *,
        annotator: str,
        note: str = "",
        reason: str = "",
        saw_judge: bool = True,
        token: str = "",
    ) -> list[Decision]:
        """One answer about one or many pairs (raw ids), as one batch that is written whole or not at all.

        `token` names the action (40 characters at most) and becomes its batch: sent again under the same one, it is not done
        again. `undo` and `redo` take one, too.
        """
        if relevant not in ANSWERS:
            raise SettingsError(f"{relevant!r} is no answer.", f"Choose one of: {', '.join(ANSWERS)}.")
        if not annotator.strip():
            raise SettingsError("A decision needs the name of who takes it.", "Enter a name in the settings.")
        if not pairs:
            return []
        row = {"relevant": relevant, "note": note, "reason": reason, "saw_judge": saw_judge}
        row |= {"annotator": annotator.strip(), "undoes": None}
        unique = dict.fromkeys((str(user_id), str(item_id)) for user_id, item_id in pairs)
        with self.writing(dataset) as connection:
            if known := self._of_batch(connection, dataset, token):
                return known
            rows = [{"user_id": user_id, "item_id": item_id, **row} for user_id, item_id in unique]
            return self._append(connection, dataset, rows, token)

    def undo(self, dataset: str, *, annotator: str | None = None, batch: str | None = None, token: str = "") -> list[Decision]:
        """Take back the newest standing batch (of this annotator), or the named one; NotFoundError when there is none."""
        table = self._table("decision")
        with self.writing(dataset) as connection:
            if known := self._of_batch(connection, dataset, token):
                return known
            standing = self._not_undone(dataset).where(table.c.relevant.is_not(None))
            if annotator is not None and batch is None:
                standing = standing.where(table.c.annotator == annotator)
            rows = _batch(connection, standing, table, batch)
            if not rows:
                raise NotFoundError("There is no decision to undo.", "Everything has been undone, or nothing was decided yet.")
            return self._append(connection, dataset, [_take_back(row, annotator) for row in rows], token)

    def redo(self, dataset: str, *, annotator: str | None = None, token: str = "") -> list[Decision]:
        """Bring back what the newest undo (of this annotator) took, unless something was decided since then."""
        table = self._table("decision")
        target = table.alias()
        with self.writing(dataset) as connection:
            if known := self._of_batch(connection, dataset, token):
                return known
            decided = select(func.coalesce(func.max(table.c.id), 0)).where(
                table.c.dataset == dataset, table.c.relevant.is_not(None)
            )
            undone = self._not_undone(dataset).join(target, target.c.id == table.c.undoes).where(target.c.relevant.is_not(None))
            if annotator is not None:
                decided = decided.where(table.c.annotator == annotator)
                undone = undone.where(table.c.annotator == annotator)
            rows = _batch(connection, undone.where(table.c.id > connection.scalar(decided)), table, None)
            if not rows:
                raise NotFoundError("There is nothing to redo.", "A new decision ends the list of what can be redone.")
            return self._append(connection, dataset, [_take_back(row, annotator) for row in rows], token)

    def add(self, dataset: str, rows: Sequence[Decision], known: Mapping[int, int] | None = None) -> list[Decision]:
        """Append decisions that were made elsewhere, as one new batch; they keep their annotators and times.

        `undoes` names the id of another row of `rows`, or one that `known` translates to an id of this store.
        """
        if not rows:
            return []
        ids = dict(known or {})
        batch = secrets.token_hex(8)
        written: list[Decision] = []
        with self.writing(dataset) as connection:
            for is_undo, group in groupby(rows, key=lambda row: row.undoes is not None):
                for part in ([row] for row in group) if is_undo else [list(group)]:
                    new = self._append(connection, dataset, [_translated(row, ids) for row in part], batch)
                    ids |= {row.id: copy.id for row, copy in zip(part, new, strict=True)}
                    written += new
        return written

    def decisions(self, dataset: str, user_id: str | None = None, item_id: str | None = None) -> list[Decision]:
        """Every row, undo rows too, in the order in which they were written."""
        table = self._table("decision")
        statement = select(*(table.c[name] for name in COLUMNS)).where(table.c.dataset == dataset).order_by(table.c.id)
        for name, value in (("user_id", user_id), ("item_id", item_id)):
            if value is not None:
                statement = statement.where(table.c[name] == value)
        with self.reading() as connection:
            return [Decision(**row) for row in connection.execute(statement).mappings()]

    def newest_by(self, dataset: str, annotator: str, n: int) -> list[Decision]:
        """The last n rows of an annotator, undo rows too, oldest first."""
        table = self._table("decision")
        own = select(*(table.c[name] for name in COLUMNS)).where(table.c.dataset == dataset, table.c.annotator == annotator)
        with self.reading() as connection:
            rows = connection.execute(own.order_by(table.c.id.desc()).limit(n)).mappings()
            return [Decision(**row) for row in rows][::-1]

    def standing(self, dataset: str) -> pd.DataFrame:
        """What people say now: each annotator's newest decision about each pair that has not been undone.

        Columns of Decision without `undoes`, and `conflict`: True where annotators give different answers about the
        pair. Oldest first, so that of several rows about a pair the last one counts.
        """
        table = self._table("decision")
        newest = func.row_number().over(
            partition_by=(table.c.user_id, table.c.item_id, table.c.annotator), order_by=(table.c.at.desc(), table.c.id.desc())
        )
        kept = [table.c[name] for name in COLUMNS if name != "undoes"]
        ranked = self._not_undone(dataset).where(table.c.relevant.is_not(None)).with_only_columns(*kept, newest.label("rank"))
        rows = ranked.subquery()
        pair = (rows.c.user_id, rows.c.item_id)
        conflict = func.min(rows.c.relevant).over(partition_by=pair) != func.max(rows.c.relevant).over(partition_by=pair)
        statement = (
            select(*(rows.c[column.name] for column in kept), conflict.label("conflict"))
            .where(rows.c.rank == 1)
            .order_by(rows.c.at, rows.c.id)
        )
        with self.reading() as connection:
            return frame(connection, statement, flags=("saw_judge", "conflict"))

    def _not_undone(self, dataset: str) -> Select:
        """Rows that no standing row takes back. An undo takes back a decision, a redo takes back an undo; no deeper."""
        table = self._table("decision")
        taker, redo = table.alias(), table.alias()
        redone = select(redo.c.id).where(redo.c.undoes == taker.c.id).correlate(taker).exists()
        taken = select(taker.c.id).where(taker.c.undoes == table.c.id, ~redone).correlate(table).exists()
        return select(table).where(table.c.dataset == dataset, ~taken)

    def _of_batch(self, connection: Connection, dataset: str, token: str) -> list[Decision]:
        """What was written under a token; [] without one."""
        table = self._table("decision")
        known = select(*(table.c[name] for name in COLUMNS)).where(table.c.dataset == dataset, table.c.batch == token)
        return [Decision(**row) for row in connection.execute(known.order_by(table.c.id)).mappings()] if token else []

    def _append(
        self, connection: Connection, dataset: str, rows: Sequence[dict[str, Any]], batch: str | None = None
    ) -> list[Decision]:
        table = self._table("decision")
        own = {"dataset": dataset, "batch": batch or secrets.token_hex(8)}
        now = self._now(connection, dataset)
        values = [{"at": now} | {name: value for name, value in row.items() if name != "id"} | own for row in rows]
        inserted = insert(table).returning(*(table.c[name] for name in COLUMNS), sort_by_parameter_order=True)
        return [Decision(**row) for row in connection.execute(inserted, values).mappings()]

    def _now(self, connection: Connection, dataset: str) -> float:
        """The time, but never before the newest row: a clock set back must not hide a new decision behind an old one."""
        table = self._table("decision")
        newest = connection.scalar(select(func.max(table.c.at)).where(table.c.dataset == dataset))
        return max(time.time(), newest or 0.0)


def _batch(connection: Connection, rows: Select, table: Any, batch: str | None) -> list[dict[str, Any]]:
    """The rows of one batch: the named one, else that of the newest row."""
    if batch is None:
        batch = connection.scalar(rows.with_only_columns(table.c.batch).order_by(table.c.id.desc()).limit(1))
    chosen = rows.with_only_columns(*(table.c[name] for name in COLUMNS)).where(table.c.batch == batch).order_by(table.c.id)
    return [dict(row) for row in connection.execute(chosen).mappings()]


def _translated(row: Decision, ids: Mapping[int, int]) -> dict[str, Any]:
    if row.undoes is not None and row.undoes not in ids:
        raise SettingsError(f"Row {row.id} undoes row {row.undoes}, which is not there.", "Import the whole log.")
    return asdict(row) | {"undoes": None if row.undoes is None else ids[row.undoes]}


def _take_back(row: dict[str, Any], annotator: str | None) -> dict[str, Any]:
    """A row that undoes `row`, by `annotator` or by whoever wrote it."""
    kept = {name: row[name] for name in ("user_id", "item_id", "saw_judge")}
    return kept | {"relevant": None, "annotator": annotator or row["annotator"], "note": "", "reason": "", "undoes": row["id"]}
