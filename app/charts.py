"""Records to plotly figures. Pure functions: no streamlit, no files, nothing cached."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.palette import GREY, HUMAN, LABELS, PRIMARY
from core.compare import Delta
from core.dynamics import Band, Curve, Drop, Histogram
from core.records import Label

LINE_POINTS = 300
"""Points of a line at most; more cannot be told apart and only slow the browser."""

LINES = (PRIMARY, GREY)
"""Of lines that are no labels: the colours of labels mean labels only."""

METRIC_WORDS = {"recall": "Recall", "ndcg": "NDCG", "precision": "Precision", "hit": "Hit rate", "mrr": "MRR"}


def metric_word(name: str) -> str:
    """recall@20 as people write it."""
    base, _, cut = name.partition("@")
    return f"{METRIC_WORDS.get(base, base)}@{cut}" if cut else METRIC_WORDS.get(base, base)


def _figure(x: str, y: str, height: int = 340, **layout: Any) -> go.Figure:
    layout = {"showlegend": True} | layout
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.1, "xanchor": "left", "x": 0}
    figure = go.Figure(
        layout={
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 52 if layout["showlegend"] else 12, "b": 4},
            "legend": legend,
            **layout,
        }
    )
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, automargin=True, rangemode="tozero")
    return figure


def _thin(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, LINE_POINTS)).astype(np.int64)) if n else np.empty(0, np.int64)


def _name(code: int, n: int) -> str:
    look = LABELS[Label(code)]
    return f"{look.sign} {look.word} ({n:,})"


def loss_histogram(counted: Histogram, threshold: float, density: bool) -> go.Figure:
    """Step histograms over shared bins; as shares of each group when `density`, else as counts."""
    figure = _figure("Loss of an interaction (BPR)", "Share of the group" if density else "Interactions")
    for code, counts in counted.counts.items():
        values = counts / max(counts.sum(), 1) if density else counts
        look = LABELS[Label(code)]
        line = {"color": look.colour, "dash": look.dash, "shape": "vh", "width": 2}
        x, y = np.repeat(counted.edges, 2)[1:-1], np.repeat(values, 2)
        name = _name(code, int(counts.sum()))
        fill = {"fill": "tozeroy", "fillcolor": _faded(look.colour)}
        figure.add_scatter(x=x, y=y, mode="lines", name=name, line=line | {"shape": "linear"}, **fill)
    return _threshold_line(figure, threshold)


def with_mixture(figure: go.Figure, x: np.ndarray, heights: np.ndarray, weight: np.ndarray, crossing: float | None) -> go.Figure:
    """Two components (2, n) over a chart of losses, and where the upper one becomes likelier."""
    for name, height, part, colour in zip(("lower", "upper"), heights, weight, (GREY, PRIMARY), strict=True):
        line = {"color": colour, "width": 1.5}
        figure.add_scatter(x=x, y=height, mode="lines", line=line, name=f"{name} component ({part:.0%})")
    if crossing is not None:
        figure.add_vline(crossing, line={"color": PRIMARY, "width": 1.5, "dash": "dot"})
    return figure


def loss_curves(
    curves: dict[int, tuple[np.ndarray, np.ndarray]], sizes: dict[int, int], threshold: float, density: str = ""
) -> go.Figure:
    """One curve (loss, height) of each group: the share at or below a loss, or the `density` at it, in these words."""
    figure = _figure("Loss of an interaction (BPR)", density or "Share of the group at or below")
    for code, (x, part) in curves.items():
        look = LABELS[Label(code)]
        line = {"color": look.colour, "dash": look.dash, "width": 2.5, "shape": "linear" if density else "hv"}
        figure.add_scatter(x=x, y=part, mode="lines", name=_name(code, sizes[code]), line=line)
    if not density:
        figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return _threshold_line(figure, threshold)


def _threshold_line(figure: go.Figure, threshold: float) -> go.Figure:
    return _marked(figure, threshold, f"drop above {threshold:.3g}")


def _marked(figure: go.Figure, x: float, text: str) -> go.Figure:
    figure.add_vline(x, line={"color": GREY, "width": 1.5, "dash": "dash"})
    style = {"font": {"size": 13, "color": GREY}, "showarrow": False, "xanchor": "center", "yanchor": "bottom"}
    return figure.add_annotation(x=x, y=1, yref="paper", text=text, **style)


def precision_recall(curve: Curve, drop: Drop) -> go.Figure:
    """Precision against recall, with the chosen threshold and the precision of dropping at random."""
    figure = _figure("Recall: noisy ones that are dropped", "Precision: dropped ones that are noisy", 300)
    line = {"color": LABELS[Label.NOISY_POSITIVE].colour, "width": 2.5}
    figure.add_scatter(x=curve.recall, y=curve.precision, mode="lines", line=line, name="by this loss")
    figure.add_scatter(
        x=[0, 1], y=[curve.base_rate] * 2, mode="lines", name="at random", line={"color": GREY, "dash": "dot", "width": 1.5}
    )
    if drop.precision and drop.recall and drop.precision.n:
        marker = {"size": 13, "color": PRIMARY, "symbol": "circle", "line": {"color": "white", "width": 2}}
        x, y = [drop.recall.value], [drop.precision.value]
        figure.add_scatter(x=x, y=y, mode="markers", marker=marker, name="this threshold")
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure


def loss_over_time(bands: dict[int, Band], own: np.ndarray | None = None, height: int = 320) -> go.Figure:
    """Median loss of each group by epoch, with its quartiles; `own` is the trajectory of one pair."""
    figure = _figure("Epoch", "Loss (BPR)", height)
    for code, band in bands.items():
        look, at = LABELS[Label(code)], _thin(len(band.epoch))
        outline = {"x": np.concatenate([band.epoch[at], band.epoch[at][::-1]])}
        outline["y"] = np.concatenate([band.high[at], band.low[at][::-1]])
        shade = {"fill": "toself", "fillcolor": _faded(look.colour), "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_scatter(**outline, **shade, mode="lines", showlegend=False)
        line = {"color": look.colour, "dash": look.dash, "width": 2.5}
        x, y = band.epoch[at], band.median[at]
        figure.add_scatter(x=x, y=y, mode="lines", line=line, name=_name(code, band.n))
    if own is not None:
        at = _thin(len(own))
        line = {"color": HUMAN, "width": 2.5}
        figure.add_scatter(x=at + 1, y=own[at], mode="lines", line=line, name="this pair")
    return figure


def training_loss(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Every loss term by epoch."""
    figure = _figure("Epoch", "Mean loss", 280)
    dashes = ("solid", "dash", "dot", "dashdot", "longdash")
    for place, term in enumerate(sorted({term for row in rows for term in row["loss"]})):
        points = [(row["epoch"], row["loss"][term]) for row in rows if term in row["loss"]]
        _add_line(figure, points, term, {"color": LINES[place % 2], "width": 2.5, "dash": dashes[place % len(dashes)]})
    return figure


