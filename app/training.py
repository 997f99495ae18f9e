"""What the Train page is made of: the form, the live curves, the result, the list of trainings."""

import shlex
from typing import Any

import pandas as pd
import streamlit as st

from app import charts, forms, lookup, navigation, results, state, states, widgets, words, work
from app.palette import STATES
from core import runs
from core.backbones import BACKBONES
from core.denoisers import DENOISERS
from core.errors import SettingsError
from core.metrics import NAMES
from core.records import Dataset
from core.runs import Run, State
from core.settings import PRESET_MEANS, TRAIN_PRESETS, TrainSettings, Unset, marked, preset_of, read_by

FIRST = ("labels", "denoiser", "epochs", "dim", "layers", "lr", "seed")
SHOWN = ("recall@20", "ndcg@20")
PRESET = "train_preset"
_TAKEN, _SHOWN, _LOOKED_AT = "labels_from_address", "show_from_address", "training_looked_at"
_BADLY = (State.INTERRUPTED, State.FAILED)


def settings_form(dataset: str) -> dict[str, Any]:
    """Preset, then the settings that the chosen denoiser reads; a preset fills them all."""
    st.segmented_control(
        "Start from",
        list(TRAIN_PRESETS),
        default="plain",
        required=True,
        key=PRESET,
        on_change=_fill,
        help="\n".join(f"- **{name}**: {means}." for name, means in PRESET_MEANS.items()),
        persist_state="session",
    )
    if about := _about(st.session_state[PRESET]):
        st.caption(about)
    versions = lookup.versions(dataset)
    _take_from_address(dataset, set(versions["version"]))
    labels: dict[Any, str] = {None: "none: the clicks as they are"}
    labels |= {row.version: f"{row.version} · {row.n:,} labels · {words.when(row.at)}" for row in versions.itertuples()}
    choices = {
        "labels": labels,
        "backbone": _named(BACKBONES.names()),
        "denoiser": _named(DENOISERS.names()),
        "monitor": {name: charts.metric_word(name) for name in NAMES},
        "device": _named(["auto", "cpu", "cuda"]),
    }
    read = read_by(st.session_state.get("train_denoiser", TrainSettings.model_fields["denoiser"].default))
    hidden = [name for name in TrainSettings.model_fields if name not in read]
    return forms.settings_form(TrainSettings, "train", FIRST, choices=choices, hidden=hidden)


def _about(preset: str) -> str:
    """What a preset adds to a recommender on the clicks; "" when that is nothing."""
    chosen = TrainSettings(**TRAIN_PRESETS[preset])
    added = []
    if chosen.denoiser != TrainSettings().denoiser:
        added.append(f"trains with the denoiser {chosen.denoiser}")
    if chosen.blend != "none":
        added.append(f"adds the scores of {chosen.blend.upper()}, a closed form, in the end: an ensemble of two recommenders")
    return f"{preset} {' and '.join(added)}." if added else ""


def _take_from_address(dataset: str, versions: set[str]) -> None:
    """A link may name the label version to train with, as the training in the sidebar was, so that only the labels differ.

    It is taken once, so that the form stays free.
    """
    wanted = st.query_params.get("labels")
    if wanted not in versions:
        return
    like = next((run for run in results.trained(dataset) if run.id == state.run_id()), None)
    if st.session_state.get(_TAKEN) != (dataset, wanted):
        st.session_state[_TAKEN] = (dataset, wanted)
        if like:
            forms.fill(TrainSettings, "train", like.settings | {"labels": wanted})
        else:
            st.session_state["train_labels"] = wanted
    if like:
        st.caption(f"Begun with {wanted} and the settings of the training in the sidebar, so that only the labels differ.")


def _fill() -> None:
    """A preset says how to train, not on which labels."""
    kept = {"labels": st.session_state.get("train_labels")}
    forms.fill(TrainSettings, "train", TRAIN_PRESETS[st.session_state[PRESET]] | kept)


def _named(names: list[str]) -> dict[str, str]:
    return {name: name for name in names}


def before_start(dataset: str, settings: dict[str, Any]) -> bool:
    """What is wrong with the settings, the same as a command, and how long it may take; returns whether it can start."""
    try:
        checked = TrainSettings.checked(**settings)
    except SettingsError as error:
        states.failure(error)
        return False
    changed = {name: value for name, value in settings.items() if value != TrainSettings.model_fields[name].default}
    options = " ".join(f"--{name.replace('_', '-')} {shlex.quote(_given(name, value))}" for name, value in changed.items())
    with st.expander("The same as a command", icon=":material/terminal:"):
        st.code(f"python -m core train --dataset {dataset} {options}".strip(), language="bash", wrap_lines=True)
    seconds = _estimate(dataset, checked)
    if seconds is not None:
        st.caption(f"At most about {words.duration(seconds)}, judging by your last training with vectors of this length.")
    return True


def _given(name: str, value: Any) -> str:
    """A value as the command line takes it; only a setting with a word for None can be given None."""
    return marked(TrainSettings.model_fields[name], Unset).word if value is None else str(value)


def _estimate(dataset: str, settings: TrainSettings) -> float | None:
    same = ("dim", "layers", "batch_size", "backbone", "denoiser", "device")
    for run in results.trained(dataset):
        if all(run.settings.get(name) == getattr(settings, name) for name in same) and run.result.get("epochs"):
            return run.seconds / run.result["epochs"] * settings.epochs
    return None


