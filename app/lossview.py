"""What the Losses page is made of."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, navigation, pairlist, state, widgets
from app.palette import LABELS
from core import dynamics
from core.records import Dataset, Interactions, Label

BY_LABEL, BY_TRUTH = "labels", "truth"
GROUPINGS = {BY_LABEL: "labels as they stand", BY_TRUTH: "planted truth"}


@dataclass(frozen=True, eq=False)
class View:
    """One recorded statistic of every interaction's loss, grouped by label."""

    losses: dict[str, np.ndarray]
    statistic: str
    loss: np.ndarray  # float32 (n,)
    group: np.ndarray  # int8 (n,) Label
    by: str  # a member of GROUPINGS
    noisy: np.ndarray | None  # bool (n,) known noise, for evaluation only


def choose(data: Dataset, losses: dict[str, np.ndarray]) -> View:
    """Which loss, grouped by what. The address keeps both."""
    known = data.train.truth is not None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statistic = st.selectbox(
            "Loss",
            list(dynamics.STATISTICS),
            format_func=lambda name: dynamics.STATISTICS[name],
            key="loss",
            width=280,
            help="The loss averaged over training tells noise from clean better than its last value.",
            persist_state="session",
        )
        by = BY_LABEL
        if known:
            by = st.segmented_control(
                "Group by",
                list(GROUPINGS),
                default=BY_TRUTH if not len(state.labels(data)) else BY_LABEL,
                required=True,
                format_func=lambda name: GROUPINGS[name],
                key="by",
                help="The demo's truth is planted; it is used to evaluate only, never to train or to judge.",
                persist_state="session",
            )
        widgets.legend()
    noisy = state.loss_labels(data, losses, truth=True) == Label.NOISY_POSITIVE if known else None
    return View(losses, statistic, losses[statistic], state.loss_labels(data, losses, truth=by == BY_TRUTH), by, noisy)


def threshold(view: View) -> float:
    """Where the line lies: a percentile on the slider, so that it fits every loss; shown as a value too."""
    share = st.slider(
        "Drop the clicks with the highest loss",
        0.0,
        50.0,
        15.0,
        0.5,
        format="%.1f %%",
        key="drop",
        bind="query-params",
        help="Only a preview: nothing is dropped here. Labels decide what a training leaves out.",
    )
    return float(np.quantile(view.loss, 1 - share / 100))


def distribution(view: View, at: float) -> None:
    """Histogram or cumulative curve of the loss by group."""
    separated = dynamics.separation(view.loss, view.group, Label.NOISY_POSITIVE, Label.HARD_POSITIVE)
    finding = "The loss of every training click"
    if separated is not None:
        word = "hardly tells" if separated < 0.65 else "partly tells" if separated < 0.8 else "tells"
        finding = f"The loss {word} noisy from hard positives (AUC {separated:.2f}; .50 is a coin)"
    about = f"n = {len(view.loss):,} clicks, loss {dynamics.STATISTICS[view.statistic]}, grouped by {GROUPINGS[view.by]}"
    if view.by == BY_LABEL:
        about += "; examined clicks were picked because the model doubts them, so their losses are high by choice"
    shape = st.segmented_control(
        "Show as",
        ["cumulative", "histogram", "counts"],
        default="cumulative",
        required=True,
        key="shape",
        help="cumulative: share of each group up to a loss; needs no bins. histogram: shares per bin. counts: clicks per bin.",
        persist_state="session",
    )
    counted = dynamics.histogram(view.loss, view.group)
    if shape == "cumulative":
        curves = dynamics.ecdf(view.loss, view.group)
        sizes = {code: int(counts.sum()) for code, counts in counted.counts.items()}
        widgets.chart("loss_ecdf", finding, charts.loss_ecdf(curves, sizes, at), _quantiles(view), about)
    else:
        table = pd.DataFrame({"from": counted.edges[:-1], "to": counted.edges[1:]})
        table = table.assign(**{LABELS[Label(code)].word: counts for code, counts in counted.counts.items()})
        figure = charts.loss_histogram(counted, at, density=shape == "histogram")
        widgets.chart("loss_histogram", finding, figure, table, about)


