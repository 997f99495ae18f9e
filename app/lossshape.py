"""How a loss is distributed: the shapes that it can be shown in, two components laid over them, and its course over epochs."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import caching, charts, lossview, results, widgets
from app.lossview import AT_EPOCH, BY_LABEL, BY_MODEL, DROP, GROUPINGS, MEANS, Choice, Shapes, View
from app.palette import LABELS
from core import dynamics, mixture
from core.mixture import Mixture
from core.records import Dataset, Label

CUMULATIVE, HISTOGRAM, COUNTS, DENSITY = "cumulative", "histogram", "counts", "density"
GRID = 300
"""Points at which the components are drawn."""


@dataclass(frozen=True)
class Scale:
    """How the distribution is shown."""

    shape: str
    log: bool
    components: bool


@caching.per_revision
def components(data: Dataset, choice: Choice) -> Mixture | None:
    """Two components of the loss of all clicks."""
    seen = lossview.view(data, choice)
    return mixture.fit(seen.loss[: seen.clicks])


def distribution(data: Dataset, choice: Choice, seen: View, at: float) -> None:
    """The loss by group, in the shape that was chosen."""
    scale = _scale()
    drawn = lossview.shapes(data, choice, scale.log)
    found = components(data, choice) if scale.components else None
    if scale.components:
        _snap(lossview.view(data, replace(choice, through=())), found)
    counted = drawn.counted
    if scale.shape in (CUMULATIVE, DENSITY):
        sizes = {code: int(counts.sum()) for code, counts in counted.counts.items()}
        words = "Density of the group" + (" (per factor of ten)" if scale.log else "")
        smooth = scale.shape == DENSITY
        figure = charts.loss_curves(drawn.density if smooth else drawn.cumulative, sizes, at, density=words if smooth else "")
        table, key = _quantiles(seen), "loss_curves"
    else:
        table = pd.DataFrame({"from": counted.edges[:-1], "to": counted.edges[1:]})
        table = table.assign(**{LABELS[Label(code)].word: counts for code, counts in counted.counts.items()})
        figure, key = charts.loss_histogram(counted, at, density=scale.shape == HISTOGRAM), "loss_histogram"
    if found is not None:
        x, heights = _drawn_over(found, scale, counted, seen.clicks)
        charts.with_mixture(figure, x, heights, found.weight, found.crossing)
    widgets.chart(key, _finding(seen, drawn), _scaled(figure, scale, counted.edges), table, _about(choice, seen))


def _scale() -> Scale:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shape = st.segmented_control(
            "Show as",
            [CUMULATIVE, HISTOGRAM, COUNTS, DENSITY],
            default=CUMULATIVE,
            required=True,
            key="shape",
            help="cumulative: share of each group up to a loss; needs no bins. histogram: shares per bin. counts: clicks per "
            "bin. density: smoothed by a Gaussian kernel.",
            persist_state="session",
        )
        log = st.toggle("Logarithmic", key="log_loss", help="Equal steps are equal factors of the loss.", persist_state="session")
        two = st.toggle(
            "Two components",
            key="mixture",
            help="Two normal distributions fitted to the logarithm of the loss. Where they cross is where a method without "
            "labels would draw the line. The upper one need not be noise: hard clicks lie there, too.",
            persist_state="session",
        )
    return Scale(shape, log, two)


def _snap(every: View, found: Mixture | None) -> None:
    """What the components say, and the line put where they cross: at a share of `every` click, as the slider counts."""
    if found is None:
        widgets.note("There are too few different losses above 0 to fit two components.")
        return
    fits = "fit better than one" if found.better else "fit no better than one, so their crossing means little"
    told = f"Two components {fits} (BIC, n = {found.n:,})"
    if found.crossing is None:
        st.caption(f"{told}; they do not cross between their means.")
        return
    share = round(100 * float((every.loss[: every.clicks] > found.crossing).mean()), 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        reachable = share <= lossview.MOST
        above = f"{share:g} % of the clicks above" + ("" if reachable else ", more than the slider reaches")
        st.caption(f"{told}; they cross at {found.crossing:.3g}, with {above}.")
        look = {"icon": ":material/align_horizontal_center:", "disabled": not reachable, "key": "snap"}
        st.button("Put the line there", on_click=lambda: st.session_state.update({DROP: share}), **look)


def _drawn_over(found: Mixture, scale: Scale, counted: dynamics.Histogram, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The components in the unit of the shape: x (GRID,), heights (2, GRID)."""
    low, high = max(counted.edges[0], 1e-6), counted.edges[-1]
    edges = np.geomspace(low, high, GRID + 1) if scale.log else np.linspace(low, high, GRID + 1)
    below = found.below(edges)
    if scale.shape == CUMULATIVE:
        return edges[1:], below[:, 1:]
    part = np.diff(below, axis=1)
    middle = np.sqrt(edges[1:] * edges[:-1]) if scale.log else (edges[1:] + edges[:-1]) / 2
    if scale.shape == DENSITY:
        return middle, part / np.diff(np.log10(edges) if scale.log else edges)
    bins = GRID / (len(counted.edges) - 1)  # a bin of the histogram is as wide as so many of these
    return middle, part * bins * (1 if scale.shape == HISTOGRAM else n * found.weight[:, None])


