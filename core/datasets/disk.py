"""Imported datasets on disk: `datasets/<name>/` with dataset.json and Parquet files, whole or not there at all."""

import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from core.artifacts import Home, read_json, write_json
from core.datasets.checking import Tables
from core.datasets.report import ImportReport
from core.datasets.tables import content_of, dataset_of
from core.errors import DatasetError, NotFoundError
from core.records import Dataset
from core.settings import Settings

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
FILES = ("interactions", "items", "users", "truth")
_SET_ASIDE = re.compile(rf"\.({NAME.pattern})\.[a-z0-9_]{{8}}\.old")
_HIDDEN = re.compile(rf"\.{NAME.pattern}\.([a-z0-9_]{{8}}(\.old)?|removed-[0-9]+)")
STALE_S = 3600.0
"""A hidden folder that nobody changed for so long was left by a process that died."""
TRIES = 3
"""A dataset that is replaced while it is read is read again, and a place taken while it is replaced is cleared again."""


@dataclass(frozen=True)
class DatasetInfo:
    """What a list of datasets shows. Counts of interactions are of positives."""

    name: str
    format: str
    users: int
    items: int
    interactions: int
    train: int
    valid: int
    test: int
    has_text: bool  # any item has a title, a category or a description
    has_truth: bool
    threshold: float | None
    fingerprint: str
    created: float  # [Unix s]
    source: str  # name of the imported file or folder


def checked_name(name: str) -> str:
    """The name, when a folder can safely bear it."""
    if not NAME.fullmatch(name):
        raise DatasetError(
            f"A dataset cannot be named {name!r}.",
            "Use letters, digits, dots, dashes and underscores, with a letter or digit first.",
        )
    return name


def save(
    home: Home,
    name: str,
    format: str,
    source: str,
    tables: Tables,
    settings: Settings,
    threshold: float | None,
    report: ImportReport,
    *,
    replace: bool,
) -> DatasetInfo:
    """Write a dataset beside its place and move it there in one step. An existing name without `replace` is a DatasetError."""
    target = home.datasets / checked_name(name)
    _restore(home)
    _sweep(home)
    if target.exists() and not replace:
        raise DatasetError(f"There is already a dataset named {name!r}.", "Choose another name, or replace it.")
    dataset = dataset_of(name, "", tables)
    info = DatasetInfo(
        name=name,
        format=format,
        users=dataset.n_users,
        items=dataset.n_items,
        interactions=len(dataset.train) + len(dataset.valid) + len(dataset.test),
        train=len(dataset.train),
        valid=len(dataset.valid),
        test=len(dataset.test),
        has_text=bool(tables.items[["category", "text"]].any(axis=None) or (tables.items["title"] != tables.items["item"]).any()),
        has_truth=tables.truth is not None,
        threshold=threshold,
        fingerprint=content_of(dataset),
        created=time.time(),
        source=source,
    )
    with whole(target, replace) as folder:
        for file in FILES:
            frame = getattr(tables, file)
            if frame is not None:
                frame.to_parquet(folder / f"{file}.parquet", index=False, compression="zstd")
        write_json(folder / "dataset.json", {"info": asdict(info), "settings": settings.model_dump(), "report": report.to_json()})
    return info


