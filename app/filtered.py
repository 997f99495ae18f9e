"""What one looks through: the filter of the address or of a saved view, and which pairs fit it."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, lookup, results, state
from core import browse, candidates
from core import known as known_pairs
from core.filters import Filter
from core.known import Ground, Known
from core.records import Dataset, Pairs

DEPENDS_ON_WHO = "status"
"""The condition whose meaning depends on who asks."""


@dataclass(frozen=True)
class Chosen:
    """The filter of this session, the saved view that it is, and what the address says in vain."""

    filter: Filter
    view: str = ""
    wrong: tuple[str, ...] = ()


def current(data: Dataset) -> Chosen:
    """As the address says, which every page and link carries."""
    params = st.session_state.get(state.FILTERS, {})
    found, wrong = Filter.read(params)
    if not (name := params.get("view", "")):
        return Chosen(found, wrong=tuple(wrong))
    rows = views(data)
    texts = rows.loc[rows["name"] == name, "filter"]
    if not len(texts):
        return Chosen(found, wrong=(f"There is no view {name!r} in this dataset.", *wrong))
    found, wrong = Filter.from_text(texts.item())
    return Chosen(found, name, tuple(wrong))


def put(chosen: Filter) -> None:
    """Look through another filter from now on; the address follows with the next rerun."""
    st.session_state[state.FILTERS] = chosen.params()


@caching.per_revision
def views(data: Dataset) -> pd.DataFrame:
    """Saved views, the newest first, see Store.views."""
    return state.store().views(data.name)


def fits(data: Dataset, chosen: Filter, pairs: Pairs) -> np.ndarray:
    """Which of the pairs (n,) a filter lets through: bool (n,)."""
    if not chosen.names:
        return np.ones(len(pairs), bool)
    found = _known(data, *_stamp(data))
    mask = _mask(data, *_stamp(data), chosen.text, state.annotator() if DEPENDS_ON_WHO in chosen.names else "")
    first = slice(len(pairs))
    if np.array_equal(pairs.user, found.rows.user[first]) and np.array_equal(pairs.item, found.rows.item[first]):
        return mask[first]  # all clicks, or all interactions: looking up a million would take half a second
    place = found.places(pairs.codes(data.n_items))
    return mask[place] & (place >= 0)


def named(data: Dataset, chosen: Filter) -> tuple[str, ...]:
    """What names a filter in the cache of something that is made of the pairs that fit; () for the one that lets all through."""
    who = state.annotator() if DEPENDS_ON_WHO in chosen.names else ""
    return (chosen.text, who, str(candidates.newest(state.home(), data.name))) if chosen.names else ()


def _stamp(data: Dataset) -> tuple[str | None, str | None, int]:
    return state.run_id(), candidates.newest(state.home(), data.name), state.store().newest_answer()


@caching.per_revision
def _mask(data: Dataset, run: str | None, doubted: str | None, answer: int, text: str, who: str) -> np.ndarray:
    return Filter.from_text(text)[0].mask(_known(data, run, doubted, answer), who)


@partial(caching.per_revision, entries=2)
def _known(data: Dataset, run: str | None, doubted: str | None, answer: int) -> Known:
    return known_pairs.known(_ground(data, run, doubted), lookup.labels(data), _rated(data, answer), lookup.standing(data))


@partial(caching.per_dataset, entries=2)
def _ground(data: Dataset, run: str | None, doubted: str | None) -> Ground:
    return known_pairs.ground(data, lookup.candidates(data), results.losses(run) if run else None)


@caching.per_dataset
def _rated(data: Dataset, answer: int) -> pd.DataFrame:
    return browse.ratings(lookup.judgments(data))
