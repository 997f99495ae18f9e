"""What the Judge page is made of: three steps, the work they start, coverage, agreement of the views, the judged pairs."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, filterbar, filtered, forms, judgecharts, lookup, pairlist, results, state, states, widgets, words, work
from app.palette import LABELS, SOURCES
from core import browse, pipeline
from core.filters import Filter
from core.records import Dataset, Interactions, Label, Rating, Source
from core.runs import Run, State
from core.settings import CandidateSettings
from core.wording import counted

CELLS, ITEM_VIEW = "agreement_cells", "item view "
EAGER = 2000
"""Rows of a table that are sent at once."""


def find(data: Dataset) -> Run | None:
    """Step 1; returns the newest finished search."""
    done = [run for run in results.runs_of(data.name, "candidates") if run.state is State.DONE]
    widgets.section("1 · Find candidates")
    if not results.trained(data.name):
        st.markdown(":gray[Needs a finished training, whose scores and losses show what is doubtful.]")
        st.button("Find candidates", key="find_candidates", disabled=True, width="stretch")
        return None
    runs: dict[Any, str] = {None: "the newest training"} | {run.id: words.run_label(run) for run in results.trained(data.name)}
    values = forms.settings_form(CandidateSettings, "find", ("budget", "run"), choices={"run": runs})
    primary = "secondary" if done else "primary"
    if st.button("Find candidates", key="find_candidates", type=primary, icon=":material/search:", width="stretch"):
        with states.caught():
            work.start("candidates", data.name, values)
            st.rerun()
    if done:
        result = done[0].result
        parts = f"{counted(result['observed'], 'click')}, {result['unobserved']:,} unobserved"
        st.caption(f"Last: {counted(result['n'], 'pair')} ({parts}).")
        st.caption(f"Text by {widgets.plain(result['encoder'])}: {widgets.plain(result['why'])}")
    return done[0] if done else None


def freeze(data: Dataset) -> None:
    """Step 3: keep the labels as they stand as a version that a training can name."""
    widgets.section("3 · Freeze the labels")
    labels = lookup.labels(data)
    version, fresh = lookup.newest_version(data)
    useful = int((labels.source != Source.NONE).sum())
    if version:
        st.markdown(
            f"Newest version: **{version}**"
            + (f"; **{fresh:,}** labels changed since." if fresh else "; nothing has changed since.")
        )
    else:
        st.markdown(
            f"{useful:,} labels can be frozen." if useful else ":gray[Needs labels: judged candidates or your own decisions.]"
        )
    note = st.text_input("Note", key="freeze_note", max_chars=200, placeholder="what this version is for")
    ready = bool(useful and fresh and state.annotator())
    kind = "primary" if ready else "secondary"
    if st.button("Freeze as a version", key="freeze", type=kind, icon=":material/ac_unit:", width="stretch", disabled=not ready):
        with states.caught():
            name = pipeline.freeze(state.home(), data.name, annotator=state.annotator(), note=note)
            state.flash(f"The labels are frozen as {name}.", ":material/ac_unit:")
            st.rerun()
    if useful and not state.annotator():
        st.caption("Enter your name in the sidebar first.")
    versions = lookup.versions(data.name)
    if len(versions):
        shown = versions.assign(at=versions["at"].map(words.when))[["version", "n", "at", "annotator", "note"]]
        st.dataframe(shown, hide_index=True, height=min(36 * (len(shown) + 1), 180), key="versions")


def at_work(name: str) -> None:
    """What is being done now, or has stopped before it was done."""
    for kind in ("candidates", "judge"):
        runs = results.runs_of(name, kind)
        if runs and runs[0].state is not State.DONE:
            work.panel(runs[0])


def coverage(data: Dataset, table: pd.DataFrame) -> None:
    """How much is judged, by whom."""
    n = len(table)
    unjudged = int((table["label"] == Label.UNJUDGED).sum())
    by_source = {source: int((table["source"] == source).sum()) for source in Source if source != Source.NONE}
    numbers = [
        ("Pairs asked about", f"{n:,}", "Candidates that were sent to a judge, and pairs that people decided about."),
        ("With a label", f"{1 - unjudged / n:.0%}", f"{n - unjudged:,} of {n:,}."),
        ("Built-in rater", f"{by_source[Source.BUILTIN]:,}", "Labels given by the built-in rater, which is no language model."),
        ("Language model", f"{by_source[Source.LLM]:,}", "Labels given by a language model."),
        ("People", f"{by_source[Source.HUMAN]:,}", "Labels given by people; they beat every judge."),
    ]
    if simulated := by_source[Source.SIMULATED]:
        numbers.insert(2, ("Simulated judge", f"{simulated:,}", "Labels of a simulation, for research; any real rater beats it."))
    widgets.tiles(numbers)
    counts = lookup.coverage(data)
    asked, judged, failed = (int(counts[name].sum()) if len(counts) else 0 for name in ("asked", "judged", "failed"))
    states.partial(
        judged,
        asked,
        "of what judges were asked is answered in both views",
        f"The rest stay as they are ({failed:,} failed{', see Coverage by judge for why' if failed else ''}); judge again to "
        "fill the gaps. What is answered is not asked for twice.",
    )
    with st.expander("Coverage by judge", icon=":material/table:"):
        st.dataframe(counts, hide_index=True, key="coverage")
        if failed:
            st.dataframe(_failures(data), hide_index=True, key="failures")


@caching.per_asked
def _failures(data: Dataset) -> pd.DataFrame:
    """Why questions have no answer: judge, model, what went wrong, of how many questions, and the newest of it in full."""
    failed = state.store().unanswered(data.name).sort_values("failed_at", kind="stable")
    kinds = failed.groupby(["judge", "model", "kind"])["detail"].agg(questions="size", newest="last").reset_index()
    return kinds.rename(columns={"kind": "what went wrong", "newest": "the newest in full"})


def doubt(data: Dataset) -> None:
    """How well the doubt agrees with people so far."""
    answered = lookup.answered(data)
    if answered is None:
        return
    made = answered.calibration
    if made.auc is None:
        st.markdown(f":gray[How well the doubt agrees with people: {made.reason}.]")
        return
    text = f"Doubt and people: AUC {made.auc:.2f} by {counted(answered.answers, 'answer')}"
    about = "How often, of a noisy and a relevant click, the noisy one gets the higher chance; 0.5 is a coin"
    st.markdown(f"**{text}** (cross-validated)  \n:gray[{about}]")
    if answered.against:
        widgets.note("People's answers do not bear the doubt out: among them the more doubtful clicks are not the noisier ones.")


def matrix(table: pd.DataFrame) -> None:
    """Both views' ratings against each other."""
    counts = browse.agreement(table)
    total = int(counts.sum())
    if not total:
        st.markdown(":gray[No pair has both views yet.]")
        return
    same = np.trace(counts) / total
    marks = [rating.value for rating in Rating]
    shown = pd.DataFrame(counts, columns=[f"{ITEM_VIEW}{word}" for word in marks])
    shown.insert(0, "user view", marks)
    finding = f"The two views give the same rating to {same:.0%} of the pairs"
    about = f"n = {total:,}; both High means relevant, everything else does not"
    widgets.chart("agreement", finding, judgecharts.agreement(counts), shown, about)
    st.caption("Choose a cell to list its pairs below.")
    narrow = {f"{ITEM_VIEW}{word}": st.column_config.NumberColumn(f"item {word}", width=60) for word in marks}
    narrow["user view"] = st.column_config.TextColumn("user", width=60)
    look = {"hide_index": True, "column_config": narrow}
    st.dataframe(shown, key=CELLS, on_select=_list_cell, selection_mode="single-cell", **look)


