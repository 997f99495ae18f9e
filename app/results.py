"""What pages know of runs and judges: trainings with their losses, vectors and maps, previews, comparisons, and servers."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, lookup, state
from core import browse, compare, dynamics, judges, runs
from core import preview as previews
from core.artifacts import ROOT, Home, read_json
from core.compare import Comparison, Flips, Segment
from core.judges import Health
from core.judges.pulling import Pulling
from core.preview import Base, Preview, Turned
from core.projection import Projection
from core.records import Dataset, Embeddings, Interactions, Label, Report, Source
from core.runs import Run, State
from core.settings import CompareSettings, JudgeSettings

QUALITY = ROOT / "benchmarks" / "results" / "quality.json"


def quality() -> list[dict[str, Any]]:
    """What `make bench-quality` has written, record by record; [] when it has not run."""
    return read_json(QUALITY) if QUALITY.exists() else []


def runs_of(name: str | None, kind: str | None = None) -> list[Run]:
    return runs.listing(state.home(), name, kind) if name else []


def trained(name: str | None) -> list[Run]:
    """Finished trainings, newest first."""
    return [run for run in runs_of(name, "train") if run.state is State.DONE]


def active_jobs() -> list[Run]:
    """Everything at work now, on any dataset."""
    return [run for run in runs.listing(state.home()) if run.state.active]


def losses(run_id: str) -> dict[str, np.ndarray]:
    """The recorded losses of a finished run, as its folder gives them."""
    return _losses(str(state.home().path), run_id)


@st.cache_resource(max_entries=3, show_spinner="Reading the recorded losses")
def _losses(home_path: str, run_id: str) -> dict[str, np.ndarray]:
    return runs.folder(Home.at(home_path), run_id).losses()


@caching.per_dataset
def _clicks(data: Dataset, run_id: str) -> np.ndarray:
    """Which training click of the dataset each interaction with a recorded loss is: int64 (n,), -1 for none."""
    recorded = losses(run_id)
    return dynamics.place_of(Interactions(recorded["user"], recorded["item"]), data.train.user, data.train.item, data.n_items)


@caching.per_revision
def loss_labels(data: Dataset, run_id: str) -> np.ndarray:
    """The label now of every interaction with a recorded loss: int8 (n,)."""
    place, recorded = _clicks(data, run_id), losses(run_id)
    found, others = lookup.train_labels(data)[place], place < 0
    found[others] = lookup.codes_now(data, Interactions(recorded["user"][others], recorded["item"][others]))
    return found


@caching.per_dataset
def loss_truth(data: Dataset, run_id: str) -> np.ndarray:
    """The planted label of every interaction with a recorded loss: int8 (n,); only where the truth is known."""
    place = _clicks(data, run_id)
    return np.where(place >= 0, data.train.truth[place], Label.CLEAN).astype(np.int8)


@caching.per_dataset
def click_losses(data: Dataset, run_id: str) -> np.ndarray:
    """The averaged loss of every training click in a training: float32 (n_train,), NaN where none was recorded."""
    return dynamics.loss_of(data.train, losses(run_id), data.n_items)


@caching.per_revision
def listing(data: Dataset, run_id: str | None) -> browse.Listing:
    """Every interaction with its label now and its loss in a training."""
    return browse.listing(data, lookup.train_labels(data), losses(run_id) if run_id else None)


@caching.per_revision
def side_table(data: Dataset, run_id: str | None, side: str) -> pd.DataFrame:
    """Users or items, one line each."""
    return browse.side_table(data, listing(data, run_id), side)


@st.cache_resource(max_entries=3, show_spinner=False)
def _embeddings(home_path: str, run_id: str) -> Embeddings:
    return runs.folder(Home.at(home_path), run_id).embeddings()


def embeddings(run_id: str) -> Embeddings:
    """The vectors of a finished run."""
    return _embeddings(str(state.home().path), run_id)


def projection(run_id: str) -> Projection:
    """Where everything lies on the map of a finished run."""
    return _projection(str(state.home().path), run_id)


@st.cache_resource(max_entries=3, show_spinner=False)
def _projection(home_path: str, run_id: str) -> Projection:
    return Projection(**runs.folder(Home.at(home_path), run_id).projection())


@caching.per_dataset
def preview_base(data: Dataset, run_id: str) -> Base:
    """What previews of a finished training start from."""
    return previews.load(state.home(), run_id)


@caching.per_dataset
def turned(data: Dataset, run_id: str, user: int, item: int) -> Turned:
    """What a user's list would be if a finished training's graph had not the pair's edge, or had it."""
    return previews.turned(preview_base(data, run_id), user, item)


@caching.per_revision
def preview(data: Dataset, run_id: str, sources: frozenset[Source], noisy_weight: float, add_missed: str) -> Preview:
    """What these labels would do to a finished training's lists."""
    wanted = {"noisy_weight": noisy_weight, "add_missed": add_missed}
    return previews.preview(preview_base(data, run_id), lookup.labels_by(data, sources), **wanted)


def comparison(a: str, b: str) -> Comparison:
    """Two finished trainings."""
    return _comparison(str(state.home().path), a, b)


@st.cache_resource(max_entries=16, show_spinner="Resampling the test users")
def _comparison(home_path: str, a: str, b: str) -> Comparison:
    return compare.compare(Home.at(home_path), a, b)


@caching.per_dataset
def beneath(data: Dataset, a: str, b: str) -> tuple[list[Segment], Flips, list[Report]]:
    """What lies beneath the means of a comparison: segments, flips, and both reports on the test users."""
    reports = [runs.folder(state.home(), run_id).report("test") for run_id in (a, b)]
    parts = compare.segments(*reports, data.train, data.n_items, CompareSettings())
    return parts, compare.flips(*reports, "hit@20"), reports


@st.cache_data(ttl=15, max_entries=4, show_spinner="Asking the server")
def judge_health(settings_json: str, lately: str = "") -> Health:
    """Whether a judge can be asked now; looked up again after a few seconds, and when `lately` is another: what has run."""
    return judges.health(JudgeSettings.model_validate_json(settings_json))


@st.cache_resource
def pulls() -> dict[tuple[str | None, str], Pulling]:
    """Models that servers fetch at this moment or have fetched, by (address, model)."""
    return {}


def forget_judge_health() -> None:
    judge_health.clear()
