"""What the Explore page is made of."""

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, filterbar, lookup, pairlist, results, widgets
from core import browse
from core.records import Dataset, Interactions

ROWS = 15
SEVERITY = {
    "error": ("red", ":material/error:"),
    "warning": ("orange", ":material/warning:"),
    "note": ("gray", ":material/info:"),
    "ok": ("green", ":material/check_circle:"),
}


def summary(data: Dataset) -> None:
    cells = data.n_users * data.n_items
    parts = f"{len(data.train):,} train, {len(data.valid):,} valid, {len(data.test):,} test"
    total = len(data.train) + len(data.valid) + len(data.test)
    median = int(np.median(np.bincount(data.train.user, minlength=data.n_users))) if data.n_users else 0
    widgets.tiles(
        [
            ("Users", f"{data.n_users:,}", "With at least one positive interaction, or in the table of users."),
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
    widgets.section("Health", f"{bad} of {len(checks)} checks need a look." if bad else f"All {len(checks)} checks are fine.")
    with st.container(border=True, key="health", gap="small"):
        for check in checks:
            tone, icon = SEVERITY[check.severity]
            with st.container(horizontal=True, gap="small", vertical_alignment="top"):
                st.markdown(f":{tone}[{icon}]", width="content")
                with st.container(gap=None):
                    widgets.untrusted(check.message)
                    if check.fix and check.severity != "ok":
                        st.caption(widgets.plain(check.fix))


def shape(data: Dataset) -> None:
    """Long tail, activity, and time."""
    counts = np.bincount(data.train.item, minlength=data.n_items)
    ordered = np.sort(counts)[::-1]
    top = max(len(ordered) // 100, 1)
    part = ordered[:top].sum() / max(ordered.sum(), 1)
    table = pd.DataFrame({"rank": np.arange(1, len(ordered) + 1), "training interactions": ordered})
    finding = f"The most popular 1 % of the items ({top:,}) take {part:.0%} of the clicks"
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


def side(data: Dataset, run: str | None, which: str) -> None:
    """All users or items as a table; one of them with its interactions below."""
    name = "user" if which == "user" else "item"
    table = results.side_table(data, run, name)
    wanted = st.text_input(
        f"Find {name}s", key=f"find_{name}", placeholder="id or words", type="search", bind="query-params", width=420
    ).strip()
    texts = [column for column in ("user", "about", "item", "title", "category") if column in table]
    if wanted:
        hits = np.column_stack([table[column].str.contains(wanted, case=False, regex=False) for column in texts]).any(axis=1)
        table = table[hits].reset_index(drop=True)
    if not len(table):
        st.markdown(":gray[Nothing fits these words.]")
        return
    part = widgets.pages_of(len(table), ROWS, f"{name}_page")
    page = table.iloc[part].set_index(name)
    st.caption(f"{len(table):,} {name}s, the most active first. Choose a row to see its interactions.")
    key = f"{name}_table_{part.start}_{wanted}"
    event = st.dataframe(page, on_select="rerun", selection_mode="single-row", key=key, column_config=_columns())
    rows = event["selection"]["rows"]
    if rows:
        chosen = str(page.index[rows[0]])
        user, item = lookup.positions(data, chosen if name == "user" else None, chosen if name == "item" else None)
        widgets.section("Interactions of the chosen " + name)
        listing = results.listing(data, run)
        own = listing.user == user if name == "user" else listing.item == item
        st.caption(f"{int(own.sum()):,} interactions")
        _rows(data, run, browse.ordered(listing, own, "highest loss"), f"of_{name}")


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
    _rows(data, run, browse.ordered(rows, keep, order), "interactions")


def _rows(data: Dataset, run: str | None, chosen: np.ndarray, key: str) -> None:
    rows = results.listing(data, run).where(chosen)
    columns = {"label": rows.label} | ({"loss": rows.loss} if run else {})
    pairlist.show(data, Interactions(rows.user, rows.item), key, "interactions in Explore", columns)
    if len(chosen):
        with st.popover("Show as table", type="tertiary", icon=":material/table:"):
            st.dataframe(browse.interaction_table(data, rows.where(np.arange(min(len(rows), 1000)))), hide_index=True)


def _columns() -> dict[str, object]:
    return {"mean loss": st.column_config.NumberColumn(format="%.3f"), "about": st.column_config.TextColumn(width="large")}
