"""What the Review page is put together from: the choice of the queue, guidelines, progress, and the end of a session."""

import streamlit as st

from app import auditing, bulk, deciding, filterbar, keyboard, lookup, navigation, queues, state, states, widgets, words
from app.queues import MODE, ORDER, SIZE, Session
from core import guidelines
from core.errors import WinnowError
from core.queue import ORDERS
from core.records import Dataset
from core.wording import counted

FOCUS, BULK = "one by one", "in bulk"
SIZES = (20, 50, 100, 300, 1000)
_TEXT = "guidelines_text"


def choose(data: Dataset) -> None:
    """Order, size of the session, view, blind mode and the guidelines."""
    keyboard.apply_blind()
    blind = deciding.is_blind()
    names = queues.orders(data, blind)
    if ORDER in st.session_state:  # else the address may name one
        state.keep_valid(ORDER, names)
    elif "sent" in names and queues.SENT in st.query_params:
        st.session_state[ORDER] = "sent"
    again = {"on_change": queues.restart, "args": (data,)}
    with st.container(horizontal=True, vertical_alignment="bottom", key="review_choice"):
        st.selectbox(
            "Order",
            names,
            format_func=lambda name: ORDERS[name].title,
            key=ORDER,
            width=270,
            bind="query-params",
            help="\n".join(f"- **{ORDERS[name].title}**: {ORDERS[name].about}" for name in names),
            **again,
        )
        st.selectbox("Pairs in this session", SIZES, index=1, key=SIZE, width=170, bind="query-params", **again)
        st.segmented_control(
            "View", [FOCUS, BULK], default=FOCUS, required=True, key=MODE, bind="query-params", persist_state="session"
        )
        deciding.blind_toggle()
        _guidelines(data)
    queues.show_sent(data)


def narrow(data: Dataset) -> bool:
    """The filter of the order's pairs, and whether any fits."""
    pairs, blind = queues.in_order(data), deciding.is_blind()
    return bool(filterbar.show(data, pairs, "review", "pairs of this order", blind=blind, act=False).any()) or not len(pairs)


def _guidelines(data: Dataset) -> None:
    with st.popover("Guidelines", icon=":material/menu_book:", type="tertiary"):
        text = guidelines.read(state.home(), data.name)
        widgets.untrusted(text)
        with st.expander("Edit", icon=":material/edit:"):
            st.text_area("Text", value=text, key=f"{_TEXT}:{data.name}", height=260, max_chars=guidelines.LONGEST)
            st.button("Save", key="guidelines_save", icon=":material/save:", on_click=_save, args=(data.name,))


def _save(dataset: str) -> None:
    try:
        guidelines.write(state.home(), dataset, st.session_state[f"{_TEXT}:{dataset}"])
    except WinnowError as error:
        state.flash(f"Not saved: {error}", ":material/error:")
        return
    state.flash("The guidelines are saved.")


@st.fragment
def work(data: Dataset) -> None:
    """The queue itself; keys run nothing else of the page."""
    with states.caught():
        _work(data)


def _work(data: Dataset) -> None:
    if keyboard.take(data):
        st.rerun()
    state.show_flashes()
    now = queues.session(data)
    if now.learned is not None:
        told = now.learned.reason
        if now.learned.auc is None:
            told += "; until then the most doubtful come first"
        else:
            told += f"; held-out AUC {now.learned.auc:.2f} (cross-validated; .5 is a coin, 1 is you)"
        st.caption(f"{told[0].upper()}{told[1:]}.")
    if now.over and not len(now.decided):
        _nothing(data, now)
        return
    done = len(now.decided)
    st.progress(done / max(done + len(now.codes), 1), text=f"{queues.progress(now)} · {ORDERS[now.order].about}")
    states.conflict(keyboard.notices(), keyboard.forget_notices)
    if now.over:
        _end(data, now)
    if st.session_state[MODE] == BULK:
        bulk.show(data, now)
    else:
        keyboard.show(data, now)


def _nothing(data: Dataset, now: Session) -> None:
    """Why a queue is empty from the beginning."""
    if now.order == "sample" and not len(lookup.audit_samples(data)):
        with states.empty("No audit sample yet", "It is drawn at random among all pairs that a judge has rated in both views."):
            auditing.draw_button(data, auditing.SIZE)
        return
    why = {
        "flagged": "Nobody has flagged a pair.",
        "differ": "There is no pair that people differ about and you could settle.",
        "sent": "No pair was sent here, or you have decided about all of them. Losses, Embeddings and selections send some.",
    }
    if now.order in why:
        states.empty("Nothing to do", why[now.order], ":material/check_circle:")
        return
    with states.empty("No pairs in this order", "Find and judge candidates first, or choose another order."):
        navigation.link("board", "Find and judge candidates")


def _end(data: Dataset, now: Session) -> None:
    """What came of the session; the judge is compared with only here, and never in blind mode."""
    rows = now.decided
    counts = rows["relevant"].value_counts()
    told = f"{counted(len(rows), 'pair')} decided: {counts.get('yes', 0):,} relevant, {counts.get('no', 0):,} not relevant, "
    told += f"{counts.get('unsure', 0):,} unsure."
    if not now.blind:
        same = queues.agreed(data, now)
        if same.value is not None:
            told += f" You agree with the judge about {words.chance(same.value)} of the {same.n:,} that it judged "
            told += f"(95 % interval {same.low:.0%} to {same.high:.0%})."
    st.success(told, icon=":material/check_circle:")
    st.button("Begin another session", key="review_again", type="primary", on_click=queues.restart, args=(data,))
