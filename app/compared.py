"""The second half of the Compare page: seeds, segments, flips, and who wins and loses with their lists."""

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, itemlists, results, state, widgets
from core import compare
from core.compare import FEATURES, Flips, OverSeeds, Segment
from core.evaluate import top_lists
from core.preview import DEPTH
from core.records import Dataset, Report
from core.runs import Run

METRIC = "recall@20"
MOVERS = 3


def show(data: Dataset, a: Run, b: Run) -> None:
    """Everything beneath the means; only for two different trainings on the data as they are now."""
    if a.id == b.id or a.dataset_fingerprint != data.fingerprint:
        return
    parts, flipped, reports = results.beneath(data, a.id, b.id)
    left, right = st.columns(2, gap="medium")
    with left:
        segments(parts)
    with right:
        flips(flipped)
        seeds(compare.over_seeds(state.home(), a, b, METRIC))
    movers(data, a, b, reports)


def segments(parts: list[Segment]) -> None:
    """The change for thirds of the users."""
    named = {_segment(one): one.deltas[METRIC] for one in parts}
    table = widgets.delta_table(named, "users").assign(n=[one.n_users for one in parts])
    word = charts.metric_word(METRIC)
    clear = sum(delta.clear for delta in named.values())
    finding = f"{word} clearly changes for {clear} of {len(named)} groups of users"
    about = f"{word} by thirds of the test users; 95 % intervals. Of so many, one may be clear by chance"
    widgets.chart("segments", finding, charts.differences(named), table, about)


def _segment(one: Segment) -> str:
    reach = f"{one.low:,.0f}" if one.low == one.high else f"{one.low:,.0f} to {one.high:,.0f}"
    return f"{reach} {FEATURES[one.feature]}"


def flips(found: Flips) -> None:
    """Users who are served in one training only."""
    n = found.both + found.lost + found.won + found.neither
    with st.container(border=True, key="flips", gap="small"):
        finding = f"{found.won:,} users gain a hit, {found.lost:,} lose theirs"
        st.markdown(f"**{finding}**  \n:gray[At least one of the first 20 is a test click; n = {n:,}]")
        rows = [("hit in A", found.both, found.lost), ("no hit in A", found.won, found.neither)]
        st.dataframe(pd.DataFrame(rows, columns=["users", "hit in B", "no hit in B"]), hide_index=True, key="flip_counts")


def seeds(found: OverSeeds) -> None:
    """Whether the difference holds when the trainings are repeated with other seeds."""
    with st.container(border=True, key="over_seeds", gap="small"):
        word = charts.metric_word(METRIC)
        if len(found.seeds) < 2:
            st.markdown("**One seed: whether the difference holds is open**")
            more = "from two on they are compared here, from three on with an interval."
            st.caption(f"Train A's and B's settings with the same other seeds; {more}")
            return
        reach = f", 95 % interval {found.low:+.4f} to {found.high:+.4f}" if found.low is not None else ""
        st.markdown(f"**Over {len(found.seeds)} seeds {word} changes by {found.delta:+.4f}{reach}**")
        difference = np.subtract(found.b, found.a)
        st.dataframe(
            pd.DataFrame({"seed": found.seeds, "A": found.a, "B": found.b, "change": difference}),
            hide_index=True,
            key="seed_table",
        )
        if found.low is None:
            st.caption(f"An interval over seeds needs {compare.SEEDS_AT_LEAST} of them.")


def movers(data: Dataset, a: Run, b: Run, reports: list[Report]) -> None:
    """The users who gain and lose most, with the lists of both trainings."""
    widgets.section("Winners and losers", f"Top {DEPTH} of both trainings, seen clicks left out; ✓ is a test click.")
    if any(run.settings.get("blend", "none") != "none" for run in (a, b)):
        st.caption("The lists are those of the vectors alone, without the blended closed form.")
    gain, lose = compare.movers(*reports, METRIC, MOVERS)
    for column, heading, users in zip(st.columns(2, gap="medium"), ("Winners", "Losers"), (gain, lose), strict=True):
        with column:
            st.markdown(f"**{heading}**")
            if not len(users):
                st.markdown(":gray[None.]")
                continue
            lists = [top_lists(results.embeddings(run.id), users, [data.train, data.valid], DEPTH) for run in (a, b)]
            for place, user in enumerate(users):
                own = [float(report.per_user[METRIC][report.users == user][0]) for report in reports]
                about = f"{charts.metric_word(METRIC)} {own[0]:.2f} in A, {own[1]:.2f} in B"
                itemlists.show(data, int(user), lists[0][place], lists[1][place], data.test, f"{heading}_{place}", about)
