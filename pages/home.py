"""Home: where the loop stands, what comes next, and how data come in."""

import streamlit as st

from app import importing, installation, lookup, loop, navigation, results, widgets, words, work
from app.palette import KINDS
from core import browse
from core.records import Label

data = lookup.dataset()
widgets.title(
    "Winnow", "Tell hard positives from noisy ones in your interaction data, keep what teaches, drop what misleads, and retrain."
)

if data is None:
    importing.first_steps()
    installation.show()
    st.stop()

labels = lookup.labels(data)
counts = browse.counts_by_label(labels)
judged = len(labels) - counts.get(Label.UNJUDGED, 0)
widgets.tiles(
    [
        ("Training clicks", f"{len(data.train):,}", f"{data.n_users:,} users and {data.n_items:,} items in {data.name}."),
        (
            "Hard positives",
            f"{counts.get(Label.HARD_POSITIVE, 0):,}",
            "Clicks that are relevant though the model finds them hard.",
        ),
        ("Noisy positives", f"{counts.get(Label.NOISY_POSITIVE, 0):,}", "Clicks that are not relevant, like misclicks."),
        ("Judged pairs", f"{judged:,}", f"{judged:,} of {len(labels):,} pairs that were asked about have an answer."),
        ("Reviewed pairs", f"{browse.reviewed(labels):,}", "Pairs whose label a person gave; it beats every judge."),
    ]
)

widgets.section("The loop")
steps = loop.steps(data)
now = loop.current(steps)
with st.grid(columns=6, min_column_width=130, gap="small"):
    for number, step in enumerate(steps, 1):
        with st.container(border=True, key=f"loop_{number}", height="stretch", gap="small"):
            sign = (
                ":green[:material/check_circle:]"
                if step.done
                else ":material/arrow_circle_right:"
                if step is now
                else ":gray[:material/circle:]"
            )
            st.markdown(f"{sign} **{number} · {step.name}**")
            st.caption(step.detail)
loop.show_next("home", data)

unfinished = loop.unfinished(results.runs_of(data.name))
if unfinished:
    widgets.section("To continue", "Work that stopped before it was done; what it had saved is kept.")
    for run in unfinished[:3]:
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.state_badge(run)
            st.markdown(f"{KINDS[run.kind]} · {words.when(run.created)}")
            navigation.link(work.PAGE_OF[run.kind], "Open", show=run.id)

with st.expander("Add another dataset", icon=":material/add:", key="add_dataset"):
    importing.add_dataset()
installation.show()
