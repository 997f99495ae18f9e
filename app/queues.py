"""The review queue of the one who sits here: which pairs are left, in which order, and how far the session is."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, deciding, filtered, lookup, pairlist, results, state, words
from core import agreement, browse, candidates, labels, queue
from core.agreement import Estimate
from core.artifacts import read_arrays, write_arrays
from core.labels import PAIR
from core.queue import ORDERS, Learned, Reviewable
from core.records import VIEWS, Dataset, Interactions, fingerprint

ORDER, SIZE, MODE = "review_order", "review_size", "review_mode"
"""Session keys of the page's widgets."""
SENT = "sent"
"""Name in the address: the key of the pairs that were sent here."""
_KEY = re.compile("[0-9a-f]{16}")  # a fingerprint, and no path
_STARTED = "review_started"  # {dataset: when the session began}
_SKIPPED = "review_skipped"  # {fingerprint of the dataset: pair codes in the order in which they were skipped}


@dataclass(frozen=True, eq=False)
class Session:
    """What is to be decided now."""

    order: str
    blind: bool
    codes: np.ndarray  # int64, the pairs that are left, first first
    mine: pd.DataFrame  # what I say now (Store.standing), oldest first
    since: float  # [Unix s]
    size: int  # pairs of the session
    learned: Learned | None

    @property
    def decided(self) -> pd.DataFrame:
        """My decisions of this session."""
        return self.mine[self.mine["at"] >= self.since]

    @property
    def over(self) -> bool:
        return not len(self.codes)


def session(data: Dataset) -> Session:
    """The session as it is now, by the page's widgets and by what is in the store."""
    order, blind, who = st.session_state[ORDER], deciding.is_blind(), state.annotator()
    standing = lookup.standing(data)
    mine = standing[standing["annotator"] == who]
    learned = _learned(data, *_stamp(data), who, not blind) if order == "learned" else None
    left = _codes(data, order, learned, blind)
    if order != "flagged":  # my own, too, until I say something else
        left = left[~np.isin(left, codes_of(data, mine))]
    chosen = filtered.current(data).filter
    left = left[filtered.fits(data, chosen.without(*chosen.telling) if blind else chosen, pairs_of(data, left))]
    since = st.session_state.setdefault(_STARTED, {}).setdefault(data.name, time.time())
    size = int(st.session_state[SIZE])
    left = left[: max(size - int((mine["at"] >= since).sum()), 0)]
    late = np.array(skipped(data), np.int64)
    last = late[np.isin(late, left)]
    left = np.concatenate([left[~np.isin(left, last)], last])
    return Session(order, blind, left, mine, since, size, learned)


def restart(data: Dataset) -> None:
    """Begin another session: its count and its skipped pairs are new."""
    st.session_state.setdefault(_STARTED, {})[data.name] = time.time()
    skipped(data).clear()


def skip(data: Dataset, code: int) -> None:
    """Put a pair at the end of this session."""
    codes = skipped(data)
    if code in codes:
        codes.remove(code)
    codes.append(code)


def skipped(data: Dataset) -> list[int]:
    """The pairs that were put at the end of this session, first skipped first; the browser keeps them through a reload."""
    return st.session_state.setdefault(_SKIPPED, {}).setdefault(data.fingerprint, [])


def in_order(data: Dataset) -> Interactions:
    """All pairs of the chosen order, those that I have decided and those that no filter lets through, too."""
    order, blind = st.session_state[ORDER], deciding.is_blind()
    return pairs_of(data, _codes(data, "doubtful" if order == "learned" else order, None, blind))


def _codes(data: Dataset, order: str, learned: Learned | None, blind: bool) -> np.ndarray:
    """Pair codes in an order."""
    if order == "flagged":
        return codes_of(data, queue.flagged(lookup.standing(data)))
    if order == "sent":
        return _sent(data)
    if order == "differ":
        return codes_of(data, queue.differing(lookup.standing(data)))
    if order == "sample":
        samples = lookup.audit_samples(data)
        newest = samples["id"].iloc[0] if len(samples) else -1
        pairs = lookup.audit_pairs(data)
        return codes_of(data, pairs[pairs["sample"] == newest])
    if learned is not None and learned.probability is not None:
        known = pile(data)
        return known.codes(data.n_items)[queue.by_change(known, learned.probability, ratings=not blind)]
    return _ordered(data, *_stamp(data), "doubtful" if order == "learned" else order)