def choose(found: list[Run]) -> Run:
    """The training to look at: what the address names, was just started or is at work, or the newest if it ended badly."""
    known = {run.id: run for run in found}
    asked = st.query_params.get("show")
    if asked in known and st.session_state.get(_SHOWN) != asked:  # once, so that the selection stays free
        st.session_state[_SHOWN] = st.session_state[state.WATCHED] = asked
    # the browser sends the words of an option: once the training has another state, they name none
    wanted = next((one for one in map(st.session_state.get, (state.WATCHED, _LOOKED_AT)) if one in known), None)
    if wanted is None:
        pressing = next((run for run in found if run.state.active), found[0] if found[0].state in _BADLY else None)
        wanted = pressing.id if pressing else state.run_id() if state.run_id() in known else found[0].id
    st.session_state[state.WATCHED] = st.session_state[_LOOKED_AT] = wanted
    if len(found) > 1:
        labels = words.told_apart({run_id: _line(run) for run_id, run in known.items()})
        st.selectbox("Show", list(labels), format_func=labels.__getitem__, key=state.WATCHED)
    return known[wanted]


def _line(run: Run) -> str:
    return f"{words.run_label(run)} · {_state(run)}"


def _state(run: Run) -> str:
    """In words that stay true while the panel beside it goes on."""
    return "at work" if run.state.active else STATES[run.state][0]


def curves(run: Run) -> None:
    """Loss and validation by epoch; live while the run is at work."""
    st.fragment(_curves, run_every=2 * work.TICK_S if run.state.active else None)(run.id, run.state is State.DONE)


def _curves(run_id: str, done: bool) -> None:
    with states.caught():
        rows, _ = runs.folder(state.home(), run_id).metrics()
        if rows:
            _draw(rows, done)
        else:
            st.skeleton(height=280)


def _draw(rows: list[dict[str, Any]], done: bool) -> None:
    seen = [row for row in rows if row.get("valid")]
    best = max((row["epoch"] for row in seen if row.get("best")), default=None)
    total = sum(rows[-1]["loss"].values())
    left, right = st.columns(2, gap="small")
    with left:
        table = pd.DataFrame([{"epoch": row["epoch"], **row["loss"], "seconds": row["seconds"]} for row in rows])
        finding = f"Loss is {total:.3f} after {rows[-1]['epoch']} epochs"
        widgets.chart("training_loss", finding, charts.training_loss(rows), table, "Mean over the batches, by term.")
    with right:
        if not seen:
            widgets.note("The first evaluation on validation users comes after a few epochs.")
            return
        table = pd.DataFrame([{"epoch": row["epoch"], **row["valid"]} for row in seen])
        top = next((row["valid"][SHOWN[0]] for row in seen if row["epoch"] == best), seen[-1]["valid"][SHOWN[0]])
        finding = f"Best validation {charts.metric_word(SHOWN[0])}{'' if done else ' so far'}: {top:.3f}"
        widgets.chart("validation", finding, charts.validation(rows, SHOWN, best), table, "Full ranking of all items.")


def result(data: Dataset, run: Run) -> None:
    """The final figures and where to go from here."""
    if run.state is not State.DONE:
        return
    states.stale(data, run)
    test = run.metrics.get("test", {})
    names = ("recall@20", "ndcg@20", "precision@20", "mrr@20")
    meaning = "Mean over the test users; every item is ranked, train and validation items are left out."
    shown = [(charts.metric_word(name), f"{test[name]:.4f}", meaning) for name in names if name in test]
    if shown:
        st.markdown("**On the test users**")
        widgets.tiles([*shown, ("Best epoch", f"{run.result['best_epoch']} of {run.result['epochs']}", "Picked on validation.")])
        blend = run.settings.get("blend", "none")
        if blend != "none":
            st.caption(f"With the scores of {blend.upper()} added; the curve above is of the vectors alone.")
    navigation.link("losses", "Look at its losses", run=run.id)


def made_from(run: Run) -> None:
    """Everything that somebody needs to make the same training again, to read and to take away."""
    path = runs.folder(state.home(), run.id).manifest
    with st.expander("What it was made from", icon=":material/description:", key="manifest"):
        facts = {"dataset": f"{run.dataset} {run.dataset_fingerprint}", "labels": run.settings.get("labels") or "none"}
        if run.label_fingerprint:
            facts["labels"] += f" {run.label_fingerprint}"
        facts |= {f"version of {name}": version for name, version in run.versions.items()}
        facts |= {f"setting {name}": "automatic" if value is None else str(value) for name, value in run.settings.items()}
        st.dataframe(pd.DataFrame(list(facts.items()), columns=["what", "which"]), hide_index=True, height=280, key="made_from")
        st.download_button(
            "Download the manifest",
            path.read_bytes(),
            f"{run.id}-manifest.json",
            "application/json",
            key="manifest_file",
            icon=":material/download:",
            on_click="ignore",
        )


def table(found: list[Run]) -> pd.DataFrame:
    """One line per training, newest first."""
    rows = []
    for run in found:
        test = run.metrics.get("test", {})
        rows.append(
            {
                "started": words.when(run.created),
                "state": _state(run),
                "labels": run.settings.get("labels") or "none",
                "preset": preset_of(run.settings) or "",
                "denoiser": run.settings.get("denoiser"),
                "seed": run.settings.get("seed"),
                "epochs": run.result.get("epochs"),
                "took": None if run.state.active else words.duration(run.seconds),
                "test Recall@20": test.get("recall@20"),
                "test NDCG@20": test.get("ndcg@20"),
                "run": run.id,
            }
        )
    return pd.DataFrame(rows)
