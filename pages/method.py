"""Method: what each part does, with its formula, and what was measured."""

import streamlit as st

from app import lookup, loop, measured, method, widgets

widgets.title("Method", "What each part does, in words and as a formula, how it differs from the paper, and what was measured.")

works, choices, results = st.tabs(
    ["How it works", "Presets and members", "What we measured"], key="part", on_change="rerun", bind="query-params"
)
if works.open:
    with works:
        st.caption(method.SOURCE)
        method.parts("problem", "backbone", "negatives", "text", "doubt", "judge")
        method.outcomes()
        method.parts("graph", "contrasts", "blend")
if choices.open:
    with choices:
        method.presets()
        method.members()
if results.open:
    with results:
        measured.show()
loop.show_next("method", lookup.dataset())
