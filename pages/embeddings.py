"""Embeddings: the vectors of a training on a plane; draw around points, see what they are, act on them."""

import streamlit as st

from app import filterbar, loop, projecting, selections, states, widgets

widgets.title("Embeddings", "The model's vectors on a plane: who and what it takes for alike. Draw around points to act on them.")
data = states.need_dataset()
states.stale(data, states.need_training(data))

with st.expander("Compute a map", icon=":material/tune:", expanded=not projecting.any_map(data)):
    projecting.form(data)
run = projecting.choose(data)
if run and filterbar.show(data, data.train, "embeddings", "training clicks").any():
    projecting.explore(data, run)
selections.saved(data, "map")
loop.show_next("embeddings", data)
