"""The database's tables, as an append-only list of named steps; each is applied once and recorded in `migration`.

Rules: never edit or reorder an applied step, add a new one. These steps are the only description of the tables: the
store reads them back from the database.
"""

import time
from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy import UniqueConstraint as Unique

from core.errors import StoreError

ROW_ID = BigInteger().with_variant(Integer, "sqlite")


def _migration_table(metadata: MetaData) -> Table:
    return Table("migration", metadata, Column("name", String(100), primary_key=True), Column("at", Float, nullable=False))


def m001_decisions(connection: Connection) -> None:
    """What people said, and one counter a dataset that grows with everything written about it."""
    metadata = MetaData()
    Table(
        "decision",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False),
        Column("user_id", Text, nullable=False),
        Column("item_id", Text, nullable=False),
        Column("relevant", String(10)),  # yes, no, unsure; NULL in an undo row
        Column("annotator", Text, nullable=False),
        Column("at", Float, nullable=False),
        Column("note", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("saw_judge", Boolean, nullable=False),
        Column("batch", String(40), nullable=False),
        Column("undoes", ROW_ID, ForeignKey("decision.id")),
        Index("decision_pair", "dataset", "user_id", "item_id"),
        Index("decision_batch", "dataset", "batch"),
        Index("decision_undoes", "undoes"),
        Index("decision_at", "dataset", "at"),
        sqlite_autoincrement=True,
    )
    Table("revision", metadata, Column("dataset", Text, primary_key=True), Column("n", ROW_ID, nullable=False))
    metadata.create_all(connection)


