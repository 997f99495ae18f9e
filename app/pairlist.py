"""Lists of pairs as rows with a link to Pair, and previous and next through the same list there."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import navigation, state, widgets
from app.palette import SOURCES
from core.records import Dataset, Interactions, Source

WIDTHS = {
    "similarity": 1.25,
    "part": 0.7,
    "loss": 0.9,
    "label": 1.9,
    "given by": 1.6,
    "user view": 1.1,
    "item view": 1.1,
}
"""Columns that a list may have: a number, part of the data, averaged loss, codes of Label and of Source, a Rating of each view
("" where missing)."""

SIZE = 10
LIMIT = 500
"""Clicks that Losses lists, the highest losses first."""
KEPT = 20
"""Lists that a session remembers, those that were used last."""


def show(
    data: Dataset, pairs: Interactions, key: str, name: str, columns: dict[str, Sequence[Any]], *, on_pair: bool = False
) -> None:
    """Rows, a page at a time, under their headings. `columns`: any of WIDTHS, one value per pair. `on_pair`: it is on Pair."""
    if not len(pairs):
        st.markdown(":gray[No pair fits.]")
        return
    part = widgets.pages_of(len(pairs), SIZE, f"{key}_page")
    with st.container(key=f"{key}_rows", gap=None):
        for cell, heading in zip(_cells(columns), ("user", "item", *columns), strict=False):
            cell.caption(heading)
        for place in range(part.start, part.stop):
            with st.container(key=f"row_{key}_{place - part.start}"):
                title = str(data.item_title[pairs.item[place]])
                values = {column: values[place] for column, values in columns.items()}
                _row(_link(data, pairs, place, key), title, values, on_pair)
    keep(data, key, name, pairs)


def keep(data: Dataset, key: str, name: str, pairs: Interactions) -> None:
    """Remember a list, so that previous and next walk through it on Pair when its address has `list=key`."""
    lists = st.session_state.setdefault(state.LISTS, {})
    lists.pop(key, None)
    lists[key] = (name, data.fingerprint, pairs)
    while len(lists) > KEPT:
        del lists[next(iter(lists))]


def walk(data: Dataset, pairs: Interactions, name: str) -> None:
    """Open the first of the pairs on Pair, with the others behind it."""
    keep(data, "walk", name, pairs)
    navigation.go("pair", **_link(data, pairs, 0, "walk"))


def _link(data: Dataset, pairs: Interactions, place: int, key: str) -> dict[str, str]:
    return {"user": str(data.user_ids[pairs.user[place]]), "item": str(data.item_ids[pairs.item[place]]), "list": key}


def _cells(columns: Iterable[str]) -> list[DeltaGenerator]:
    return st.columns([1.3, 4, *(WIDTHS[name] for name in columns), 1.4], vertical_alignment="center", gap="small", wrap=False)


def _row(link: dict[str, str], title: str, values: dict[str, Any], on_pair: bool) -> None:
    cells = _cells(values)
    with cells[0]:
        widgets.untrusted(link["user"])
    with cells[1]:
        widgets.untrusted(title)
    for cell, (column, value) in zip(cells[2:], values.items(), strict=False):
        with cell:
            if column in ("loss", "similarity"):
                st.text("–" if np.isnan(value) else f"{value:.3f}")
            elif column == "label":
                widgets.label_badge(int(value))
            elif column == "part":
                st.caption(value)
            elif column == "given by":
                st.caption(SOURCES[Source(value)])
            elif value:
                widgets.rating_badge(value)
            else:
                st.text("–")
    with cells[-1]:
        icon = ":material/chevron_right:"
        if not on_pair:
            navigation.link("pair", "Open", icon=icon, **link)
        elif st.button(
            "Open", key=f"open:{link}", icon=icon, type="tertiary"
        ):  # the address does not follow a link to its own page
            navigation.go("pair", **link)


def neighbours(data: Dataset, user: int, item: int) -> tuple[str, int, int, dict[str, str] | None, dict[str, str] | None]:
    """(name of the list, place from 1, length, links to previous and next) of a pair in the list that the address names; place
    0: in none."""
    key = st.query_params.get("list", "")
    name, fingerprint, pairs = st.session_state.get(state.LISTS, {}).get(key, ("", "", None))
    if pairs is None or fingerprint != data.fingerprint:
        return "", 0, 0, None, None
    places = np.flatnonzero((pairs.user == user) & (pairs.item == item))
    if not len(places):
        return name, 0, len(pairs), None, None
    keep(data, key, name, pairs)  # it is in use: those that are not are forgotten first
    at = int(places[0])
    sides = (_link(data, pairs, place, key) if 0 <= place < len(pairs) else None for place in (at - 1, at + 1))
    return name, at + 1, len(pairs), *sides
