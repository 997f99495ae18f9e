"""What the Explore page is made of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import charts, filterbar, lookup, navigation, pairlist, results, widgets
from core import browse
from core.datasets.health import Check, most_popular, percent
from core.records import Dataset, Interactions

OVERVIEW, PART = "Overview", "explore_part"
TABS = {"user": "Users", "item": "Items", "interaction": "Interactions"}
"""The tab that shows one row each."""
SEVERITY = {
    "error": ("red", ":material/error:"),
    "warning": ("orange", ":material/warning:"),
    "note": ("gray", ":material/info:"),
    "ok": ("green", ":material/check_circle:"),
}


def tabs() -> Sequence[DeltaGenerator]:
    """The page's tabs. The address is what counts: `part`, or else the tab of the user or item that it names.

    They are not bound to it: a bound parameter can be set by its widget alone, and here links set it, too.
    """
    names = [OVERVIEW, *TABS.values()]
    named = next((TABS[side] for side in ("user", "item") if st.query_params.get(side)), OVERVIEW)
    part = st.query_params.get("part", named)
    st.session_state[PART] = part if part in names else OVERVIEW
    return st.tabs(names, key=PART, on_change=lambda: st.query_params.update(part=st.session_state[PART]))


def go_on(label: str, key: str, icon: str, **params: str) -> None:
    """A button that leads elsewhere on this page: a link to the page that one is on does nothing."""
    if st.button(widgets.plain(label), key=key, icon=icon, type="tertiary"):
        navigation.go("explore", **params)


def summary(data: Dataset) -> None:
    cells = data.n_users * data.n_items
    parts = f"{len(data.train):,} train, {len(data.valid):,} valid, {len(data.test):,} test"
    total = len(data.train) + len(data.valid) + len(data.test)
    median = int(np.median(np.bincount(data.train.user, minlength=data.n_users))) if data.n_users else 0
    widgets.tiles(
        [
            ("Users", f"{data.n_users:,}", "With at least one row in the import; rows under the rating threshold count, too."),
            ("Items", f"{data.n_items:,}", "All items are ranked in an evaluation."),
            ("Interactions", f"{total:,}", parts),
            ("Density", f"{total / max(cells, 1):.2%}", "Share of all user-item pairs that were observed."),
            ("Clicks per user", f"{median:,}", "Of the median user, in the training part."),
        ]
    )


def health(data: Dataset) -> None:
    """Every check with its severity, the worst first."""
    checks = sorted(lookup.health(data), key=lambda check: list(SEVERITY).index(check.severity))
    bad = sum(check.severity in ("error", "warning") for check in checks)
    notes = sum(check.severity == "note" for check in checks)
    fine = f"Nothing is wrong; {notes} of {len(checks)} checks have a note." if notes else f"All {len(checks)} checks are fine."
    widgets.section("Health", f"{bad} of {len(checks)} checks need a look." if bad else fine)
    with st.container(border=True, key="health", gap="small"):
        for check in checks:
            tone, icon = SEVERITY[check.severity]
            with st.container(horizontal=True, gap="small", vertical_alignment="top"):
                st.markdown(f":{tone}[{icon}]", width="content")
                with st.container(gap=None):
                    widgets.untrusted(check.message)
                    if check.fix and check.severity != "ok":
                        st.caption(widgets.plain(check.fix))
                    if check.rows is not None:
                        label = f"Show {'it' if len(check.rows) == 1 else f'the {len(check.rows):,} {check.of}s'}"
                        go_on(label, f"check_{check.name}", ":material/table_rows:", part=TABS[check.of], check=check.name)


def shape(data: Dataset) -> None:
    """Long tail, activity, and time."""
    counts = np.bincount(data.train.item, minlength=data.n_items)
    ordered = np.sort(counts)[::-1]
    top, part = most_popular(counts)
    table = pd.DataFrame({"rank": np.arange(1, len(ordered) + 1), "training interactions": ordered})
    finding = f"The most popular 1 % of the items ({len(top):,}) take {percent(part)} of the clicks"
    widgets.chart("popularity", finding, charts.popularity(counts), table, f"{data.n_items:,} items, both axes logarithmic")
    per_user = np.bincount(data.train.user, minlength=data.n_users)
    marks = np.linspace(0, 1, 21)
    table = pd.DataFrame({"share of users": marks, "at most this many": np.quantile(per_user, marks)})
    finding = f"Half of the users have at most {int(np.median(per_user)):,} training clicks"
    widgets.chart("activity", finding, charts.activity(per_user), table, f"{data.n_users:,} users")
    if data.train.time is not None:
        days = (data.train.time.max() - data.train.time.min()) / 86_400
        counts, edges = np.histogram(data.train.time, 60)
        table = pd.DataFrame({"from": edges[:-1].astype("datetime64[s]"), "training clicks": counts})
        held = " Held-out clicks, for validation and test, are not shown." if len(data.valid) + len(data.test) else ""
        finding = f"The training clicks span {days:,.0f} days"
        widgets.chart("time", finding, charts.over_time(data.train.time), table, f"UTC.{held}")


def interactions(data: Dataset, run: str | None) -> None:
    """Every interaction that fits the filter, in an order that the address keeps."""
    rows = results.listing(data, run)
    keep = filterbar.show(data, Interactions(rows.user, rows.item), "explore", "interactions")
    if not keep.any():
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        orders = [order for order in browse.ORDERS if rows.time is not None or order not in ("newest", "oldest")]
        order = st.selectbox("Order", orders, key="order", bind="query-params", width=180)
        widgets.legend()
    chosen = browse.ordered(rows, keep, order)
    if check := concerned(data, "interaction"):
        chosen = chosen[np.isin(chosen, check.rows)]
    listed(data, run, chosen, "interactions")


def concerned(data: Dataset, of: str) -> Check | None:
    """The check in the address when its rows are these; says so, with the way back to all rows."""
    wanted = st.query_params.get("check")
    check = next((one for one in lookup.health(data) if one.name == wanted and one.of == of), None)
    if check:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"concerned_{of}"):
            tone, icon = SEVERITY[check.severity]
            st.markdown(f":{tone}[{icon}]", width="content")
            widgets.untrusted(f"Only what this check is about. {check.message}")
            go_on(f"Show all {of}s", f"every_{of}", ":material/close:", part=TABS[of])
    return check


def listed(data: Dataset, run: str | None, chosen: np.ndarray, key: str) -> None:
    st.caption(f"{len(chosen):,} interactions")
    rows = results.listing(data, run).where(chosen)
    columns = {"part": np.array(browse.SPLITS)[rows.split], "label": rows.label} | ({"loss": rows.loss} if run else {})
    pairlist.show(data, Interactions(rows.user, rows.item), key, "interactions in Explore", columns)
    if len(chosen):
        with st.popover("Show as table", type="tertiary", icon=":material/table:"):
            st.dataframe(browse.interaction_table(data, rows.where(np.arange(min(len(rows), 1000)))), hide_index=True)
