"""What the Compare page is made of."""

import pandas as pd
import streamlit as st

from app import charts, results, state, widgets, words
from core import runs
from core.compare import Comparison
from core.runs import Run

MAIN = ("recall@20", "ndcg@20", "precision@20", "hit@20", "mrr@20", "recall@10", "ndcg@10")
TILES = ("recall@20", "ndcg@20", "precision@20", "mrr@20")
INTERVALS = "Points with 95 % intervals over users; filled when the interval leaves out 0"
QUIET = {"labels", "label content", "seed"}
"""Settings that may differ without a warning: that they differ is the point."""


def choose(dataset: str) -> tuple[Run, Run] | None:
    """Two finished trainings; at first the newest with labels, and the one without that is most like it."""
    trained = {run.id: run for run in results.trained(dataset)}
    if len(trained) < 2:
        return None
    a, b = _asked(trained)
    after = trained.get(b) or next((run for run in _but(trained, a) if run.settings.get("labels")), _but(trained, a)[0])
    like = min(_but(trained, after.id), key=lambda run: (bool(run.settings.get("labels")), _unlike(run, after)))  # the newest
    st.session_state["compare_a"], st.session_state["compare_b"] = a or like.id, after.id
    labels = words.told_apart({run_id: words.run_label(run) for run_id, run in trained.items()})
    left, right = st.columns(2, gap="medium")
    for key, column, label in (("a", left, "A: before"), ("b", right, "B: after")):
        column.selectbox(label, list(labels), format_func=labels.__getitem__, key=f"compare_{key}", on_change=_chosen)
    return trained[st.session_state["compare_a"]], trained[st.session_state["compare_b"]]


def _asked(trained: dict[str, Run]) -> list[str | None]:
    """A and B as the address names them, else as they were chosen; says so when the address names what is not here."""
    linked = {key: st.query_params.get(key) for key in ("a", "b")}
    for key, run_id in linked.items():
        if run_id and run_id not in trained:
            text = f"There is no finished training {widgets.plain(run_id)} in this dataset; another one stands for {key.upper()}."
            st.warning(text, icon=":material/link_off:")
    if not any(linked.values()):
        linked = {key: st.session_state.get(f"compare_{key}") for key in linked}
    return [run_id if run_id in trained else None for run_id in linked.values()]


def _but(trained: dict[str, Run], run_id: str | None) -> list[Run]:
    """All but this one, newest first."""
    return [run for run in trained.values() if run.id != run_id]


def _unlike(a: Run, b: Run) -> int:
    """How many settings differ, labels aside."""
    return sum(a.settings.get(name) != b.settings.get(name) for name in (a.settings.keys() | b.settings.keys()) - {"labels"})


def _chosen() -> None:
    """The address names both, so that it can be shared."""
    for key in ("a", "b"):
        st.query_params[key] = st.session_state[f"compare_{key}"]


def show(a: Run, b: Run) -> None:
    if a.id == b.id:
        widgets.note("A and B are the same training. Choose another one for B.")
        return
    comparison = results.comparison(a.id, b.id)
    verdict(comparison)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        changes(comparison)
        course(a, b)
    with right:
        settings(comparison)


def verdict(comparison: Comparison) -> None:
    """The main metrics, and a sentence that claims no more than the interval does."""
    delta = comparison.metrics[MAIN[0]]
    word = charts.metric_word(MAIN[0])
    reach = f"{delta.delta:+.4f}, 95 % interval {delta.low:+.4f} to {delta.high:+.4f}"
    if delta.clear:
        sentence = f"B's {word} is {'higher' if delta.delta > 0 else 'lower'} on these test users ({reach})."
    else:
        sentence = f"No clear difference in {word} on these test users ({reach})."
    widgets.section(sentence)
    seeds = "Another seed can shift both by a few thousandths: see the seeds below before you rely on it."
    st.caption(f"{comparison.n_users:,} test users, paired; the interval is from resampling users. {seeds}")
    with st.grid(columns=len(TILES), min_column_width=160, gap="small"):
        for name in TILES:
            one = comparison.metrics[name]
            meaning = f"A {one.a:.4f}, B {one.b:.4f}; difference {one.delta:+.4f} ({one.low:+.4f} to {one.high:+.4f})."
            colour = "normal" if one.clear and name == MAIN[0] else "off"  # of several, one may be clear by chance
            st.metric(
                f"{charts.metric_word(name)} of B",
                f"{one.b:.4f}",
                f"{one.delta:+.4f}",
                delta_color=colour,
                help=meaning,
                border=True,
            )


def changes(comparison: Comparison) -> None:
    named = {charts.metric_word(name): comparison.metrics[name] for name in MAIN if name in comparison.metrics}
    clear = sum(delta.clear for delta in named.values())
    leave = "leaves" if clear == 1 else "leave"
    finding = f"{clear} of {len(named)} intervals {leave} out 0; with {len(named)}, one may do so by chance"
    rows = widgets.delta_table({charts.metric_word(name): delta for name, delta in comparison.metrics.items()}, "metric")
    widgets.chart("changes", finding, charts.differences(named), rows, INTERVALS)


def course(a: Run, b: Run) -> None:
    rows = {name: runs.folder(state.home(), run.id).metrics()[0] for name, run in (("A", a), ("B", b))}
    points = [
        {"training": name, "epoch": row["epoch"], **row["valid"]}
        for name, part in rows.items()
        for row in part
        if row.get("valid")
    ]
    epochs = [run.result.get("best_epoch", 0) for run in (a, b)]
    finding = f"Validation peaks at epoch {epochs[0]} in A and {epochs[1]} in B"
    widgets.chart("course", finding, charts.metric_of_runs(rows, MAIN[0]), pd.DataFrame(points), "Full ranking of all items")


def settings(comparison: Comparison) -> None:
    """What differs between the two, and a warning when it is more than the labels."""
    with st.container(border=True, key="differences"):
        st.markdown("**What differs**")
        if not comparison.differences:
            st.markdown(":gray[Nothing: same settings, same labels, same versions.]")
        else:
            rows = [{"setting": name, "A": _word(a), "B": _word(b)} for name, a, b in comparison.differences]
            st.dataframe(pd.DataFrame(rows), hide_index=True, key="different_settings")
        more = [name for name, _, _ in comparison.differences if name not in QUIET]
        if more:
            text = f"More than labels and seed differs ({', '.join(more)}), so the change cannot be put down to the labels alone."
            st.warning(widgets.plain(text), icon=":material/balance:")
        for name, run in (("A", comparison.a), ("B", comparison.b)):
            took = words.duration(run.seconds)
            st.caption(f"{name}: {widgets.plain(run.id)} · {run.result.get('epochs', 0)} epochs · {took}")


def _word(value: object) -> str:
    return "none" if value is None else str(value)
