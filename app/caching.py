"""Caches by identity (home, dataset fingerprint, store revision), never by the content of large arrays: Streamlit samples
those when it hashes them, and would return stale results."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, TypeVar

import streamlit as st

from app import state
from core.records import Dataset

Value = TypeVar("Value")
Of = Concatenate[Dataset, ...]

KEPT = 8
"""Results of each function that are kept; of those by revision, the ones before the newest are never asked for again."""


def _of_dataset(
    function: Callable[Of, Value], now: Callable[[Dataset], object] = lambda data: None, entries: int = KEPT
) -> Callable[Of, Value]:
    """`now`: what a result depends on beside the dataset and its arguments."""

    def named(key: tuple[object, ...], _data: Dataset, _rest: tuple[object, ...]) -> Value:
        return function(_data, *_rest)

    # Streamlit tells caches apart by these names: with those of `named`, all functions would share one and crowd each other out
    named.__module__, named.__qualname__ = function.__module__, function.__qualname__
    cached = st.cache_resource(max_entries=entries, show_spinner=False)(named)

    @wraps(function)
    def door(data: Dataset, *rest: object) -> Value:
        return cached((str(state.home().path), data.name, data.fingerprint, now(data), *rest), data, rest)

    return door


def per_dataset(function: Callable[Of, Value], *, entries: int = KEPT) -> Callable[Of, Value]:
    """Computed once per imported dataset (and further arguments). The result is shared: never change it.
    `entries`: how many are kept, few where each is large."""
    return _of_dataset(function, entries=entries)


def per_revision(function: Callable[Of, Value], *, entries: int = KEPT) -> Callable[Of, Value]:
    """Computed again whenever a judgment or a decision about the dataset is written. The result is shared: never change it."""
    return _of_dataset(function, lambda data: state.revision(data.name), entries)


@per_revision
def _asked(data: Dataset) -> tuple[int, int, int, float]:
    return state.store().asked(data.name)


def per_asked(function: Callable[Of, Value], *, entries: int = KEPT) -> Callable[Of, Value]:
    """Computed again whenever judges were asked or have answered, not when a person decides, see Store.asked."""
    return _of_dataset(function, _asked, entries)
