"""How data come in: the demo with one click, or one's own files with a report before anything is written."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import forms, lookup, state, states, uploads, widgets
from core import datasets
from core.datasets import Draft, Peek
from core.datasets.formats import format_of
from core.errors import DatasetError
from core.settings import ImportSettings

_ROUND = "import_round"  # an uploader is emptied by giving it another key
UPLOAD, FOLDER, ON_DISK = "Upload files", "Upload a folder", "A path on this computer"
ROLES = {"path": "Interactions", "items": "Items, with titles", "users": "Users"}
FIRST = ("user", "item", "rating", "threshold", "time", "split")
COLUMNS = {"user": "interactions", "item": "interactions", "rating": "interactions", "time": "interactions"}
COLUMNS |= {
    "split": "interactions",
    "truth": "interactions",
    "title": "items",
    "category": "items",
    "text": "items",
    "about": "users",
}
SIGNS = {"error": ":red[:material/error:]", "warning": ":orange[:material/warning:]", "note": ":gray[:material/info:]"}
"""Of a problem in a file, by its severity."""
DEMO = (
    "An invented bookshop: 800 readers, 600 books, 25,000 clicks. Misclicks and rare true tastes are planted in it, so that you "
    "can see how well they are told apart."
)


@dataclass(frozen=True)
class Source:
    """What is to be imported: a file or a folder, and perhaps tables of items and users."""

    path: Path
    items: Path | None = None
    users: Path | None = None


def first_steps() -> None:
    """For an empty home: two ways to begin."""
    left, right = st.columns([2, 3], gap="medium")
    with left, st.container(border=True, height="stretch"):
        widgets.section("Look around with the demo")
        st.markdown(f":gray[{DEMO}]")
        _demo_button("primary")
    with right, st.container(border=True, height="stretch"):
        widgets.section("Import your own data")
        _wizard()


def add_dataset() -> None:
    """The same two ways, when there is a dataset already."""
    if "demo" not in {info.name for info in lookup.infos()}:
        st.markdown(f":gray[{DEMO}]")
        _demo_button("secondary")
        st.divider()
    _wizard()


def _demo_button(kind: Any) -> None:
    if st.button("Load the demo dataset", key="load_demo", type=kind, icon=":material/auto_stories:"):
        with states.caught(), states.loading("Inventing readers, books and clicks"):
            info, _ = datasets.import_demo(state.home())
            _open(info.name, f"The demo dataset is ready: {info.interactions:,} clicks.")


def _open(name: str, message: str) -> None:
    st.session_state[state.OPENED] = name  # taken up before the sidebar's widgets exist; afterwards they forbid it
    state.flash(message)
    st.rerun()


def _wizard() -> None:
    st.markdown(
        ":gray[A table (CSV, TSV, Parquet) with one row per interaction, or the folder of MovieLens 100K. "
        "Everything is checked first; nothing is written until you press Import.]"
    )
    where = st.segmented_control("Where is it?", [UPLOAD, FOLDER, ON_DISK], default=UPLOAD, required=True, key="import_where")
    with states.caught():
        source = _on_disk() if where == ON_DISK else _uploaded(where == FOLDER)
        if source:
            _check(source)


def _on_disk() -> Source | None:
    path = st.text_input("File or folder", key="import_path", placeholder="/home/me/ml-100k").strip()
    with st.expander("Tables of items and users", icon=":material/table:"):
        items = st.text_input("Table of items", key="import_items", placeholder="optional").strip()
        users = st.text_input("Table of users", key="import_users", placeholder="optional").strip()
    given = [Path(text).expanduser() if text else None for text in (path, items, users)]
    for file in given:
        if file and not file.exists():
            raise DatasetError(f"{file} does not exist.", "Check the path; it is one on the computer that runs Winnow.")
    return Source(*given) if given[0] else None


def _uploaded(folder: bool) -> Source | None:
    """Uploads live in memory and end with the page, so they are put aside as files at once."""
    multiple: Any = "directory" if folder else True
    label = "The folder" if folder else "Interactions, and perhaps tables of items and users"
    key = "import_folder" if folder else "import_files"
    with st.container(key=key):
        files = st.file_uploader(label, accept_multiple_files=multiple, key=f"{key}_{st.session_state.get(_ROUND, 0)}")
    if not files:
        return None
    paths = uploads.put_aside(state.DRAFT, files)
    if len(paths) == 1:
        return Source(paths[0])
    try:
        format_of(paths[0].parent)
    except DatasetError:
        return _roles(paths)
    return Source(paths[0].parent)


def _roles(paths: list[Path]) -> Source | None:
    """Which of several files is which, when their names do not say."""
    by_name: dict[str, Path | None] = {path.name: path for path in paths}
    chosen = {}
    for place, (role, label) in enumerate(ROLES.items()):
        options = list(by_name) if role == "path" else ["none", *by_name]
        words = [name for name in options if role[:4] in name.lower()] if role != "path" else []
        index = options.index(words[0]) if words else 0
        chosen[role] = by_name.get(st.selectbox(label, options, index=index, key=f"import_role_{place}"))
    return Source(**chosen) if len(set(chosen.values()) - {None}) == sum(value is not None for value in chosen.values()) else None


def _check(source: Source) -> None:
    """Settings, then what an import would give, then the button that does it."""
    peek = lookup.peek(source.path)
    values = _settings(source, peek)
    missing = [name for name in ("user", "item") if peek.format == "table" and not (values[name] or peek.mapping.get(name))]
    if missing:
        widgets.note(f"Choose the {' and the '.join(missing)} column above.", ":material/arrow_upward:")
        return
    settings = ImportSettings.checked(**values)
    draft = lookup.draft(source.path, source.items, source.users, settings.model_dump_json())
    _report(draft)
    name = st.text_input("Name", value=draft.name, key="import_name", max_chars=80).strip()
    taken = name in {info.name for info in lookup.infos()}
    replace = taken and st.checkbox(f"Replace the dataset {widgets.plain(name)}", key="import_replace")
    if st.button("Import", key="import_commit", type="primary", icon=":material/download:", disabled=taken and not replace):
        with states.loading("Writing the dataset"):
            info = datasets.commit(state.home(), dataclasses.replace(draft, name=name), replace=replace)
        uploads.forget(state.DRAFT)
        st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
        _open(info.name, f"{info.name} is imported: {info.interactions:,} positive interactions.")


def _settings(source: Source, peek: Peek) -> dict[str, Any]:
    """The form; column settings become choices from the file's own columns."""
    if peek.format != "table":
        first, hidden = ("threshold", "valid_share", "test_share"), tuple(COLUMNS)
        values = forms.settings_form(ImportSettings, "import_folder", first, hidden=hidden)
        if peek.threshold is not None:
            st.caption(f"Without a threshold the usual one of this format is taken: {peek.threshold:g}.")
        return values
    columns = {"interactions": peek.columns, "items": [], "users": []}
    columns |= {role: lookup.peek(path).columns for role, path in (("items", source.items), ("users", source.users)) if path}
    choices: dict[str, dict[Any, str]] = {}
    for name, table in COLUMNS.items():
        guess = peek.mapping.get(name) if table == "interactions" else None
        automatic = f"by its name: {guess}" if guess else "by its name"
        known = {column: column for column in columns[table]}
        choices[name] = {None: automatic} | ({} if name in ("user", "item") else {"": "none"}) | known
    return forms.settings_form(ImportSettings, "import", FIRST, choices=choices)


def _report(draft: Draft) -> None:
    """What was read, what was left out and why, and the first rows."""
    report = draft.report
    with st.container(border=True, key="import_report", gap="small"):
        kept, *sentences = report.sentences()
        st.markdown(f"**{widgets.plain(kept)}** Format: {widgets.plain(draft.format)}.")
        for problem, sentence in zip(report.problems, sentences, strict=True):
            say(problem.severity, sentence)
        st.caption("The first rows, as they stand in the file:")
        st.dataframe(draft.preview, hide_index=True, key="import_preview")


def say(severity: str, sentence: str) -> None:
    """One problem in a file, with its sign beside it."""
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.markdown(SIGNS[severity], width="content")
        with st.container(gap=None):  # a text alone would go below the sign when it is long
            widgets.untrusted(sentence)