def validation(rows: Sequence[dict[str, Any]], names: Sequence[str], best_epoch: int | None) -> go.Figure:
    """Validation metrics by epoch, with the epoch whose vectors are kept."""
    figure = _figure("Epoch", "On validation users", 280)
    for place, name in enumerate(names):
        points = [(row["epoch"], row["valid"][name]) for row in rows if row.get("valid") and name in row["valid"]]
        line = {"color": LINES[place % 2], "width": 2.5, "dash": ("solid", "dash", "dot")[place % 3]}
        _add_line(figure, points, metric_word(name), line, "lines+markers")
    if best_epoch:
        _marked(figure, best_epoch, f"kept: epoch {best_epoch}")
    return figure


def metric_of_runs(named: dict[str, Sequence[dict[str, Any]]], metric: str) -> go.Figure:
    """One validation metric of several runs by epoch."""
    figure = _figure("Epoch", f"{metric_word(metric)} on validation users", 320)
    looks = ({"color": GREY, "dash": "dash"}, {"color": PRIMARY, "dash": "solid"})
    for look, (name, rows) in zip(looks, named.items(), strict=False):
        points = [(row["epoch"], row["valid"][metric]) for row in rows if row.get("valid") and metric in row["valid"]]
        _add_line(figure, points, name, look | {"width": 2.5}, "lines+markers")
    return figure


