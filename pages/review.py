"""Review: pair after pair by keyboard, or many at once."""

from app import loop, reviewing, states, widgets

widgets.title(
    "Review", "Is this item relevant to this user? Answer by keyboard, pair after pair; every answer can be taken back."
)
data = states.need_dataset()
reviewing.choose(data)
if reviewing.narrow(data):
    reviewing.work(data)
loop.show_next("review", data)
