"""Users and items on Explore: all of them as a table, and one with text, clicks and the nearest others."""

import numpy as np
import streamlit as st

from app import exploring, lookup, navigation, results, widgets
from core import browse, neighbours
from core.neighbours import Neighbours
from core.records import Dataset

ROWS = 15
OTHER = {"user": "item", "item": "user"}


def show(data: Dataset, run: str | None, side: str) -> None:
    """The one in the address, else all as a table."""
    wanted = st.query_params.get(side)
    if not wanted:
        _table(data, run, side)
        return
    place = lookup.positions(data, *((wanted, None) if side == "user" else (None, wanted)))[side == "item"]
    exploring.go_on(f"All {side}s", f"all_{side}", ":material/arrow_back:", part=exploring.TABS[side])
    if place is None:
        st.warning(f"{widgets.plain(data.name)} has no {side} {widgets.plain(wanted)}.", icon=":material/link_off:")
        return
    _card(data, run, side, place)
    _nearest(data, run, side, place)
    _clicks(data, run, side, place)


def _table(data: Dataset, run: str | None, side: str) -> None:
    table = results.side_table(data, run, side)
    if check := exploring.concerned(data, side):
        table = table[table[side].isin(_ids(data, side)[check.rows])].reset_index(drop=True)
    wanted = st.text_input(
        f"Find {side}s", key=f"find_{side}", placeholder="id or words", type="search", bind="query-params", width=420
    ).strip()
    texts = [column for column in ("user", "about", "item", "title", "category") if column in table]
    if wanted:
        hits = np.column_stack([table[column].str.contains(wanted, case=False, regex=False) for column in texts]).any(axis=1)
        table = table[hits].reset_index(drop=True)
    if not len(table):
        st.markdown(":gray[Nothing fits these words.]")
        return
    part = widgets.pages_of(len(table), ROWS, f"{side}_page")
    page = table.iloc[part].set_index(side)
    st.caption(f"{len(table):,} {side}s, the most active first. Choose a row to see its text, its clicks and the nearest others.")
    key = f"{side}_table_{part.start}_{wanted}"
    event = st.dataframe(page, on_select="rerun", selection_mode="single-row", key=key, column_config=_columns())
    if rows := event["selection"]["rows"]:
        navigation.go("explore", part=exploring.TABS[side], **{side: str(page.index[rows[0]])})


def _columns() -> dict[str, object]:
    return {"mean loss": st.column_config.NumberColumn(format="%.3f"), "about": st.column_config.TextColumn(width="large")}


def _ids(data: Dataset, side: str) -> np.ndarray:
    return data.user_ids if side == "user" else data.item_ids


def _card(data: Dataset, run: str | None, side: str, place: int) -> None:
    """What is known: name, text, counts."""
    table = results.side_table(data, run, side)
    row = table[table[side] == _ids(data, side)[place]].iloc[0]
    with st.container(border=True, key=f"{side}_card"):
        with st.container(key=f"name_{side}_one"):
            widgets.untrusted(f"User {row['user']}" if side == "user" else str(row["title"]))
        if side == "user":
            widgets.untrusted(str(data.user_text[place]), "Nothing is known about this user but the clicks.")
        else:
            widgets.untrusted(widgets.categories(row["category"]))
            widgets.untrusted(str(data.item_text[place]), "There is no description of this item.")
        parts = [f"{row[name]:,} {name}" for name in browse.SPLITS]
        parts += [f"{row[name]:,} {name}" for name in ("hard positive", "noisy positive") if row[name]]
        loss = row.get("mean loss", np.nan)
        parts += [] if np.isnan(loss) else [f"mean loss {loss:.3f}"]
        st.caption(f"{side.title()} {widgets.plain(row[side])} · clicks: {', '.join(parts)}")


def _clicks(data: Dataset, run: str | None, side: str, place: int) -> None:
    """The clicks with label and loss, newest first."""
    rows = results.listing(data, run)
    order = "newest" if rows.time is not None else "highest loss"
    lead = "The newest first." if order == "newest" else "The highest loss first; the dataset has no times."
    widgets.section("What the user clicked" if side == "user" else "Who clicked it", lead)
    own = (rows.user if side == "user" else rows.item) == place
    exploring.listed(data, run, browse.ordered(rows, own, order), f"of_{side}")


def _nearest(data: Dataset, run: str | None, side: str, place: int) -> None:
    """The nearest others, by each measure that there is."""
    widgets.section(f"The nearest {side}s", f"How alike, and the number of {OTHER[side]}s that both share in train.")
    clicks = lookup.clicks(data, side)
    found = {"shared clicks": ("share of all clicks of both", neighbours.by_clicks(clicks, place))}
    missing = "there is no finished training yet."
    if run:
        vectors = getattr(results.embeddings(run), side)
        missing = "this training is of an earlier import of the dataset."
        if len(vectors) == len(_ids(data, side)):
            found["the training's vectors"] = ("cosine", neighbours.by_vectors(vectors, place, clicks))
    if side == "item" and lookup.has_texts(data):
        texts, encoder = lookup.texts(data)
        found["text"] = (f"cosine, as {encoder} reads it", neighbours.by_vectors(texts.item, place, clicks))
    for box, (by, (measure, nearest)) in zip(st.columns(len(found), gap="small"), found.items(), strict=True):
        with box, st.container(border=True, height="stretch", key=f"near_{by.split()[-1]}_rows", gap=None):
            st.markdown(f"**By {by}**  \n:gray[{widgets.plain(measure)}]")
            _listed(data, side, nearest, by)
    if "the training's vectors" not in found:
        st.caption(f"None by a training's vectors: {missing}")


def _listed(data: Dataset, side: str, found: Neighbours, by: str) -> None:
    if not len(found):
        st.markdown(":gray[None.]")
    for other, likeness, shared in zip(found.place.tolist(), found.likeness, found.shared.tolist(), strict=True):
        identifier = str(_ids(data, side)[other])
        words = identifier if side == "user" else str(data.item_title[other])
        numbers, name = st.columns([2, 5], vertical_alignment="center", gap="small", wrap=False)
        numbers.caption(f"{likeness:.2f} · {shared:,}")
        with name:
            target = {"part": exploring.TABS[side], side: identifier}
            exploring.go_on(words, f"near_{by}_{other}", ":material/chevron_right:", **target)
