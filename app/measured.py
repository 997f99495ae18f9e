"""What we measured, on the Method page: tables, curves and detection of the quality benchmark, as it has written them."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
import streamlit as st

from app import charts, results, widgets

_KINDS = {"table": "", "curve": "", "detection": "Telling noise: "}
"""Keys that tell the records apart, and what comes before their titles."""


def show() -> None:
    """The tables of the quality benchmark, one at a time; every row as it was measured, wins and losses alike."""
    records = results.quality()
    if not records:
        widgets.note(
            "There are no measurements here yet: `make bench-quality` makes them and writes benchmarks/results/quality.json."
        )
        return
    draws = {"table": _table, "curve": _curve, "detection": _detection}
    known = {f"{_KINDS[kind]}{record[kind]}": kind for record in records for kind in draws if kind in record}
    title = st.selectbox("Measurement", list(known), key="measurement")
    kind = known[title]
    name = title.removeprefix(_KINDS[kind])
    chosen = [record for record in records if record.get(kind) == name]
    st.caption(widgets.plain(chosen[0]["protocol"]))
    draws[kind](chosen)


def _table(rows: Sequence[dict[str, Any]]) -> None:
    compared = [row["difference"] for row in rows if row["difference"]]
    above, below = sum(one["low"] > 0 for one in compared), sum(one["high"] < 0 for one in compared)
    st.markdown(
        f"**Of {len(compared)} rows, {above} are clearly above {widgets.plain(rows[0]['row'])} in Recall@20, {below} clearly "
        f"below, {len(compared) - above - below} neither**"
    )
    st.dataframe(
        quality_table(rows), hide_index=True, key="quality_table", height="content", placeholder="–", column_config=_FORMATS
    )
    st.caption(
        "Mean over the seeds, then the lowest and the highest. The difference is from the first row, paired over the test "
        "users, with a 95 % bootstrap interval; of many intervals, one in twenty leaves out 0 by chance. Rows stand in the "
        "order of the benchmark."
    )


_DIFFERENCE = "Recall@20, change"
_FORMATS = {"row": st.column_config.TextColumn(width=330, pinned=True)} | {
    name: st.column_config.NumberColumn(format=form)
    for name, form in {"Recall@20": "%.4f", "NDCG@20": "%.4f", _DIFFERENCE: "%+.4f", "seconds": "%.0f"}.items()
}


def quality_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    made = []
    for row in rows:
        line: dict[str, Any] = {"row": row["row"]}
        for name in ("recall@20", "ndcg@20"):
            metric, word = row["metrics"][name], charts.metric_word(name)
            line |= {word: metric["mean"], f"{word}, seeds": _reach(metric["by_seed"])}
        delta = row["difference"]
        line[_DIFFERENCE] = delta and delta["recall@20"]
        line["95 % interval"] = f"{delta['low']:+.4f} to {delta['high']:+.4f}" if delta else None
        epochs = ", ".join(map(str, row["best_epochs"])) if any(row["best_epochs"]) else None  # a closed form has none
        line |= {"best epochs": epochs, "seconds": fmean(row["seconds"])}
        made.append(line)
    return pd.DataFrame(made)


def _reach(values: Sequence[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}" if len(values) > 1 else "one seed"


def _curve(points: Sequence[dict[str, Any]]) -> None:
    lines: dict[str, dict[int, list[float]]] = {}
    for point in points:
        if point["recall@20"]:
            lines.setdefault(point["row"], {})[point["percent"]] = point["recall@20"]
    percents = sorted({point["percent"] for point in points})
    rows = [
        {"row": name, **{f"{p} %": f"{fmean(at[p]):.4f} ({_reach(at[p])})" if p in at else None for p in percents}}
        for name, at in lines.items()
    ]
    last = {name: fmean(at[percents[-1]]) for name, at in lines.items() if percents[-1] in at}
    best = max(last, key=last.__getitem__, default="")
    finding = f"At {percents[-1]} % {widgets.plain(best)} is highest" if best else "Not measured yet"
    about = "Mean over the seeds, bars from the lowest to the highest."
    widgets.chart("noise_curves", finding, charts.noise_curves(lines), pd.DataFrame(rows), about)


def _detection(records: Sequence[dict[str, Any]]) -> None:
    by_seed = records[0]["by_seed"]
    rows = [
        {"signal": signal} | {name: fmean(one[signal][name] for one in by_seed) for name in by_seed[0][signal]}
        for signal in by_seed[0]
    ]
    table = pd.DataFrame(rows)
    formats = {name: st.column_config.NumberColumn(format="%.3f") for name in table.columns[1:]}
    st.dataframe(table, hide_index=True, height="content", key="detection_table", column_config=formats)
    st.caption(
        f"How well a signal tells known noise from other clicks: mean over {len(by_seed)} seeds. An AUC of .5 is a coin; "
        "the top-loss fifth is where hard and noisy clicks are mixed."
    )
