"""Explore: is the dataset sound, and what is in it."""

import streamlit as st

from app import exploring, loop, sides, state, states, widgets

widgets.title("Explore", "What is in the dataset, and whether it is sound enough to learn from.")
data = states.need_dataset()
run = state.run_id()

overview, users, items, interactions = exploring.tabs()
if overview.open:
    with overview:
        exploring.summary(data)
        left, right = st.columns([2, 3], gap="medium")
        with left:
            exploring.health(data)
        with right:
            exploring.shape(data)
if users.open:
    with users:
        sides.show(data, run, "user")
if items.open:
    with items:
        sides.show(data, run, "item")
if interactions.open:
    with interactions:
        exploring.interactions(data, run)
loop.show_next("explore", data)
