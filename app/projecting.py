"""What the Embeddings page is made of: the form, the map to draw on, and what was selected on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import filtered, forms, lasso, lookup, maps, pairlist, results, selections, state, widgets, words, work
from app.palette import LABELS, SOURCES
from core import dynamics, projection
from core.projection import Projection
from core.records import Dataset, Label, Source
from core.runs import Run, State
from core.settings import ProjectSettings

ONE = {"pairs": "click", "users": "user", "items": "item"}
COLOURS = {
    "pairs": ("label", "given by", "loss", "popularity of the item"),
    "users": ("clicks", "mean loss", "share of noisy clicks"),
    "items": ("clicks", "mean loss", "share of noisy clicks"),
}
BEFORE, AFTER, BOTH = "first", "second", "side by side"


@dataclass(frozen=True, eq=False)
class Clicks:
    """What is known of every training click (n,)."""

    label: np.ndarray  # int8
    source: np.ndarray  # int8
    loss: np.ndarray  # float32, NaN where none was recorded


def form(data: Dataset) -> None:
    """What to draw; starting it is a job, and its result is kept with its settings."""
    runs = {run.id: words.run_label(run) for run in results.trained(data.name) if run.dataset_fingerprint == data.fingerprint}
    choices = {"run": runs, "other": {None: "none"} | runs, "of": {of: of for of in ONE}}
    st.session_state.setdefault("project_run", state.run_id())
    values = forms.settings_form(ProjectSettings, "project", ("of", "run", "other", "neighbours", "min_dist"), choices=choices)
    if values["other"] == values["run"]:
        widgets.note("Both trainings are the same; choose another second one, or none.")
    busy = any(run.state.active for run in results.runs_of(data.name, "project"))
    look = {"type": "primary", "icon": ":material/scatter_plot:", "width": "stretch"}
    if st.button("Compute the map", key="start_project", disabled=busy or values["other"] == values["run"], **look):
        with widgets.caught():
            work.start("project", data.name, ProjectSettings.checked(**values).model_dump())
            st.rerun()


def any_map(data: Dataset) -> bool:
    """Whether a map is there or on its way."""
    return bool(results.runs_of(data.name, "project"))


def choose(data: Dataset) -> Run | None:
    """The finished map to show; the newest first. Work in progress stands above it."""
    runs = results.runs_of(data.name, "project")
    if runs and runs[0].state is not State.DONE:
        work.panel(runs[0])
    done = {run.id: run for run in runs if run.state is State.DONE and run.dataset_fingerprint == data.fingerprint}
    if not done:
        if not runs:
            widgets.empty("No map yet", "Choose what to draw above; a map is kept once it is computed.")
        return None
    if st.session_state.get("map") not in done:
        asked = st.query_params.get("map")
        st.session_state["map"] = asked if asked in done else next(iter(done))
    chosen = st.selectbox("Map", list(done), format_func=lambda run_id: _map_label(done[run_id]), key="map")
    if "map" in st.query_params or chosen != next(iter(done)):
        st.query_params["map"] = chosen  # bound by Streamlit, the address would hold the words and not the id
    return done[chosen]


def _map_label(run: Run) -> str:
    after = " before and after" if run.settings["other"] else ""
    of = run.settings["of"]
    return f"{run.result['n']:,} {of if of != 'pairs' else 'clicks'}{after} · {words.when(run.created)}"


@st.fragment
def explore(data: Dataset, run: Run) -> None:
    """The map and what is selected on it; drawing an outline reruns only this."""
    found, clicks, of = results.projection(run.id), _clicks(data, run), run.settings["of"]
    keep = filtered.fits(data, filtered.current(data).filter, data.train)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            colour = st.selectbox("Colour by", COLOURS[of], key=f"map_colour_{of}", width=240, persist_state="session")
            shown = BEFORE
            if found.other is not None:
                shown = st.segmented_control("Training", [BEFORE, AFTER, BOTH], default=BEFORE, required=True, key="map_shown")
            widgets.legend()
        chosen = _maps(data, run, found, clicks, colour, shown, _drawn(data, of, keep))
        settings, fitted, n = run.settings, run.result["fitted"], run.result["n"]
        rest = f" {fitted:,} of {n:,} were fitted; the others lie among their nearest." if fitted < n else ""
        joint = " Both trainings were fitted together, the second turned onto the first." if found.other is not None else ""
        st.caption(
            f"UMAP of unit vectors: {settings['neighbours']} neighbours, least distance {settings['min_dist']:g}, seed "
            f"{settings['seed']}, {run.seconds:.0f} s.{rest}{joint} Neighbourhoods have a meaning, far distances have none."
        )
    with right:
        _selected(data, run, clicks, chosen, keep)
    state.show_flashes()


def _drawn(data: Dataset, of: str, keep: np.ndarray) -> np.ndarray:
    """Which rows of a map are drawn: clicks that fit the filter, users or items with such a click."""
    if of == "pairs":
        return keep
    place, n = (data.train.user, data.n_users) if of == "users" else (data.train.item, data.n_items)
    return keep.all() | (np.bincount(place[keep], minlength=n) > 0)


def _maps(data: Dataset, run: Run, found: Projection, clicks: Clicks, colour: str, shown: str, drawn: np.ndarray) -> np.ndarray:
    """One or two maps with one outline, of the rows that are drawn (n,); which of all rows are selected: bool (n,)."""
    layouts = {BEFORE: found.points, AFTER: found.other}
    names = [BEFORE, AFTER] if shown == BOTH else [shown]
    mask = np.zeros(len(found.points), bool)
    for name in (BEFORE, AFTER):  # what was outlined on one map stays selected on the other
        mask |= lasso.chosen(layouts[name], lasso.outlines(f"map_{name}", run.id)) if layouts[name] is not None else False
    mask &= drawn
    some = mask[drawn]
    by = _colouring(data, run.settings["of"], clicks, colour)
    by = {name: value[drawn] if isinstance(value, np.ndarray) else value for name, value in by.items()}
    codes = by.get("codes")
    at = projection.drawn(len(some), maps.DRAWN, None if codes is None else codes > 0)
    what = ONE[run.settings["of"]]
    about = f"n = {len(some):,} {what}s, coloured by {colour}; draw a lasso or a box to select"
    if len(at) < len(some):
        rare = "" if codes is None else ", all that are labelled first"
        about = f"{len(at):,} of {about.removeprefix('n = ')}; a random sample is drawn{rare}"
    limits = np.vstack([points for points in layouts.values() if points is not None])
    for place, name in zip(st.columns(len(names)), names, strict=True):
        with place:
            points = layouts[name][drawn]
            figure = maps.plane(points, at, some, **by, height=600 if len(names) == 1 else 480)
            _same_axes(figure, limits)
            table = pd.DataFrame(points[at[:1000]], columns=["x", "y"]).assign(selected=some[at[:1000]])
            count = int(some.sum())
            finding = (
                f"{count:,} {what}s are selected" if count else f"{what.capitalize()}s that lie together are alike to the model"
            )
            trained = f"{name.capitalize()} training · " if found.other is not None else ""
            lasso.chart(f"map_{name}", run.id, f"{trained}{finding}", figure, table, about)
    return mask


def _same_axes(figure: Any, limits: np.ndarray) -> None:
    """Both trainings on the same scale, whatever is shown."""
    low, high = limits.min(axis=0), limits.max(axis=0)
    pad = 0.03 * (high - low) + 1e-6
    figure.update_xaxes(range=[low[0] - pad[0], high[0] + pad[0]])
    figure.update_yaxes(range=[low[1] - pad[1], high[1] + pad[1]])


def _clicks(data: Dataset, run: Run) -> Clicks:
    base = run.result["runs"][0]
    rows, n = results.listing(data, base), len(data.train)
    return Clicks(rows.label[:n], lookup.train_sources(data), rows.loss[:n])


def _colouring(data: Dataset, of: str, clicks: Clicks, colour: str) -> dict[str, Any]:
    """What maps.plane takes to colour the rows by this."""
    if colour == "label":
        return {"codes": clicks.label, "by": "label"}
    if colour == "given by":
        return {"codes": clicks.source, "by": "source"}
    if of == "pairs":
        popularity = np.bincount(data.train.item, minlength=data.n_items)[data.train.item]
        return (
            {"values": clicks.loss, "title": "loss"}
            if colour == "loss"
            else {"values": np.log10(popularity), "title": "log10 clicks"}
        )
    place, n = (data.train.user, data.n_users) if of == "users" else (data.train.item, data.n_items)
    count = np.bincount(place, minlength=n)
    if colour == "clicks":
        return {"values": np.log10(np.maximum(count, 1)), "title": "log10 clicks"}
    weight = np.nan_to_num(clicks.loss) if colour == "mean loss" else clicks.label == Label.NOISY_POSITIVE
    return {"values": np.bincount(place, weight, n) / np.maximum(count, 1), "title": colour}


def _selected(data: Dataset, run: Run, clicks: Clicks, chosen: np.ndarray, keep: np.ndarray) -> None:
    """How many of those that fit the filter, what they are beside all, and what can be done with them."""
    of = run.settings["of"]
    picked = keep & (chosen if of == "pairs" else chosen[data.train.user if of == "users" else data.train.item])
    pairs = data.train.where(picked)
    with st.container(border=True, key="map_selected"):
        if not chosen.any():
            hint = "Draw around some points. The outline is tested on all rows that fit, drawn or not."
            lasso.nothing("map_first", run.id, hint)
            selections.undo(data, "map")
            return
        extra = "" if of == "pairs" else f" of {int(chosen.sum()):,} {of}"
        st.markdown(f"**{len(pairs):,} training clicks{extra} are selected**, {picked.mean():.1%} of all")
        composition(clicks.label, picked, {int(label): f"{look.sign} {look.word}" for label, look in LABELS.items()}, "label")
        composition(clicks.source, picked, {int(source): SOURCES[source] for source in Source}, "given by")
        popularity = np.bincount(data.train.item, minlength=data.n_items)
        loss, common = clicks.loss[picked], popularity[pairs.item]
        if len(pairs):
            st.caption(
                f"Median loss {np.nanmedian(loss):.2f} (all: {np.nanmedian(clicks.loss):.2f}); median clicks of the item "
                f"{np.median(common):,.0f} (all: {np.median(popularity[data.train.item]):,.0f})."
            )
        origin = f"map of {of}"
        selections.act(data, pairs, "map", origin)
    few = pairs.where(slice(pairlist.LIMIT))
    with st.expander(f"The first {len(few):,} of them", icon=":material/list:"):
        pairlist.show(data, few, "map_pairs", origin, {"label": clicks.label[picked][: len(few)]})


def composition(codes: np.ndarray, picked: np.ndarray, named: dict[int, str], heading: str) -> None:
    """Groups among the selected beside all, as a table with the lift."""
    table = dynamics.composition(codes, picked)
    told = [f"{share:.1%} / {of_all:.1%}" for share, of_all in zip(table["share"], table["of all"], strict=True)]
    table = table.assign(**{heading: table["group"].map(named), "here / all": told})
    lift = st.column_config.NumberColumn(
        "lift", format="%.2f", help="Share among the selected over share among all; 1 is as usual."
    )
    n = st.column_config.NumberColumn("n", format="localized", width="small")
    st.dataframe(table[[heading, "n", "here / all", "lift"]], hide_index=True, column_config={"lift": lift, "n": n})
