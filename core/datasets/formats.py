"""The formats that can be imported. A new one is a class here: pages, command line and tests find it in FORMATS."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.datasets.files import Table, read_table
from core.errors import DatasetError
from core.registry import Registry

GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""The flags at the end of a line of u.item, in their order."""

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".csv.gz", ".tsv.gz", ".inter")


@dataclass(frozen=True, eq=False)
class RawTables:
    """The tables of one source, as text, before anything is checked."""

    interactions: Table
    items: Table | None = None
    users: Table | None = None
    truth: Table | None = None


@dataclass(frozen=True)
class Extras:
    """Tables that the person named beside the source itself."""

    items: Path | None = None
    users: Path | None = None
    truth: Path | None = None


class Format(Protocol):
    """One way in which interactions lie on a disk."""

    threshold: float | None  # the usual rating threshold of such data, when there is one

    def matches(self, path: Path) -> bool:
        """Whether the path plainly has this format; cheap."""

    def read(self, path: Path, extras: Extras) -> RawTables:
        """All tables; DatasetError when a part is missing or unreadable."""


FORMATS: Registry[type[Format]] = Registry("dataset format")


@FORMATS.register("movielens-100k")
class MovieLens100K:
    """The original folder of MovieLens 100K: u.data, u.item, u.user (latin-1, no header)."""

    threshold = 4.0

    def matches(self, path: Path) -> bool:
        return (path / "u.data").is_file() or path.name == "u.data"

    def read(self, path: Path, extras: Extras) -> RawTables:
        folder = path if path.is_dir() else path.parent
        if not (folder / "u.data").is_file():
            raise DatasetError(f"{path} holds no u.data.", "Choose the unpacked folder of MovieLens 100K.")
        rows = read_table(
            folder / "u.data", names=("user", "item", "rating", "time"), delimiter="\t", encoding="latin-1", quoted=False
        )
        return RawTables(
            rows,
            _optional(extras.items) or _if_there(folder / "u.item", _movies),
            _optional(extras.users) or _if_there(folder / "u.user", _viewers),
            _optional(extras.truth),
        )


@FORMATS.register("table")
class SingleTable:
    """One CSV, TSV or Parquet file with a row per interaction, a header, and any column names."""

    threshold = None

    def matches(self, path: Path) -> bool:
        return path.is_file() and path.name != "u.data"

    def read(self, path: Path, extras: Extras) -> RawTables:
        if path.is_dir():
            raise DatasetError(f"{path} is a folder, not a table.", "Name the file in it.")
        return RawTables(read_table(path), _optional(extras.items), _optional(extras.users), _optional(extras.truth))


@FORMATS.register("winnow-folder")
class WinnowFolder:
    """A folder with interactions, and perhaps items, users and truth, each as .csv, .tsv or .parquet (data/README.md)."""

    threshold = None

    def matches(self, path: Path) -> bool:
        return _named(path, "interactions") is not None

    def read(self, path: Path, extras: Extras) -> RawTables:
        interactions = _named(path, "interactions")
        if interactions is None:
            raise DatasetError(f"{path} holds no interactions.csv, .tsv or .parquet.", "See data/README.md for the layout.")
        tables = {name: getattr(extras, name) or _named(path, name) for name in ("items", "users", "truth")}
        return RawTables(read_table(interactions), **{name: _optional(file) for name, file in tables.items()})


def format_of(path: Path) -> str:
    """The name of the format that a path plainly has; DatasetError with what was looked for otherwise."""
    try:
        if not path.exists():
            raise DatasetError(f"{path} does not exist.", "Check the path.")
        for name in FORMATS.names():
            if FORMATS[name]().matches(path):
                return name
        inside = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))[:8] if path.is_dir() else []
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.", "Check your permissions.") from error
    raise DatasetError(
        f"{path} has no known layout; it holds {', '.join(inside) or 'nothing'}.",
        "Choose a MovieLens 100K folder (u.data), a folder with interactions.csv, or one table file.",
    )


def _named(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}{ending}" for ending in TABLE_ENDINGS)
    return next((path for path in candidates if path.is_file()), None)


def _optional(path: Path | None) -> Table | None:
    return read_table(path) if path else None


def _if_there(path: Path, read: Callable[[Path], Table]) -> Table | None:
    return read(path) if path.is_file() else None


def _movies(path: Path) -> Table:
    """u.item: id, title, release date, video release date, address, then one flag for each of the GENRES."""
    names = ("item", "title", "released", "video", "url", *GENRES)
    table = read_table(path, names=names, delimiter="|", encoding="latin-1", quoted=False)
    flags = table.frame[list(GENRES)].to_numpy() == "1"
    genres = np.array(GENRES)
    frame = table.frame[["item", "title"]].assign(category=["|".join(genres[row]) for row in flags], text="")
    return Table(table.file, frame, table.lines, table.rows_read, table.problems)


def _viewers(path: Path) -> Table:
    """u.user: id, age, gender, occupation, zip code; the zip code tells nothing about taste and stays out."""
    names = ("user", "age", "gender", "occupation", "zip")
    table = read_table(path, names=names, delimiter="|", encoding="latin-1", quoted=False)
    frame = table.frame.drop(columns="zip")
    return Table(table.file, frame, table.lines, table.rows_read, table.problems)