def _quantiles(view: View) -> pd.DataFrame:
    marks = np.linspace(0, 1, 21)
    columns = {
        LABELS[Label(code)].word: np.quantile(view.loss[view.group == code], marks) for code in dynamics.groups(view.group)
    }
    return pd.DataFrame({"share at or below": marks, **columns})


def effect(view: View, at: float) -> None:
    """What the threshold would drop, and with known noise how right that would be."""
    drop = dynamics.drop_above(view.loss, view.group, at, view.noisy)
    st.markdown(f"**Dropping above {at:.3g} would take {drop.dropped:,} of {drop.n:,} clicks**")
    rows = []
    for code, count in drop.by_group.items():
        size = int((view.group == code).sum())
        look = LABELS[Label(code)]
        rows.append({"label": f"{look.sign} {look.word}", "dropped": count, "of": size, "share": count / max(size, 1)})
    share = st.column_config.ProgressColumn("share dropped", format="percent", min_value=0, max_value=1)
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"share": share}, key="drop_by_label")
    if drop.precision is None or drop.recall is None:
        widgets.note("Nothing is known about the true noise of this dataset, so precision and recall cannot be told.")
        return
    st.caption("Against the planted truth, 95 % intervals below:")
    widgets.tiles(
        [
            ("Precision", _share(drop.precision), _interval(drop.precision, "of the dropped clicks are noisy")),
            ("Recall", _share(drop.recall), _interval(drop.recall, "of the noisy clicks are dropped")),
            ("F1", f"{drop.f1:.2f}", "Harmonic mean of precision and recall."),
        ]
    )
    reach = ((name, part) for name, part in (("precision", drop.precision), ("recall", drop.recall)) if part.n)
    st.caption("; ".join(f"{name} {part.low:.0%} to {part.high:.0%}" for name, part in reach))


def _share(part: dynamics.Share) -> str:
    return f"{part.value:.0%}" if part.n else "–"


def _interval(part: dynamics.Share, what: str) -> str:
    return f"{part.hits:,} of {part.n:,} {what} ({part.low:.0%} to {part.high:.0%})" if part.n else f"none {what}"


def over_time(view: View) -> None:
    """The course of the loss by group, from the sampled trajectories."""
    rows, trajectory = view.losses["rows"], view.losses["trajectory"]
    if not len(rows):
        widgets.note("This training kept no trajectories (setting trajectories = 0).")
        return
    bands = dynamics.bands(trajectory, view.group[rows])
    table = pd.DataFrame({"epoch": np.arange(1, trajectory.shape[1] + 1)})
    table = table.assign(**{LABELS[Label(code)].word: band.median for code, band in bands.items()})
    finding = "How the loss of each group falls while the model learns"
    about = f"Median and middle half of {len(rows):,} clicks whose loss was kept for every epoch"
    widgets.chart("loss_over_time", finding, charts.loss_over_time(bands), table, about)


def operating_curve(view: View, at: float) -> None:
    """Precision against recall over all thresholds, when the noise is known."""
    curve = dynamics.precision_recall(view.loss, view.noisy) if view.noisy is not None else None
    if curve is None:
        return
    drop = dynamics.drop_above(view.loss, view.group, at, view.noisy)
    table = pd.DataFrame({"threshold": curve.threshold, "precision": curve.precision, "recall": curve.recall})
    finding = f"Dropping by loss: average precision {curve.average_precision:.2f}, at random {curve.base_rate:.2f}"
    about = f"{int(view.noisy.sum()):,} noisy of {len(view.noisy):,} clicks, by planted truth"
    widgets.chart("precision_recall", finding, charts.precision_recall(curve, drop), table, about)


def doubtful(data: Dataset, view: View, at: float) -> None:
    """The clicks above the line, to look at one by one."""
    above = np.flatnonzero(view.loss > at)
    order = above[np.argsort(-view.loss[above], kind="stable")][: pairlist.LIMIT]
    widgets.section(
        "Clicks above the line", f"The {len(order):,} with the highest loss of {len(above):,}; open one to look and decide."
    )
    pairs = Interactions(view.losses["user"][order], view.losses["item"][order])
    pairlist.show(data, pairs, "losses", "clicks above the line", {"loss": view.loss[order], "label": view.group[order]})
    if not len(order):
        navigation.link("explore", "Browse all interactions")
