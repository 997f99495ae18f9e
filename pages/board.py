"""Judge: find doubtful pairs, have them judged, look at the answers, audit the judge, freeze the labels."""

import streamlit as st

from app import asking, auditing, judging, lookup, loop, records, rubricview, scrutinising, states, widgets

widgets.title(
    "Judge", "Pick the pairs that the model doubts, ask a judge in two views whether each is relevant, and freeze the labels."
)
data = states.need_dataset()

find, ask, freeze = st.columns(3, gap="small")
with find, st.container(border=True, height="stretch", key="step_find"):
    found = judging.find(data)
with ask, st.container(border=True, height="stretch", key="step_judge"):
    settings = asking.show(data, found)
with freeze, st.container(border=True, height="stretch", key="step_freeze"):
    judging.freeze(data)

judging.at_work(data.name)
rubricview.show(data, settings)
table = lookup.pair_table(data)
if not len(table):
    states.empty(
        "No labels yet", "Judged pairs appear here with both ratings, once candidates have been judged.", ":material/gavel:"
    )
else:
    judging.coverage(data, table)
    judging.doubt(data)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        judging.matrix(table)
    with right:
        judging.by_label(data)
    auditing.show(data)
    scrutinising.show(data)
    judging.pairs(data, table)
    records.download(data)
loop.show_next("board", data)
