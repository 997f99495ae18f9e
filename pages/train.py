"""Train: choose settings, start, watch, stop, resume."""

import streamlit as st

from app import loop, results, state, states, training, widgets, work

widgets.title("Train", "A recommender learns from the clicks, and the loss of every click is recorded on the way.")
data = states.need_dataset()

form, view = st.columns([1, 2], gap="medium")
with form, st.container(border=True):
    widgets.section("New training")
    settings = training.settings_form(data.name)
    valid = training.before_start(data.name, settings)
    look = {"type": "primary", "icon": ":material/play_arrow:", "width": "stretch"}
    if st.button("Start training", key="start_training", disabled=not valid, **look):
        with states.caught():
            st.session_state[state.WATCHED] = work.start("train", data.name, settings).id
            st.rerun()

with view:
    runs = results.runs_of(data.name, "train")
    if not runs:
        states.empty(
            "No training yet", "Its progress and curves appear here. The settings on the left are good ones to begin with."
        )
    else:
        run = training.choose(runs)
        work.panel(run)
        training.curves(run)
        training.result(data, run)
        training.made_from(run)

if runs:
    widgets.section("All trainings of this dataset")
    st.dataframe(training.table(runs), hide_index=True, key="trainings", placeholder="–")
loop.show_next("train", data)
