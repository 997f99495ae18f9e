"""A person's decision about one pair: the bar with the buttons, undo, and the timeline of everything said about it."""

from typing import Any

import pandas as pd
import streamlit as st

from app import lookup, pairview, state, states, widgets, words
from app.pairview import Pair
from app.palette import ANSWERS, LABELS, answer_label
from core.errors import WinnowError
from core.queue import SECOND_LOOK, SETTLED
from core.records import Dataset, Decision

NOTE, REASON, _NOTE_PAIR = "note", "reason", "note_pair"
REASONS = {
    "": "no reason given",
    "true-taste": "a true but rare taste",
    "misclick": "a misclick",
    "other-person": "for somebody else, a gift",
    "one-off": "a one-off",
    "bad-data": "the data are wrong",
    SECOND_LOOK: "flagged for a second look",
    SETTLED: "settles what others differ about",
}
CHOSEN = [code for code in REASONS if code not in (SECOND_LOOK, SETTLED)]
"""Reasons that a person chooses; the others follow from what they do."""
SHORTCUTS = {"yes": "1", "no": "2", "unsure": "3"}


def is_blind() -> bool:
    """Whether what judges and others said is hidden from who has not decided yet."""
    return bool(st.session_state.setdefault(state.BLIND, st.query_params.get(state.BLIND) == "true"))


def show_blind() -> None:
    """Write blind mode into the address, so that a reload does not show what is hidden. A bound switch could not be in links."""
    if st.session_state[state.BLIND]:
        st.query_params[state.BLIND] = "true"
    else:
        st.query_params.pop(state.BLIND, None)


def blind_toggle() -> bool:
    return st.toggle(
        "Blind",
        key=state.BLIND,
        persist_state="session",
        on_change=show_blind,
        help="Hide what the judge and others said until you have decided, so that it cannot lead you.",
    )


def hidden(data: Dataset, pair: Pair) -> bool:
    """Whether the judge's answer about this pair must stay hidden: blind, and not decided yet."""
    return is_blind() and state.annotator() not in _standing(data, pair)


def settles(own: list[Any], others: list[Any]) -> bool:
    """Whether a decision of mine settles what others differ about: I am none of them, or have settled it and change my mind."""
    return len({row.relevant for row in others}) > 1 and (not own or own[-1].reason == SETTLED)


def settling(reason: str, note: str) -> tuple[str, str]:
    """Reason code and note of a decision that settles what others differ about; a chosen reason goes into the note."""
    return SETTLED, ". ".join(filter(None, (REASONS[reason] if reason else "", note)))


