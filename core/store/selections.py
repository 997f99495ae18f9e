"""Selections: named sets of pairs that people keep, to come back to and to act on. Never changed; a deletion is a mark."""

import time
from collections.abc import Iterable

import pandas as pd
from sqlalchemy import Select, insert, select

from core.errors import ConflictError, NotFoundError, SettingsError
from core.store.database import Database, frame


class SelectionLog(Database):
    """One row a selection and one a pair, raw ids. A name is free again once its selection is deleted."""

    def keep_selection(
        self, dataset: str, name: str, pairs: Iterable[tuple[str, str]], *, annotator: str, note: str = "", origin: str = ""
    ) -> int:
        """Keep a set of pairs in the order given, each once, and return how many; `origin` says where it was made.

        SettingsError without a name, a person or a pair; ConflictError when the name is taken.
        """
        wanted, who = name.strip(), annotator.strip()
        if not wanted:
            raise SettingsError("A selection needs a name.", "Say in a few words what these pairs are.")
        if not who:
            raise SettingsError("A selection needs the name of who made it.", "Enter a name in the settings.")
        unique = list(dict.fromkeys((str(user_id), str(item_id)) for user_id, item_id in pairs))
        if not unique:
            raise SettingsError("There is no pair in this selection.", "Select at least one.")
        table = self._table("selection")
        with self.writing(dataset) as connection:
            if connection.execute(self._standing_selections(dataset).where(table.c.name == wanted)).first():
                raise ConflictError(f"There is a selection {wanted!r} already.", "Choose another name, or delete that one first.")
            values = {"dataset": dataset, "name": wanted, "at": time.time(), "annotator": who, "note": note}
            statement = insert(table).values(values | {"origin": origin, "n": len(unique)})
            [identifier] = connection.execute(statement).inserted_primary_key
            rows = [
                {"selection_id": identifier, "place": place, "user_id": user_id, "item_id": item_id}
                for place, (user_id, item_id) in enumerate(unique)
            ]
            connection.execute(insert(self._table("selection_pair")), rows)
        return len(unique)

    def selections(self, dataset: str) -> pd.DataFrame:
        """Those that are not deleted, newest first: name, n, annotator, at [Unix s], note, origin."""
        with self.reading() as connection:
            return frame(connection, self._standing_selections(dataset)).drop(columns="id")

    def selection(self, dataset: str, name: str) -> pd.DataFrame:
        """The pairs of a selection in the order in which they were kept: user_id, item_id."""
        table = self._table("selection_pair")
        with self.reading() as connection:
            known = frame(connection, self._standing_selections(dataset))
            chosen = select(table.c.user_id, table.c.item_id).where(table.c.selection_id == _id(known, dataset, name))
            return frame(connection, chosen.order_by(table.c.place))

    def delete_selection(self, dataset: str, name: str, *, annotator: str) -> None:
        """Mark a selection as deleted; its rows stay in the database."""
        with self.writing(dataset) as connection:
            known = frame(connection, self._standing_selections(dataset))
            values = {"selection_id": _id(known, dataset, name), "at": time.time(), "annotator": annotator}
            connection.execute(insert(self._table("selection_deletion")).values(values))

    def _standing_selections(self, dataset: str) -> Select:
        table, deleted = self._table("selection"), self._table("selection_deletion")
        columns = [table.c[name] for name in ("id", "name", "n", "annotator", "at", "note", "origin")]
        gone = select(deleted.c.selection_id).where(deleted.c.selection_id == table.c.id).exists()
        return select(*columns).where(table.c.dataset == dataset, ~gone).order_by(table.c.id.desc())


def _id(known: pd.DataFrame, dataset: str, name: str) -> int:
    found = known.loc[known["name"] == name, "id"]
    if not len(found):
        names = ", ".join(known["name"].head(10))
        hint = f"There are: {names}." if names else "Save one on the pages Embeddings or Losses first."
        raise NotFoundError(f"Dataset {dataset!r} has no selection {name!r}.", hint)
    return int(found.iloc[0])
