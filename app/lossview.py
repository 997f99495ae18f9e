"""What the Losses page is made of: one loss of every click, its distribution by label, and what a threshold would drop."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import streamlit as st

from app import caching, filtered, lookup, navigation, pairlist, results, selections, widgets
from core import dynamics
from core.filters import Filter
from core.records import Dataset, Interactions, Label

BY_LABEL, BY_TRUTH = "labels", "truth"
GROUPINGS = {BY_LABEL: "labels as they stand", BY_TRUTH: "planted truth"}
AT_EPOCH, BY_MODEL = "epoch", "model"
DROP = "drop"
"""Session key of the slider: the percentage of the clicks above the line."""
MOST = 50.0
"""The highest percentage on that slider."""
ABOVE, NEAREST = "above the line", "nearest to the line"
NEAREST_SIZES = (50, 100, 200, 500)
MEANS = dynamics.STATISTICS | {AT_EPOCH: "at one epoch", BY_MODEL: "of the finished model, missed ones too"}


@dataclass(frozen=True, eq=False)
class View:
    """One loss of pairs, grouped by label: of every click, of those whose every epoch was kept, or of unobserved pairs too."""

    pairs: Interactions  # (n,), clicks first
    clicks: int  # so many of them are clicks; the others are unobserved pairs that were examined
    loss: np.ndarray  # float32 (n,)
    group: np.ndarray  # int8 (n,) Label
    noisy: np.ndarray | None  # bool (clicks,) known noise, for evaluation only
    rows: np.ndarray  # int64 (clicks,) places among the recorded losses

    def where(self, keep: np.ndarray) -> Self:
        """The pairs that a mask (n,) keeps."""
        own = keep[: self.clicks]
        noisy = None if self.noisy is None else self.noisy[own]
        return View(self.pairs.where(keep), int(own.sum()), self.loss[keep], self.group[keep], noisy, self.rows[own])


@dataclass(frozen=True, eq=False)
class Shapes:
    """Everything that is drawn of a view, whatever the threshold."""

    separated: float | None
    counted: dynamics.Histogram
    cumulative: dict[int, tuple[np.ndarray, np.ndarray]]
    density: dict[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Choice:
    """Which loss, at which epoch (0: of all), grouped by what, of which pairs: what names a view in a cache."""

    run: str
    statistic: str  # a member of MEANS
    epoch: int
    by: str  # a member of GROUPINGS
    through: tuple[str, ...] = ()  # the filter, as filtered.named gives it


@caching.per_revision
def view(data: Dataset, choice: Choice) -> View:
    """The chosen loss of every pair that has one and fits the filter."""
    if choice.through:
        every = view(data, replace(choice, through=()))
        return every.where(filtered.fits(data, Filter.from_text(choice.through[0])[0], every.pairs))
    losses, truth = results.losses(choice.run), choice.by == BY_TRUTH
    rows = losses["rows"] if choice.statistic == AT_EPOCH else slice(None)
    pairs = Interactions(losses["user"][rows], losses["item"][rows])
    known = data.train.truth is not None
    planted = results.loss_truth(data, choice.run)[rows] if known else None
    group = planted if truth and known else results.loss_labels(data, choice.run)[rows]
    noisy = planted == Label.NOISY_POSITIVE if known else None
    place = np.arange(len(losses["user"]))[rows]
    if choice.statistic == AT_EPOCH:
        return View(pairs, len(pairs), losses["trajectory"][:, choice.epoch - 1].astype(np.float32), group, noisy, place)
    if choice.statistic != BY_MODEL:
        return View(pairs, len(pairs), losses[choice.statistic], group, noisy, place)
    more, codes = _unobserved(data, truth)
    both = Interactions(np.concatenate([pairs.user, more.user]), np.concatenate([pairs.item, more.item]))
    others = dynamics.model_loss(results.embeddings(choice.run), more)
    loss = np.concatenate([_of_model(data, choice.run), others])
    return View(both, len(pairs), loss, np.concatenate([group, codes]), noisy, place)


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
def shapes(data: Dataset, choice: Choice, log: bool) -> Shapes:
    """What a view looks like, `log`: over the logarithm of the loss.

    Computed once, so that moving the threshold is quick with a million clicks.
    """
    seen = view(data, choice)
    return Shapes(
        dynamics.separation(seen.loss, seen.group, Label.NOISY_POSITIVE, Label.HARD_POSITIVE),
        dynamics.histogram(seen.loss, seen.group, log=log),
        dynamics.ecdf(seen.loss, seen.group),
        dynamics.density(seen.loss, seen.group, log=log),
    )


def curve(data: Dataset, choice: Choice) -> dynamics.Curve | None:
    """Precision and recall over all thresholds, by the planted truth; None without known noise."""
    if data.train.truth is None:
        return None
    return _curve_through(data, choice) if choice.through else _curve(data, choice.run, choice.statistic, choice.epoch)


@caching.per_dataset
def _curve(data: Dataset, run: str, statistic: str, epoch: int) -> dynamics.Curve:
    """Of all clicks: no label has a part in it."""
    return _precision_recall(view(data, Choice(run, statistic, epoch, BY_TRUTH)))


@caching.per_revision
def _curve_through(data: Dataset, choice: Choice) -> dynamics.Curve:
    return _precision_recall(view(data, choice))


def _precision_recall(seen: View) -> dynamics.Curve:
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
    return Choice(run_id, statistic, epoch, by, filtered.named(data, filtered.current(data).filter))


def threshold(data: Dataset, choice: Choice) -> float:
    """Where the line lies: a percentile on the slider, so that it fits every loss; of all clicks, whatever the filter."""
    every = view(data, replace(choice, through=()))
    share = st.slider(
        "Drop the clicks with the highest loss",
        0.0,
        MOST,
        15.0,
        0.1,
        format="%.1f %%",
        key=DROP,
        bind="query-params",
        help="Only a preview: nothing is dropped here. Labels decide what a training leaves out. The share is of all clicks.",
    )
    return float(np.quantile(every.loss[: every.clicks], 1 - share / 100))


def doubtful(data: Dataset, seen: View, at: float) -> None:
    """The clicks above the line, or those nearest to it: to act on together, and to look at one by one."""
    loss = seen.loss[: seen.clicks].astype(np.float64)
    widgets.section(
        "Clicks to look at", "Above the line are those that it would drop; nearest to it, those that it is least sure of."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.segmented_control("Clicks", [ABOVE, NEAREST], default=ABOVE, required=True, key="listed")
        if which == NEAREST:
            n = st.selectbox("How many", NEAREST_SIZES, index=1, key="nearest", width=130)
            listed = np.argsort(np.abs(loss - at), kind="stable")[:n]
        else:
            above = np.flatnonzero(loss > at)
            listed = above[np.argsort(-loss[above], kind="stable")]
    order = listed[: pairlist.LIMIT]
    told = f"{len(listed):,} clicks" if which == NEAREST else f"The {len(order):,} with the highest loss of {len(listed):,}"
    st.caption(f"{told}; open one to look and decide.")
    key, origin = ("above", f"losses above {at:.3g}") if which == ABOVE else ("near", f"losses nearest to {at:.3g}")
    selections.act(data, seen.pairs.where(listed), key, origin)
    columns = {"loss": seen.loss[order], "label": seen.group[order]}
    pairlist.show(data, seen.pairs.where(order), "losses", f"clicks {which}", columns)
    if not len(order):
        navigation.link("explore", "Browse all interactions")
