"""Points on a plane as plotly figures: WebGL, a sample where there are many. Pure functions like those of app.charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts import _figure
from app.palette import GREY, HUMAN, LABELS, PRIMARY, SOURCES
from core import regions
from core.records import Label, Source
from core.regions import Density

DRAWN = 10_000
"""Points that a browser gets at most: twice as many take one without a graphics card over a second, and the shade behind them
counts all rows in any case."""

SCALE = [[0, "#5A7BD8"], [0.5, "#2AA198"], [1, "#B5851B"]]
"""From low to high; each colour can be seen on white and on black."""
SHADE = [[0, "rgba(123,132,148,0)"], [0.02, "rgba(123,132,148,0.10)"], [1, "rgba(123,132,148,0.55)"]]
"""Of the density: grey over whatever the theme's background is."""
AXES = ("variability", "confidence")
"""Of the data map."""
SOURCE_LOOKS = {
    Source.NONE: ("#7B8494", "circle"),
    Source.MODEL: ("#7B8494", "square"),
    Source.SIMULATED: ("#009E73", "triangle-up"),
    Source.BUILTIN: ("#0072B2", "diamond"),
    Source.LLM: ("#7A5FD6", "star"),
    Source.HUMAN: ("#CC79A7", "x"),
}
ORDER = (0, 6, 5, 4, 3, 1, 2)
"""Labels from the back to the front: the common ones must not hide the rare ones."""


def plane(
    points: np.ndarray,
    at: np.ndarray,
    chosen: np.ndarray,
    *,
    codes: np.ndarray | None = None,
    by: str = "label",
    values: np.ndarray | None = None,
    title: str = "",
    axes: tuple[str, str] | None = None,
    box: tuple[np.ndarray, np.ndarray] | None = None,
    height: int = 560,
    density: Density | None = None,
) -> go.Figure:
    """Rows `at` of all points (n, 2), by their codes (Label or Source, `by`) or by a value each; `chosen` (n,) stand out.

    Numbers in the legend count all rows, not only those that are drawn; so does the `density`, a shade behind them. A plane
    without `axes` shows the `box` (lowest and highest corner), at first the one around its points.
    """
    figure = _figure(*(axes or ("", "")), height)
    if density is not None:
        _shaded(figure, density)
    looks: Mapping[int, tuple[str, str, str]] = _looks(by)
    if values is not None:
        bar = {"title": {"text": title, "side": "right"}, "thickness": 12, "len": 0.7, "y": 0, "yanchor": "bottom"}
        marker = {"color": values[at], "colorscale": SCALE, "showscale": True, "colorbar": bar}
        _add(figure, points, at, chosen, "", marker, size=4 if len(at) > 3000 else 7)
    elif codes is not None:
        counts = np.bincount(codes, minlength=max(looks) + 1)
        picked = np.bincount(codes[chosen], minlength=max(looks) + 1)
        for code in (code for code in (ORDER if by == "label" else sorted(looks)) if counts[code]):
            word, colour, symbol = looks[code]
            of = f"{picked[code]:,} of " if chosen.any() else ""
            rows = at[codes[at] == code]
            common = counts[code] > 0.5 * len(codes)
            _add(
                figure,
                points,
                rows,
                chosen,
                f"{word} ({of}{counts[code]:,})",
                {"color": colour, "symbol": symbol},
                4 if common else 5 if len(at) > 5000 else 7,
            )
    figure.update_yaxes(rangemode="normal")
    if axes is None:
        low, high = box or regions.corners(points)
        pad = regions.MARGIN * (high - low) + 1e-6
        figure.update_xaxes(range=[low[0] - pad[0], high[0] + pad[0]])
        figure.update_yaxes(range=[low[1] - pad[1], high[1] + pad[1]])
        for axis in (figure.update_xaxes, figure.update_yaxes):
            axis(showticklabels=False, showgrid=False, zeroline=False, ticks="")
        figure.update_layout(legend={"y": 0, "yanchor": "top"})  # above, the tools would lie on it where the map is narrow
    return figure


def _looks(by: str) -> dict[int, tuple[str, str, str]]:
    """{code: (word, colour, plotly symbol)}."""
    if by == "label":
        return {int(label): (f"{look.sign} {look.word}", look.colour, look.marker) for label, look in LABELS.items()}
    return {int(source): (SOURCES[source], *SOURCE_LOOKS[source]) for source in Source}


