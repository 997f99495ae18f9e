"""What the Pair page shows of a pair itself: its heading and link, the two sides, and the judge's two views."""

from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from app import judgmentview, lookup, navigation, pairlist, state, widgets, words
from app.palette import LABELS
from core import browse
from core.records import VIEWS, Dataset, Label, LabelSet

WHERE = {
    "train": "observed in training",
    "valid": "observed, held out for validation",
    "test": "observed, held out for the test",
    "": "not observed",
}

VIEW_WORDS = {"user": "The user's taste against the item", "item": "The items chosen before against this one"}


@dataclass(frozen=True)
class Pair:
    """One user and one item, by raw id and by position."""

    user_id: str
    item_id: str
    user: int
    item: int
    where: str  # the part of the data it is observed in, "" when it is not

    @property
    def observed(self) -> bool:
        return self.where == "train"

    @property
    def held_out(self) -> bool:
        return self.where in ("valid", "test")


def choose(data: Dataset) -> Pair | None:
    """The pair in the address; None while there is none."""
    user_id, item_id = st.query_params.get("user"), st.query_params.get("item")
    user, item = lookup.positions(data, user_id, item_id)
    found = user is not None and item is not None
    with st.expander("Open another pair", icon=":material/search:", expanded=not found, key="open_pair"):
        _open_form(data)
    if not found:
        if user_id or item_id:
            missing = f"user {user_id}" if user is None else f"item {item_id}"
            st.warning(f"{widgets.plain(data.name)} has no {widgets.plain(missing)}.", icon=":material/link_off:")
        return None
    shown = {"user": user_id, "item": item_id} | ({"list": st.query_params["list"]} if "list" in st.query_params else {})
    st.session_state[state.LAST_PAIR] = (data.name, shown)
    return Pair(user_id, item_id, user, item, _where(data, user, item))


