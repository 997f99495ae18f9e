"""The one bar that narrows what a page shows to the pairs that fit: the same on every page, and kept in the address."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import filtered, navigation, savedviews, selections, state, states, widgets
from app.filtered import Chosen
from core.errors import WinnowError
from core.filters import CONDITIONS, LONGEST, Filter
from core.records import Dataset, Interactions, Pairs, fingerprint

_OPEN, _ACT = "filter_open", "filter_act"
_RANGES = ("loss", "doubt")
_FULL = (0, 100)
HINTS = {
    "loss": "Of the averaged loss, among the clicks that have one: 80 to 100 is the fifth with the highest.",
    "doubt": "Of the newest candidates' doubt, among all clicks.",
    "popularity": "By training clicks: the third of the items with the fewest is rare.",
    "history": "By training clicks: the third of the users with the fewest has a short one.",
    "clicked": "In which part of the data the click is, if there is one.",
    "annotator": "The name of a person who has an answer about the pair.",
}


def show(data: Dataset, pairs: Pairs, page: str, what: str = "pairs", *, blind: bool = False, act: bool = True) -> np.ndarray:
    """The bar of a page, and which of its pairs (n,) fit: bool (n,). In blind mode what tells of the judge does not filter.

    page: where a saved view leads; what: what the page's pairs are called; act: offer what can be done with those that fit.
    """
    chosen = filtered.current(data)
    hidden = chosen.filter.telling if blind else ()
    used = chosen.filter.without(*hidden)
    keep = filtered.fits(data, used, pairs)
    with st.container(horizontal=True, vertical_alignment="center", key="filterbar", gap="small"):
        _form(chosen.filter, len(used.names), blind)
        savedviews.show(data, page, chosen)
        _clear(chosen.filter, "filter_clear", "tertiary")
        st.markdown(_told(chosen, used, keep, what))
    if chosen.wrong:
        st.warning(f"Left out: {widgets.plain(' '.join(chosen.wrong))}", icon=":material/link_off:")
    if hidden:
        titles = ", ".join(CONDITIONS[name].title for name in hidden)
        text = f"Blind: what would tell of the judge or of others does not filter here ({titles})."
        widgets.note(text, ":material/visibility_off:")
    if len(pairs) and not keep.any():
        why = "Another filter, or none, shows some."
        with states.empty(f"None of the {len(pairs):,} {what} fits", why, ":material/filter_alt_off:"):
            _clear(chosen.filter, "filter_clear_empty", "primary")
    elif act and used.names and len(pairs):
        _actions(data, pairs, keep, used)
    return keep


def _told(chosen: Chosen, used: Filter, keep: np.ndarray, what: str) -> str:
    if not used.names:
        return f":gray[All {len(keep):,} {what}]"
    view = f"**{widgets.plain(chosen.view)}** · " if chosen.view else ""
    return f"{view}**{int(keep.sum()):,} of {len(keep):,} {what}** · {widgets.plain(used.words)}"


def _clear(chosen: Filter, key: str, kind: str) -> None:
    if n := len(chosen.names):
        words = f"Clear {n:,} filter{'s' if n > 1 else ''}"
        st.button(words, key=key, type=kind, icon=":material/filter_alt_off:", on_click=filtered.put, args=(Filter(),))


def _form(chosen: Filter, n: int, blind: bool) -> None:
    """All conditions, of which n filter; nothing changes until they are applied together."""
    box = st.popover(f"Filter · {n}" if n else "Filter", icon=":material/filter_alt:", key=_OPEN, on_change="rerun")
    names = [name for name, condition in CONDITIONS.items() if not (blind and condition.tells)]
    with box, st.form("filter_form", border=False):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.form_submit_button("Show what fits", type="primary", on_click=_apply, args=(chosen, names))
            st.caption("All conditions hold together; of several values of one, any.")
        columns = st.columns(3, gap="small")
        for place, name in enumerate(names):
            _widget(columns[place * 3 // len(names)], name, chosen)


def _key(name: str, chosen: Filter) -> str:
    """Another filter has other widgets: what is set in the session does not reach a popover that opens only later, a default
    does."""
    return f"filter_{name}:{fingerprint(chosen.text)}"


def _widget(place: DeltaGenerator, name: str, chosen: Filter) -> None:
    condition, value = CONDITIONS[name], getattr(chosen, name)
    look = {"key": _key(name, chosen), "help": HINTS.get(name)}
    if condition.options:
        words = condition.options
        place.multiselect(condition.title, list(words), list(value), format_func=words.get, placeholder="any", **look)
    elif name in _RANGES:
        place.slider(condition.title, *_FULL, value or _FULL, **look)
    else:
        place.text_input(condition.title, value, max_chars=LONGEST, **look)


def _apply(before: Filter, names: list[str]) -> None:
    """What is not in the form stays as it was."""
    asked = {name: st.session_state[_key(name, before)] for name in names}
    kept = {name: getattr(before, name) for name in before.names if name not in names}
    try:
        filtered.put(Filter.of(**kept, **asked))
    except WinnowError as error:
        state.flash(str(error), ":material/error:")
    st.session_state[_OPEN] = False


def _actions(data: Dataset, pairs: Pairs, keep: np.ndarray, used: Filter) -> None:
    """What can be done with all pairs that fit."""
    box = st.expander(f"Act on these {int(keep.sum()):,}", icon=":material/checklist:", key=_ACT, on_change="rerun")
    if box.open:
        with box:
            navigation.link("review", "Review them")
            few = Interactions(pairs.user[keep], pairs.item[keep])
            selections.act(data, few, "filter", f"filter: {used.words}")