def _add(
    figure: go.Figure, points: np.ndarray, rows: np.ndarray, chosen: np.ndarray, name: str, marker: dict[str, Any], size: int
) -> None:
    picked = np.flatnonzero(chosen[rows]) if chosen.any() else None
    figure.add_scattergl(
        x=points[rows, 0],
        y=points[rows, 1],
        mode="markers",
        name=name,
        showlegend=bool(name),
        marker=marker | {"size": size, "opacity": 0.75},
        selectedpoints=picked,
        unselected={"marker": {"opacity": 0.2}},
        hoverinfo="skip",
    )


def ringed(figure: go.Figure, x: np.ndarray, y: np.ndarray) -> go.Figure:
    """A region that the sentence above the map speaks of."""
    line = {"color": GREY, "width": 2, "dash": "dash"}
    look = {"mode": "lines", "hoverinfo": "skip", "name": "the region"}
    return figure.add_scatter(x=[*x, x[0]], y=[*y, y[0]], line=line, **look)


def composition(table: pd.DataFrame, names: Sequence[str], colours: Sequence[str]) -> go.Figure:
    """Shares of groups among the selected with their intervals, and among all; `table` as dynamics.composition gives it."""
    figure = _figure("Share, with its 95 % interval", "", 110 + 40 * len(table), bargap=0.35)
    reach = {"type": "data", "symmetric": False, "thickness": 1.5, "width": 4, "color": GREY}
    reach["array"] = (table["high"] * table["of all"] - table["share"]).tolist()
    reach["arrayminus"] = (table["share"] - table["low"] * table["of all"]).tolist()
    at = {"y": list(names), "orientation": "h"}
    figure.add_bar(x=table["share"], **at, marker={"color": list(colours)}, error_x=reach, name="selected", showlegend=False)
    mark = {"symbol": "line-ns", "size": 18, "line": {"width": 3, "color": PRIMARY}}
    figure.add_scatter(x=table["of all"], y=list(names), mode="markers", marker=mark, name="among all clicks")
    figure.update_yaxes(autorange="reversed")
    return figure.update_xaxes(tickformat=".0%", rangemode="tozero", nticks=5)


def thrown_away(rows: list[dict[str, Any]], random: float) -> go.Figure:
    """By each score: the share of the noise that it catches, and of the hard positives that go with it; `random` by chance."""
    figure = _figure("Share of the group that is dropped", "", 90 + 62 * len(rows), barmode="group")
    for label, column in ((Label.HARD_POSITIVE, "hard"), (Label.NOISY_POSITIVE, "noisy")):
        look = LABELS[label]
        text = [f"{look.sign} {row[column]:,} of {row[f'all {column}']:,}" for row in rows]
        share = [row[column] / max(row[f"all {column}"], 1) for row in rows]
        figure.add_bar(
            y=[row["by"] for row in rows],
            x=share,
            orientation="h",
            name=f"{look.sign} {look.word}",
            text=text,
            textposition="auto",
            marker={"color": look.colour},
        )
    figure.add_vline(random, line={"color": GREY, "width": 1.5, "dash": "dot"})
    figure.update_yaxes(autorange="reversed")
    return figure.update_xaxes(tickformat=".0%", rangemode="tozero")


def placed(shade: Density, own: np.ndarray, middles: dict[int, np.ndarray]) -> go.Figure:
    """One click (2,) on the data map, over how many clicks lie where; `middles` are the medians of groups by Label code."""
    figure = _figure("Variability of the loss", "Confidence: exp(−averaged loss)", 360)
    _shaded(figure, shade)
    for code, middle in middles.items():
        look = LABELS[Label(code)]
        marker = {"color": look.colour, "symbol": look.marker, "size": 12, "line": {"color": "white", "width": 1.5}}
        figure.add_scatter(x=middle[:1], y=middle[1:], mode="markers", marker=marker, name=f"{look.sign} {look.word}")
    marker = {"color": HUMAN, "symbol": "star", "size": 19, "line": {"color": "white", "width": 2}}
    figure.add_scatter(x=own[:1], y=own[1:], mode="markers", marker=marker, name="this pair")
    return figure.update_yaxes(rangemode="normal")


def _shaded(figure: go.Figure, density: Density) -> None:
    """How many of all rows lie where, behind everything else."""
    look = {"colorscale": SHADE, "showscale": False, "zsmooth": "best", "hoverinfo": "skip", "name": "density"}
    figure.add_heatmap(x=density.x, y=density.y, z=density.level, **look)
