"""Losses: how the recorded loss is distributed by label, and what a threshold would drop."""

import streamlit as st

from app import loop, lossview, state, widgets

widgets.title("Losses", "A high loss can mean a misclick or a rare true taste. See how far the loss alone can tell them apart.")
data = widgets.need_dataset()
run = widgets.need_training(data)
widgets.stale(run, data)

losses = state.losses(run.id)
view = lossview.choose(data, losses)
threshold = lossview.threshold(view)

left, right = st.columns([3, 2], gap="medium")
with left:
    lossview.distribution(view, threshold)
    lossview.operating_curve(view, threshold)
with right:
    lossview.effect(view, threshold)
    lossview.over_time(view)

lossview.doubtful(data, view, threshold)
loop.show_next("losses", data)
