"""What a threshold on the loss would do: what it drops, what it changes, and how right that is where the noise is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, lossview, widgets
from app.lossview import BY_LABEL, Choice, View
from app.palette import LABELS
from core import dynamics
from core.records import Dataset, Label


def tiles(data: Dataset, choice: Choice, seen: View, at: float) -> None:
    """The threshold in figures: how many it flags, how many labels it would change, and with known noise how right it is."""
    group = lossview.view(data, replace(choice, by=BY_LABEL)).group[: seen.clicks]
    drop = dynamics.drop_above(seen.loss[: seen.clicks], group, at, seen.noisy)
    more, fewer = dynamics.changes(group, seen.loss[: seen.clicks].astype(np.float64) > at)
    values = [
        ("Flagged", f"{drop.dropped:,}", f"{drop.dropped / max(drop.n, 1):.1%} of {drop.n:,} clicks lie above the line."),
        (
            "Labels changed",
            f"{more + fewer:,}",
            f"Against the labels as they stand, were everything above the line noisy and nothing below: {more:,} become noisy, "
            f"{fewer:,} stop being so.",
        ),
    ]
    if drop.precision is not None and drop.recall is not None:
        values += [
            ("Precision", _share(drop.precision), _interval(drop.precision, "of the dropped clicks are noisy")),
            ("Recall", _share(drop.recall), _interval(drop.recall, "of the noisy clicks are dropped")),
            ("F1", f"{drop.f1:.2f}", "Harmonic mean of precision and recall."),
        ]
    widgets.tiles(values)
    if drop.precision is None:
        st.caption("Nothing is known about the true noise of this dataset, so there are counts only: no precision, no recall.")
        return
    reach = ((name, part) for name, part in (("precision", drop.precision), ("recall", drop.recall)) if part.n)
    told = ", ".join(f"{name} {part.low:.0%} to {part.high:.0%}" for name, part in reach)
    st.caption(f"Against the planted truth; 95 % intervals: {told}.")


def by_label(seen: View, at: float) -> None:
    """How much of each group the threshold would drop."""
    group = seen.group[: seen.clicks]
    drop = dynamics.drop_above(seen.loss[: seen.clicks], group, at)
    st.markdown(f"**Dropping above {at:.3g} would take {drop.dropped:,} of {drop.n:,} clicks**")
    rows = []
    for code, count in drop.by_group.items():
        size, look = int((group == code).sum()), LABELS[Label(code)]
        rows.append({"label": f"{look.sign} {look.word}", "share": count / max(size, 1), "dropped": f"{count:,} of {size:,}"})
    share = st.column_config.ProgressColumn("share dropped", format="percent", min_value=0, max_value=1, width="small")
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"share": share}, key="drop_by_label")


def _share(part: dynamics.Share) -> str:
    return f"{part.value:.0%}" if part.n else "–"


def _interval(part: dynamics.Share, what: str) -> str:
    return f"{part.hits:,} of {part.n:,} {what} ({part.low:.0%} to {part.high:.0%})" if part.n else f"none {what}"


def operating_curve(data: Dataset, choice: Choice, seen: View, at: float) -> None:
    """Precision against recall over all thresholds, when the noise is known."""
    curve = lossview.curve(data, choice)
    if curve is None:
        return
    drop = dynamics.drop_above(seen.loss[: seen.clicks], seen.group[: seen.clicks], at, seen.noisy)
    table = pd.DataFrame({"threshold": curve.threshold, "precision": curve.precision, "recall": curve.recall})
    finding = f"Dropping by loss: average precision {curve.average_precision:.2f}, at random {curve.base_rate:.2f}"
    about = f"{int(seen.noisy.sum()):,} noisy of {len(seen.noisy):,} clicks, by planted truth"
    widgets.chart("precision_recall", finding, charts.precision_recall(curve, drop), table, about)
