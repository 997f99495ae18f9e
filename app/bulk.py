"""The bulk view of the review queue: a table to choose pairs from, one answer for all of them, taken back as one.

What is ticked is kept by pair, so it outlives another page, order or filter.
"""

import numpy as np
import pandas as pd
import streamlit as st

from app import deciding, lookup, queues, snapshot, state, widgets
from app.palette import ANSWERS, LABELS
from app.queues import Session
from core.errors import WinnowError
from core.records import Dataset, Interactions, Label, fingerprint
from core.wording import counted

SIZE = 50
_REASON, _NOTE, _SCOPE = "bulk_reason", "bulk_note", "bulk_scope"
SHARES = ("more doubtful than", "higher loss than")
"""Columns with a share of the training clicks."""
CHOSEN, ALL = "ticked", "all that are left"
_TICKED = "bulk_ticked"  # {dataset: codes of the pairs that are ticked}
_ROUND = "bulk_round"  # how often ticks were taken away by something else than the table


def show(data: Dataset, now: Session) -> None:
    """The table, a page at a time, and the bar that acts on what is ticked on all of its pages."""
    if now.over:
        widgets.note("Every pair of this session is decided.", ":material/check_circle:")
        _undo_button(data)
        return
    ticked = _ticked(data)
    bar = st.container(border=True, key="bulk_bar")
    part = widgets.pages_of(len(now.codes), SIZE, "bulk_page")
    codes = now.codes[part]
    # Streamlit keeps ticks by position: a table of other pairs must be another one, and what was ticked is kept by pair
    key = f"bulk_table:{now.blind}:{fingerprint(codes, st.session_state.get(_ROUND, 0))}"
    percent = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    rows = np.flatnonzero(np.isin(codes, ticked)).tolist()
    event = st.dataframe(
        _table(data, now, codes),
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": rows, "columns": [], "cells": []}},
        height=460,
        column_config=dict.fromkeys(SHARES, percent),
    )
    ticked = np.concatenate([ticked[~np.isin(ticked, codes)], codes[event["selection"]["rows"]]])
    st.session_state.setdefault(_TICKED, {})[data.name] = ticked.tolist()
    with bar:
        _bar(data, now, now.codes[np.isin(now.codes, ticked)], ticked)


def _ticked(data: Dataset) -> np.ndarray:
    """Codes of the pairs that are ticked, on whatever page and in whatever order: int64."""
    return np.array(st.session_state.get(_TICKED, {}).get(data.name, []), np.int64)


def _untick(dataset: str, codes: np.ndarray) -> None:
    """Take ticks away; every table is a new one then."""
    known = st.session_state.get(_TICKED, {})
    known[dataset] = [code for code in known.get(dataset, []) if code not in set(codes.tolist())]
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def _table(data: Dataset, now: Session, codes: np.ndarray) -> pd.DataFrame:
    known = queues.pile(data)
    user, item = codes // data.n_items, codes % data.n_items
    table = pd.DataFrame({"user": data.user_ids[user], "title": data.item_title[item]})
    table["category"] = [widgets.categories(text) for text in data.item_category[item]]
    at = queues.places(data, known, codes)
    table["clicked"] = snapshot.clicked(data, codes)
    if now.blind:
        return table
    answers = queues.answers_of_judge(data)
    for view in ("user", "item"):
        ratings = ({one["view"]: one["rating"] for one in answers.get(int(code), [])} for code in codes)
        table[f"{view} view"] = [rating.get(view, "") for rating in ratings]
    table[SHARES[0]] = [known.doubt[place] if place >= 0 else None for place in at]
    table[SHARES[1]] = [known.loss[place] if place >= 0 else None for place in at]
    now_labelled = lookup.codes_now(data, Interactions(user, item))
    return table.assign(label=[LABELS[Label(code)].word for code in now_labelled])


def _bar(data: Dataset, now: Session, chosen: np.ndarray, ticked: np.ndarray) -> None:
    """Codes of what is ticked in this list (`chosen`), and in other orders and under other filters, too (`ticked`)."""
    counts = {CHOSEN: len(chosen), ALL: len(now.codes)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scope = st.segmented_control(
            "Answer for",
            [CHOSEN, ALL],
            default=CHOSEN,
            required=True,
            key=_SCOPE,
            format_func=lambda one: f"{counts[one]:,} · {one}",
        )
        st.selectbox("Reason", deciding.CHOSEN, format_func=deciding.REASONS.get, key=_REASON, width=240)
        st.text_input("Comment", key=_NOTE, max_chars=500, width="stretch")
    codes = chosen if scope == CHOSEN else now.codes
    pairs = queues.ids_of(data, codes)
    with st.container(horizontal=True, vertical_alignment="center"):
        for relevant, word in ANSWERS.items():
            st.button(
                f"{word[0].upper()}{word[1:]} · {len(pairs):,}",
                key=f"bulk_{relevant}",
                disabled=not pairs or not state.annotator(),
                on_click=_decide,
                args=(data.name, codes, pairs, relevant, not now.blind, now.order == "differ"),
            )
        _undo_button(data)
        if len(ticked):
            look = {"type": "tertiary", "icon": ":material/deselect:", "on_click": _untick, "args": (data.name, ticked)}
            st.button(f"Untick {len(ticked):,}", key="bulk_untick", **look)
    users = len({user for user, _ in pairs})
    others = lookup.standing(data)
    known = len(set(pairs) & set(zip(others["user_id"], others["item_id"], strict=True)))
    who = f"{counted(len(pairs), 'pair')} of {counted(users, 'user')}"
    st.caption(f"{who}; people have answered about {known:,} of them before. Undo takes the answer for all of them back at once.")
    if more := len(ticked) - len(chosen):
        st.caption(f"{more:,} more are ticked and not in this list; they stay ticked and get no answer now.")


def _undo_button(data: Dataset) -> None:
    st.button("Undo", key="bulk_undo", icon=":material/undo:", on_click=deciding.undo, args=(data.name, None, state.annotator()))


def _decide(dataset: str, codes: np.ndarray, pairs: list[tuple[str, str]], relevant: str, saw_judge: bool, settles: bool) -> None:
    note, reason = st.session_state[_NOTE], st.session_state[_REASON]
    if settles:
        reason, note = deciding.settling(reason, note)
    try:
        state.store().decide(dataset, pairs, relevant, annotator=state.annotator(), note=note, reason=reason, saw_judge=saw_judge)
    except WinnowError as error:
        state.flash(f"Not saved: {error}", ":material/error:")
        return
    st.session_state[_NOTE], st.session_state[_REASON], st.session_state[_SCOPE] = "", "", CHOSEN
    _untick(dataset, codes)
    state.flash(f"Saved: {counted(len(pairs), 'pair')} {ANSWERS[relevant]}. Undo takes all of them back.")
