"""Files in: what an upload is, what it would change, and then the change, which can be taken back where that is possible."""

from pathlib import Path

import streamlit as st

from app import caching, importing, state, states, uploads, widgets
from app.palette import ANSWERS
from core import incoming
from core.datasets.report import told
from core.errors import WinnowError
from core.incoming import Incoming, Receipt
from core.records import Dataset

UPLOAD_MB = 200
MEANS = {
    incoming.DECISIONS: "Decisions of people",
    incoming.LABELS: "Labels; those of people become decisions in your name",
    incoming.JUDGMENTS: "Answers of judges",
    incoming.SELECTIONS: "Selections of pairs",
    incoming.GUIDELINES: "Guidelines for annotators",
}
ABOUT = (
    "What you took away here or elsewhere: decisions, labels, selections (CSV), guidelines (text), and answers of judges "
    "(JSON lines: a provider's batch, or another Winnow). What a file would change is shown first; nothing is written "
    "before you say so."
)
_UPLOAD = "incoming_upload"  # what is put aside
_RECEIPT = "incoming_receipt"  # (dataset, name of the file, Receipt): what this session read in last


def read_in(data: Dataset) -> None:
    """Upload, difference, write, undo."""
    widgets.section("Read in")
    with st.container(border=True, key="read_in"):
        st.markdown(f":gray[{ABOUT}]")
        file = st.file_uploader("A file", max_upload_size=UPLOAD_MB, key="incoming_file", label_visibility="collapsed")
        _written(data)
        if file is None:
            uploads.forget(_UPLOAD)
            return
        try:
            _examined(data, uploads.put_aside(_UPLOAD, [file])[0])
        except WinnowError as error:
            states.failure(error)
            st.caption("Nothing was written.")


def _examined(data: Dataset, path: Path) -> None:
    kinds = incoming.kinds_of(path)
    kind = kinds[0]
    if len(kinds) > 1:
        kind = st.selectbox("What it is", kinds, format_func=MEANS.get, key=f"incoming_kind_{path.name}", width=420)
    else:
        st.markdown(f"**{MEANS[kind]}**")
    name = ""
    if kind == incoming.SELECTIONS:
        key = f"incoming_name_{path.name}"
        name = st.text_input("Name of the selection, if the file has none", value=path.stem[:80], key=key, width=420)
    examine = _examine if kind == incoming.GUIDELINES else _examine_once
    found = examine(data, str(path), path.stat().st_mtime_ns, kind, state.annotator(), name)
    _difference(found)
    if not found.new:
        st.markdown(":gray[There is nothing to write.]")
    elif not state.annotator():
        st.caption("Enter your name in the sidebar first: what is read in carries it.")
    else:
        st.button(
            f"Write {found.new:,}" if kind != incoming.GUIDELINES else "Write the new text",
            key="incoming_write",
            type="primary",
            icon=":material/upload:",
            on_click=_write,
            args=(data, found, path.name),
        )
        if kind == incoming.JUDGMENTS:
            st.caption("Judgments are never deleted, so this cannot be taken back.")


def _examine(data: Dataset, path: str, changed: int, kind: str, annotator: str, name: str) -> Incoming:
    return incoming.examine(state.home(), state.store(), data, Path(path), kind=kind, annotator=annotator, name=name)


_examine_once = caching.per_revision(_examine)  # guidelines are no part of the database, whose revision tells what is new


def _difference(found: Incoming) -> None:
    by = ", ".join(f"{n:,} by {widgets.plain(who)}" for who, n in found.by.items())
    st.markdown(f"**{found.sentence()}**" + (f"  \n:gray[New: {by}]" if by else ""))
    for problem in found.problems:
        importing.say(problem.severity, told(problem))
    if found.difference:
        st.code(found.difference, language="diff", wrap_lines=True)
    if len(found.preview):
        shown = found.preview.rename(columns={"user_id": "user", "item_id": "item", "annotator": "by"})
        if "relevant" in shown:
            shown["relevant"] = [ANSWERS.get(answer or "", "takes one back") for answer in shown["relevant"]]
        st.dataframe(shown, hide_index=True, height="content" if len(shown) < 8 else 240, key="incoming_preview")
        if len(shown) == incoming.PREVIEWED:
            st.caption(f"The first {len(shown):,} rows.")


def _write(data: Dataset, found: Incoming, file: str) -> None:
    try:
        st.session_state[_RECEIPT] = (data.name, file, found.take())
    except WinnowError as error:
        state.flash(f"Not written: {error}", ":material/error:")


def _written(data: Dataset) -> None:
    """What this session read in last, with its undo."""
    dataset, file, receipt = st.session_state.get(_RECEIPT, (None, "", None))
    if dataset != data.name:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="incoming_done"):
        what = "the guidelines" if receipt.kind == incoming.GUIDELINES else f"{receipt.n:,} {receipt.kind}"
        st.markdown(f":green[:material/check_circle:] Written: {what} of {widgets.plain(file)}.", width="content")
        if receipt.undo:
            st.button("Undo", key="incoming_undo", icon=":material/undo:", on_click=_undo, args=(data.name, receipt))


def _undo(dataset: str, receipt: Receipt) -> None:
    st.session_state.pop(_RECEIPT, None)
    try:
        incoming.take_back(state.home(), state.store(), dataset, receipt, annotator=state.annotator())
    except WinnowError as error:
        state.flash(str(error), ":material/error:")
        return
    state.flash("Taken back.", ":material/undo:")
