"""The focus view: a component that shows pair after pair without waiting for the server, and the log of keys that it sends.

The browser keeps every action, numbered, until a snapshot acknowledges it, and shows what follows from the snapshot and the
actions since. Each action has a token under which the store writes it once, however often it is sent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import streamlit as st

from app import deciding, pairview, queues, state
from app.palette import ANSWERS, LABELS, RATINGS, answer_label
from app.queues import Session
from core import queue, sampling
from core.errors import StoreError, WinnowError
from core.labels import PAIR
from core.records import Dataset, Decision

KEY = "review_keys"
AHEAD, BEHIND, NEWEST = 80, 20, 400
"""Pairs that the browser holds; decisions of mine that it can go back to; rows of mine in which those are looked for."""
HISTORY, TEXT, ANALYSIS = 40, 700, 1200
"""Titles of a history, and characters of texts, that are sent."""
_ACKS, _NOTICES, _BLIND = "review_acks", "review_notices", "review_blind"

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
    if log.get("scope") != scope(data):
        return False
    acks = st.session_state.setdefault(_ACKS, {})
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


def scope(data: Dataset) -> str:
    """What a log is about: positions of one import of one dataset."""
    return f"{data.name}:{data.fingerprint}"


def apply_blind() -> None:
    """Switch blind mode as a key asked for, before the switch is drawn."""
    if (wanted := st.session_state.pop(_BLIND, None)) is not None:
        st.session_state[deciding.BLIND] = wanted


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


# --- what the browser is told -----------------------------------------------------------------------------------------


def show(data: Dataset, now: Session) -> None:
    """Mount the component."""
    _component(key=KEY, data=snapshot(data, now), on_log_change=lambda: None)


def snapshot(data: Dataset, now: Session) -> dict[str, Any]:
    """The next pairs, those that can be gone back to, and what has arrived. Without what blind mode hides."""
    who = state.annotator()
    undo, redo = queue.stacks(state.store().newest_by(data.name, who, NEWEST)) if who else ([], [])
    ahead = now.codes[:AHEAD]
    behind = queues.codes_of(data, pd.DataFrame([one.pairs[0] for one in (undo + redo)[-BEHIND:]], columns=PAIR))
    codes = np.unique(np.concatenate([ahead, behind]))
    items = {str(code): item for code, item in zip(codes.tolist(), _items(data, now, codes), strict=True)}
    return {
        "scope": scope(data),
        "who": who,
        "acks": dict(st.session_state.get(_ACKS, {})),
        "blind": now.blind,
        "queue": ahead.tolist(),
        "left": len(now.codes),
        "items": items,
        "users": {str(user): _user(data, int(user)) for user in np.unique(codes // data.n_items)},
        "undo": [_action(data, one) for one in undo[-BEHIND:]],
        "redo": [_action(data, one) for one in redo[-BEHIND:]],
        "reasons": [[code, words] for code, words in deciding.REASONS.items() if code in deciding.CHOSEN and code],
        "answers": ANSWERS,
    }


def _action(data: Dataset, one: queue.Action) -> dict[str, Any]:
    codes = queues.codes_of(data, pd.DataFrame(one.pairs[:1], columns=PAIR))
    return {"batch": one.batch, "id": int(codes[0]) if len(codes) else None, "n": len(one.pairs), "do": one.relevant}


def _items(data: Dataset, now: Session, codes: np.ndarray) -> list[dict[str, Any]]:
    known, answers, parts = queues.pile(data), queues.answers_of_judge(data), _parts(data)
    said = _said(data, codes)
    mine = {code: [row for row in rows if row.annotator == state.annotator()] for code, rows in said.items()}
    place = queues.places(data, known, codes)
    clicked_ = clicked(data, codes)
    made = []
    for code, at in zip(codes.tolist(), place.tolist(), strict=True):
        user, item = divmod(code, data.n_items)
        own = mine.get(code, [])
        others = [row for row in said.get(code, []) if row not in own]
        open_ = not now.blind or bool(own)
        observed = bool(clicked_[len(made)])
        made.append(
            {
                "id": code,
                "user": user,
                "item": item,
                "itemId": str(data.item_ids[item]),
                "title": str(data.item_title[item]),
                "category": str(data.item_category[item]).replace("|", " · "),
                "text": str(data.item_text[item])[:TEXT],
                "about": f"{parts.clicks[item]:,} training clicks, place {parts.rank[item]:,} of {data.n_items:,} by popularity",
                "where": "clicked" if observed else "not clicked",
                "means": {answer: _look(answer, observed) for answer in ANSWERS},
                "judge": _judge(answers.get(code, [])) if open_ else None,
                "doubt": _doubt(known, at) if open_ else "",
                "mine": own[-1].relevant if own else None,
                "note": own[-1].note if own else "",
                "others": [{"who": row.annotator, "said": ANSWERS[row.relevant]} for row in others]
                if open_ or now.order == "differ"
                else [],
                "settles": not own and len({row.relevant for row in others}) > 1 and (open_ or now.order == "differ"),
                "seen": max((row.id for row in said.get(code, [])), default=0),
            }
        )
    return made


def clicked(data: Dataset, codes: np.ndarray) -> np.ndarray:
    """Which pairs were observed in training: bool (n,)."""
    return sampling.contains(_parts(data).codes, codes)


def _said(data: Dataset, codes: np.ndarray) -> dict[int, list[Decision]]:
    """What people say now about these pairs, oldest first."""
    rows = state.standing(data)
    wanted = set(queues.ids_of(data, codes))
    kept = [pair in wanted for pair in zip(rows["user_id"], rows["item_id"], strict=True)]
    rows = rows[np.array(kept, bool)]
    found: dict[int, list[Any]] = {}
    for code, row in zip(queues.codes_of(data, rows).tolist(), rows.itertuples(), strict=True):
        found.setdefault(code, []).append(row)
    return found


def _look(answer: str, observed: bool) -> str:
    look = LABELS[answer_label(answer, observed)]
    return f"{look.sign} {look.word}"


def _judge(answers: list[dict[str, str]]) -> dict[str, Any] | None:
    if not answers:
        return None
    both = [one["rating"] for one in answers]
    verdict = "relevant" if both == ["High", "High"] else "not relevant" if len(both) == 2 else "one view is missing"
    views = [
        {
            "title": pairview.VIEW_WORDS[one["view"]],
            "rating": one["rating"],
            "sign": RATINGS[one["rating"]][0],
            "text": one["analysis"][:ANALYSIS],
        }
        for one in answers
    ]
    return {"verdict": verdict, "by": answers[0]["by"], "views": views}


def _doubt(known: queue.Reviewable, at: int) -> str:
    if at < 0:
        return ""
    parts = ((known.doubt[at], "more doubtful"), (known.loss[at], "higher loss"))
    told = " and ".join(f"{words} than {int(100 * value)}%" for value, words in parts if not np.isnan(value))
    return f"{told[0].upper()}{told[1:]} of the training clicks." if told else ""


def _user(data: Dataset, user: int) -> dict[str, Any]:
    """What is known about a user: item position, title and category of the clicks, the newest first where times are known."""
    parts = _parts(data)
    items = data.train.item[parts.rows(user)]
    history = [[int(item), str(data.item_title[item]), str(data.item_category[item])] for item in items[: HISTORY + 1]]
    return {"id": str(data.user_ids[user]), "about": str(data.user_text[user])[:TEXT], "clicks": len(items), "history": history}


@dataclass(frozen=True, eq=False)
class _Parts:
    """Look-ups in the training clicks."""

    order: np.ndarray  # rows of train by user, the newest first
    start: np.ndarray  # (n_users + 1,)
    codes: np.ndarray  # of all clicks, sorted
    clicks: np.ndarray  # (n_items,)
    rank: np.ndarray  # (n_items,) from 1

    def rows(self, user: int) -> np.ndarray:
        return self.order[self.start[user] : self.start[user + 1]]


@state.per_dataset
def _parts(data: Dataset) -> _Parts:
    train = data.train
    newest = np.zeros(len(train)) if train.time is None else -train.time
    clicks = np.bincount(train.item, minlength=data.n_items)
    rank = np.searchsorted(np.sort(-clicks), -clicks) + 1
    start = np.concatenate([[0], np.cumsum(np.bincount(train.user, minlength=data.n_users))])
    return _Parts(np.lexsort((newest, train.user)), start, np.sort(train.codes(data.n_items)), clicks, rank)
