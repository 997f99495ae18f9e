"""Sets of pairs that any page makes and any page acts on: save, label, walk through, ask the judge, export."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import lookup, navigation, pairlist, queues, results, state, states, widgets, words, work
from app.deciding import CHOSEN, REASONS
from app.palette import ANSWERS, LABELS, answer_label
from core import dynamics, exchange
from core.errors import WinnowError
from core.records import Dataset, Interactions, Label, Source
from core.wording import counted

LABEL_LIMIT = 20_000
"""Pairs that one action labels at most: more than anybody can mean by one answer."""

_DONE = "bulk_done"  # (dataset, batch, what was done): the newest bulk labelling of this session, for its undo


def raw(data: Dataset, pairs: Interactions) -> list[tuple[str, str]]:
    """Raw ids of pairs by position."""
    return list(zip(data.user_ids[pairs.user], data.item_ids[pairs.item], strict=True))


def act(data: Dataset, pairs: Interactions, key: str, origin: str, *, blind: bool = False) -> None:
    """Everything that can be done with these pairs. `key` tells places on a page apart; `origin` is kept with what is saved.

    When `blind`, nothing here says what the pairs are labelled.
    """
    if len(pairs):
        with st.container(horizontal=True, key=f"{key}_actions"):
            _save(data, pairs, key, origin)
            _label(data, pairs, key, origin, blind)
            _walk(data, pairs, key, origin)
            _send(data, pairs, key)
            _ask(data, pairs, key)
            if not blind:
                _export(data, pairs, key)
    undo(data, key)


def _save(data: Dataset, pairs: Interactions, key: str, origin: str) -> None:
    with st.popover(f"Save these {len(pairs):,} as a selection", icon=":material/bookmark_add:"):
        name = st.text_input("Name", key=f"{key}_name", max_chars=80, placeholder="what these pairs are")
        note = st.text_input("Note", key=f"{key}_note", max_chars=500)
        if st.button("Save", key=f"{key}_save", type="primary"):
            with states.caught():
                who = state.annotator()
                n = state.store().keep_selection(data.name, name, raw(data, pairs), annotator=who, note=note, origin=origin)
                state.flash(f"Saved {counted(n, 'pair')} as {widgets.plain(name.strip())}.", ":material/bookmark_added:")
                st.rerun()


def _label(data: Dataset, pairs: Interactions, key: str, origin: str, blind: bool) -> None:
    opened = f"{key}_labelling"
    box = st.popover("Label", icon=":material/label:", disabled=not state.annotator(), key=opened, on_change="rerun")
    if not box.open:
        return
    with box:
        by_person = _decided(data, pairs)
        made_of = "labels are hidden" if blind else _composition(lookup.codes_now(data, pairs))
        st.markdown(f"**{counted(len(pairs), 'pair')}** · {made_of}")
        again = by_person.any() and st.checkbox(
            f"Also the {int(by_person.sum()):,} that a person has decided", key=f"{key}_again", help="Left alone by default."
        )
        chosen = pairs if again else pairs.where(~by_person)
        reason = st.selectbox("Reason", CHOSEN, format_func=lambda code: REASONS[code], key=f"{key}_reason")
        fits = 0 < len(chosen) <= LABEL_LIMIT
        if len(chosen) > LABEL_LIMIT:
            widgets.note(f"One action labels at most {LABEL_LIMIT:,} pairs; select fewer.")
        told = (data.name, raw(data, chosen) if fits else [])
        for relevant, answer in ANSWERS.items():
            st.button(
                f"{LABELS[answer_label(relevant, observed=True)].sign} {len(chosen):,}: {answer}",
                key=f"{key}_label_{relevant}",
                width="stretch",
                disabled=not fits,
                on_click=_decide,
                args=(*told, relevant, reason, origin, opened, blind),
            )


def _decided(data: Dataset, pairs: Interactions) -> np.ndarray:
    """Which pairs a person has labelled: bool (n,)."""
    human = lookup.labels(data)
    human = human.where(human.source == Source.HUMAN)
    return dynamics.place_of(pairs, human.user, human.item, data.n_items) >= 0


def _composition(codes: np.ndarray) -> str:
    looks = ((LABELS[Label(code)], int((codes == code).sum())) for code in dynamics.groups(codes))
    return ", ".join(f"{look.sign} {n:,} {look.word}" for look, n in looks)


def _decide(
    dataset: str, pairs: list[tuple[str, str]], relevant: str, reason: str, origin: str, opened: str, blind: bool
) -> None:
    st.session_state[opened] = False  # the undo lies under it
    try:
        who = state.annotator()
        said = {"note": f"as a set, {origin}", "reason": reason, "saw_judge": not blind}
        rows = state.store().decide(dataset, pairs, relevant, annotator=who, **said)
    except WinnowError as error:
        state.flash(f"Not saved: {error}", ":material/error:")
        return
    st.session_state[_DONE] = (dataset, rows[0].batch, f"{counted(len(rows), 'pair')}: {ANSWERS[relevant]}")
    state.flash(f"Saved: {counted(len(rows), 'pair')}: {ANSWERS[relevant]}.")


def undo(data: Dataset, key: str) -> None:
    """The newest labelling of many pairs, with its undo; nothing when there is none in this session."""
    dataset, batch, done = st.session_state.get(_DONE, (None, "", ""))
    if dataset == data.name:
        with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_done"):
            st.markdown(f":material/check: You said: {done}.", width="content")
            st.button("Undo", key=f"{key}_undo", icon=":material/undo:", on_click=_undo, args=(dataset, batch))


def _undo(dataset: str, batch: str) -> None:
    st.session_state.pop(_DONE, None)
    try:
        taken = state.store().undo(dataset, annotator=state.annotator(), batch=batch)
    except WinnowError as error:
        state.flash(str(error), ":material/error:")
        return
    state.flash(f"Taken back: {counted(len(taken), 'decision')}.", ":material/undo:")


def _walk(data: Dataset, pairs: Interactions, key: str, origin: str) -> None:
    if st.button("Read one by one", key=f"{key}_walk", icon=":material/list:", help="On Pair, with previous and next."):
        pairlist.walk(data, pairs, origin)


def _send(data: Dataset, pairs: Interactions, key: str) -> None:
    about = "As the queue of a new session there, by keyboard or in bulk."
    if st.button("Send to Review", key=f"{key}_send", icon=":material/rate_review:", help=about):
        navigation.go("review", **{queues.SENT: queues.send(data, pairs)})  # named at once: a write later is a step for Back


def _ask(data: Dataset, pairs: Interactions, key: str) -> None:
    found = lookup.candidates(data)
    known = dynamics.place_of(pairs, found.user, found.item, data.n_items) >= 0 if found else np.zeros(len(pairs), bool)
    n = int(known.sum())
    why = f"{n:,} of {len(pairs):,} are among the candidates; a judge is asked about candidates only."
    if st.button(f"Ask the judge about {n:,}", key=f"{key}_ask", icon=":material/gavel:", disabled=not n, help=why):
        with states.caught():
            work.start("judge", data.name, _judge_as_before(data.name) | {"pairs": tuple(raw(data, pairs.where(known)))})
            st.rerun()


def _judge_as_before(dataset: str) -> dict[str, Any]:
    """The settings of the newest judge run, without what made it ask about a part only; {} before the first."""
    newest = next(iter(results.runs_of(dataset, "judge")), None)
    part = ("pairs", "limit", "shard", "estimate")
    return {name: value for name, value in newest.settings.items() if name not in part} if newest else {}


def _export(data: Dataset, pairs: Interactions, key: str) -> None:
    st.download_button(
        "Export CSV",
        lambda: _csv(data, pairs),
        f"{data.name}-pairs.csv",
        "text/csv",
        key=f"{key}_export",
        icon=":material/download:",
        on_click="ignore",
    )


def _csv(data: Dataset, pairs: Interactions) -> bytes:
    """user_id, item_id, title, label: what a spreadsheet can open without running any cell."""
    table = pd.DataFrame(raw(data, pairs), columns=["user_id", "item_id"])
    codes = lookup.codes_now(data, pairs)
    table = table.assign(title=data.item_title[pairs.item], label=np.array([label.word for label in Label], object)[codes])
    return exchange.safe_cells(table).to_csv(index=False).encode()


def saved(data: Dataset, key: str) -> None:
    """The saved selections of the dataset, one of them opened, with what can be done with it."""
    rows = lookup.selections(data)
    widgets.section("Saved selections", "Named sets of pairs; every page can act on them.")
    if not len(rows):
        st.markdown(":gray[None yet. Select points on a map, or take the clicks above a threshold, and save them.]")
        return
    shown = rows.assign(at=rows["at"].map(words.when)).rename(
        columns={"n": "pairs", "annotator": "by", "at": "when", "origin": "from"}
    )
    st.dataframe(shown[["name", "pairs", "by", "when", "from", "note"]], hide_index=True, key=f"{key}_table")
    chosen = st.selectbox("Selection", rows["name"].tolist(), key=f"{key}_chosen", width=360)
    kept = lookup.selection_pairs(data, chosen)
    lost = int(rows.loc[rows["name"] == chosen, "n"].item()) - len(kept)
    if lost:
        widgets.note(f"{lost:,} of its pairs name a user or an item that the dataset no longer has; they are left out.")
    act(data, kept, f"{key}_saved", f"selection {chosen}")
    if st.button("Delete this selection", key=f"{key}_delete", icon=":material/delete:", type="tertiary"):
        with states.caught():
            state.store().delete_selection(data.name, chosen, annotator=state.annotator())
            state.flash(f"Deleted {widgets.plain(chosen)}. Its pairs and their labels stay as they are.", ":material/delete:")
            st.rerun()