def bar(data: Dataset, pair: Pair) -> None:
    """The decision buttons."""
    rows = state.store().decisions(data.name, pair.user_id, pair.item_id)
    said = _standing(data, pair)
    mine = said.get(state.annotator())
    if st.session_state.get(_NOTE_PAIR) != (pair.user_id, pair.item_id):
        st.session_state[_NOTE_PAIR] = (pair.user_id, pair.item_id)
        st.session_state[NOTE], st.session_state[REASON] = "", ""
    with st.container(border=True, key="decision"):
        if pair.held_out:
            widgets.note("This pair is held out for evaluation: a decision is kept, but labels never come from such pairs.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            blind = blind_toggle()
            open_ = not blind or mine is not None
            settled = settles([mine] if mine else [], [row for row in said.values() if row is not mine])
            for relevant in ANSWERS:
                _button(data, pair, relevant, mine, rows, open_, open_ and settled)
            if mine:
                back = (data.name, mine.batch, state.annotator())
                with st.container(key="undo", width="content"):
                    st.button("Undo", key=f"undo:{mine.id}", icon=":material/undo:", on_click=undo, args=back, shortcut="Z")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.selectbox("Reason", CHOSEN, format_func=lambda code: REASONS[code], key=REASON, width=240)
            st.text_input("Note", key=NOTE, max_chars=500, placeholder="kept with the decision, before you press a button")
        _say(mine, {} if blind and not mine else said)


def _button(data: Dataset, pair: Pair, relevant: str, mine: Any, rows: list[Decision], saw_judge: bool, settles: bool) -> None:
    look = LABELS[answer_label(relevant, pair.observed)]
    verb = {"yes": "Relevant", "no": "Not relevant", "unsure": "Can't tell"}[relevant]
    given = mine is not None and mine.relevant == relevant
    seen = rows[-1].id if rows else 0
    with st.container(key=f"decide_{relevant}", width="content"):
        # the pair is part of the button's identity: a late click can never land on the next pair
        st.button(
            f"{look.sign} {verb}" + ("" if relevant == "unsure" else f" · {look.word}"),
            key=f"decide_{relevant}:{pair.user_id}:{pair.item_id}",
            type="primary" if given else "secondary",
            help=look.means,
            shortcut=SHORTCUTS[relevant],
            disabled=not state.annotator(),
            on_click=_decide,
            args=(data.name, pair, relevant, seen, saw_judge, settles),
        )


def _say(mine: Any, said: dict[str, Any]) -> None:
    if not state.annotator():
        st.warning("Enter your name in the sidebar: every decision carries the name of who took it.", icon=":material/person:")
    if mine:
        st.caption(f"You said {ANSWERS[mine.relevant]} on {words.when(mine.at)}.")
    if len({row.relevant for row in said.values()}) < 2:
        return
    newest = list(said.values())[-1]
    if newest.reason == SETTLED:
        text = f"People differed about this pair; {newest.annotator} settled it: {ANSWERS[newest.relevant]}."
        st.info(widgets.plain(text), icon=":material/gavel:")
        return
    if mine:
        mind = f"you say {ANSWERS[mine.relevant]}; the newer decision counts."
        others = (row for row in said.values() if row.relevant != mine.relevant)
        states.conflict([f"{row.annotator} says {ANSWERS[row.relevant]}, {mind}" for row in others])
    else:
        differing = ", ".join(f"{row.annotator} says {ANSWERS[row.relevant]}" for row in said.values())
        states.conflict([f"{differing}. You are none of them: your decision settles it."])


def _decide(dataset: str, pair: Pair, relevant: str, seen: int, saw_judge: bool, settles: bool) -> None:
    """Write a decision, unless something was written about the pair since it was shown (second click, other tab)."""
    rows = state.store().decisions(dataset, pair.user_id, pair.item_id)
    if rows and rows[-1].id != seen:
        newest = rows[-1]
        said = ANSWERS[newest.relevant] if newest.relevant else "an undo"
        state.flash(
            f"Not saved: {newest.annotator} was first with “{said}”. Decide again if you differ.", ":material/sync_problem:"
        )
        return
    try:
        note, reason = st.session_state.get(NOTE, ""), st.session_state.get(REASON, "")
        if settles:
            reason, note = settling(reason, note)
        who = state.annotator()
        pairs = [(pair.user_id, pair.item_id)]
        state.store().decide(dataset, pairs, relevant, annotator=who, note=note, reason=reason, saw_judge=saw_judge)
    except WinnowError as error:
        state.flash(f"Not saved: {error}", ":material/error:")
        return
    st.session_state[NOTE], st.session_state[REASON] = "", ""
    state.flash(f"Saved: {ANSWERS[relevant]}.")


def undo(dataset: str, batch: str | None, annotator: str) -> None:
    """Take an action back, the newest one when none is named, and say so."""
    try:
        taken = state.store().undo(dataset, annotator=annotator, batch=batch)
    except WinnowError as error:
        state.flash(str(error), ":material/error:")
        return
    more = f" with {len(taken) - 1} others of the same action" if len(taken) > 1 else ""
    state.flash(f"Taken back{more}.", ":material/undo:")


def _standing(data: Dataset, pair: Pair) -> dict[str, Any]:
    """{annotator: what they say about the pair now}, the newest last; each has relevant, at and batch."""
    rows = lookup.standing(data)
    rows = rows[(rows["user_id"] == pair.user_id) & (rows["item_id"] == pair.item_id)]
    return {row.annotator: row for row in rows.itertuples()}


def timeline(data: Dataset, pair: Pair) -> None:
    """Everything that was said about the pair, the newest first; nothing while that must stay hidden."""
    if hidden(data, pair):
        return
    rows = state.store().decisions(data.name, pair.user_id, pair.item_id)
    answers = state.store().judgments(data.name, pair.user_id, pair.item_id, texts=False)
    by_id = {row.id: row for row in rows}
    events = [(row.at, row.annotator, _words(row, by_id), row.note) for row in rows]
    for row in answers.itertuples():
        events.append((row.at, row.model, f"{row.rating} in the {row.view} view", ""))
    widgets.section("Timeline")
    if not events:
        st.markdown(":gray[Nobody has said anything about this pair yet.]")
        return
    table = pd.DataFrame(sorted(events, key=lambda event: -event[0]), columns=["when", "who", "what", "note"])
    st.dataframe(table.assign(when=table["when"].map(words.when)), hide_index=True, key="timeline")
    st.caption(f"{pairview.WHERE[pair.where].capitalize()}. Nothing is ever deleted: an undo is a line of its own.")


def _words(row: Decision, by_id: dict[int, Decision]) -> str:
    if row.relevant:
        return ANSWERS[row.relevant] + (f" ({REASONS.get(row.reason, row.reason)})" if row.reason else "")
    target = by_id.get(row.undoes or 0)
    return f"took back “{ANSWERS[target.relevant]}”" if target and target.relevant else "brought a decision back"
