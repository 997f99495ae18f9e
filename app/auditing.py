"""How good the judge is, on the Judge page: a random sample for people to audit, and what the audits say."""

from typing import Any

import pandas as pd
import streamlit as st

from app import judgecharts, lookup, pairlist, state, states, widgets, words
from core import labels
from core.agreement import Estimate
from core.assessment import AGREEMENT, MEANS, Assessment
from core.records import Dataset, Interactions
from core.store.audits import LEAST_SIZE
from core.verdict import MEASURED, Verdict
from core.wording import counted

SIZE = 96


def show(data: Dataset) -> None:
    raters = lookup.raters(data)
    if not len(raters):
        return
    widgets.section(
        "How good is this judge?",
        "Decide about a random sample of its pairs without seeing its answers. Only a random sample can tell how often it is "
        "right; what you look at because it seems wrong cannot.",
    )
    draw, work = st.columns(2, gap="small")
    with draw, st.container(border=True, height="stretch", key="audit_draw"):
        _draw(data, raters)
    samples = lookup.audit_samples(data)
    with work, st.container(border=True, height="stretch", key="audit_work"):
        if not len(samples):
            st.markdown(":gray[There is no sample yet. 96 audited pairs tell a share to about ±10 points, 385 to ±5.]")
            return
        sample = _choose(samples)
        found = lookup.assessment(data, sample)
        _queue(data, found, sample)
    for verdict in (found.prune, found.add):
        _verdict(verdict)
    if found.blind + found.seen:
        _quality(found)
    _agreement(found)


def _draw(data: Dataset, raters: pd.DataFrame) -> None:
    choices = words.told_apart({(row.judge, row.model): row.model for row in raters.itertuples()})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        judge, model = st.selectbox("Whose answers", list(choices), format_func=choices.__getitem__, key="audit_rater")
        size = st.number_input("Pairs", LEAST_SIZE, 5000, SIZE, key="audit_size", width=130)
    draw_button(data, size, judge=judge, model=model)


def draw_button(data: Dataset, size: int, **rater: str) -> None:
    """The button that draws a sample of a rater's pairs, of the first of all raters when none is named."""
    primary = "secondary" if len(lookup.audit_samples(data)) else "primary"
    ready = bool(state.annotator())
    if st.button("Draw a sample", key="audit_draw_sample", type=primary, icon=":material/casino:", disabled=not ready):
        with states.caught():
            drawn = state.store().draw(data, size=size, annotator=state.annotator(), **rater)
            state.flash(f"Sample {drawn} is drawn.", ":material/casino:")
            st.session_state["audit_sample"] = drawn
            st.rerun()
    st.caption(
        "A sample is kept as it is drawn. What was already decided about it counts." if ready else "Enter your name first."
    )


def _choose(samples: pd.DataFrame) -> int:
    """The newest sample, or another one of several."""
    by_id = {row.id: row for row in samples.itertuples()}
    if len(by_id) == 1:
        return next(iter(by_id))
    state.keep_valid("audit_sample", list(by_id))
    return st.selectbox(
        "Sample",
        list(by_id),
        format_func=lambda one: f"{one} · {by_id[one].model} · {words.when(by_id[one].at)}",
        key="audit_sample",
    )


def _queue(data: Dataset, found: Assessment, sample: int) -> None:
    """How far the audits are, and the way to the next pair."""
    size = int(found.sample["size"])
    how = f"{found.blind:,} blind, {found.seen:,} after seeing the judge's answer"
    done = f"{found.audited:,} of {counted(size, 'pair')} audited ({how})"
    st.progress(found.audited / size, text=done)
    rows = lookup.audit_pairs(data)
    left = rows[(rows["sample"] == sample) & rows["relevant"].isna()]
    user, item = labels.positions(data, left)
    pairs = Interactions(user, item).where((user >= 0) & (item >= 0))
    if st.button(
        "Audit the next pair", key="audit_next", icon=":material/visibility_off:", type="primary", disabled=not len(pairs)
    ):
        st.session_state[state.BLIND] = True
        pairlist.walk(data, pairs, f"audit sample {sample}")
    of = f"{size:,} of {counted(found.sample['population'], 'pair')}, judged in both views by {found.sample['model']}"
    about = f"Sample {sample}: {of}, prompt version {found.sample['prompt_version']}."
    st.caption(widgets.plain(about))
    if found.disputed or found.unsure:
        st.caption(f"{found.unsure:,} could not be told; people differ about {found.disputed:,}, and the newest answer counts.")


