"""The focus view: a component that shows pair after pair without waiting for the server, and the log of keys that it sends.

The browser keeps every action, numbered, until a snapshot acknowledges it, and shows what follows from the snapshot and the
actions since. Each action has a token under which the store writes it once, however often it is sent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import streamlit as st

from app import deciding, queues, snapshot, state
from app.palette import ANSWERS
from app.queues import Session
from core import queue
from core.errors import StoreError, WinnowError
from core.records import Dataset

KEY = "review_keys"
_NOTICES, _BLIND = "review_notices", "review_blind"

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "winnow_review",
    js=(_HERE / "keyboard.js").read_text(encoding="utf-8"),
    css=(_HERE / "keyboard.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Entry:
    """One action as the browser sends it."""

    seq: int
    token: str
    who: str
    do: str  # one of ANSWERS, or flag, skip, undo, redo, blind
    id: int | None = None  # pair code
    note: str = ""
    reason: str = ""
    saw: bool = True  # the judge's answer was visible
    seen: int = 0  # newest decision about the pair that was visible
    settles: bool = False  # different answers by others were visible
    target: str | None = None  # batch that an undo takes back
    on: bool = False  # of blind

    @classmethod
    def read(cls, sent: dict[str, Any]) -> Self:
        """From what came over the wire, in the types that are stored."""
        text = {name: str(sent.get(name) or "")[:limit] for name, limit in (("note", 500), ("reason", 40), ("who", 60))}
        numbers = {"seq": int(sent["seq"]), "seen": int(sent.get("seen") or 0)}
        flags = {name: bool(sent.get(name)) for name in ("saw", "settles", "on")}
        identifier = None if sent.get("id") is None else int(sent["id"])
        return cls(
            token=str(sent["token"])[:40],
            do=str(sent["do"]),
            id=identifier,
            target=sent.get("target"),
            **numbers,
            **text,
            **flags,
        )


def take(data: Dataset) -> bool:
    """Write what the browser has logged since the last acknowledged action; whether the page must be drawn anew."""
    log = st.session_state.get(KEY, {}).get("log") or {}
    if log.get("scope") != snapshot.scope(data):
        return False
    acks = st.session_state.setdefault(snapshot.ACKS, {})
    client = str(log["client"])
    fresh = [entry for entry in map(Entry.read, log["entries"]) if entry.seq > acks.get(client, 0)]
    redraw = False
    for entry in fresh:
        try:
            redraw |= _do(data, entry)
        except StoreError as error:
            _notice(f"Not saved yet, this browser keeps it and sends it again: {error}")
            break
        except WinnowError as error:
            _notice(str(error))
        acks[client] = entry.seq
    return redraw


def apply_blind() -> None:
    """Switch blind mode as a key asked for, before the switch is drawn."""
    if (wanted := st.session_state.pop(_BLIND, None)) is not None:
        st.session_state[state.BLIND] = wanted
        deciding.show_blind()


def notices() -> list[str]:
    """The last things that went otherwise than the keys said."""
    return st.session_state.get(_NOTICES, [])


def forget_notices() -> None:
    st.session_state.pop(_NOTICES, None)


def _notice(text: str) -> None:
    st.session_state[_NOTICES] = [*notices(), text][-3:]


def _do(data: Dataset, entry: Entry) -> bool:
    store = state.store()
    if entry.do == "blind":
        st.session_state[_BLIND] = entry.on
        return True
    if entry.do == "undo":
        store.undo(data.name, annotator=entry.who, batch=entry.target, token=entry.token)
    elif entry.do == "redo":
        store.redo(data.name, annotator=entry.who, token=entry.token)
    elif entry.id is not None and 0 <= entry.id < data.n_users * data.n_items:
        if entry.do == "skip":
            queues.skip(data, entry.id)
        else:
            _decide(data, entry)
    return False


def _decide(data: Dataset, entry: Entry) -> None:
    [pair] = queues.ids_of(data, np.array([entry.id]))
    client = entry.token.split("-")[0]
    before = state.store().decisions(data.name, *pair)
    relevant, reason, note = entry.do, entry.reason, entry.note
    if entry.do == "flag":
        relevant, reason = "unsure", queue.SECOND_LOOK
    elif entry.settles:
        reason, note = deciding.settling(reason, note)
    written = state.store().decide(
        data.name, [pair], relevant, annotator=entry.who, note=note, reason=reason, saw_judge=entry.saw, token=entry.token
    )
    since = [row for row in before if row.id > entry.seen and row.relevant and not row.batch.startswith(client)]
    if since and since[-1].relevant != written[0].relevant:
        first = since[-1]
        whose = "You" if first.annotator == entry.who else first.annotator
        title = data.item_title[entry.id % data.n_items]
        _notice(
            f"{title}: {whose} had answered “{ANSWERS[first.relevant]}” meanwhile, in another window. "
            f"Both are kept, and “{ANSWERS[relevant]}” counts because it is newer."
        )


def show(data: Dataset, now: Session) -> None:
    """Mount the component."""
    _component(key=KEY, data=snapshot.take(data, now), on_log_change=lambda: None)
