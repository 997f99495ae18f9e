"""Where all data live, and how a file is written so that a crash leaves the old one or the new one, never a half."""

import getpass
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from sqlalchemy import URL

from core.errors import NotFoundError, WinnowError

ROOT = Path(__file__).resolve().parent.parent


def login_name() -> str:
    """Who sits here, as the system knows it: the annotator until somebody says otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "anonymous"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is written (disk full, no permission, no folder) into a sentence with what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WinnowError(f"{path} could not be written: {reason}.", "Free some disk space or choose another --home.") from error


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and vanishes when it does not."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The parsed file; a missing or broken one is a NotFoundError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is missing.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotFoundError(f"{path} is not readable JSON: {error}.", "Delete its folder and make it again.") from error


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file, without pickles."""
    with whole_file(path), np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@contextmanager
def whole_file(path: Path) -> Iterator[None]:
    """A file of arrays that is missing or damaged (cut off, overwritten) is a NotFoundError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is missing.") from error
    except (SafetensorError, zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        hint = "Delete the file and do again what made it, such as the training with the same settings."
        raise NotFoundError(f"{path} is damaged: {error}.", hint) from error


@dataclass(frozen=True)
class Home:
    """The folder with all data of one installation (`--home`, WINNOW_HOME, else `data/` beside the code)."""

    path: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> "Home":
        return cls(Path(path or os.environ.get("WINNOW_HOME") or ROOT / "data").expanduser().resolve())

    @property
    def datasets(self) -> Path:
        return self.path / "datasets"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def database_url(self) -> str | URL:
        """WINNOW_DB (any SQLAlchemy URL), else a SQLite file in the home, whatever characters its path has."""
        return os.environ.get("WINNOW_DB") or URL.create("sqlite", database=str(self.path / "winnow.db"))

    def free_bytes(self) -> int:
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.path).free
