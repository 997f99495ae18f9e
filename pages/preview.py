"""Preview: what the labels would do to a training's lists, at once, before anything is trained."""

import streamlit as st

from app import loop, navigation, previewing, results, states, widgets

widgets.title("Preview", "What would these labels do? A finished training's vectors on the graph that the labels make, at once.")
data = states.need_dataset()
run = states.need_training(data)
states.stale(data, run)
base = previewing.base(data, run)
every = previewing.sources(data)
if base and not every:
    with states.empty("No labels yet", "Judge candidates, or decide about a pair; what that would do is shown here."):
        navigation.link("board", "Judge candidates")
elif base:
    left, right = st.columns([2, 5], gap="medium")
    with left, st.container(border=True, key="what_if"):
        chosen = previewing.what_if(base, every)
    with right:
        found = results.preview(data, run.id, chosen.sources, chosen.noisy_weight, chosen.add_missed)
        previewing.outcome(base, found)
        previewing.details(found)
    previewing.lists(base, found)
    previewing.go_on(data, base, chosen, every, found)
navigation.link("files", "Take the cleaned dataset away as a file", icon=":material/folder_zip:")
loop.show_next("preview", data)
