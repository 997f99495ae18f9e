"""Label versions: what the labels were when somebody froze them. Written once, never changed."""

import time

import pandas as pd
from sqlalchemy import case, func, insert, select

from core.errors import NotFoundError
from core.records import Label, fingerprint
from core.store.database import Database, frame

COLUMNS = ["user_id", "item_id", "observed", "label", "source"]
WORDS = [label.word for label in Label if label is not Label.CLEAN]


class VersionLog(Database):
    """Immutable label versions "v1", "v2" ... of each dataset."""

    def freeze(self, dataset: str, labels: pd.DataFrame, *, annotator: str, note: str = "") -> str:
        """Keep labels (labels.to_frame) as a version and return its name; the newest one's when nothing has changed."""
        rows = labels[COLUMNS].sort_values(["user_id", "item_id"], ignore_index=True)
        content = fingerprint(*(rows[name].to_numpy(dtype=object) for name in COLUMNS))
        versions, table = self._table("label_version"), self._table("label_row")
        with self.writing(dataset) as connection:
            mine = versions.c.dataset == dataset
            newest = connection.execute(select(versions).where(mine).order_by(versions.c.id.desc()).limit(1)).mappings().first()
            if newest and newest["fingerprint"] == content:
                return newest["version"]
            name = f"v{connection.scalar(select(func.count()).select_from(versions).where(mine)) + 1}"
            values = {"dataset": dataset, "version": name, "at": time.time(), "annotator": annotator, "note": note}
            values |= {"n": len(rows), "fingerprint": content}
            [identifier] = connection.execute(insert(versions).values(values)).inserted_primary_key
            if len(rows):
                records = [record | {"version_id": identifier} for record in rows.to_dict("records")]
                connection.execute(insert(table), records)
            return name

    def versions(self, dataset: str) -> pd.DataFrame:
        """Newest first: version, at [Unix s], annotator, note, n, fingerprint, and a count per label word."""
        versions, table = self._table("label_version"), self._table("label_row")
        counts = [func.sum(case((table.c.label == word, 1), else_=0)).label(word) for word in WORDS]
        columns = [versions.c[name] for name in ("version", "at", "annotator", "note", "n", "fingerprint")]
        statement = (
            select(*columns, *counts)
            .select_from(versions.outerjoin(table, table.c.version_id == versions.c.id))
            .where(versions.c.dataset == dataset)
            .group_by(versions.c.id)
            .order_by(versions.c.id.desc())
        )
        with self.reading() as connection:
            return frame(connection, statement)

    def version(self, dataset: str, name: str) -> pd.DataFrame:
        """The rows of a version: user_id, item_id, observed, label word, source word."""
        versions, table = self._table("label_version"), self._table("label_row")
        with self.reading() as connection:
            known = dict(
                connection.execute(select(versions.c.version, versions.c.id).where(versions.c.dataset == dataset)).fetchall()
            )
            if name not in known:
                hint = f"There are: {', '.join(known)}." if known else "Freeze the labels first."
                raise NotFoundError(f"Dataset {dataset!r} has no label version {name!r}.", hint)
            columns = (table.c[column] for column in COLUMNS)
            chosen = select(*columns).where(table.c.version_id == known[name]).order_by(table.c.user_id, table.c.item_id)
            return frame(connection, chosen, flags=("observed",))
