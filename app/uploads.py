"""Uploads live in memory and end with the page, so they are put aside as files at once."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import streamlit as st

from app import state

LEFT_BEHIND_S = 86_400
"""Nobody comes back to an import after a day."""


def put_aside(key: str, files: Sequence[Any]) -> list[Path]:
    """Write uploads below the cache, in a folder called as the uploaded one, and return their paths. `key`: of the session,
    which holds one set of uploads under it."""
    ids = tuple(file.file_id for file in files)
    kept, top = st.session_state.get(key, (None, ""))
    if kept != ids or not Path(top).exists():
        forget(key)
        uploads = state.home().cache / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        _sweep(uploads)
        top = tempfile.mkdtemp(dir=uploads)
        for file in files:
            given = PurePosixPath(file.name)
            folder = Path(top) / _folder_name(given)
            folder.mkdir(exist_ok=True)
            (folder / given.name).write_bytes(file.getbuffer())
        st.session_state[key] = (ids, top)
    return sorted(path for path in Path(top).rglob("*") if path.is_file())


def forget(key: str) -> None:
    """Throw away what was put aside."""
    _, folder = st.session_state.pop(key, (None, None))
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(uploads: Path) -> None:
    """Remove what pages have left behind that were reloaded or closed in the middle."""
    for folder in uploads.iterdir():
        if folder.stat().st_mtime < time.time() - LEFT_BEHIND_S:
            shutil.rmtree(folder, ignore_errors=True)


def _folder_name(given: PurePosixPath) -> str:
    """What the uploaded file's folder is called; never a way out of the folder it is put into."""
    name = given.parent.name
    return name if name not in ("", ".", "..") else "my-data"
