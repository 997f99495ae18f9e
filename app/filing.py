"""Files out: the cleaned dataset, and what people and judges said."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import streamlit as st

from app import lookup, state, widgets
from core import exchange, guidelines
from core.artifacts import Home
from core.datasets import exporting
from core.records import Dataset
from core.settings import ExportSettings
from core.store import Store

NOW = "as they stand now"
FORMATS = {"csv": "CSV", "parquet": "Parquet", "recbole": "RecBole atomic files"}


def take_away(data: Dataset) -> None:
    """Everything that leaves as a file."""
    widgets.section("Take away")
    with st.container(border=True, key="export_cleaned"):
        _cleaned(data)
    with st.container(border=True, key="export_tables"):
        _tables(data)


def _cleaned(data: Dataset) -> None:
    st.markdown("**The cleaned dataset**")
    st.caption("Splits kept; changes.csv says what was dropped, weighed down or added, by whom and why.")
    versions = list(lookup.versions(data.name)["version"])
    version = st.selectbox("Labels", [*versions, NOW], key="export_version")
    format = st.selectbox(
        "Format", list(get_args(ExportSettings.model_fields["format"].annotation)), format_func=FORMATS.get, key="export_format"
    )
    settings = ExportSettings(format=format)
    chosen = None if version == NOW else version
    name = f"{data.name}-{chosen or 'now'}-{format}"
    make = _zip(state.home(), data.name, settings, chosen, name)
    st.download_button(
        "Download the dataset",
        make,
        f"{name}.zip",
        "application/zip",
        key="export_dataset",
        icon=":material/download:",
        on_click="ignore",
    )


def _zip(home: Home, name: str, settings: ExportSettings, version: str | None, folder: str) -> Callable[[], bytes]:
    """What makes the archive when somebody wants it: on another thread, so without anything of streamlit."""

    def make() -> bytes:
        packed = io.BytesIO()
        with tempfile.TemporaryDirectory() as parent:
            made = exporting.export(home, name, Path(parent) / folder, settings, version)
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in made.files:
                    archive.write(made.folder / file, f"{folder}/{file}")
        return packed.getvalue()

    return make


def _tables(data: Dataset) -> None:
    st.markdown("**What people and judges said**")
    st.caption(
        "For any spreadsheet. Decisions, people's labels, selections and guidelines can be read in again, here or elsewhere."
    )
    store, home = state.store(), state.home()
    icon = ":material/download:"
    with st.container(horizontal=True):
        for what in exchange.KINDS:
            name, make = f"{data.name}-{what}.csv", partial(_file_of, store, data, what)
            st.download_button(what.title(), make, name, "text/csv", key=f"export_{what}", icon=icon, on_click="ignore")
        name, make = f"{data.name}-guidelines.txt", partial(guidelines.read, home, data.name)
        st.download_button("Guidelines", make, name, "text/plain", key="export_guidelines", icon=icon, on_click="ignore")
    st.caption(
        "Judgments that another Winnow can take in, with the questions that they answer: `python -m core judge export "
        f"--dataset {widgets.plain(data.name)} --format winnow --out answers`."
    )


def _file_of(store: Store, data: Dataset, what: str) -> str:
    return exchange.file_of(store, data, what)[0]