def m002_judgments(connection: Connection) -> None:
    """Answers by the content of their question (`judgment`, `evidence`), and who asked for which pair (`want`)."""
    metadata = MetaData()
    Table(
        "want",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False),
        Column("user_id", Text, nullable=False),
        Column("item_id", Text, nullable=False),
        Column("view", String(10), nullable=False),
        Column("judge", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("key", String(64), nullable=False),
        Column("at", Float, nullable=False),
        Unique("dataset", "user_id", "item_id", "view", "key", name="want_once"),
        Index("want_key", "key"),
        sqlite_autoincrement=True,
    )
    Table(
        "judgment",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("key", String(64), nullable=False, unique=True),
        Column("view", String(10), nullable=False),
        Column("rating", String(4), nullable=False),
        Column("analysis", Text, nullable=False),
        Column("how", String(20), nullable=False),  # strict, repaired
        Column("confidence", Float),
        Column("judge", Text, nullable=False),
        Column("is_llm", Boolean, nullable=False),
        Column("model", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("prompt_version", Text, nullable=False),
        Column("truncated", Boolean, nullable=False),  # a text was cut before it was sent
        Column("prompt_tokens", Integer),
        Column("answer_tokens", Integer),
        Column("seconds", Float, nullable=False),
        Column("at", Float, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "evidence",
        metadata,
        Column("key", String(64), primary_key=True),
        Column("prompt", Text, nullable=False),  # JSON: the messages as they were sent
        Column("raw", Text, nullable=False),  # the answer as it came
    )
    Table(
        "failure",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("key", String(64), nullable=False, index=True),
        Column("kind", String(40), nullable=False),
        Column("detail", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("at", Float, nullable=False),
        sqlite_autoincrement=True,
    )
    metadata.create_all(connection)


def m003_label_versions(connection: Connection) -> None:
    """Frozen label sets: a version's rows are written once, with the version."""
    metadata = MetaData()
    Table(
        "label_version",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False),
        Column("version", String(20), nullable=False),
        Column("at", Float, nullable=False),
        Column("annotator", Text, nullable=False),
        Column("note", Text, nullable=False),
        Column("n", Integer, nullable=False),
        Column("fingerprint", String(64), nullable=False),
        Unique("dataset", "version", name="label_version_once"),
        sqlite_autoincrement=True,
    )
    Table(
        "label_row",
        metadata,
        Column("version_id", ROW_ID, ForeignKey("label_version.id"), primary_key=True),
        Column("user_id", Text, primary_key=True),
        Column("item_id", Text, primary_key=True),
        Column("observed", Boolean, nullable=False),
        Column("label", String(30), nullable=False),
        Column("source", String(30), nullable=False),
    )
    metadata.create_all(connection)


def m004_reasoning(connection: Connection) -> None:
    """More about each answer, further answers to the same questions, profiles that models wrote, questions sent away in files."""
    for name, kind in (
        ("profile", "VARCHAR(10) NOT NULL DEFAULT ''"),
        ("cached_tokens", "INTEGER"),
        ("wait_s", "FLOAT"),
        ("server", "TEXT NOT NULL DEFAULT ''"),
        ("origin", "VARCHAR(20) NOT NULL DEFAULT 'asked'"),
    ):
        connection.execute(text(f"ALTER TABLE judgment ADD COLUMN {name} {kind}"))
    metadata = MetaData()
    Table(
        "further_answer",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("key", String(64), nullable=False),  # of the question, as in judgment
        Column("number", Integer, nullable=False),  # 0: the probe, which asks for the rating alone; n: the n-th further answer
        Column("rating", String(4), nullable=False),
        Column("analysis", Text, nullable=False),
        Column("confidence", Float),
        Column("raw", Text, nullable=False),
        Column("prompt_tokens", Integer),
        Column("answer_tokens", Integer),
        Column("at", Float, nullable=False),
        Unique("key", "number", name="further_once"),
        sqlite_autoincrement=True,
    )
    Table(
        "profile",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("key", String(64), nullable=False, unique=True),
        Column("text", Text, nullable=False),
        Column("judge", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("prompt_version", Text, nullable=False),
        Column("prompt", Text, nullable=False),  # JSON: the messages as they were sent
        Column("raw", Text, nullable=False),
        Column("truncated", Boolean, nullable=False),
        Column("prompt_tokens", Integer),
        Column("answer_tokens", Integer),
        Column("seconds", Float, nullable=False),
        Column("at", Float, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "request",
        metadata,
        Column("key", String(64), primary_key=True),
        Column("view", String(10), nullable=False),
        Column("prompt", Text, nullable=False),
        Column("judge", Text, nullable=False),
        Column("is_llm", Boolean, nullable=False),
        Column("model", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("prompt_version", Text, nullable=False),
        Column("profile", String(10), nullable=False),
        Column("truncated", Boolean, nullable=False),
        Column("at", Float, nullable=False),
    )
    metadata.create_all(connection)


def m005_audits(connection: Connection) -> None:
    """Random samples of one rater's opinions for people to audit: drawn once, with their pairs and weights, never changed."""
    metadata = MetaData()
    Table(
        "audit_sample",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False, index=True),
        Column("at", Float, nullable=False),
        Column("annotator", Text, nullable=False),
        Column("seed", Integer, nullable=False),
        Column("judge", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("prompt_version", Text, nullable=False),
        Column("population", Integer, nullable=False),
        Column("size", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "audit_pair",
        metadata,
        Column("sample_id", ROW_ID, ForeignKey("audit_sample.id"), primary_key=True),
        Column("place", Integer, primary_key=True),  # in the queue, which is in random order
        Column("user_id", Text, nullable=False),
        Column("item_id", Text, nullable=False),
        Column("label", String(30), nullable=False),  # what the rater's opinion made of the pair when it was drawn
        Column("stratum", Text, nullable=False),
        Column("weight", Float, nullable=False),  # pairs of the population that it stands for
    )
    metadata.create_all(connection)


def m006_rubrics(connection: Connection) -> None:
    """What a dataset's own instructions for a language model are: a version's texts are written once."""
    metadata = MetaData()
    Table(
        "rubric",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False),
        Column("version", String(20), nullable=False),
        Column("user_view", Text, nullable=False),
        Column("item_view", Text, nullable=False),
        Column("annotator", Text, nullable=False),
        Column("at", Float, nullable=False),
        Column("note", Text, nullable=False),
        Unique("dataset", "version", name="rubric_once"),
        sqlite_autoincrement=True,
    )
    metadata.create_all(connection)


def m008_selections(connection: Connection) -> None:
    """Named sets of pairs: written once; a row in `selection_deletion` hides one, nothing is removed."""
    metadata = MetaData()
    Table(
        "selection",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False, index=True),
        Column("name", Text, nullable=False),
        Column("at", Float, nullable=False),
        Column("annotator", Text, nullable=False),
        Column("note", Text, nullable=False),
        Column("origin", Text, nullable=False),
        Column("n", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "selection_pair",
        metadata,
        Column("selection_id", ROW_ID, ForeignKey("selection.id"), primary_key=True),
        Column("place", Integer, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("item_id", Text, nullable=False),
    )
    Table(
        "selection_deletion",
        metadata,
        Column("selection_id", ROW_ID, ForeignKey("selection.id"), primary_key=True),
        Column("at", Float, nullable=False),
        Column("annotator", Text, nullable=False),
    )
    metadata.create_all(connection)


def m009_saved_views(connection: Connection) -> None:
    """Named filters, as a log: the newest row of a name counts, and one without a page says that it was deleted."""
    metadata = MetaData()
    Table(
        "saved_view",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("page", String(20)),
        Column("filter", Text),
        Column("annotator", Text, nullable=False),
        Column("at", Float, nullable=False),
        Index("saved_view_name", "dataset", "name"),
        sqlite_autoincrement=True,
    )
    metadata.create_all(connection)


def m010_counterfactuals(connection: Connection) -> None:
    """Answers about a pair with one thing changed, beside what was answered before. They never count as judgments."""
    metadata = MetaData()
    Table(
        "counterfactual",
        metadata,
        Column("id", ROW_ID, primary_key=True),
        Column("dataset", Text, nullable=False),
        Column("user_id", Text, nullable=False),
        Column("item_id", Text, nullable=False),
        Column("view", String(10), nullable=False),
        Column("of_key", String(64), nullable=False),  # of the judgment that people look at
        Column("base_key", String(64), nullable=False),  # of the unchanged question, as it is asked now
        Column("key", String(64), nullable=False),  # of the changed question
        Column("number", Integer, nullable=False),  # of the further answer, 0: the first one
        Column("change", String(20), nullable=False),
        Column("detail", Text, nullable=False),  # JSON: ids of the items that are left out
        Column("before", String(4), nullable=False),  # the rating of the unchanged question
        Column("rating", String(4), nullable=False),
        Column("analysis", Text, nullable=False),
        Column("confidence", Float),
        Column("judge", Text, nullable=False),
        Column("is_llm", Boolean, nullable=False),
        Column("model", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("prompt_version", Text, nullable=False),
        Column("prompt", Text, nullable=False),  # JSON: the messages as they were sent
        Column("raw", Text, nullable=False),
        Column("prompt_tokens", Integer),
        Column("answer_tokens", Integer),
        Column("seconds", Float, nullable=False),
        Column("server", Text, nullable=False),
        Column("annotator", Text, nullable=False),
        Column("at", Float, nullable=False),
        Unique("dataset", "user_id", "item_id", "view", "key", "number", "change", name="counterfactual_once"),
        sqlite_autoincrement=True,
    )
    metadata.create_all(connection)


MIGRATIONS: list[Callable[[Connection], None]] = [
    m001_decisions,
    m002_judgments,
    m003_label_versions,
    m004_reasoning,
    m005_audits,
    m006_rubrics,
    m008_selections,
    m009_saved_views,
    m010_counterfactuals,
]


def applied(connection: Connection) -> list[str]:
    """Names of the steps that this database has had; [] for a new one."""
    if not inspect(connection).has_table("migration"):
        return []
    return list(connection.scalars(select(_migration_table(MetaData()).c.name)))


def migrate(connection: Connection) -> None:
    """Apply what is missing, inside the caller's transaction. A database with unknown steps is a StoreError."""
    metadata = MetaData()
    table = _migration_table(metadata)
    metadata.create_all(connection)
    done = set(applied(connection))
    unknown = done - {step.__name__ for step in MIGRATIONS}
    if unknown:
        names = ", ".join(sorted(unknown))
        raise StoreError(f"The database was made by a newer Winnow (it has {names}).", "Update Winnow, or choose another --home.")
    for step in MIGRATIONS:
        if step.__name__ not in done:
            step(connection)
            connection.execute(insert(table).values(name=step.__name__, at=time.time()))