def _verdict(verdict: Verdict) -> None:
    kinds: dict[Any, Any] = {True: (st.success, "check_circle"), False: (st.warning, "warning"), None: (st.info, "hourglass_top")}
    box, icon = kinds[verdict.good]
    box(verdict.sentence, icon=f":material/{icon}:")


def _quality(found: Assessment) -> None:
    """The audits against the judge, and what that was worth elsewhere."""
    named = {word: getattr(found.quality, name) for name, word in MEANS.items()}
    error = found.quality.error
    left, right = st.columns(2, gap="medium")
    with left:
        rest = "the blind ones alone" if found.blind_only else "all of them, for few are blind"
        about = f"Weighted so that the sample stands for all {found.sample['population']:,} pairs; by {rest}"
        finding = "How often the judge is right"
        if error.value is not None:
            finding = f"The judge is wrong about {words.chance(error.value)} of the clicks"
        widgets.chart("audit_shares", finding, judgecharts.shares(named), _table(named), about)
        counts = found.confusion
        same = (counts[0, 0] + counts[1, 1]) / max(counts.sum(), 1)
        names = ["relevant", "not relevant"]
        table = pd.DataFrame(counts, columns=[f"person: {name}" for name in names])
        table.insert(0, "judge", names)
        finding = f"Judge and person agree about {same:.0%} of the audited pairs"
        widgets.chart("confusion", finding, judgecharts.confusion(counts), table, f"n = {counts.sum():,}, not weighted")
    with right:
        table = pd.DataFrame(MEASURED.prune, columns=["clicks judged wrongly", "Recall@20"])
        finding = f"Where we could measure it, a judge was worth its errors up to about {MEASURED.most_error:.0%}"
        widgets.chart("worth", finding, judgecharts.worth(MEASURED, error), table, "Measured on other data; take it as a guide")
        st.caption(MEASURED.protocol)
        added = pd.DataFrame(MEASURED.add, columns=["precision of what is added", "Recall@20"])
        with st.popover("What adding pairs brought", type="tertiary", icon=":material/table:"):
            st.dataframe(added, hide_index=True)
            st.caption(f"Without adding: {MEASURED.base:.3f}. {MEASURED.least_precision:.0%} and more is what we ask for.")
    rows = [
        {"by": one.by, "part": widgets.plain(one.part), "audits": one.n}
        | {word: words.share(getattr(one.quality, name)) for name, word in MEANS.items()}
        for one in found.segments
    ]
    st.markdown(
        "**Where it is better and where it is worse**  \n:gray[Share, its 95 % interval, and the audits that it rests on]"
    )
    st.table(pd.DataFrame(rows), hide_index=True)  # its cells break into lines, so that all fit; those of a dataframe are cut


def _agreement(found: Assessment) -> None:
    """Kappa and alpha."""
    with st.container(border=True, key="audit_agreement"):
        st.markdown(
            "**How far answers agree**  \n:gray[1 is full agreement, 0 is what chance gives; High, Mid and Low are ordered]"
        )
        named = {word: getattr(found, name) for name, word in AGREEMENT.items()}
        st.dataframe(_table(named), hide_index=True, key="audit_agreement_table", height="content")


def _table(named: dict[str, Estimate]) -> pd.DataFrame:
    rows = [
        {
            "": name,
            "value": _digits(one.value),
            "from": _digits(one.low),
            "to": _digits(one.high),
            "n": one.n,
            "interval": one.how,
        }
        for name, one in named.items()
    ]
    return pd.DataFrame(rows)


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:z.2f}"