def _list_cell() -> None:
    """Filter the list of pairs by the chosen cell of the matrix."""
    for row, column in st.session_state[CELLS].selection.cells:
        if column.startswith(ITEM_VIEW):
            user, item = list(Rating)[row].value.lower(), column.removeprefix(ITEM_VIEW).lower()
            filtered.put(Filter(user_view=(user,), item_view=(item,)))


def by_label(data: Dataset) -> None:
    """What the labels come to."""
    labels = lookup.labels(data)
    rows = []
    for label, count in browse.counts_by_label(labels).items():
        look = LABELS[label]
        human = int(((labels.label == label) & (labels.source == Source.HUMAN)).sum())
        rows.append({"label": f"{look.sign} {look.word}", "pairs": count, "share": count / len(labels), "by people": human})
    with st.container(border=True, height="stretch"):
        relevant = int(labels.having(Label.HARD_POSITIVE, Label.MISSED_POSITIVE).user.size)
        st.markdown(f"**{relevant:,} of {len(labels):,} examined pairs are relevant**")
        share = st.column_config.ProgressColumn("share", format="percent", min_value=0, max_value=1)
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"share": share}, key="by_label")
        widgets.legend()


def pairs(data: Dataset, table: pd.DataFrame) -> None:
    """The examined pairs that fit the filter."""
    widgets.section("Judged pairs", "Open one to read both views and to override them.")
    every = Interactions(*lookup.places(data, table))
    keep = filterbar.show(data, every, "board")
    if not keep.any():
        return
    chosen = table[keep]
    columns = {name: chosen[name].to_numpy() for name in ("user view", "item view", "label")}
    columns["given by"] = chosen["source"].to_numpy()
    pairlist.show(data, every.where(keep), "judged", "judged pairs", columns)
    with st.popover("Show as table", type="tertiary", icon=":material/table:"):
        names = {
            "label": [LABELS[Label(code)].word for code in chosen["label"]],
            "source": [SOURCES[Source(c)] for c in chosen["source"]],
        }
        # a table that the browser asks for as it is scrolled cannot be searched there, so only a long one is
        st.dataframe(chosen.assign(**names), hide_index=True, lazy=len(chosen) > EAGER)
