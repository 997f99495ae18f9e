"""Figures about judges: agreement and confusion, shares with their intervals, reliability, what a judge is worth."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.charts import _figure, _marked
from app.palette import GREY, HUMAN, PRIMARY
from core.agreement import Estimate
from core.records import VIEWS, Rating
from core.scrutiny import Bin
from core.verdict import Measured


def agreement(counts: np.ndarray) -> go.Figure:
    """Pairs by the rating of both views: counts (3, 3), rows user view, columns item view, High to Low."""
    words = [str(rating.value) for rating in Rating]
    return _counted(counts, words, words, f"Rating in the {VIEWS[1]} view", f"Rating in the {VIEWS[0]} view", 300)


def crossed(counts: np.ndarray, view: str) -> go.Figure:
    """Pairs by the rating of raters A and B in one view: counts (3, 3), High to Low."""
    return _counted(counts, list(Rating), list(Rating), f"B, {view} view", f"A, {view} view", 280)


def reliability(bins: Sequence[Bin]) -> go.Figure:
    """How often people confirm ratings by how sure the model was, with intervals; on the dashed line it is as often right."""
    figure = _figure("Probability that the model gave its rating", "Confirmed by people", 300)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash"}, name="as sure as right")
    confirmed = [one.confirmed for one in bins]
    reach = {"array": [one.high - one.value for one in confirmed], "arrayminus": [one.value - one.low for one in confirmed]}
    line = {"mode": "lines+markers", "line": {"color": PRIMARY, "width": 2.5}, "marker": {"size": 10}, "name": "this rater"}
    figure.add_scatter(x=[one.sure for one in bins], y=[one.value for one in confirmed], error_y=reach | {"thickness": 2}, **line)
    scale = {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return figure.update_xaxes(scale).update_yaxes(scale)


def confusion(counts: np.ndarray) -> go.Figure:
    """Audited pairs by the judge's and the person's answer: counts (2, 2), rows the judge's, relevant first."""
    words = ["relevant", "not relevant"]
    return _counted(counts, words, words, "By a person", "By the judge", 260)


def _counted(counts: np.ndarray, columns: Sequence[str], rows: Sequence[str], x: str, y: str, height: int) -> go.Figure:
    """Counts with their shares of all, the first row on top."""
    total = max(int(counts.sum()), 1)
    text = [[f"{int(n):,}<br>{n / total:.0%}" for n in row] for row in counts]
    figure = _figure(x, y, height, showlegend=False)
    scale = [[0, "#E9E4F9"], [1, "#5B3FB8"]]  # opaque, so that the figures on it can be read in both themes
    figure.add_heatmap(
        z=counts, x=columns, y=rows, text=text, texttemplate="%{text}", colorscale=scale, showscale=False, xgap=3, ygap=3
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(showgrid=False)


def shares(named: dict[str, Estimate]) -> go.Figure:
    """Shares with their 95 % intervals, one line each; those that cannot be told are left out."""
    told = {f"{name} (n = {one.n:,})": one for name, one in named.items() if one.value is not None}
    figure = _figure("Share, 95 % interval", "", 70 + 46 * len(told), showlegend=False)
    for name, one in reversed(told.items()):
        reach = {"array": [one.high - one.value], "arrayminus": [one.value - one.low], "thickness": 2, "width": 6}
        marker = {"size": 12, "color": PRIMARY}
        figure.add_scatter(x=[one.value], y=[name], mode="markers", marker=marker, error_x=reach | {"type": "data"})
    return figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")


def worth(measured: Measured, error: Estimate) -> go.Figure:
    """Recall by a judge's errors on clicks as it was measured, and where this judge stands."""
    figure = _figure("Clicks that the judge is wrong about", "Test Recall@20", 300)
    x, y = zip(*measured.prune, strict=True)
    style = {"mode": "lines+markers", "line": {"color": PRIMARY, "width": 2.5}, "marker": {"size": 8}}
    figure.add_scatter(x=x, y=y, name="dropped by a judge", **style)
    flat = [("nothing dropped", measured.base, "dash"), *((name, recall, "dot") for name, recall in measured.without_judge)]
    for name, recall, dash in flat:
        figure.add_scatter(
            x=[x[0], x[-1]], y=[recall] * 2, mode="lines", name=name, line={"color": GREY, "width": 1.5, "dash": dash}
        )
    if error.value is not None:
        figure.add_vrect(error.low, error.high, fillcolor=HUMAN, opacity=0.15, line_width=0)
        _marked(figure, error.value, f"this judge: {error.value:.0%}")
    figure.update_xaxes(range=[-0.01, max(x[-1], error.high or 0) + 0.02], tickformat=".0%")
    return figure.update_yaxes(rangemode="normal")