def _scaled(figure: go.Figure, scale: Scale, edges: np.ndarray) -> go.Figure:
    if not scale.log:
        return figure
    for note in figure.layout.annotations:  # plotly places notes, unlike lines, by the exponent
        note.x = np.log10(max(note.x, edges[0]))
    first = max(edges[0], edges[-1] / 1e4)
    return figure.update_xaxes(type="log", range=[np.log10(first), np.log10(edges[-1])])


def _finding(seen: View, drawn: Shapes) -> str:
    if drawn.separated is None:
        half, tenth = np.quantile(seen.loss[: seen.clicks], (0.5, 0.9))
        return f"Half of the clicks have a loss below {half:.3g}, a tenth one above {tenth:.3g}"
    auc = drawn.separated
    word = "hardly tells" if 0.35 < auc < 0.65 else "partly tells" if 0.2 < auc < 0.8 else "tells"
    return f"The loss {word} noisy from hard positives (AUC {auc:.2f}; .50 is a coin)"


def _about(choice: Choice, seen: View) -> str:
    when = f"at epoch {choice.epoch}" if choice.statistic == AT_EPOCH else MEANS[choice.statistic]
    about = f"n = {len(seen.loss):,} pairs, loss {when}, grouped by {GROUPINGS[choice.by]}"
    if choice.through:
        about += ", those that fit the filter"
    if choice.statistic == BY_MODEL:
        about += f"; {len(seen.loss) - seen.clicks:,} of them have no click; against 16 random items each"
    if choice.statistic == AT_EPOCH:
        about += "; a random sample of the clicks, whose every epoch was kept"
    if choice.by == BY_LABEL:
        about += "; examined clicks were picked because the model doubts them, so their losses are high by choice"
    return about


def _quantiles(seen: View) -> pd.DataFrame:
    marks = np.linspace(0, 1, 21)
    columns = {
        LABELS[Label(code)].word: np.quantile(seen.loss[seen.group == code], marks) for code in dynamics.groups(seen.group)
    }
    return pd.DataFrame({"share at or below": marks, **columns})


@caching.per_revision
def course(data: Dataset, choice: Choice) -> dict[str, Any]:
    """Bands of the loss by group over the epochs, and at which epoch noisy and hard positives are told apart best."""
    losses, seen = results.losses(choice.run), lossview.view(data, replace(choice, statistic=AT_EPOCH, epoch=1))
    trajectory = losses["trajectory"][np.isin(losses["rows"], seen.rows)]
    told = dynamics.best_told(trajectory, seen.group, Label.NOISY_POSITIVE, Label.HARD_POSITIVE)
    return {"bands": dynamics.bands(trajectory, seen.group), "told": told, "n": len(trajectory)}


def over_time(data: Dataset, choice: Choice) -> None:
    """The course of the loss by group, from the sampled trajectories."""
    losses = results.losses(choice.run)
    epochs = losses["trajectory"].shape[1] if len(losses["rows"]) else 0
    if not epochs:
        widgets.note("This training kept no trajectories (setting trajectories = 0).")
        return
    found = course(data, choice)
    if not found["n"]:
        widgets.note("No click whose every epoch was kept fits the filter.")
        return
    table = pd.DataFrame({"epoch": np.arange(1, epochs + 1)})
    table = table.assign(**{LABELS[Label(code)].word: band.median for code, band in found["bands"].items()})
    about = f"Median and middle half of {found['n']:,} clicks whose loss was kept for every epoch"
    if found["told"] is None:
        first, last = (np.median([band.median[place] for band in found["bands"].values()]) for place in (0, -1))
        finding = f"The median loss goes from {first:.2f} to {last:.2f} in {epochs} epochs"
    else:
        best, auc = found["told"]
        finding = f"Noisy and hard positives differ most at epoch {best}: AUC {auc[best - 1]:.2f}, in the last {auc[-1]:.2f}"
        about += "; the best of many epochs looks good by chance, too"
    widgets.chart("loss_over_time", finding, charts.loss_over_time(found["bands"]), table, about)