@contextmanager
def whole(target: Path, replace: bool) -> Iterator[Path]:
    """A hidden folder beside `target` that takes its place when the block ends well, and vanishes when it does not."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        folder.chmod(0o755)
    except OSError as error:
        raise _unwritable(target, error) from error
    old = folder.with_name(folder.name + ".old")
    try:
        yield folder
        for left in reversed(range(TRIES)):
            if replace and target.exists():
                target.rename(old)
            try:
                folder.rename(target)
                break
            except OSError:
                if not left or not replace or not target.exists():
                    raise
                # Between the two renames somebody looked for the dataset and put it back (`_restore`).
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _restore(home: Home) -> None:
    """Put back what a replacement that was killed between its two renames had set aside, the newest first."""
    found = [path for path in _hidden(home, _SET_ASIDE) if (path / "dataset.json").is_file()]
    for path in sorted(found, key=lambda path: (path / "dataset.json").stat().st_mtime, reverse=True):
        target = path.with_name(_SET_ASIDE.fullmatch(path.name)[1])
        if not target.exists():
            with suppress(OSError):  # another process put it back, or goes on replacing it
                path.rename(target)
                log.warning("the dataset %s is back: replacing it was interrupted", target.name)


def _sweep(home: Home) -> None:
    """Delete what dead processes left behind."""
    for path in _hidden(home, _HIDDEN):
        with suppress(FileNotFoundError):  # its owner was quicker
            about = path.stat()
            if time.time() - max(about.st_mtime, about.st_ctime) > STALE_S:
                shutil.rmtree(path, ignore_errors=True)


def _hidden(home: Home, pattern: re.Pattern[str]) -> list[Path]:
    return [path for path in home.datasets.glob(".*") if pattern.fullmatch(path.name)]


def _unwritable(target: Path, error: OSError) -> DatasetError:
    hint = "Free some disk space, check the permissions, or choose another --home."
    return DatasetError(f"The dataset could not be written to {target}: {error.strerror or error}.", hint)


def listing(home: Home) -> list[DatasetInfo]:
    """All datasets by name."""
    if not home.datasets.exists():
        return []
    _restore(home)
    names = (path.name for path in home.datasets.iterdir() if NAME.fullmatch(path.name) and (path / "dataset.json").is_file())
    found = []
    for name in sorted(names):
        try:
            found.append(info(home, name))
        except (NotFoundError, DatasetError) as error:  # one damaged dataset must not hide the others
            log.warning("left out of the list: %s", error)
    return found


def info(home: Home, name: str) -> DatasetInfo:
    """One dataset's entry; NotFoundError that lists what there is."""
    try:
        return DatasetInfo(**_described(home, name)["info"])
    except (KeyError, TypeError) as error:
        raise DatasetError(f"The dataset {name!r} was written by another version of Winnow.", "Import it again.") from error


def import_report(home: Home, name: str) -> ImportReport:
    """What its import reported."""
    return ImportReport.from_json(_described(home, name)["report"])


def _described(home: Home, name: str) -> dict:
    path = home.datasets / name / "dataset.json"
    if not path.is_file():
        _restore(home)
    if not NAME.fullmatch(name) or not path.is_file():
        there = [entry.name for entry in listing(home)]
        hint = f"There are: {', '.join(there)}." if there else "There is none yet: import a file, or make the demo dataset."
        raise NotFoundError(f"There is no dataset named {name!r}.", hint)
    return read_json(path)


def remove(home: Home, name: str) -> None:
    """Delete a dataset; runs and decisions that refer to it stay."""
    info(home, name)
    folder = home.datasets / name
    doomed = folder.with_name(f".{name}.removed-{os.getpid()}")
    try:
        for path in _hidden(home, _SET_ASIDE):
            if _SET_ASIDE.fullmatch(path.name)[1] == name:  # or it would come back
                shutil.rmtree(path)
        folder.rename(doomed)  # gone at once for everyone else
        shutil.rmtree(doomed)
    except OSError as error:
        raise DatasetError(f"{folder} could not be deleted: {error.strerror or error}.", "Check the permissions.") from error


def load(home: Home, name: str) -> Dataset:
    """The dataset with positions: users and items in the order of users.parquet and items.parquet (whole-number ids by value,
    others as text). Raises NotFoundError that lists what there is, DatasetError when its files are damaged or are being
    replaced again and again."""
    problem: Exception | None = None
    for _ in range(TRIES):
        known = info(home, name)
        try:
            read = _read(home.datasets / name, known.has_truth)
            problem = None
        except (OSError, pa.ArrowException) as error:
            problem = error
            continue
        if info(home, name) == known:  # so the files are those that it describes
            break
    else:
        if problem:
            raise _damaged(name, problem) from problem
        raise DatasetError(f"The dataset {name!r} was replaced while it was read.", "Try again when its import is done.")
    try:
        return dataset_of(name, known.fingerprint, read)
    except (KeyError, ValueError) as error:
        raise _damaged(name, error) from error


def _read(folder: Path, has_truth: bool) -> Tables:
    frames = {file: pd.read_parquet(folder / f"{file}.parquet") for file in FILES[: 3 + has_truth]}
    return Tables(**{"truth": None} | frames)


def _damaged(name: str, error: Exception) -> DatasetError:
    reason = str(error).splitlines()[0]
    return DatasetError(f"The dataset {name!r} is damaged: {reason}", "Import it again and replace it.")
