"""Losses: how the recorded loss is distributed by label, what a threshold would drop, and the map of how clicks were learnt."""

import streamlit as st

from app import filterbar, loop, lossmaps, results, selections, states, widgets
from core.records import Interactions

widgets.title("Losses", "A high loss can mean a misclick or a rare true taste. See how far the loss alone can tell them apart.")
data = states.need_dataset()
run = states.need_training(data)
states.stale(data, run)

losses = results.losses(run.id)
fits = filterbar.show(data, Interactions(losses["user"], losses["item"]), "losses", "clicks").any()
distribution, learnt, saved = st.tabs(
    ["Distribution", "Data map", "Selections"], key="tab", on_change="rerun", bind="query-params"
)
if distribution.open and fits:
    with distribution:
        lossmaps.threshold(data, run.id)
if learnt.open and fits:
    with learnt:
        lossmaps.data_map(data, run.id)
if saved.open:
    with saved:
        selections.saved(data, "losses")
loop.show_next("losses", data)