def _open_form(data: Dataset) -> None:
    with st.form("pair_form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        user_id = st.text_input("User id", key="pair_user", placeholder=str(data.user_ids[0]), width=200).strip()
        item_id = st.text_input("Item id", key="pair_item", placeholder=str(data.item_ids[0]), width=200).strip()
        if st.form_submit_button("Open", key="pair_open"):
            navigation.go("pair", user=user_id, item=item_id)
    st.caption("Or open one from the lists on Judge, Losses or Explore.")


def _where(data: Dataset, user: int, item: int) -> str:
    for name, part in zip(browse.SPLITS, (data.train, data.valid, data.test), strict=True):
        if ((part.user == user) & (part.item == item)).any():
            return name
    return ""


def label_of(labels: LabelSet, pair: Pair) -> tuple[int, int]:
    """(label, source) codes of the pair as they stand."""
    at = np.flatnonzero((labels.user == pair.user) & (labels.item == pair.item))
    return (int(labels.label[at[0]]), int(labels.source[at[0]])) if len(at) else (int(Label.CLEAN), 0)


def header(data: Dataset, pair: Pair, *, hidden: bool) -> None:
    """Who and what, how it is labelled now unless that must stay `hidden`, and previous and next."""
    name, at, n, before, after = pairlist.neighbours(data, pair.user, pair.item)
    with st.container(horizontal=True, vertical_alignment="center", key="pair_header"):
        with st.container(key="name_pair", width="stretch"):
            widgets.untrusted(f"User {pair.user_id}  ▸  {data.item_title[pair.item]}")
        if at:
            st.markdown(f":gray[{at:,} of {n:,} · {widgets.plain(name)}]", width="content")
            for text, target, key, side in (("Previous", before, "Left", "left"), ("Next", after, "Right", "right")):
                look = {"icon": f":material/chevron_{side}:", "shortcut": key}
                if st.button(text, key=f"{text.lower()}_pair", disabled=target is None, **look) and target:
                    navigation.go("pair", **target)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not hidden and (pair.observed or label_of(lookup.labels(data), pair)[1]):
            widgets.label_badge(*label_of(lookup.labels(data), pair))
        st.badge(WHERE[pair.where], color="gray")
        widgets.legend()
        with st.popover("Link", icon=":material/link:", type="tertiary"):
            st.caption("Opens this pair in this dataset and training.")
            st.code(_address(pair), language=None, wrap_lines=True)


def _address(pair: Pair) -> str:
    """The pair's address, whole."""
    here = state.context() | {"user": pair.user_id, "item": pair.item_id}
    return f"{st.context.url}?{urlencode(here)}"


def user_card(data: Dataset, pair: Pair, *, hidden: bool) -> None:
    """What is known about the user, and the other clicks in training, with their labels unless those must stay `hidden`."""
    mine = data.train.user == pair.user
    others = data.train.where(mine & (data.train.item != pair.item))
    with st.container(border=True, height="stretch", key="user_card"):
        with st.container(key="name_user"):
            widgets.untrusted(f"User {pair.user_id}")
        widgets.untrusted(str(data.user_text[pair.user]), "Nothing is known about this user but the clicks.")
        st.caption(f"{len(others):,} other training clicks" + (", the newest first" if others.time is not None else ""))
        if others.time is not None:
            others = others.where(np.argsort(-others.time, kind="stable"))
        table = pd.DataFrame({"title": data.item_title[others.item]})
        if not hidden:
            table["label"] = [LABELS[Label(code)].word for code in lookup.codes_now(data, others)]
        if others.rating is not None:
            table["rating"] = others.rating
        table["category"] = [widgets.categories(text) for text in data.item_category[others.item]]
        st.dataframe(table, hide_index=True, height=300, key="history")


def item_card(data: Dataset, pair: Pair) -> None:
    """What is known about the item, and how popular it is."""
    with st.container(border=True, height="stretch", key="item_card"):
        with st.container(key="name_item"):
            widgets.untrusted(str(data.item_title[pair.item]))
        widgets.untrusted(widgets.categories(data.item_category[pair.item]))
        widgets.untrusted(str(data.item_text[pair.item]), "There is no description of this item.")
        counts = np.bincount(data.train.item, minlength=data.n_items)
        rank = int((counts > counts[pair.item]).sum()) + 1
        place = f"place {rank:,} of {data.n_items:,} by popularity"
        st.caption(f"Item {widgets.plain(pair.item_id)} · {counts[pair.item]:,} training clicks · {place}")
        alike = _shared_category(data, pair)
        if alike is not None:
            st.caption(f"{alike[0]:,} of the user's {alike[1]:,} other clicks share a category with it.")


def _shared_category(data: Dataset, pair: Pair) -> tuple[int, int] | None:
    own = set(str(data.item_category[pair.item]).split("|")) - {""}
    if not own:
        return None
    others = data.train.item[(data.train.user == pair.user) & (data.train.item != pair.item)]
    return sum(bool(own & set(str(text).split("|"))) for text in data.item_category[others]), len(others)


def views(data: Dataset, pair: Pair) -> None:
    """Both views of the judge that counts, side by side, with what was asked and answered."""
    answers = state.store().judgments(data.name, pair.user_id, pair.item_id)
    widgets.section("The judge's two views")
    if not len(answers):
        st.markdown(":gray[Nobody has judged this pair yet.]")
        return
    counting = browse.ratings(answers).iloc[0]
    rater = np.where(answers["is_llm"], answers["model"], answers["judge"])
    chosen = answers[rater == counting["rater"]]
    for column, view in zip(st.columns(2, gap="medium"), VIEWS, strict=True):
        rows = chosen[chosen["view"] == view]
        with column, st.container(border=True, height="stretch", key=f"view_{view}"):
            _view(view, rows.iloc[-1] if len(rows) else None)
    both = [counting[f"{view} view"] for view in VIEWS]
    if all(both):
        verdict = "Both views say High: relevant." if set(both) == {"High"} else "Not both views say High: not relevant."
        st.caption(verdict + ("" if len(set(both)) == 1 else " The views disagree, so a second look is worth it."))
    if len(answers) > len(chosen):
        with st.expander(f"Answers of other raters ({len(answers) - len(chosen)})"):
            st.dataframe(answers[rater != counting["rater"]][["judge", "model", "view", "rating", "analysis"]], hide_index=True)


def _view(view: str, row: pd.Series | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{VIEW_WORDS[view]}**")
        widgets.rating_badge(None if row is None else row["rating"])
    if row is None:
        return
    by = f"language model {row['model']}" if row["is_llm"] else row["model"]
    st.caption(f"{widgets.plain(by)} · {words.when(row['at'])}" + (" · a text was cut" if row["truncated"] else ""))
    judgmentview.show(row)