def noise_curves(lines: dict[str, dict[int, Sequence[float]]]) -> go.Figure:
    """Recall of every row, {row: {percent of noise: by seed}}: the mean, with bars from the lowest to the highest seed."""
    figure = _figure("Noise [%]", "Test Recall@20", 400)
    dashes, symbols = ("solid", "dash", "dot", "dashdot", "longdash"), ("circle", "diamond", "square", "x", "triangle-up")
    for place, (name, at) in enumerate(lines.items()):
        x, colour = sorted(at), LINES[place % 2]
        mean = np.array([np.mean(at[percent]) for percent in x])
        reach = {
            "array": [max(at[percent]) for percent in x] - mean,
            "arrayminus": mean - [min(at[percent]) for percent in x],
            "thickness": 1.5,
        }
        line = {"color": colour, "width": 2.5, "dash": dashes[place % len(dashes)]}
        marker = {"size": 9, "symbol": symbols[place % len(symbols)]}
        figure.add_scatter(x=x, y=mean, name=name, mode="lines+markers", line=line, marker=marker, error_y=reach)
    figure.update_xaxes(tickvals=sorted({percent for at in lines.values() for percent in at}))
    return figure.update_yaxes(rangemode="normal")


def _add_line(figure: go.Figure, points: list[tuple[float, float]], name: str, line: dict[str, Any], mode: str = "lines") -> None:
    kept = [points[place] for place in _thin(len(points))]
    x, y = [point[0] for point in kept], [point[1] for point in kept]
    figure.add_scatter(x=x, y=y, name=name, mode=mode, line=line, marker={"size": 6})


def differences(named: dict[str, Delta], x: str = "Change from A to B") -> go.Figure:
    """Each line's change with its interval; filled where the interval leaves 0 out."""
    figure = _figure(x, "", 60 + 42 * len(named), showlegend=False)
    for name, delta in reversed(named.items()):
        reach = {"array": [delta.high - delta.delta], "arrayminus": [delta.delta - delta.low], "thickness": 2, "width": 6}
        marker = {"size": 12, "color": PRIMARY if delta.clear else GREY, "symbol": "circle" if delta.clear else "circle-open"}
        figure.add_scatter(x=[delta.delta], y=[name], mode="markers", marker=marker, error_x=reach | {"type": "data"})
    return figure.add_vline(0, line={"color": GREY, "width": 1})


def popularity(counts: np.ndarray) -> go.Figure:
    """Interactions of every item by rank, both axes logarithmic."""
    ordered = np.sort(counts[counts > 0])[::-1]
    rank = np.unique(np.geomspace(1, max(len(ordered), 1), LINE_POINTS).astype(np.int64)) if len(ordered) else np.empty(0, int)
    figure = _figure("Rank of the item", "Training interactions", 300, showlegend=False)
    figure.add_scatter(x=rank, y=ordered[rank - 1], mode="lines", line={"color": PRIMARY, "width": 2.5}, name="items")
    figure.update_yaxes(type="log", rangemode="normal")
    return figure.update_xaxes(type="log")


def activity(counts: np.ndarray) -> go.Figure:
    """The share of users with at most so many training interactions."""
    ordered = np.sort(counts)
    at = _thin(len(ordered))
    figure = _figure("Training interactions of a user", "Share of users with at most that many", 300, showlegend=False)
    line = {"color": PRIMARY, "width": 2.5, "shape": "hv"}
    figure.add_scatter(x=ordered[at], y=(at + 1) / max(len(ordered), 1), mode="lines", line=line, name="users")
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")


def over_time(time: np.ndarray, bins: int = 60) -> go.Figure:
    """Interactions over calendar time [Unix s]."""
    counts, edges = np.histogram(time, bins)
    figure = _figure("Time", "Training interactions", 260, showlegend=False)
    starts = edges[:-1].astype("datetime64[s]")
    figure.add_bar(x=starts, y=counts, marker={"color": PRIMARY}, name="interactions")
    return figure.update_layout(bargap=0.08)


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.10)"
