"""From a path to a dataset in two steps: examine (reads, writes nothing) and commit (the whole dataset appears at once)."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.artifacts import Home
from core.datasets import columns, disk
from core.datasets.checking import ROLES, Tables, check
from core.datasets.disk import DatasetInfo
from core.datasets.formats import FORMATS, Extras, RawTables, format_of
from core.datasets.report import ImportReport
from core.settings import ImportSettings

PREVIEW_ROWS = 20


@dataclass(frozen=True, eq=False)
class Draft:
    """A dataset that could be committed."""

    name: str
    format: str
    source: str  # name of the file or folder
    report: ImportReport
    preview: pd.DataFrame  # first rows as they stand in the file
    columns: list[str]  # of the interactions, as they stand in the file
    settings: ImportSettings  # with the columns and the threshold that were used
    tables: Tables


@dataclass(frozen=True, eq=False)
class Peek:
    """What is plain before any checking: enough to choose a mapping."""

    name: str
    format: str
    columns: list[str]
    preview: pd.DataFrame
    mapping: dict[str, str]  # {role: column} as far as the names tell
    threshold: float | None  # the usual one of this format


def peek(path: str | Path, *, format: str | None = None) -> Peek:
    """Columns, first rows and the guessed mapping, without demanding that they make sense."""
    path = Path(path).expanduser()
    format = format or format_of(path)
    member = FORMATS[format]()
    frame = member.read(path, Extras()).interactions.frame
    names = list(frame.columns)
    mapping: dict[str, str] = {}
    for role in ROLES:
        if name := columns.guessed(names, role, taken=mapping.values()):
            mapping[role] = name
    return Peek(_guessed_name(path), format, names, frame.head(PREVIEW_ROWS), mapping, member.threshold)


def examine(
    path: str | Path,
    *,
    name: str | None = None,
    format: str | None = None,
    settings: ImportSettings | None = None,
    items: str | Path | None = None,
    users: str | Path | None = None,
    truth: str | Path | None = None,
) -> Draft:
    """Read and check everything, write nothing. Format and name are guessed when left out.

    Raises DatasetError with one sentence and a hint when no dataset can be made of it.
    """
    path = Path(path).expanduser()
    settings = settings or ImportSettings()
    name = disk.checked_name(name or _guessed_name(path))
    format = format or format_of(path)
    member = FORMATS[format]()
    raw: RawTables = member.read(path, Extras(*(Path(extra).expanduser() if extra else None for extra in (items, users, truth))))
    if settings.threshold is None and member.threshold is not None:
        settings = settings.model_copy(update={"threshold": member.threshold})
    tables, settings, report = check(raw, settings)
    frame = raw.interactions.frame
    return Draft(name, format, path.name, report, frame.head(PREVIEW_ROWS), list(frame.columns), settings, tables)


def commit(home: Home, draft: Draft, *, replace: bool = False) -> DatasetInfo:
    """Write the draft as a dataset; an existing name without `replace` is a DatasetError."""
    tables, settings, report = draft.tables, draft.settings, draft.report
    return disk.save(home, draft.name, draft.format, draft.source, tables, settings, settings.threshold, report, replace=replace)


def import_path(
    home: Home,
    path: str | Path,
    *,
    name: str | None = None,
    format: str | None = None,
    settings: ImportSettings | None = None,
    items: str | Path | None = None,
    users: str | Path | None = None,
    truth: str | Path | None = None,
    replace: bool = False,
) -> tuple[DatasetInfo, ImportReport]:
    """Examine and commit in one go."""
    draft = examine(path, name=name, format=format, settings=settings, items=items, users=users, truth=truth)
    return commit(home, draft, replace=replace), draft.report


def _guessed_name(path: Path) -> str:
    """The file's or folder's name without endings, with dashes for what a folder cannot safely bear."""
    path = path.resolve()
    stem = path.parent.name if path.name == "u.data" else path.name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:80] or "dataset"
