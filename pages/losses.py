"""Losses: how the recorded loss is distributed by label, what a threshold would drop, and the map of how clicks were learnt."""

import streamlit as st

from app import loop, lossmaps, selections, widgets

widgets.title("Losses", "A high loss can mean a misclick or a rare true taste. See how far the loss alone can tell them apart.")
data = widgets.need_dataset()
run = widgets.need_training(data)
widgets.stale(run, data)

distribution, learnt, saved = st.tabs(
    ["Distribution", "Data map", "Selections"], key="tab", on_change="rerun", bind="query-params"
)
if distribution.open:
    with distribution:
        lossmaps.threshold(data, run.id)
if learnt.open:
    with learnt:
        lossmaps.data_map(data, run.id)
if saved.open:
    with saved:
        selections.saved(data, "losses")
loop.show_next("losses", data)
