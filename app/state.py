"""What a session is about: home, store, the dataset, training and annotator of its context, and what outlives a rerun."""

from typing import Any

import streamlit as st

from core.artifacts import Home
from core.filters import PREFIX
from core.store import Store

DATASET, RUN, ANNOTATOR = "ctx_dataset", "ctx_run", "annotator"
"""Session keys of the context bar's widgets."""

BLIND = "blind"
"""Of the switch on Review and Pair, and its name in the address."""

NAME_COOKIE = "winnow_annotator"
"""The browser's cookie with the name that was entered last (app.context), so that a reload does not forget it."""

OPENED = "opened_dataset"  # a dataset to show from the next rerun on
WATCHED = "watched_run"  # the run that Train shows
LISTS = "pair_lists"  # {key in the address: (where it comes from, fingerprint of the dataset, positions)}, see app.pairlist
SENT = "review_sent"  # (fingerprint of the dataset, key of a file): pairs that were sent to the Review queue
LAST_PAIR = "last_pair"  # (dataset, link parameters) of the pair that Pair showed last
FILTERS = "filters"  # the address parameters of what one looks through (app.filtered): a view, or a condition each
DRAFT = "import_source"  # files put aside for an import that is not committed yet
_FLASH = "flash"
_URL = "url_context"  # the context as the address bar last had it


def home() -> Home:
    return Home.at()


def read_address() -> None:
    """Take dataset and run from the address when it has changed: a link was followed, or Back was pressed."""
    if opened := st.session_state.pop(OPENED, None):
        st.session_state[DATASET], st.session_state[RUN] = opened, None
        st.session_state[FILTERS] = {}
        st.query_params.pop("run", None)
    seen = st.session_state.setdefault(_URL, {})
    for name, key in (("dataset", DATASET), ("run", RUN)):
        value = st.query_params.get(name)
        if value and value != seen.get(name):
            st.session_state[key] = value
            seen[name] = value
    filters = {name: value for name, value in st.query_params.items() if of_filter(name)}
    if filters != {name: value for name, value in seen.items() if of_filter(name)}:
        st.session_state[FILTERS] = filters  # every link carries them, so an address without any has none


def of_filter(name: str) -> bool:
    """Whether a parameter of an address says what one looks through."""
    return name == "view" or name.startswith(PREFIX)


def write_address() -> None:
    """Show a changed context in the address. One that names no dataset stays short: each write is a step for Back, so all
    changes are one write."""
    seen, changed = st.session_state.get(_URL, {}), {}
    for name, value in context().items():
        shown = st.query_params.get(name)
        if shown != value and (shown or of_filter(name) or seen.get(name, value) != value):
            changed[name] = value
    gone = [name for name in st.query_params if of_filter(name) and name not in context()]
    if changed or gone:
        st.query_params.update(changed | {name: [] for name in gone})
    st.session_state[_URL] = context()


def context() -> dict[str, str]:
    """What every link carries, as far as there is one: {"dataset": ..., "run": ...} and what one looks through."""
    chosen = {"dataset": st.session_state.get(DATASET), "run": st.session_state.get(RUN)}
    return {name: value for name, value in chosen.items() if value} | st.session_state.get(FILTERS, {})


def last_pair() -> dict[str, str]:
    """The pair that was looked at last in this dataset, as link parameters; {} when there is none."""
    name, params = st.session_state.get(LAST_PAIR, (None, {}))
    return params if name and name == dataset_name() else {}


def keep_valid(key: str, options: list[Any]) -> Any:
    """Make a selection one of `options` (the first when it is not); returns what was asked for in vain."""
    wanted = st.session_state.get(key)
    if wanted in options:
        return None
    st.session_state[key] = options[0] if options else None
    return wanted


def dataset_name() -> str | None:
    return st.session_state.get(DATASET)


def run_id() -> str | None:
    """The finished training that Losses, Pair and Judge look at."""
    return st.session_state.get(RUN)


def annotator() -> str:
    return (st.session_state.get(ANNOTATOR) or "").strip()


def store() -> Store:
    return _store(str(home().database_url), str(home().path))


@st.cache_resource(show_spinner=False)
def _store(url: str, home_path: str) -> Store:
    return Store.open(Home.at(home_path))


def revision(name: str) -> int:
    """Grows with everything that is written about a dataset."""
    return store().revision(name)


def flash(text: str, icon: str = ":material/check:") -> None:
    """Say something after the next rerun, whichever page that shows."""
    st.session_state.setdefault(_FLASH, []).append((text, icon))


def show_flashes() -> None:
    for text, icon in st.session_state.pop(_FLASH, []):
        st.toast(text, icon=icon)
