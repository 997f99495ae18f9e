"""Saved views: filters with a name, for everyone who works on the dataset; opened by link, replaced and deleted with care."""

import pandas as pd
import streamlit as st

from app import filtered, navigation, state, widgets, words
from app.filtered import Chosen
from core.errors import WinnowError
from core.filters import Filter
from core.records import Dataset

_NAME, _WHICH, _TO = "view_name", "view_which", "view_to"
_GONE = "view_gone"  # (dataset, name, page, filter): the view that was deleted last in this session, for its undo
OPENED = {"explore": {"part": "Interactions"}}
"""What more a link needs to lead to the filtered part of a page."""


def show(data: Dataset, page: str, chosen: Chosen) -> None:
    """The list of views, and what keeps the present filter as one. `page`: where that one leads."""
    rows = filtered.views(data)
    with st.popover("Views", icon=":material/bookmarks:", type="tertiary"):
        if not len(rows):
            st.markdown(":gray[No saved view yet. Choose filters, and keep them under a name.]")
        for row in rows.itertuples():
            _line(row)
        _undo(data)
        if chosen.filter.names:
            _keep(data, page, chosen, rows)
        if len(rows):
            _change(data, rows)


def _line(row: tuple) -> None:
    where = row.page if row.page in navigation.PAGES else "explore"
    navigation.link(where, f"**{widgets.plain(row.name)}**", view=row.name, **OPENED.get(where, {}))
    told = Filter.from_text(row.filter)[0].words or "all pairs"
    st.caption(f"{navigation.PAGES[where].title}: {widgets.plain(told)} · {widgets.plain(row.annotator)}, {words.when(row.at)}")


def _keep(data: Dataset, page: str, chosen: Chosen, rows: pd.DataFrame) -> None:
    st.divider()
    name = st.text_input("Keep the present filter as", key=_NAME, max_chars=80, placeholder="what it shows").strip()
    taken = name in set(rows["name"])
    if taken:
        st.caption("There is a view of this name; it would show the present filter from then on, for everyone.")
    st.button(
        "Replace that view" if taken else "Save the view",
        key="view_save",
        icon=":material/bookmark_add:",
        disabled=not state.annotator(),
        on_click=_save,
        args=(data.name, page, chosen.filter.text, taken),
    )


def _save(dataset: str, page: str, text: str, replace: bool) -> None:
    name = st.session_state[_NAME].strip()
    if _done(lambda: state.store().keep_view(dataset, name, page, text, annotator=state.annotator(), replace=replace)):
        st.session_state[state.FILTERS] = {"view": name}
        st.session_state[_NAME] = ""
        state.flash(f"The view {widgets.plain(name)} is saved.", ":material/bookmark_added:")


def _change(data: Dataset, rows: pd.DataFrame) -> None:
    with st.expander("Rename or delete", icon=":material/edit:"):
        st.selectbox("View", rows["name"].tolist(), key=_WHICH)
        st.text_input("New name", key=_TO, max_chars=80)
        look = {"disabled": not state.annotator(), "args": (data.name,)}
        with st.container(horizontal=True):
            st.button("Rename", key="view_rename", on_click=_rename, **look)
            st.button("Delete", key="view_delete", icon=":material/delete:", on_click=_delete, **look)


def _rename(dataset: str) -> None:
    name, to = st.session_state[_WHICH], st.session_state[_TO].strip()
    if _done(lambda: state.store().rename_view(dataset, name, to, annotator=state.annotator())):
        if st.session_state.get(state.FILTERS) == {"view": name}:
            st.session_state[state.FILTERS] = {"view": to}
        st.session_state[_TO] = ""
        state.flash(f"The view {widgets.plain(name)} is called {widgets.plain(to)} now.")


def _delete(dataset: str) -> None:
    """The filter stays on; only its name goes."""
    name, store = st.session_state[_WHICH], state.store()
    rows = store.views(dataset)
    row = next(rows[rows["name"] == name].itertuples(), None)
    if row and _done(lambda: store.delete_view(dataset, name, annotator=state.annotator())):
        st.session_state[_GONE] = (dataset, name, row.page, row.filter)
        if st.session_state.get(state.FILTERS) == {"view": name}:
            filtered.put(Filter.from_text(row.filter)[0])
        state.flash(f"The view {widgets.plain(name)} is deleted; Views has an undo.", ":material/delete:")


def _undo(data: Dataset) -> None:
    dataset, name, *rest = st.session_state.get(_GONE, (None, ""))
    if dataset == data.name:
        words_ = f"Bring {widgets.plain(name)} back"
        st.button(words_, key="view_undo", icon=":material/undo:", on_click=_restore, args=(name, *rest))


def _restore(name: str, page: str, text: str) -> None:
    dataset = st.session_state[_GONE][0]
    if _done(lambda: state.store().keep_view(dataset, name, page, text, annotator=state.annotator())):
        st.session_state.pop(_GONE)
        state.flash(f"The view {widgets.plain(name)} is back.", ":material/undo:")


def _done(write: object) -> bool:
    """Write, or say why not."""
    try:
        write()
    except WinnowError as error:
        state.flash(f"Not saved: {error}", ":material/error:")
        return False
    return True
