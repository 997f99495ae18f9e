"""What the Losses page is made of: one loss of every click, its distribution by label, and what a threshold would drop."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, charts, lookup, navigation, pairlist, results, selections, widgets
from app.palette import LABELS
from core import dynamics
from core.records import Dataset, Interactions, Label

BY_LABEL, BY_TRUTH = "labels", "truth"
GROUPINGS = {BY_LABEL: "labels as they stand", BY_TRUTH: "planted truth"}
AT_EPOCH, BY_MODEL = "epoch", "model"
MEANS = dynamics.STATISTICS | {AT_EPOCH: "at one epoch", BY_MODEL: "of the finished model, missed ones too"}
SHAPES = {"cumulative": "cumulative", "histogram": "histogram", "counts": "counts", "density": "density"}


@dataclass(frozen=True, eq=False)
class View:
    """One loss of pairs, grouped by label: of every click, of those whose every epoch was kept, or of unobserved pairs too."""

    pairs: Interactions  # (n,), clicks first
    clicks: int  # so many of them are clicks; the others are unobserved pairs that were examined
    loss: np.ndarray  # float32 (n,)
    group: np.ndarray  # int8 (n,) Label
    noisy: np.ndarray | None  # bool (clicks,) known noise, for evaluation only


@dataclass(frozen=True, eq=False)
class Shapes:
    """Everything that is drawn of a view, whatever the threshold."""

    separated: float | None
    counted: dynamics.Histogram
    cumulative: dict[int, tuple[np.ndarray, np.ndarray]]
    density: dict[int, tuple[np.ndarray, np.ndarray]]
    curve: dynamics.Curve | None


@dataclass(frozen=True)
class Choice:
    """Which loss, at which epoch (0: of all), grouped by what: what names a view in a cache."""

    run: str
    statistic: str  # a member of MEANS
    epoch: int
    by: str  # a member of GROUPINGS


@caching.per_revision
def view(data: Dataset, choice: Choice) -> View:
    """The chosen loss of every pair that has one."""
    losses, truth = results.losses(choice.run), choice.by == BY_TRUTH
    rows = losses["rows"] if choice.statistic == AT_EPOCH else slice(None)
    pairs = Interactions(losses["user"][rows], losses["item"][rows])
    known = data.train.truth is not None
    planted = results.loss_truth(data, choice.run)[rows] if known else None
    group = planted if truth and known else results.loss_labels(data, choice.run)[rows]
    noisy = planted == Label.NOISY_POSITIVE if known else None
    if choice.statistic == AT_EPOCH:
        return View(pairs, len(pairs), losses["trajectory"][:, choice.epoch - 1].astype(np.float32), group, noisy)
    if choice.statistic != BY_MODEL:
        return View(pairs, len(pairs), losses[choice.statistic], group, noisy)
    more, codes = _unobserved(data, truth)
    both = Interactions(np.concatenate([pairs.user, more.user]), np.concatenate([pairs.item, more.item]))
    others = dynamics.model_loss(results.embeddings(choice.run), more)
    loss = np.concatenate([_of_model(data, choice.run), others])
    return View(both, len(pairs), loss, np.concatenate([group, codes]), noisy)


@caching.per_dataset
def _of_model(data: Dataset, run_id: str) -> np.ndarray:
    """The loss of every recorded click under the finished model: float32 (n,)."""
    losses = results.losses(run_id)
    return dynamics.model_loss(results.embeddings(run_id), Interactions(losses["user"], losses["item"]))


def _unobserved(data: Dataset, truth: bool) -> tuple[Interactions, np.ndarray]:
    """Examined pairs without a click and their labels; by the truth, the missed ones are those that it names."""
    labels = lookup.labels(data)
    labels = labels.where(~labels.observed)
    codes = labels.label
    if truth and data.missed is not None:
        place = dynamics.place_of(Interactions(labels.user, labels.item), data.missed.user, data.missed.item, data.n_items)
        codes = np.where(place >= 0, Label.MISSED_POSITIVE, Label.HARD_NEGATIVE).astype(np.int8)
    return Interactions(labels.user, labels.item), codes


@caching.per_revision
def shapes(data: Dataset, choice: Choice) -> Shapes:
    """What a view looks like: computed once, so that moving the threshold is quick with a million clicks."""
    seen = view(data, choice)
    return Shapes(
        dynamics.separation(seen.loss, seen.group, Label.NOISY_POSITIVE, Label.HARD_POSITIVE),
        dynamics.histogram(seen.loss, seen.group),
        dynamics.ecdf(seen.loss, seen.group),
        dynamics.density(seen.loss, seen.group),
        _curve(data, choice.run, choice.statistic, choice.epoch) if seen.noisy is not None else None,
    )


@caching.per_dataset
def _curve(data: Dataset, run: str, statistic: str, epoch: int) -> dynamics.Curve | None:
    """Precision and recall by the planted truth: no label has a part in it."""
    seen = view(data, Choice(run, statistic, epoch, BY_TRUTH))
    return dynamics.precision_recall(seen.loss[: seen.clicks], seen.noisy)


def choose(data: Dataset, run_id: str) -> Choice:
    """Which loss, grouped by what; one epoch on a slider where every epoch was kept."""
    losses, known = results.losses(run_id), data.train.truth is not None
    epochs = losses["trajectory"].shape[1] if len(losses["rows"]) else 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statistic = st.selectbox(
            "Loss",
            [name for name in MEANS if name != AT_EPOCH or epochs],
            format_func=lambda name: MEANS[name],
            key="loss",
            width=300,
            help="The loss averaged over training tells noise from clean better than its last value.",
            persist_state="session",
        )
        epoch = 0
        if statistic == AT_EPOCH:
            epoch = st.slider("Epoch", 1, epochs, min(5, epochs), key="epoch", width=360) if epochs > 1 else 1
        by = BY_LABEL
        if known:
            by = st.segmented_control(
                "Group by",
                list(GROUPINGS),
                default=BY_TRUTH if not len(lookup.labels(data)) else BY_LABEL,
                required=True,
                format_func=lambda name: GROUPINGS[name],
                key="by",
                help="The demo's truth is planted; it is used to evaluate only, never to train or to judge.",
                persist_state="session",
            )
        widgets.legend()
    return Choice(run_id, statistic, epoch, by)


def threshold(seen: View) -> float:
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
    return float(np.quantile(seen.loss[: seen.clicks], 1 - share / 100))


def distribution(choice: Choice, seen: View, drawn: Shapes, at: float) -> None:
    """The loss by group, in the shape that was chosen."""
    finding = "The loss of every training click"
    if drawn.separated is not None:
        auc = drawn.separated
        word = "hardly tells" if 0.35 < auc < 0.65 else "partly tells" if 0.2 < auc < 0.8 else "tells"
        finding = f"The loss {word} noisy from hard positives (AUC {auc:.2f}; .50 is a coin)"
    when = f"at epoch {choice.epoch}" if choice.statistic == AT_EPOCH else MEANS[choice.statistic]
    about = f"n = {len(seen.loss):,} pairs, loss {when}, grouped by {GROUPINGS[choice.by]}"
    if choice.statistic == BY_MODEL:
        about += f"; {len(seen.loss) - seen.clicks:,} of them have no click; against 16 random items each"
    if choice.statistic == AT_EPOCH:
        about += "; a random sample of the clicks, whose every epoch was kept"
    if choice.by == BY_LABEL:
        about += "; examined clicks were picked because the model doubts them, so their losses are high by choice"
    shape = st.segmented_control(
        "Show as",
        list(SHAPES),
        default="cumulative",
        required=True,
        key="shape",
        help="cumulative: share of each group up to a loss; needs no bins. histogram: shares per bin. counts: clicks per bin. "
        "density: smoothed by a Gaussian kernel.",
        persist_state="session",
    )
    counted = drawn.counted
    if shape in ("cumulative", "density"):
        sizes = {code: int(counts.sum()) for code, counts in counted.counts.items()}
        smooth = shape == "density"
        figure = charts.loss_curves(drawn.density if smooth else drawn.cumulative, sizes, at, density=smooth)
        widgets.chart("loss_curves", finding, figure, _quantiles(seen), about)
    else:
        table = pd.DataFrame({"from": counted.edges[:-1], "to": counted.edges[1:]})
        table = table.assign(**{LABELS[Label(code)].word: counts for code, counts in counted.counts.items()})
        figure = charts.loss_histogram(counted, at, density=shape == "histogram")
        widgets.chart("loss_histogram", finding, figure, table, about)


def _quantiles(seen: View) -> pd.DataFrame:
    marks = np.linspace(0, 1, 21)
    columns = {
        LABELS[Label(code)].word: np.quantile(seen.loss[seen.group == code], marks) for code in dynamics.groups(seen.group)
    }
    return pd.DataFrame({"share at or below": marks, **columns})


def effect(seen: View, at: float) -> None:
    """What the threshold would drop, and with known noise how right that would be."""
    group = seen.group[: seen.clicks]
    drop = dynamics.drop_above(seen.loss[: seen.clicks], group, at, seen.noisy)
    st.markdown(f"**Dropping above {at:.3g} would take {drop.dropped:,} of {drop.n:,} clicks**")
    rows = []
    for code, count in drop.by_group.items():
        size, look = int((group == code).sum()), LABELS[Label(code)]
        rows.append({"label": f"{look.sign} {look.word}", "share": count / max(size, 1), "dropped": f"{count:,} of {size:,}"})
    share = st.column_config.ProgressColumn("share dropped", format="percent", min_value=0, max_value=1, width="small")
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


def over_time(data: Dataset, choice: Choice) -> None:
    """The course of the loss by group, from the sampled trajectories."""
    losses = results.losses(choice.run)
    rows, trajectory = losses["rows"], losses["trajectory"]
    if not len(rows):
        widgets.note("This training kept no trajectories (setting trajectories = 0).")
        return
    group = view(data, Choice(choice.run, AT_EPOCH, 1, choice.by)).group
    bands = dynamics.bands(trajectory, group)
    table = pd.DataFrame({"epoch": np.arange(1, trajectory.shape[1] + 1)})
    table = table.assign(**{LABELS[Label(code)].word: band.median for code, band in bands.items()})
    finding = "How the loss of each group falls while the model learns"
    about = f"Median and middle half of {len(rows):,} clicks whose loss was kept for every epoch"
    widgets.chart("loss_over_time", finding, charts.loss_over_time(bands), table, about)


def operating_curve(seen: View, curve: dynamics.Curve | None, at: float) -> None:
    """Precision against recall over all thresholds, when the noise is known."""
    if curve is None:
        return
    drop = dynamics.drop_above(seen.loss[: seen.clicks], seen.group[: seen.clicks], at, seen.noisy)
    table = pd.DataFrame({"threshold": curve.threshold, "precision": curve.precision, "recall": curve.recall})
    finding = f"Dropping by loss: average precision {curve.average_precision:.2f}, at random {curve.base_rate:.2f}"
    about = f"{int(seen.noisy.sum()):,} noisy of {len(seen.noisy):,} clicks, by planted truth"
    widgets.chart("precision_recall", finding, charts.precision_recall(curve, drop), table, about)


def doubtful(data: Dataset, seen: View, at: float) -> None:
    """The clicks above the line: to act on together, and to look at one by one."""
    above = np.flatnonzero(seen.loss[: seen.clicks] > at)
    above = above[np.argsort(-seen.loss[above], kind="stable")]
    order = above[: pairlist.LIMIT]
    widgets.section(
        "Clicks above the line", f"The {len(order):,} with the highest loss of {len(above):,}; open one to look and decide."
    )
    selections.act(data, seen.pairs.where(above), "above", f"losses above {at:.3g}")
    columns = {"loss": seen.loss[order], "label": seen.group[order]}
    pairlist.show(data, seen.pairs.where(order), "losses", "clicks above the line", columns)
    if not len(order):
        navigation.link("explore", "Browse all interactions")
