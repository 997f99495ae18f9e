"""The clicks that are most like a pair, on Pair: what they are called, and what can be done with them together."""

from typing import Any

import numpy as np
import streamlit as st

from app import lookup, navigation, pairlist, queues, results, selections, states, widgets
from app.pairview import Pair
from core import neighbours
from core.neighbours import Near
from core.records import VIEWS, Dataset, Embeddings, Interactions, Label, Relevance
from core.runs import Run

COUNTS = (10, 20, 50)
BY_MODEL, BY_TEXT = "the model's vectors", "texts"
FORMULA = (
    "How alike two clicks are is the mean of two cosines, of their users' and of their items' vectors: 1 would be the same user "
    "on the same item. So this user's clicks on like items tend to come first, then clicks of like users on this item."
)


def show(data: Dataset, pair: Pair, run: Run | None, *, blind: bool) -> None:
    """The nearest training clicks. When `blind`, nothing of what judges, models and people say of them is shown."""
    widgets.section("Nearest clicks", FORMULA)
    spaces = [BY_MODEL] * (run is not None) + [BY_TEXT] * lookup.has_texts(data)
    if BY_TEXT not in spaces:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("By texts: no text vectors are kept for these data yet; finding candidates makes them.", width="content")
            navigation.link("board", "Find candidates")
    if not spaces:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        look = {"required": True, "persist_state": "session"}
        by = st.segmented_control("Alike by", spaces, default=spaces[0], key="nearest_by", **look)
        n = st.segmented_control("How many", COUNTS, default=COUNTS[0], key="nearest_n", **look)
    found = neighbours.of_pair(_vectors(data, run, by), data.train, pair.user, pair.item, n)
    pairs = Interactions(data.train.user[found.place], data.train.item[found.place])
    title = str(data.item_title[pair.item])
    codes = lookup.codes_now(data, pairs)
    st.markdown(f"**{_blindly(len(pairs)) if blind else _finding(codes, lookup.train_labels(data))}**")
    columns = {"similarity": found.similarity} | ({} if blind else _told(data, pairs, found, codes, run))
    origin = f"the {len(pairs)} clicks nearest to user {pair.user_id} and {title}, by {by}"
    with st.container(border=True, key="nearest"):
        selections.act(data, pairs, "nearest", origin, blind=blind)
        key, name = f"nearest_{pair.user}_{pair.item}", f"nearest to user {pair.user_id} and {title}"
        pairlist.show(data, pairs, key, name, columns, on_pair=True)


def _vectors(data: Dataset, run: Run | None, by: str) -> Embeddings | Relevance:
    """The vectors to compare by; what those of texts are is said."""
    if run and by != BY_TEXT:
        return results.embeddings(run.id)
    with states.loading("Reading the text vectors"):
        vectors, encoder = lookup.texts(data)
    told = f"An item's vector is that of its text, by {encoder}; a user's is the sum of those of the items they clicked."
    st.caption(widgets.plain(told if vectors.item.any() else "The items have no texts: nothing is like anything."))
    return vectors


def _blindly(n: int) -> str:
    return f"The {n} training clicks most like this one; in blind mode their labels are hidden"


def _finding(codes: np.ndarray, everywhere: np.ndarray) -> str:
    """How many are noisy or hard, beside the share of noise among all clicks."""
    noisy, hard = (int((codes == label).sum()) for label in (Label.NOISY_POSITIVE, Label.HARD_POSITIVE))
    usual = float((everywhere == Label.NOISY_POSITIVE).mean())
    told = f"{noisy or 'None'} of the {len(codes)} nearest {'are' if noisy > 1 else 'is'} noisy"
    more = f", {hard} {'are' if hard > 1 else 'is'} hard" if hard else ""
    return f"{told}{more}; of all training clicks {usual:.1%} are called noisy"


def _told(data: Dataset, pairs: Interactions, found: Near, codes: np.ndarray, run: Run | None) -> dict[str, Any]:
    """Loss, label and both views of each click, as columns of the list."""
    answers = queues.answers_of_judge(data)
    ratings = [{one["view"]: one["rating"] for one in answers.get(int(code), [])} for code in pairs.codes(data.n_items)]
    columns: dict[str, Any] = {"loss": results.click_losses(data, run.id)[found.place]} if run else {}
    columns |= {f"{view} view": [rated.get(view, "") for rated in ratings] for view in VIEWS}
    return columns | {"label": codes}
