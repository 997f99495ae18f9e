"""Rubrics: what a dataset's own instructions for a language model were, version by version. Written once, never changed."""

import time

import pandas as pd
from sqlalchemy import Select, insert, select

from core.errors import NotFoundError, SettingsError
from core.prompts import BUILT_IN, RUBRIC, Rubric, rubric_text
from core.records import VIEWS
from core.store.database import Database, frame


class RubricLog(Database):
    """Immutable rubrics "r1", "r2" ... of each dataset; before the first one the built-in rubric counts."""

    def add_rubric(self, dataset: str, *, user: str, item: str, annotator: str, note: str = "") -> Rubric:
        """Keep both texts as a new version; the newest one's when nothing has changed. SettingsError when a text cannot serve."""
        if not annotator.strip():
            raise SettingsError("A rubric needs the name of who wrote it.", "Enter a name in the settings.")
        texts = {view: rubric_text(text, view) for view, text in zip(VIEWS, (user, item), strict=True)}
        with self.writing(dataset) as connection:
            known = frame(connection, self._rubrics(dataset))
            newest = _rubric(known, 0) if len(known) else RUBRIC
            if (newest.user, newest.item) == (texts["user"], texts["item"]):
                return newest
            made = Rubric(**texts, version=f"r{len(known) + 1}")
            row = {"dataset": dataset, "version": made.version, "user_view": made.user, "item_view": made.item}
            row |= {"annotator": annotator.strip(), "at": time.time(), "note": note}
            connection.execute(insert(self._table("rubric")).values(row))
            return made

    def rubrics(self, dataset: str) -> pd.DataFrame:
        """Newest first: version, at [Unix s], annotator, note, and the texts user and item. The built-in one is not in it."""
        with self.reading() as connection:
            return frame(connection, self._rubrics(dataset))

    def rubric(self, dataset: str, version: str | None = None) -> Rubric:
        """A version's texts; the newest when none is named, the built-in ones when there is none or they are named."""
        known = self.rubrics(dataset)
        if version == BUILT_IN or (version is None and not len(known)):
            return RUBRIC
        names = known["version"].tolist()
        if version is not None and version not in names:
            choices = ", ".join([BUILT_IN, *reversed(names)])
            raise NotFoundError(f"Dataset {dataset!r} has no rubric {version!r}.", f"There are: {choices}.")
        return _rubric(known, names.index(version) if version else 0)

    def _rubrics(self, dataset: str) -> Select:
        table = self._table("rubric")
        columns = [table.c[name] for name in ("version", "at", "annotator", "note")]
        columns += [table.c[f"{view}_view"].label(view) for view in VIEWS]
        return select(*columns).where(table.c.dataset == dataset).order_by(table.c.id.desc())


def _rubric(known: pd.DataFrame, place: int) -> Rubric:
    return Rubric(**known.loc[place, ["user", "item", "version"]])