def send(data: Dataset, pairs: Interactions) -> str:
    """Make these pairs the queue of a new session, in their order; those that I have decided about stay out.

    They are kept in a file that the address names by the key that is returned: a reload, a link and another tab find them
    again.
    """
    codes = pairs.codes(data.n_items)
    key = fingerprint(codes)
    if not (path := _file(data, key)).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, codes=codes)
    st.session_state[state.SENT] = (data.fingerprint, key)
    st.session_state[ORDER] = "sent"
    restart(data)
    return key


def show_sent(data: Dataset) -> None:
    """Write into the address which pairs were sent here, while they are the queue."""
    if st.session_state[ORDER] == "sent":
        st.query_params[SENT] = st.session_state[state.SENT][1]
    else:
        st.query_params.pop(SENT, None)


def follow(data: Dataset) -> None:
    """Let Pair walk through the order of the queue that its address names, which may have been left in another tab."""
    key = st.query_params.get("list", "")
    order = key.removeprefix("review-")
    if key == order or order not in orders(data, deciding.is_blind()) or key in st.session_state.get(state.LISTS, {}):
        return
    standing = lookup.standing(data)
    codes = _codes(data, order, None, deciding.is_blind())
    if order != "flagged":
        codes = codes[~np.isin(codes, codes_of(data, standing[standing["annotator"] == state.annotator()]))]
    pairs = pairs_of(data, codes)
    pairlist.keep(data, key, f"Review: {ORDERS[order].title}", pairs)


def _sent(data: Dataset) -> np.ndarray:
    """Codes of the pairs that were sent here, without those that are held out."""
    asked = st.query_params.get(SENT, "")
    if _KEY.fullmatch(asked) and _file(data, asked).exists():
        st.session_state[state.SENT] = (data.fingerprint, asked)
    of, key = st.session_state.get(state.SENT, ("", ""))
    if of != data.fingerprint or not (path := _file(data, key)).exists():  # a cache may be emptied
        return np.zeros(0, np.int64)
    codes = read_arrays(path)["codes"]
    return codes[~labels.held_out(data, codes)]


def _file(data: Dataset, key: str) -> Path:
    return state.home().cache / "sent" / data.fingerprint / f"{key}.npz"


def codes_of(data: Dataset, pairs: pd.DataFrame) -> np.ndarray:
    """Pair codes int64 of raw ids, those that the dataset does not know left out."""
    place = (pairs[name].map(ids).fillna(-1).to_numpy(np.int64) for name, ids in zip(PAIR, lookup.index(data), strict=True))
    user, item = place
    return (user * data.n_items + item)[(user >= 0) & (item >= 0)]


