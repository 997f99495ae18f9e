"""Times, durations, chances and runs, as people say them."""

import time
from collections.abc import Hashable
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import streamlit as st

from core.agreement import Estimate
from core.runs import Run


def when(at: float) -> str:
    """A moment [Unix s] as the reader's clock shows it."""
    return f"{datetime.fromtimestamp(at, _zone()):%d %b %Y, %H:%M}"


def midnight() -> float:
    """When today began on the reader's clock [Unix s]."""
    return datetime.now(_zone()).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _zone() -> ZoneInfo | None:
    return ZoneInfo(st.context.timezone) if st.context.timezone else None


def duration(seconds: float) -> str:
    """A time span [s]."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def chance(share: float) -> str:
    """A probability, never said to be certain."""
    return "under 1%" if share < 0.01 else "over 99%" if share > 0.99 else f"{share:.0%}"


def beyond(share: float) -> str:
    """The share of all that something is beyond, rounded down: nothing is beyond all of them."""
    return f"{int(100 * share)}%"


def share(one: Estimate) -> str:
    """A share with its interval and what it rests on."""
    return "–" if one.value is None else f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%}), n = {one.n:,}"


Option = TypeVar("Option", bound=Hashable)


def told_apart(labels: dict[Option, str]) -> dict[Option, str]:
    """The words of options, numbered from the last one where several have the same: the browser sends words, not options, and
    Streamlit takes the last option that has them."""
    told: dict[Option, str] = {}
    used: set[str] = set()
    for option, label in reversed(labels.items()):  # lists have the newest first: what a training is called stays
        number, told[option] = 1, label
        while told[option] in used:
            number += 1
            told[option] = f"{label} ({number})"
        used.add(told[option])
    return {option: told[option] for option in labels}


def run_label(run: Run) -> str:
    """A training in one short line, what tells it from others first: when, how good, on which labels."""
    labelled = run.settings.get("labels") or "no labels"
    score = run.metrics.get("test", {}).get("recall@20")
    day, clock = when(run.created).split(", ")
    moment = clock if when(time.time()).startswith(day) else f"{day.rsplit(' ', 1)[0]}, {clock}"
    return " · ".join([moment] + ([f"R@20 {score:.3f}".replace(" 0.", " .")] if score is not None else []) + [labelled])
