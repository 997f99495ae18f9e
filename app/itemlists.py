"""Two top lists of one user side by side: what came in, what went out, and both whole."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from app import navigation, widgets
from core.filters import Filter
from core.records import Dataset, Interactions

SHOWN = 6
"""Titles under a heading; the table has them all."""


def show(
    data: Dataset, user: int, before: np.ndarray, after: np.ndarray, held_out: Interactions, key: str, about: str = ""
) -> None:
    """One user's lists (depth,), best first. `held_out`: the clicks that count as hits, which are marked."""
    own = set(held_out.item[held_out.user == user].tolist())
    came, went = after[~np.isin(after, before)], before[~np.isin(before, after)]
    with st.container(border=True, key=f"lists_{key}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.untrusted(str(data.user_ids[user]))
            if about:
                st.caption(about, width="content")
        sides = st.columns(2, gap="small")
        for side, heading, items in (
            (sides[0], ":material/login: Came in", came),
            (sides[1], ":material/logout: Went out", went),
        ):
            with side, st.container(gap="xxsmall"):
                st.markdown(f"**{heading}** :gray[{len(items)}]")
                _titles(data, items, own)
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.popover("Both lists", type="tertiary", icon=":material/table:"):
                st.dataframe(_table(data, before, after, own), hide_index=True, height=320)
            own = Filter(user=str(data.user_ids[user])).params()
            navigation.link("explore", "History", icon=":material/person:", part="Interactions", **own)


def _titles(data: Dataset, items: np.ndarray, own: set[int]) -> None:
    for item in items[:SHOWN]:
        widgets.untrusted(_line(data, int(item), own))
    if len(items) > SHOWN:
        st.caption(f"and {len(items) - SHOWN} more")


def _line(data: Dataset, item: int, own: set[int]) -> str:
    return f"{'✓ ' if item in own else ''}{data.item_title[item]}"


def _table(data: Dataset, before: Sequence[int], after: Sequence[int], own: set[int]) -> pd.DataFrame:
    columns = {name: [_line(data, int(item), own) for item in items] for name, items in (("before", before), ("after", after))}
    return pd.DataFrame({"rank": np.arange(1, len(before) + 1)} | columns)
