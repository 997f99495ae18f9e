"""Two raters side by side: where they agree, whose labels would differ, which is righter; every cell opens its pairs."""

import numpy as np
import pandas as pd
import streamlit as st

from app import judgecharts, lookup, pairlist, widgets
from core.agreement import Estimate
from core.assessment import People
from core.records import VIEWS, Dataset, Interactions, Rating
from core.rivals import A, B, Rivals
from core.wording import counted

MARKS = [rating.value for rating in Rating]


def show(data: Dataset, found: Rivals, people: People) -> None:
    n = len(found.pairs)
    if not n:
        st.markdown(":gray[They have judged no pair in common. Ask B about the candidates that A has judged.]")
        return
    box = st.success if found.clear else st.info
    box(widgets.plain(found.verdict), icon=":material/balance:")
    pairs = found.pairs
    for column, view in zip(st.columns(2, gap="medium"), VIEWS, strict=True):
        with column:
            cell = _matrix(found, view)
            if cell:
                chosen = (pairs[f"{view} view{A}"] == cell[0]) & (pairs[f"{view} view{B}"] == cell[1])
                _walk(data, pairs[chosen], f"{view} view: A {cell[0]}, B {cell[1]}", f"rivals_{view}")
    differing = pairs[pairs[f"label{A}"] != pairs[f"label{B}"]]
    _walk(data, differing, "labels of A and B differ", "rivals_differ")
    named = {f"kappa, {view} view": found.kappa[view] for view in VIEWS} | {"kappa, relevant or not": found.labels_kappa}
    numbers = pd.DataFrame([{"": name, "value": _value(one), "n": one.n, "interval": one.how} for name, one in named.items()])
    shares = {"labels that differ": found.differ, "A is right": found.right[0], "B is right": found.right[1]}
    rows = [{"": name, "value": _percent(one), "n": one.n, "interval": one.how} for name, one in shares.items()]
    rows.append(
        {
            "": "B is right more often by",
            "value": _percent(found.difference, "+"),
            "n": found.difference.n,
            "interval": found.difference.how,
        }
    )
    st.dataframe(pd.concat([numbers, pd.DataFrame(rows)]), hide_index=True, key="rivals", height="content")
    if found.difference.n:
        table = pd.DataFrame(found.outcomes, columns=["B right", "B wrong"])
        table.insert(0, "", ["A right", "A wrong"])
        st.dataframe(table, hide_index=True, key="rivals_outcomes", height="content", width=340)
        by_chance = "With raters that err as often, chance alone gives a difference like that or a larger one with p ="
        chance = "" if found.chance is None else f" {by_chance} {found.chance:.2g}."
        st.caption(f"{people.rest}{chance}")


def _matrix(found: Rivals, view: str) -> tuple[str, str] | None:
    """The ratings of both in one view; the cell (A's, B's rating) that is chosen."""
    counts = found.views[view]
    same = np.trace(counts) / counts.sum()
    shown = pd.DataFrame(counts, columns=[f"B {word}" for word in MARKS])
    shown.insert(0, "A", MARKS)
    finding = f"In the {view} view they give the same rating to {same:.0%} of {counted(counts.sum(), 'pair')}"
    widgets.chart(f"rivals_{view}_chart", finding, judgecharts.crossed(counts, view), shown)
    event = st.dataframe(shown, hide_index=True, key=f"cells_{view}", on_select="rerun", selection_mode="single-cell")
    st.caption("Choose a cell to open its pairs.")
    cells = [(row, column) for row, column in event["selection"]["cells"] if column != "A"]
    return (MARKS[cells[0][0]], cells[0][1].removeprefix("B ")) if cells else None


def _walk(data: Dataset, pairs: pd.DataFrame, name: str, key: str) -> None:
    """A button that opens the first of these pairs on Pair, with the others behind it."""
    label = f"Open the {counted(len(pairs), 'pair')}: {name}" if len(pairs) else f"No pair: {name}"
    if st.button(label, key=key, icon=":material/list:", disabled=not len(pairs)):
        user, item = lookup.places(data, pairs.rename(columns={"user_id": "user", "item_id": "item"}))
        pairlist.walk(data, Interactions(user, item), name)


def _value(one: Estimate) -> str:
    if one.value is None or one.low is None:
        return "–" if one.value is None else f"{one.value:z.2f}"
    return f"{one.value:z.2f} ({one.low:z.2f} to {one.high:z.2f})"


def _percent(one: Estimate, sign: str = "") -> str:
    return "–" if one.value is None else f"{one.value:{sign}.0%} ({one.low:{sign}.0%} to {one.high:{sign}.0%})"
