"""What the Embeddings page is made of: the form, and the map to draw on. What it shows is told by app.gathering."""

import numpy as np
import pandas as pd
import streamlit as st

from app import filtered, forms, gathering, lasso, maps, mapselection, results, state, states, widgets, words, work
from app.gathering import ONE, Clicks, Seen
from core import projection, regions
from core.projection import Projection
from core.records import Dataset
from core.runs import Run, State
from core.settings import ProjectSettings

COLOURS = {
    "pairs": ("label", "given by", "loss", "popularity of the item"),
    "users": ("clicks", "mean loss", "share of noisy clicks"),
    "items": ("clicks", "mean loss", "share of noisy clicks"),
}
BEFORE, AFTER, BOTH = "first", "second", "side by side"


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
        with states.caught():
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
            states.empty("No map yet", "Choose what to draw above; a map is kept once it is computed.")
        return None
    if st.session_state.get("map") not in done:
        asked = st.query_params.get("map")
        st.session_state["map"] = asked if asked in done else next(iter(done))
    labels = words.told_apart({run_id: _map_label(run) for run_id, run in done.items()})
    chosen = st.selectbox("Map", list(labels), format_func=labels.__getitem__, key="map")
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
    found, of = results.projection(run.id), run.settings["of"]
    clicks = gathering.clicks(data, run.result["runs"][0])
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
            "Only neighbours mean something here: how far apart clusters lie, and how large or round they are, does not. "
            f"UMAP of unit vectors: {settings['neighbours']} neighbours, least distance {settings['min_dist']:g}, seed "
            f"{settings['seed']}, {run.seconds:.0f} s.{rest}{joint}"
        )
    with right:
        mapselection.show(data, run, clicks, chosen, keep)
    mapselection.members(data, run, clicks, chosen, keep, second=shown == AFTER)
    state.show_flashes()


def _drawn(data: Dataset, of: str, keep: np.ndarray) -> np.ndarray:
    """Which rows of a map are drawn: clicks that fit the filter, users or items with such a click."""
    if of == "pairs":
        return keep
    place, n = (data.train.user, data.n_users) if of == "users" else (data.train.item, data.n_items)
    return keep.all() | (np.bincount(place[keep], minlength=n) > 0)


def _maps(data: Dataset, run: Run, found: Projection, clicks: Clicks, colour: str, shown: str, some: np.ndarray) -> np.ndarray:
    """One or two maps with one outline, of `some` rows, bool (n,); which of all rows are selected: bool (n,)."""
    layouts = {BEFORE: found.points, AFTER: found.other}
    names = [BEFORE, AFTER] if shown == BOTH else [shown]
    mask = np.zeros(len(found.points), bool)
    for name in (BEFORE, AFTER):  # what was outlined on one map stays selected on the other
        mask |= lasso.chosen(layouts[name], lasso.outlines(f"map_{name}", run.id)) if layouts[name] is not None else False
    mask &= some
    of, box = run.settings["of"], regions.corners(*(points for points in layouts.values() if points is not None))
    by = gathering.colouring(data, of, clicks, colour)
    if not some.all():  # a copy of a million rows takes its time
        by = {name: value[some] if isinstance(value, np.ndarray) else value for name, value in by.items()}
        layouts = {name: points if points is None else points[some] for name, points in layouts.items()}
    n, selected = int(some.sum()), mask[some]
    at = projection.drawn(n, maps.DRAWN, clicks.label[some] if of == "pairs" else None)
    drawn = f"n = {n:,} {ONE[of]}s"
    if len(at) < n:
        drawn = f"{len(at):,} of {n:,} {ONE[of]}s drawn, " + ("stratified by label" if of == "pairs" else "at random")
    if n < len(some):
        drawn += f", those that fit the filter; sentence and shade are about all {len(some):,}"
    for place, name in zip(st.columns(len(names)), names, strict=True):
        with place:
            seen = gathering.finding(data, Seen(run.id, run.result["runs"][0], of, colour, second=name == AFTER))
            height = 600 if len(names) == 1 else 480
            points = layouts[name]
            figure = maps.plane(points, at, selected, **by, height=height, density=seen.density, box=box)
            region = None
            if seen.region is not None:
                region = seen.region.x.tolist(), seen.region.y.tolist()
                maps.ringed(figure, *region)
            table = pd.DataFrame(points[at[:1000]], columns=["x", "y"]).assign(selected=selected[at[:1000]])
            trained = f"{name.capitalize()} training · " if found.other is not None else ""
            about = f"{drawn}; shade: how many of all lie there. "
            about += f"{seen.rests[0].upper()}{seen.rests[1:]}." if seen.rests else ""
            lasso.chart(f"map_{name}", run.id, f"{trained}{seen.text}", figure, table, about.strip(), region)
    return mask
