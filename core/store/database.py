"""One engine, two kinds of transaction, and errors that say what to do."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import tenacity
from sqlalchemy import Connection, Engine, MetaData, Select, Table, create_engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from core.errors import StoreError
from core.store.migrations import MIGRATIONS, applied, migrate

log = logging.getLogger(__name__)

BUSY_S = 15.0
"""A writer waits this long for another one before it gives up."""

CHUNK = 500
"""Keys that one query looks for at most."""

CAUSES = {
    "locked": ("is locked by another program", "Close what else writes to it, then try again."),
    "full": ("cannot grow: the disk is full", "Free some space, then try again."),
    "disk i/o": ("could not be written", "Check the disk and its free space, then try again."),
    "readonly": ("may not be written", "Check the permissions of the file and its folder, or choose another --home."),
    "unable to open": ("cannot be opened", "Check the path and its permissions, or choose another --home."),
    "not a database": ("is not a database", "Move the file away, or choose another --home."),
    "malformed": ("is damaged", "Restore a backup, or move the file away to begin anew."),
}


class Database:
    """Base of the store's parts: opens and migrates, hands out transactions, translates errors."""

    def __init__(self, url: str) -> None:
        try:
            self.engine = _engine(url)
        except (ArgumentError, ImportError) as error:
            raise StoreError(f"The database address cannot be used: {error}.", "Check WINNOW_DB.") from error
        self._writer = self.engine.execution_options(winnow_writes=True)
        with self._explained():
            if self.engine.dialect.name == "sqlite":
                _switch_to_wal(self.engine)
            with self.engine.connect() as connection:
                done = applied(connection)
            if sorted(done) != sorted(step.__name__ for step in MIGRATIONS):
                with self._writer.begin() as connection:
                    migrate(connection)
            self._metadata = MetaData()
            self._metadata.reflect(self.engine)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def revision(self, dataset: str) -> int:
        """A number that grows whenever anything is written about the dataset: the cache key for what is shown of it."""
        table = self._table("revision")
        with self.reading() as connection:
            return connection.scalar(select(table.c.n).where(table.c.dataset == dataset)) or 0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, datasets: str | Select | Sequence[str]) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first moment and moves the revision of `datasets` on."""
        with self._explained(), self._writer.begin() as connection:
            self._advance(connection, datasets)
            yield connection

    def _advance(self, connection: Connection, datasets: str | Select | Sequence[str]) -> None:
        table = self._table("revision")
        if isinstance(datasets, Select):
            names = list(connection.scalars(datasets))
        else:
            names = [datasets] if isinstance(datasets, str) else datasets
        for name in sorted(names):
            statement = self._insert(table).values(dataset=name, n=1)
            connection.execute(statement.on_conflict_do_update(index_elements=["dataset"], set_={"n": table.c.n + 1}))

    def _table(self, name: str) -> Table:
        return self._metadata.tables[name]

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT with ON CONFLICT, which both databases know but SQLAlchemy spells once for each."""
        return (postgresql if self.engine.dialect.name == "postgresql" else sqlite).insert(table)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            detail = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            where = self.engine.url.render_as_string(hide_password=True)
            for sign, (what, cure) in CAUSES.items():
                if sign in detail.lower():
                    raise StoreError(f"The database {where} {what}.", f"{cure} Nothing was half-written.") from error
            raise StoreError(f"The database {where} refused: {detail}.") from error


def frame(connection: Connection, statement: Select, flags: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of a query, with its column names even when there is none, and `flags` as bool."""
    result = connection.execute(statement)
    rows = pd.DataFrame(result.fetchall(), columns=list(result.keys()))
    return rows.astype({name: bool for name in flags})


def _engine(url: str) -> Engine:
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return create_engine(address, pool_pre_ping=True)
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    connection.execute("PRAGMA synchronous=normal")
    connection.execute("PRAGMA foreign_keys=on")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock at once: waiting works at BEGIN, but not when a reader wants to become a writer."""
    writes = connection.get_execution_options().get("winnow_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*locked"),
    wait=tenacity.wait_random(0.01, 0.1),
    stop=tenacity.stop_after_delay(BUSY_S),
    reraise=True,
)
def _switch_to_wal(engine: Engine) -> None:
    """Readers and one writer at the same time. SQLite does not wait for others when it switches, so the retry does."""
    raw = engine.raw_connection()
    try:
        mode = raw.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            mode = raw.execute("PRAGMA journal_mode=wal").fetchone()[0]
        if mode != "wal":
            log.warning("the database keeps journal mode %s: this file system may not allow WAL", mode)
    finally:
        raw.close()
