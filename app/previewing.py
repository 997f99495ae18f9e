"""What the Preview page is made of: the what-if, what it would do, whose lists move, and on to a version and a training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, itemlists, lookup, navigation, results, state, states, widgets, work
from app.palette import SOURCES
from core import labels as label_rules
from core import pipeline
from core import preview as previews
from core.errors import WinnowError
from core.graph import TRUSTED
from core.preview import Base, Preview
from core.records import Dataset, Label, LabelSet, Source
from core.runs import Run, State
from core.settings import TrainSettings

MAIN = ("recall@20", "ndcg@20", "precision@20", "hit@20", "mrr@20", "recall@10", "ndcg@10")
TILES = ("recall@20", "ndcg@20")
USERS_SHOWN = 6
KEYS = {"sources": "preview_sources", "noisy_weight": "preview_noisy_weight", "add_missed": "preview_add_missed"}
ADD_WORDS = {"people": "people's", "judges": "everybody's", "nobody": "nobody's"}


@dataclass(frozen=True)
class WhatIf:
    """Which labels count, and what they do to edges."""

    sources: frozenset[Source]
    noisy_weight: float
    add_missed: str

    def settings(self, version: str) -> dict[str, Any]:
        """What a retraining gets beside the run's own settings."""
        graph = {"noisy_weight": self.noisy_weight, "add_missed": self.add_missed, "infer_on": "refined"}
        return graph | {"labels": version}


def base(data: Dataset, run: Run) -> Base | None:
    """What the previews start from; None, with the reason shown, when this training cannot be previewed."""
    try:
        with states.loading("Reading the training and ranking its lists"):
            return results.preview_base(data, run.id)
    except WinnowError as error:
        states.failure(error)
        navigation.link("train", "Train a model")
        return None


def sources(data: Dataset) -> list[Source]:
    """Who has given labels: people first, then the better judges."""
    found = {int(code) for code in label_rules.sources(lookup.judgments(data))}
    if len(lookup.standing(data)):
        found.add(int(Source.HUMAN))
    return [source for source in sorted(Source, reverse=True) if int(source) in found]


def what_if(base: Base, found: list[Source]) -> WhatIf:
    """The controls; they begin as the training itself was made, with everybody's labels."""
    widgets.section("What if", "Nothing is written; the figures follow.")
    counted = st.pills(
        "Labels that count",
        found,
        selection_mode="multi",
        default=found,
        format_func=lambda source: SOURCES[source],
        key=KEYS["sources"],
        help="Without people, a pair that a person decided is the judge's again.",
    )
    noisy_weight = st.slider(
        "Weight of clicks that a judge calls noisy",
        0.0,
        1.0,
        base.settings.noisy_weight,
        0.05,
        key=KEYS["noisy_weight"],
        help=TrainSettings.model_fields["noisy_weight"].description,
    )
    add_missed = st.segmented_control(
        "Missed positives that are added",
        list(TRUSTED),
        default=base.settings.add_missed,
        required=True,
        format_func=ADD_WORDS.__getitem__,
        key=KEYS["add_missed"],
        help=TrainSettings.model_fields["add_missed"].description,
    )
    st.button("As the training was made", key="preview_reset", icon=":material/restart_alt:", on_click=_reset)
    return WhatIf(frozenset(counted), noisy_weight, add_missed)


def _reset() -> None:
    for key in KEYS.values():
        st.session_state.pop(key, None)


def outcome(base: Base, found: Preview) -> None:
    """The main figures with their intervals, in a sentence that claims no more than they do."""
    if not len(found.changes):
        widgets.section("These labels leave every list as it is")
        widgets.note("They give the same graph as the training's own. Change the what-if, or decide about a pair.")
    else:
        delta = found.metrics[TILES[0]]
        reach = f"{delta.delta:+.4f}, 95 % interval {delta.low:+.4f} to {delta.high:+.4f}"
        way = ("rises" if delta.delta > 0 else "falls") if delta.clear else "does not clearly change"
        widgets.section(f"{charts.metric_word(TILES[0])} {way} ({reach})")
    replaced = found.replaced()
    tiles = [("Edges changed", f"{len(found.changes):,}", None, "Of the graph that the lists are inferred on.")]
    tiles.append(("Lists changed", f"{int((replaced > 0).sum()):,}", None, f"Of {len(replaced):,} users' top {previews.DEPTH}."))
    with st.grid(columns=4, min_column_width=130, gap="small"):
        for name in TILES:
            one = found.metrics[name]
            meaning = f"{one.a:.4f} before; change {one.delta:+.4f} ({one.low:+.4f} to {one.high:+.4f}). On validation users."
            colour = "normal" if one.clear and name == TILES[0] else "off"
            change = f"{one.delta:+.4f}" if len(found.changes) else None
            st.metric(charts.metric_word(name), f"{one.b:.4f}", change, delta_color=colour, help=meaning, border=True)
        for name, value, _, meaning in tiles:
            st.metric(name, value, help=meaning, border=True)
    st.caption(_about(base, found))


def _about(base: Base, found: Preview) -> str:
    n = len(base.users)
    total = len(np.unique(base.dataset.valid.user))
    part = f"{n:,} validation users" if n == total else f"a sample of {n:,} of {total:,} validation users"
    told = f"On {part}, paired, in {found.seconds:.2f} s without training: the vectors are propagated on the changed graph. "
    told += "A retraining learns from it as well and may end elsewhere."
    if base.settings.train_on == "refined":
        told += " It would train on the changed graph, too, which a preview foretells less well (benchmarks/results/preview.md)."
    if base.settings.infer_on == "observed":
        told += (
            " This training infers on the clicks as they are, so part of the change is that of inferring on the refined graph."
        )
    return told