def pairs_of(data: Dataset, codes: np.ndarray) -> Interactions:
    """Pairs by position."""
    return Interactions((codes // data.n_items).astype(np.int32), (codes % data.n_items).astype(np.int32))


def ids_of(data: Dataset, codes: np.ndarray) -> list[tuple[str, str]]:
    """Raw ids of pair codes."""
    pairs = zip(data.user_ids[codes // data.n_items], data.item_ids[codes % data.n_items], strict=True)
    return [(str(user), str(item)) for user, item in pairs]


# --- what is known of the pairs, computed anew when judges, candidates or the training change, not with every decision --


def _stamp(data: Dataset) -> tuple[int, str | None, str | None]:
    return state.store().newest_answer(), candidates.newest(state.home(), data.name), state.run_id()


def pile(data: Dataset) -> Reviewable:
    """All pairs that can be reviewed."""
    return _pile(data, *_stamp(data))


@caching.per_dataset
def _pile(data: Dataset, answer: int, found: str | None, run: str | None) -> Reviewable:
    return queue.gather(data, lookup.candidates(data), _judgments(data, answer), results.losses(run) if run else None)


@caching.per_dataset
def _judgments(data: Dataset, answer: int) -> pd.DataFrame:
    return state.store().judgments(data.name, texts=False)


@caching.per_dataset
def _ordered(data: Dataset, answer: int, found: str | None, run: str | None, order: str) -> np.ndarray:
    known = _pile(data, answer, found, run)
    return known.codes(data.n_items)[queue.ordered(known, order)]


@caching.per_revision
def _learned(data: Dataset, answer: int, found: str | None, run: str | None, who: str, ratings: bool) -> Learned:
    known, rows = _pile(data, answer, found, run), lookup.standing(data)
    rows = rows[(rows["annotator"] == who) & rows["relevant"].isin(["yes", "no"])]
    place = places(data, known, codes_of(data, rows))
    said = (rows["relevant"] == "yes").to_numpy()[np.minimum(*labels.positions(data, rows)) >= 0]
    return queue.learn(known, place[place >= 0], said[place >= 0], ratings=ratings)


def places(data: Dataset, known: Reviewable, codes: np.ndarray) -> np.ndarray:
    """Where pairs stand in the pile: int64 (n,), -1 where they do not."""
    own = known.codes(data.n_items)
    at = np.searchsorted(own, codes)
    return np.where(np.isin(codes, own), at, -1)


def answers_of_judge(data: Dataset) -> dict[int, list[dict[str, str]]]:
    """{pair code: the answers that count: view, rating, analysis and by whom}."""
    return _answers(data, state.store().newest_answer())


@caching.per_dataset
def _answers(data: Dataset, answer: int) -> dict[int, list[dict[str, str]]]:
    rows = _judgments(data, answer)
    rows = rows.assign(rater=np.where(rows["is_llm"], rows["model"], rows["judge"]))
    rows = rows.merge(browse.ratings(rows)[[*PAIR, "rater"]], on=[*PAIR, "rater"])
    user, item = labels.positions(data, rows)
    found: dict[int, dict[str, dict[str, str]]] = {}
    columns = (rows[name] for name in ("view", "rating", "analysis", "model", "is_llm"))
    for u, i, view, rating, analysis, model, is_llm in zip(user, item, *columns, strict=True):
        by = f"language model {model}" if is_llm else model
        one = {"view": view, "rating": rating, "analysis": analysis, "by": by}
        found.setdefault(int(u) * data.n_items + int(i), {})[view] = one
    return {code: [views[view] for view in VIEWS if view in views] for code, views in found.items()}


# --- how far it is ----------------------------------------------------------------------------------------------------


def progress(now: Session) -> str:
    """How much is done and left, and how fast it goes."""
    at = now.mine["at"].to_numpy(float)
    today, per_hour = int((at >= words.midnight()).sum()), queue.pace(np.sort(at), time.time())
    parts = [f"**{len(now.codes):,} left** of this session", f"{today:,} decided today"]
    return " · ".join(parts + ([f"{per_hour:,.0f} an hour"] if per_hour else []))


def agreed(data: Dataset, now: Session) -> Estimate:
    """How often this session's answers are the judge's."""
    known = pile(data)
    rows = now.decided[now.decided["relevant"].isin(["yes", "no"])]
    rows = rows[np.minimum(*labels.positions(data, rows)) >= 0]
    place = places(data, known, codes_of(data, rows))
    judge = np.where(place >= 0, queue.relevant(known)[place], np.nan) if len(known) else np.full(len(place), np.nan)
    hit = (judge == (rows["relevant"] == "yes").to_numpy())[~np.isnan(judge)]
    return agreement.share(hit, np.ones(len(hit)))


def orders(data: Dataset, blind: bool) -> list[str]:
    """The orders that may be chosen; in blind mode those that tell nothing of the judge's answers."""
    without = () if len(_sent(data)) else ("sent",)
    return [name for name, one in ORDERS.items() if not (blind and one.tells) and name not in without]
