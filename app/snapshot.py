"""What the browser is told about the review queue: the next pairs, those to go back to, less what blind mode hides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, deciding, lookup, pairview, queues, state, widgets, words
from app.palette import ANSWERS, LABELS, RATINGS, answer_label
from app.queues import Session
from core import queue, sampling
from core.labels import PAIR
from core.records import Dataset

AHEAD, BEHIND, NEWEST = 80, 20, 400
"""Pairs that the browser holds; decisions of mine that it can go back to; rows of mine in which those are looked for."""
HISTORY, TEXT, ANALYSIS = 40, 700, 1200
"""Titles of a history, and characters of texts, that are sent."""
ACKS = "review_acks"  # {client: the last action of its log that is written}


def scope(data: Dataset) -> str:
    """What a log is about: positions of one import of one dataset."""
    return f"{data.name}:{data.fingerprint}"


def take(data: Dataset, now: Session) -> dict[str, Any]:
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
        "name": state.ANNOTATOR,
        "acks": dict(st.session_state.get(ACKS, {})),
        "blind": now.blind,
        "order": now.order,
        "queue": ahead.tolist(),
        "skipped": queues.skipped(data),
        "left": len(now.codes),
        "items": items,
        "users": {str(user): _user(data, int(user)) for user in np.unique(codes // data.n_items)},
        "undo": [_action(data, one) for one in undo[-BEHIND:]],
        "redo": [_action(data, one) for one in redo[-BEHIND:]],
        "reasons": [[code, meaning] for code, meaning in deciding.REASONS.items() if code in deciding.CHOSEN and code],
        "answers": ANSWERS,
    }


def _action(data: Dataset, one: queue.Action) -> dict[str, Any]:
    codes = queues.codes_of(data, pd.DataFrame(one.pairs[:1], columns=PAIR))
    about = {"note": one.note, "reason": _reason(one.reason)}
    return {"batch": one.batch, "id": int(codes[0]) if len(codes) else None, "n": len(one.pairs), "do": one.relevant} | about


def _reason(code: str) -> str:
    """A reason that a person has chosen, to be shown as chosen when they come back to the pair."""
    return code if code in deciding.CHOSEN else ""


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
                "category": widgets.categories(data.item_category[item]),
                "text": str(data.item_text[item])[:TEXT],
                "about": f"{parts.clicks[item]:,} training clicks, place {parts.rank[item]:,} of {data.n_items:,} by popularity",
                "where": "clicked" if observed else "not clicked",
                "means": {answer: _look(answer, observed) for answer in ANSWERS},
                "judge": _judge(answers.get(code, [])) if open_ else None,
                "doubt": _doubt(known, at) if open_ else "",
                "mine": own[-1].relevant if own else None,
                "note": own[-1].note if own else "",
                "reason": _reason(own[-1].reason) if own else "",
                "others": [{"who": row.annotator, "said": ANSWERS[row.relevant]} for row in others]
                if open_ or now.order == "differ"
                else [],
                "settles": deciding.settles(own, others) and (open_ or now.order == "differ"),
                "seen": max((row.id for row in said.get(code, [])), default=0),
            }
        )
    return made


def clicked(data: Dataset, codes: np.ndarray) -> np.ndarray:
    """Which pairs were observed in training: bool (n,)."""
    return sampling.contains(_parts(data).codes, codes)


def _said(data: Dataset, codes: np.ndarray) -> dict[int, list[Any]]:
    """What people say now about these pairs, oldest first."""
    rows = lookup.standing(data)
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
    told = " and ".join(f"{more} than {words.beyond(value)}" for value, more in parts if not np.isnan(value))
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


@caching.per_dataset
def _parts(data: Dataset) -> _Parts:
    train = data.train
    newest = np.zeros(len(train)) if train.time is None else -train.time
    clicks = np.bincount(train.item, minlength=data.n_items)
    rank = np.searchsorted(np.sort(-clicks), -clicks) + 1
    start = np.concatenate([[0], np.cumsum(np.bincount(train.user, minlength=data.n_users))])
    return _Parts(np.lexsort((newest, train.user)), start, np.sort(train.codes(data.n_items)), clicks, rank)
