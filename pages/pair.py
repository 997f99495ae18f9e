"""Pair: everything about one user and one item, and the decision about it."""

import streamlit as st

from app import counterfactual, deciding, loop, nearby, pairmodel, pairview, queues, states, widgets

widgets.title("Pair", "Is this item relevant to this user? Look at both, at the judge's two views and at the loss, and decide.")
data = states.need_dataset()
queues.follow(data)
pair = pairview.choose(data)
if pair is None:
    loop.show_next("pair", data)
    st.stop()

hidden = deciding.hidden(data, pair)
pairview.header(data, pair, hidden=hidden)
deciding.bar(data, pair)

left, right = st.columns(2, gap="medium")
with left:
    pairview.user_card(data, pair, hidden=deciding.is_blind())
with right:
    pairview.item_card(data, pair)

if hidden:
    widgets.note(
        "Blind: labels, the judge's views, the doubt, the loss and what others said are shown once you have decided.",
        ":material/visibility_off:",
    )
else:
    pairview.views(data, pair)
    counterfactual.show(data, pair)
    pairmodel.doubt(data, pair)
    run = pairmodel.training(data)
    if run:
        pairmodel.learnt(data, pair, run)
        pairmodel.turned(data, pair, run)
    nearby.show(data, pair, run, blind=deciding.is_blind())
deciding.timeline(data, pair)
loop.show_next("pair", data)
