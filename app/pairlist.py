"""Lists of pairs as rows with a link to Pair, and previous and next through the same list there."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import navigation, state, widgets
from core.records import Dataset, Interactions

SIZE = 10
LIMIT = 500
"""Pairs of a list at most: what a person may walk through."""


def show(data: Dataset, pairs: Interactions, key: str, name: str, columns: dict[str, Sequence[Any]]) -> None:
    """Rows of a page each. `columns` may hold "loss", "label" and "source" codes, "user view" and "item view" ratings."""
    if not len(pairs):
        st.markdown(":gray[No pair fits.]")
        return
    part = widgets.pages_of(len(pairs), SIZE, f"{key}_page")
    with st.container(key=f"{key}_rows", gap=None):
        for place in range(part.start, part.stop):
            user, item = pairs.user[place], pairs.item[place]
            _row(data, user, item, {column: values[place] for column, values in columns.items()}, key, place)
    ids = [(str(data.user_ids[u]), str(data.item_ids[i])) for u, i in zip(pairs.user[:LIMIT], pairs.item[:LIMIT], strict=True)]
    st.session_state[state.PAIRS] = (name, ids)


def _row(data: Dataset, user: int, item: int, values: dict[str, Any], key: str, place: int) -> None:
    widths = [2, 5, *(2 for _ in values), 1]
    cells = st.columns(widths, vertical_alignment="center", gap="small")
    with cells[0]:
        widgets.untrusted(f"User {data.user_ids[user]}")
    with cells[1]:
        widgets.untrusted(str(data.item_title[item]))
    for cell, (column, value) in zip(cells[2:], values.items(), strict=False):
        with cell:
            if column == "loss":
                st.markdown(f":gray[loss] {value:.3f}")
            elif column == "label":
                widgets.label_badge(int(value), int(values["source"]) if "source" in values else None)
            elif column in ("user view", "item view"):
                widgets.rating_badge(value)
    with cells[-1]:
        navigation.link("pair", "Open", user=str(data.user_ids[user]), item=str(data.item_ids[item]))


def neighbours(user_id: str, item_id: str) -> tuple[str, int, int, tuple[str, str] | None, tuple[str, str] | None]:
    """(name of the list, place from 1, length, previous, next) of a pair in the list it was opened from."""
    name, pairs = st.session_state.get(state.PAIRS, ("", []))
    if (user_id, item_id) not in pairs:
        return name, 0, len(pairs), None, None
    at = pairs.index((user_id, item_id))
    return name, at + 1, len(pairs), pairs[at - 1] if at else None, pairs[at + 1] if at + 1 < len(pairs) else None
