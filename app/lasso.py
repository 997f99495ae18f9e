"""Charts on which people draw an outline. The browser holds a sample of the points; the outline is tested on all of them here.

What was drawn is kept in the session, not in the chart, so that it stays when the chart is coloured anew.
"""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import projection

Outline = tuple[list[float], list[float]]
"""x and y of the corners."""


def outlines(key: str, drawing: str) -> list[Outline]:
    """What was drawn last on the chart of this key, if it showed `drawing` then; several outlines count together."""
    shown, kept = st.session_state.get(f"{key}_outlines", ("", []))
    return kept if shown == drawing else []


def chosen(points: np.ndarray, drawn: list[Outline]) -> np.ndarray:
    """Which of all points (n, 2) lie within an outline: bool (n,)."""
    found = np.zeros(len(points), bool)
    for x, y in drawn:
        found |= projection.inside(points, x, y)
    return found


def chart(
    key: str, drawing: str, finding: str, figure: go.Figure, table: pd.DataFrame, about: str, region: Outline | None = None
) -> None:
    """A figure to draw on, under the sentence that it shows; a `region` that it speaks of can be selected as it is."""
    for x, y in outlines(key, drawing):
        figure.add_scatter(x=[*x, x[0]], y=[*y, y[0]], mode="lines", line={"color": "#7A5FD6", "width": 2}, showlegend=False)
        figure.data[-1].update(hoverinfo="skip", name="outline")
    figure.update_layout(dragmode="lasso", uirevision=drawing, modebar={"orientation": "v"})
    with st.container(border=True, key=f"chart_{key}", gap="small"):
        st.markdown(f"**{finding}**  \n:gray[{about}]")
        st.plotly_chart(
            figure,
            key=key,
            alt=f"{finding} {about}",
            config={
                "displaylogo": False,
                "displayModeBar": True,
                "modeBarButtonsToRemove": ["zoomIn2d", "zoomOut2d", "autoScale2d"],
            },
            on_select=lambda: _keep(key, drawing),
            selection_mode=("box", "lasso"),
        )
        with st.container(horizontal=True):
            with st.popover("Show as table", type="tertiary", icon=":material/table:"):
                st.dataframe(table, hide_index=True, height=320)
            if region is not None and outlines(key, drawing) != [region]:
                look = {"type": "tertiary", "icon": ":material/select:"}
                st.button("Select the region", key=f"{key}_region", on_click=_select, args=(key, drawing, region), **look)
            if outlines(key, drawing):
                look = {"type": "tertiary", "icon": ":material/deselect:"}
                st.button("Clear the outline", key=f"{key}_clear", on_click=_forget, args=(key,), **look)


def _keep(key: str, drawing: str) -> None:
    """An empty event comes when a chart is drawn anew, too, so only the button clears."""
    event: dict[str, Any] = st.session_state[key]["selection"]
    drawn = [(list(one["x"]), list(one["y"])) for one in event["lasso"]]
    for box in event["box"]:
        (left, right), (low, high) = box["x"], box["y"]
        drawn.append(([left, right, right, left], [low, low, high, high]))
    if drawn:
        st.session_state[f"{key}_outlines"] = (drawing, drawn)


def _select(key: str, drawing: str, outline: Outline) -> None:
    st.session_state[f"{key}_outlines"] = (drawing, [outline])


def _forget(key: str) -> None:
    st.session_state.pop(f"{key}_outlines", None)


def nothing(key: str, drawing: str, hint: str) -> None:
    """What stands where a selection would: how to make one, or that the outline holds none."""
    held = bool(outlines(key, drawing))
    st.markdown("**The outline holds nothing**" if held else "**Nothing is selected**")
    st.markdown(f":gray[{hint}]")
