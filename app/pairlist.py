"""Lists of pairs as rows with a link to Pair, and previous and next through the same list there."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import navigation, state, widgets
from app.palette import SOURCES
from core.records import Dataset, Interactions, Source

WIDTHS = {"part": 0.7, "loss": 0.9, "label": 1.9, "given by": 1.6, "user view": 1.1, "item view": 1.1}
"""Columns that a list may have: part of the data, averaged loss, codes of Label and of Source, a Rating of each view ("" where
missing)."""

SIZE = 10
LIMIT = 500
"""Clicks that Losses lists, the highest losses first."""


def show(data: Dataset, pairs: Interactions, key: str, name: str, columns: dict[str, Sequence[Any]]) -> None:
    """Rows, a page at a time, under their headings. `columns`: any of WIDTHS, one value per pair."""
    if not len(pairs):
        st.markdown(":gray[No pair fits.]")
        return
    part = widgets.pages_of(len(pairs), SIZE, f"{key}_page")
    with st.container(key=f"{key}_rows", gap=None):
        for cell, heading in zip(_cells(columns), ("user", "item", *columns), strict=False):
            cell.caption(heading)
        for place in range(part.start, part.stop):
            ids = str(data.user_ids[pairs.user[place]]), str(data.item_ids[pairs.item[place]])
            with st.container(key=f"row_{key}_{place - part.start}"):
                title = str(data.item_title[pairs.item[place]])
                _row(ids, title, {column: values[place] for column, values in columns.items()})
    st.session_state[state.PAIRS] = (name, data.fingerprint, pairs)


def _cells(columns: Iterable[str]) -> list[DeltaGenerator]:
    return st.columns([1.3, 4, *(WIDTHS[name] for name in columns), 1.2], vertical_alignment="center", gap="small", wrap=False)


def _row(ids: tuple[str, str], title: str, values: dict[str, Any]) -> None:
    cells = _cells(values)
    with cells[0]:
        widgets.untrusted(ids[0])
    with cells[1]:
        widgets.untrusted(title)
    for cell, (column, value) in zip(cells[2:], values.items(), strict=False):
        with cell:
            if column == "loss":
                st.text("–" if np.isnan(value) else f"{value:.3f}")
            elif column == "label":
                widgets.label_badge(int(value))
            elif column == "part":
                st.caption(value)
            elif column == "given by":
                st.caption(SOURCES[Source(value)])
            else:
                widgets.rating_badge(value)
    with cells[-1]:
        navigation.link("pair", "Open", icon=":material/chevron_right:", user=ids[0], item=ids[1])


def neighbours(data: Dataset, user: int, item: int) -> tuple[str, int, int, tuple[str, str] | None, tuple[str, str] | None]:
    """(name of the list, place from 1, length, previous, next) of a pair in the list it was opened from; place 0: in none."""
    name, fingerprint, pairs = st.session_state.get(state.PAIRS, ("", "", None))
    if pairs is None or fingerprint != data.fingerprint:
        return "", 0, 0, None, None
    places = np.flatnonzero((pairs.user == user) & (pairs.item == item))
    if not len(places):
        return name, 0, len(pairs), None, None
    at = int(places[0])
    before, after = (
        (str(data.user_ids[pairs.user[place]]), str(data.item_ids[pairs.item[place]])) if 0 <= place < len(pairs) else None
        for place in (at - 1, at + 1)
    )
    return name, at + 1, len(pairs), before, after
