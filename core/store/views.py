"""Saved views: filters that people have given a name. A log: nothing is changed, the newest row of a name counts."""

import time

import pandas as pd
from sqlalchemy import Connection, Select, func, insert, select

from core.errors import ConflictError, NotFoundError, SettingsError
from core.store.database import Database, frame


class ViewLog(Database):
    """A name stands for a page and a filter (core.filters.Filter.text), for everyone who works on the dataset."""

    def keep_view(self, dataset: str, name: str, page: str, text: str, *, annotator: str, replace: bool = False) -> None:
        """Keep a filter under a name. SettingsError without a name or a person; ConflictError when the name is taken and
        `replace` is not set."""
        wanted, who = _named(name), _person(annotator)
        with self.writing(dataset) as connection:
            if not replace and len(self._view(connection, dataset, wanted)):
                raise ConflictError(f"There is a view {wanted!r} already.", "Choose another name, or replace that one.")
            self._note(connection, dataset, wanted, who, page, text)

    def rename_view(self, dataset: str, name: str, to: str, *, annotator: str) -> None:
        """Give a view another name. NotFoundError when there is none of the old one, ConflictError when the new one is taken."""
        wanted, who = _named(to), _person(annotator)
        with self.writing(dataset) as connection:
            found = self._view(connection, dataset, name)
            if not len(found):
                raise _missing(dataset, name)
            if wanted == name:
                return
            if len(self._view(connection, dataset, wanted)):
                raise ConflictError(f"There is a view {wanted!r} already.", "Choose another name, or delete that one first.")
            self._note(connection, dataset, name, who)
            self._note(connection, dataset, wanted, who, found["page"].item(), found["filter"].item())

    def delete_view(self, dataset: str, name: str, *, annotator: str) -> None:
        """Say that a view is no more; its rows stay, and its name is free. NotFoundError when there is none."""
        with self.writing(dataset) as connection:
            if not len(self._view(connection, dataset, name)):
                raise _missing(dataset, name)
            self._note(connection, dataset, name, annotator)

    def views(self, dataset: str) -> pd.DataFrame:
        """Those that stand, the newest first: name, page, filter, annotator, at [Unix s]."""
        with self.reading() as connection:
            return frame(connection, self._standing_views(dataset))

    def _view(self, connection: Connection, dataset: str, name: str) -> pd.DataFrame:
        return frame(connection, self._standing_views(dataset).where(self._table("saved_view").c.name == name))

    def _note(
        self, connection: Connection, dataset: str, name: str, who: str, page: str | None = None, text: str | None = None
    ) -> None:
        values = {"dataset": dataset, "name": name, "page": page, "filter": text, "annotator": who, "at": time.time()}
        connection.execute(insert(self._table("saved_view")).values(values))

    def _standing_views(self, dataset: str) -> Select:
        table = self._table("saved_view")
        newest = select(func.max(table.c.id)).where(table.c.dataset == dataset).group_by(table.c.name)
        columns = [table.c[name] for name in ("name", "page", "filter", "annotator", "at")]
        return select(*columns).where(table.c.id.in_(newest), table.c.page.is_not(None)).order_by(table.c.id.desc())


def _named(name: str) -> str:
    if not name.strip():
        raise SettingsError("A view needs a name.", "Say in a few words what it shows.")
    return name.strip()


def _person(annotator: str) -> str:
    if not annotator.strip():
        raise SettingsError("A view needs the name of who keeps it.", "Enter a name in the settings.")
    return annotator.strip()


def _missing(dataset: str, name: str) -> NotFoundError:
    return NotFoundError(f"Dataset {dataset!r} has no view {name!r}.", "It may have been renamed or deleted.")
