"""The record of all judgments, to take away."""

import tempfile
from pathlib import Path

import streamlit as st

from app import state
from core.artifacts import Home
from core.judges import trail
from core.records import Dataset
from core.store import Store


def download(data: Dataset) -> None:
    """A button that writes the file when it is pressed."""
    st.download_button(
        "Download the record",
        lambda: csv_of(state.home(), data),
        f"{data.name}-judgments.csv",
        "text/csv",
        key="record",
        on_click="ignore",
        icon=":material/download:",
        help="Every judgment: what was asked and answered, by whom and when, the label that follows, and who overrode it.",
    )


def csv_of(home: Home, data: Dataset) -> bytes:
    """The file's content."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "record.csv")
        trail.write(Store.open(home), data, file)
        return file.read_bytes()
