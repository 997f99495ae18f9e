"""Files: everything that can be taken away, and everything that can be read in."""

import streamlit as st

from app import filing, loop, receiving, states, widgets

widgets.title("Files", "Take the cleaned dataset and all that was said about it away, and read in what was said elsewhere.")
data = states.need_dataset()
left, right = st.columns([2, 3], gap="medium")
with left:
    filing.take_away(data)
with right:
    receiving.read_in(data)
loop.show_next("files", data)
