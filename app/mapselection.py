"""What was selected on a map: what it is made of beside all, its typical and outlying pairs, and what can be done with it."""

import numpy as np
import pandas as pd
import streamlit as st

from app import gathering, lasso, maps, pairlist, results, selections, widgets
from app.gathering import Clicks
from app.palette import LABELS, SOURCES
from core import dynamics, projection
from core.records import Dataset, Label, Source
from core.runs import Run

SHOWN = 10
"""Representative and outlying pairs of a selection, each."""
TYPICAL, OUTLYING, ALL = "representative", "outlying", "all"


def picked_of(data: Dataset, run: Run, chosen: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The training clicks bool (n,) of chosen rows of a map, as far as they fit the filter, `keep` bool (n,)."""
    of = run.settings["of"]
    return keep & chosen if of == "pairs" else keep & chosen[data.train.user if of == "users" else data.train.item]


def show(data: Dataset, run: Run, clicks: Clicks, chosen: np.ndarray, keep: np.ndarray) -> None:
    """How many of the rows (bool (n,)) are selected, what they are beside all, and what can be done with their clicks."""
    of, picked = run.settings["of"], picked_of(data, run, chosen, keep)
    pairs = data.train.where(picked)
    with st.container(border=True, key="map_selected"):
        if not chosen.any():
            hint = "Draw around some points. The outline is tested on all rows that fit, drawn or not."
            lasso.nothing("map_first", run.id, hint)
            selections.undo(data, "map")
            return
        extra = "" if of == "pairs" else f" of {int(chosen.sum()):,} {of}"
        st.markdown(f"**{len(pairs):,} training clicks{extra} are selected**, {picked.mean():.1%} of all")
        selections.act(data, pairs, "map", f"map of {of}")
        composition(clicks.label, picked)
        popularity = np.bincount(data.train.item, minlength=data.n_items)
        loss, common = clicks.loss[picked], popularity[pairs.item]
        if len(pairs):
            given = dynamics.composition(clicks.source, picked)
            st.caption(
                f"Given by {_lifts([SOURCES[Source(code)] for code in given['group']], given)}. "
                f"Median loss {np.nanmedian(loss):.2f} (all: {np.nanmedian(clicks.loss):.2f}); median clicks of the item "
                f"{np.median(common):,.0f} (all: {np.median(popularity[data.train.item]):,.0f})."
            )


def members(data: Dataset, run: Run, clicks: Clicks, chosen: np.ndarray, keep: np.ndarray, *, second: bool) -> None:
    """Pairs to read: those nearest to the selection's centre in the vectors of a training, those farthest from it, or all.

    `second`: the vectors of the second training, when its map is looked at.
    """
    picked = picked_of(data, run, chosen, keep)
    pairs = data.train.where(picked)
    if not len(pairs):
        return
    with st.container(border=True, key="map_members", gap="small"):
        which = st.segmented_control(
            "Pairs to read",
            [TYPICAL, OUTLYING, ALL],
            default=TYPICAL,
            required=True,
            key="map_which",
            persist_state="session",
            help="By cosine to the mean of the selected pairs' vectors, user and item side by side: in the space that the "
            "training has learned, not on the map.",
        )
        near, far = projection.typical(results.embeddings(run.result["runs"][1 if second else 0]), pairs, SHOWN)
        rows = {TYPICAL: near, OUTLYING: far, ALL: np.arange(min(len(pairs), pairlist.LIMIT))}[which]
        told = {
            TYPICAL: f"The {len(near):,} nearest to the centre of the selection, among the training's vectors.",
            OUTLYING: f"The {len(far):,} farthest from the centre of the selection, among the training's vectors.",
            ALL: f"The first {len(rows):,} of {len(pairs):,}.",
        }
        st.caption(told[which])
        columns = {
            "loss": clicks.loss[picked][rows],
            "label": clicks.label[picked][rows],
            "given by": clicks.source[picked][rows],
        }
        pairlist.show(data, pairs.where(rows), "map_pairs", f"map of {run.settings['of']}, {which}", columns)


def composition(codes: np.ndarray, picked: np.ndarray) -> None:
    """Labels among the selected clicks beside all; the one whose lift is told most surely stands above."""
    table = dynamics.composition(codes, picked)
    looks = [LABELS[Label(code)] for code in table["group"]]
    names = [f"{look.sign} {look.word}" for look in looks]
    finding = "Among the selected, labels are as among all clicks"
    if (table["low"] > 1).any():
        most = table.loc[table["low"].idxmax()]
        finding = f"{gathering.group_name('label', int(most['group']))} are {most['lift']:.1f} times as common here as among all "
        finding += f"clicks ({most['low']:.1f} to {most['high']:.1f})"
    shown = table.assign(group=names).rename(columns={"low": "lift from", "high": "lift to"})
    figure = maps.composition(table, names, [look.colour for look in looks])
    widgets.chart("composition", finding, figure, shown, _lifts(names, table))


def _lifts(names: list[str], table: pd.DataFrame) -> str:
    return "; ".join(f"{name} {n:,}, lift {lift:.1f}" for name, n, lift in zip(names, table["n"], table["lift"], strict=True))