def details(found: Preview) -> None:
    """All metrics, and who changes how many edges."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        named = {charts.metric_word(name): found.metrics[name] for name in MAIN if name in found.metrics}
        clear = sum(delta.clear for delta in named.values())
        finding = f"{clear} of {len(named)} intervals {'leaves' if clear == 1 else 'leave'} out 0"
        figure = charts.differences(named, "Change on validation users")
        table = widgets.delta_table(named, "metric", "before", "after")
        widgets.chart(
            "preview_changes", finding, figure, table, "Points with 95 % intervals over users; filled when 0 is left out"
        )
    with right, st.container(border=True, key="preview_edges", gap="small"):
        st.markdown(f"**{len(found.changes):,} edges are changed, by whom**")
        st.dataframe(edges(found), hide_index=True, placeholder="–")


def edges(found: Preview) -> pd.DataFrame:
    """Counts of changed edges, a line for each source and deed: as columns, the deeds would not all fit in."""
    changes = found.changes
    done = [
        (source, deed, ((changes.source == source) & (changes.deed == deed)).sum())
        for source in np.unique(changes.source)[::-1]
        for deed in range(len(previews.DEEDS))
    ]
    rows = [(SOURCES[Source(source)], previews.DEEDS[deed], int(n)) for source, deed, n in done if n]
    return pd.DataFrame(rows, columns=["by", "what", "edges"])


def lists(base: Base, found: Preview) -> None:
    """The users whose lists change most."""
    shown = list(previews.moved(found, USERS_SHOWN))
    if not shown:
        return
    widgets.section("Whose lists move most", f"Top {previews.DEPTH}, seen clicks left out; ✓ was clicked in validation.")
    with st.grid(columns=2, min_column_width=380, gap="small"):
        for place, one in enumerate(shown):
            clicks = (
                f"{one.changed_clicks:,} of their own clicks changed"
                if one.changed_clicks
                else "none of their own clicks changed"
            )
            about = f"{len(one.came)} of {previews.DEPTH} replaced · {clicks}"
            itemlists.show(base.dataset, one.user, one.before, one.after, base.dataset.valid, f"preview_{place}", about)


def go_on(data: Dataset, base: Base, chosen: WhatIf, every: list[Source], found: Preview) -> None:
    """Freeze these labels, train with them as a job, compare."""
    widgets.section("Go on", "A version keeps exactly these labels; a retraining takes everything else from this training.")
    made = _retrained(data, base, chosen)
    freeze_column, train_column, compare_column = st.columns(3, gap="small")
    labels = None if chosen.sources == frozenset(every) else lookup.labels_by(data, chosen.sources)
    ready = bool(state.annotator()) and bool(len(found.changes) or base.labels)
    with freeze_column:
        if st.button("Freeze as a version", key="preview_freeze", icon=":material/ac_unit:", width="stretch", disabled=not ready):
            with states.caught():
                version = _freeze(data, labels)
                state.flash(f"These labels are frozen as {version}.", ":material/ac_unit:")
                st.rerun()
        if not state.annotator():
            st.caption("Enter your name in the sidebar first.")
    with train_column:
        busy = any(run.state.active for run in results.runs_of(data.name, "train"))
        look = {"type": "primary", "icon": ":material/play_arrow:", "width": "stretch"}
        if st.button("Retrain with these labels", key="preview_retrain", disabled=not ready or busy, **look):
            with states.caught():
                settings = base.run.settings | chosen.settings(_freeze(data, labels))
                st.session_state[state.WATCHED] = work.start("train", data.name, settings).id
                st.rerun()
    with compare_column:
        if made and made.state is State.DONE:
            navigation.link("compare", "Compare both trainings", a=base.run.id, b=made.id)
    if made and made.state is State.DONE:
        _foretold(found, base, made)
    elif made:
        work.panel(made)


def _freeze(data: Dataset, labels: LabelSet | None) -> str:
    return pipeline.freeze(state.home(), data.name, annotator=state.annotator(), note="from Preview", chosen=labels)


def _retrained(data: Dataset, base: Base, chosen: WhatIf) -> Run | None:
    """The newest training that this what-if would make: the base's settings, with a version of just these labels."""
    wanted = _answered(lookup.labels_by(data, chosen.sources))
    for run in results.runs_of(data.name, "train"):
        version = run.settings.get("labels")
        if version and run.settings == base.run.settings | chosen.settings(version) and run.id != base.run.id:
            own = _answered(lookup.frozen(data, version))
            same = (np.array_equal(getattr(own, name), getattr(wanted, name)) for name in ("user", "item", "label", "source"))
            if all(same):
                return run
    return None


def _answered(labels: LabelSet) -> LabelSet:
    return labels.where(labels.label != Label.UNJUDGED)


def _foretold(found: Preview, base: Base, made: Run) -> None:
    """The measured change beside the foretold one."""
    name = TILES[0]
    measured = made.metrics.get("valid", {}).get(name)
    own = base.run.metrics.get("valid", {}).get(name)
    if measured is None or own is None:
        return
    text = f"Retrained on {made.settings['labels']}: {charts.metric_word(name)} on validation {measured - own:+.4f}; "
    text += f"this preview says {found.metrics[name].delta:+.4f}."
    widgets.note(text, ":material/fact_check:")
