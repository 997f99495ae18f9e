"""Files out and in: the cleaned dataset, decisions, labels, judgments; an import says first what it would do."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pandas as pd
import streamlit as st

from app import lookup, state, widgets
from app.palette import ANSWERS
from core import exchange
from core.artifacts import Home
from core.datasets import exporting
from core.errors import WinnowError
from core.records import Dataset
from core.settings import ExportSettings

NOW = "as they stand now"
FORMATS = {"csv": "CSV", "parquet": "Parquet", "recbole": "RecBole atomic files"}
UPLOAD_MB = 50


def show(data: Dataset) -> None:
    """Everything that leaves and enters as a file."""
    with st.expander("Files: the cleaned dataset, decisions, labels, judgments", icon=":material/folder_zip:", key="files"):
        dataset, tables, back = st.columns(3, gap="medium")
        with dataset:
            _cleaned(data)
        with tables:
            _tables(data)
        with back:
            _import(data)


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
    st.markdown("**Decisions, labels, judgments**")
    st.caption("CSV with annotators, times and reasons. Decisions can be read in again, here or elsewhere.")
    store = state.store()
    for what in exchange.KINDS:

        def make(what: str = what) -> str:
            return exchange.file_of(store, data, what)[0]

        icon = ":material/download:"
        st.download_button(
            f"Download {what}", make, f"{data.name}-{what}.csv", "text/csv", key=f"export_{what}", icon=icon, on_click="ignore"
        )


def _import(data: Dataset) -> None:
    st.markdown("**Read decisions in**")
    st.caption("A CSV with user_id, item_id, relevant (yes, no, unsure). What it would change is shown first.")
    file = st.file_uploader(
        "Decisions", type="csv", max_upload_size=UPLOAD_MB, key="decisions_file", label_visibility="collapsed"
    )
    if file is None:
        return
    if not state.annotator():
        st.caption("Enter your name in the sidebar first.")
        return
    try:
        text = file.getvalue().decode("utf-8-sig")
        change = exchange.read(state.store(), data, text, annotator=state.annotator())
    except UnicodeDecodeError:
        st.error("The file is no CSV in UTF-8. Nothing was imported.", icon=":material/error:")
        return
    except WinnowError as error:
        widgets.failure(error)
        return
    st.markdown(
        f"**{len(change.new):,} new, {change.same:,} there already, {len(change.conflicting):,} against a standing answer**"
    )
    if not change.new:
        return
    st.dataframe(_preview(change), hide_index=True, height=200, key="decisions_difference")
    if st.button(f"Import {len(change.new):,} decisions", key="import_decisions", type="primary", icon=":material/upload:"):
        with widgets.caught():
            state.store().add(data.name, change.new, change.known)
            state.flash(f"{len(change.new):,} decisions were imported, as one step that undo takes back.", ":material/upload:")
            st.rerun()


def _preview(change: exchange.Difference) -> pd.DataFrame:
    against = {id(row) for row in change.conflicting}
    return pd.DataFrame(
        [
            {
                "user": row.user_id,
                "item": row.item_id,
                "answer": ANSWERS.get(row.relevant or "", "takes one back"),
                "by": row.annotator,
                "against a standing answer": id(row) in against,
                "note": row.note,
            }
            for row in change.new[:500]
        ]
    )
