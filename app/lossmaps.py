"""The rest of the Losses page: the data map, and what a denoiser that trusts the loss would throw away."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from app import (
    caching,
    filtered,
    lasso,
    lookup,
    losseffect,
    lossshape,
    lossview,
    maps,
    mapselection,
    pairlist,
    results,
    selections,
    state,
    widgets,
)
from app.lossview import BY_LABEL, BY_TRUTH, GROUPINGS, Choice
from app.palette import LABELS
from core import dynamics, projection, regions
from core.records import Dataset, Interactions, Label
from core.regions import Density


@st.fragment
def threshold(data: Dataset, run_id: str) -> None:
    """The distribution, the line on it, and what it drops; moving the line reruns only this."""
    choice = lossview.choose(data, run_id)
    seen = lossview.view(data, choice)
    at = lossview.threshold(data, choice)
    if not seen.clicks:
        widgets.note("No click with such a loss fits the filter.")
        return
    losseffect.tiles(data, choice, seen, at)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        lossshape.distribution(data, choice, seen, at)
        thrown_away(data, choice, float((seen.loss[: seen.clicks] > at).mean()))
    with right:
        losseffect.by_label(seen, at)
        losseffect.operating_curve(data, choice, seen, at)
        lossshape.over_time(data, choice)
    lossview.doubtful(data, seen, at)
    state.show_flashes()


def thrown_away(data: Dataset, choice: Choice, share: float) -> None:
    """At the same share of dropped clicks, the noise that each score catches beside the hard positives that go with it."""
    losses = results.losses(choice.run)
    truth = data.train.truth is not None
    seen = lossview.view(data, replace(choice, statistic="mean", epoch=0, by=BY_TRUTH if truth else choice.by))
    group, k = seen.group, round(share * len(seen.group))
    hard, noisy = group == Label.HARD_POSITIVE, group == Label.NOISY_POSITIVE
    if not k or not hard.any() or not noisy.any():
        widgets.note("Nothing is dropped, or no hard or no noisy positive is known: there is nothing to compare.")
        return
    scores = {name: losses[name] for name in ("mean", "early", "last")}
    named = {"mean": "loss, averaged", "early": "loss, early", "last": "loss, last epoch"}
    scores = {named[name]: loss for name, loss in scores.items()} | _doubt(data, losses)
    scores = {name: score[seen.rows] for name, score in scores.items()}
    rows = dynamics.thrown_away(scores, k, hard, noisy)
    caught, lost = (rows[0][name] / rows[0][f"all {name}"] for name in ("noisy", "hard"))
    finding = f"Dropping {k:,} clicks by the averaged loss catches {caught:.0%} of the noise and {lost:.0%} of the hard positives"
    source = GROUPINGS[BY_TRUTH] if truth else GROUPINGS[BY_LABEL]
    about = f"n = {len(group):,} clicks, {hard.sum():,} hard and {noisy.sum():,} noisy by {source}; dotted: dropped at random"
    widgets.chart("thrown_away", finding, maps.thrown_away(rows, k / len(group)), pd.DataFrame(rows), about)


def _doubt(data: Dataset, losses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The doubt of the newest candidates for the recorded clicks; those that are no candidates come after, by their loss."""
    found = lookup.candidates(data)
    if found is None:
        return {}
    clicks = Interactions(losses["user"], losses["item"])
    place = dynamics.place_of(clicks, found.user, found.item, data.n_items)
    behind = losses["mean"] - losses["mean"].max()
    return {"doubt, then loss": np.where(place >= 0, found.doubt[place], behind)}


@st.fragment
def data_map(data: Dataset, run_id: str) -> None:
    """Every click by how sure the model was of it and how much that changed; draw around clicks to act on them."""
    by = st.session_state.get("by") or BY_LABEL  # as the distribution is grouped
    choice = Choice(run_id, "mean", 0, by, filtered.named(data, filtered.current(data).filter))
    seen, losses = lossview.view(data, choice), results.losses(run_id)
    points = dynamics.learnt(losses)[seen.rows]
    chosen = lasso.chosen(points, lasso.outlines("data_map", run_id))
    at = projection.drawn(len(points), maps.DRAWN, seen.group)
    finding = _finding(points, seen.group)
    n = f"n = {len(points):,} clicks"
    if len(at) < len(points):
        n = f"{len(at):,} of {len(points):,} clicks drawn, stratified by label"
    about = f"{n}, grouped by {GROUPINGS[by]}; shade: how many of all lie there"
    axes = ("Variability: standard deviation of the loss over epochs", "Confidence: exp(−averaged loss)")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figure = maps.plane(points, at, chosen, codes=seen.group, axes=axes, height=520, density=_shade(data, run_id))
        table = pd.DataFrame(points[at[:1000]], columns=list(maps.AXES))
        table = table.assign(label=[LABELS[Label(code)].word for code in seen.group[at[:1000]]])
        lasso.chart("data_map", run_id, finding, figure, table, about)
    with right, st.container(border=True, key="data_map_selected"):
        if not chosen.any():
            st.markdown("**Nothing is selected**")
            st.markdown(
                ":gray[Draw around some clicks: those at the bottom were never learnt, those on the right came and went.]"
            )
            selections.undo(data, "data_map")
        else:
            pairs = seen.pairs.where(chosen)
            st.markdown(f"**{len(pairs):,} training clicks are selected**, {chosen.mean():.1%} of all")
            mapselection.composition(seen.group, chosen)
            selections.act(data, pairs, "data_map", "data map")
    if chosen.any():
        few = pairs.where(slice(pairlist.LIMIT))
        with st.expander(f"The first {len(few):,} of them", icon=":material/list:"):
            pairlist.show(data, few, "data_map_pairs", "data map", {"label": seen.group[chosen][: len(few)]})
    state.show_flashes()


@caching.per_dataset
def _shade(data: Dataset, run_id: str) -> Density:
    return regions.density(dynamics.learnt(results.losses(run_id)))


def _finding(points: np.ndarray, group: np.ndarray) -> str:
    """Where hard and noisy positives lie, in medians."""
    middle = {code: np.median(points[group == code], axis=0) for code in dynamics.groups(group)}
    if not {Label.HARD_POSITIVE, Label.NOISY_POSITIVE} <= middle.keys():
        steady, sure = np.median(points, axis=0)
        return f"Half of the clicks have a confidence above {sure:.2f}, half a variability below {steady:.2f}"
    hard, noisy = middle[Label.HARD_POSITIVE], middle[Label.NOISY_POSITIVE]
    told = [f"{name} {h:.2f} for hard, {n:.2f} for noisy positives" for name, h, n in zip(maps.AXES, hard, noisy, strict=True)]
    return f"Medians: {'; '.join(reversed(told))}"
