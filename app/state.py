"""Every session key and every cache: the only door from the pages to the core.

Cached by identity (home, dataset fingerprint, store revision, run id), never by the content of large arrays: Streamlit
samples those when it hashes them, and would return stale results.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from core import assessment as assessments
from core import browse, compare, datasets, dynamics, judges, pipeline, runs
from core import candidates as candidate_rules
from core import labels as label_rules
from core import preview as previews
from core.artifacts import ROOT, Home, read_json
from core.assessment import Assessment
from core.candidates import Answered
from core.compare import Comparison, Flips, Segment
from core.datasets import DatasetInfo, Draft, Peek
from core.datasets.health import Check
from core.datasets.health import health as health_checks
from core.judges import Health
from core.judges.pulling import Pulling
from core.preview import Base, Preview
from core.projection import Projection
from core.records import Candidates, Dataset, Embeddings, Interactions, LabelSet, Report, Source
from core.runs import Run, State
from core.settings import CompareSettings, ImportSettings, JudgeSettings
from core.store import Store, audits

DATASET, RUN, ANNOTATOR = "ctx_dataset", "ctx_run", "annotator"
"""Session keys of the context bar's widgets."""

NAME_COOKIE = "winnow_annotator"
"""The browser's cookie with the name of who decided last (app/keyboard.js), so that a reload does not forget it."""

OPENED = "opened_dataset"  # a dataset to show from the next rerun on
WATCHED = "watched_run"  # the run that Train shows
PAIRS = "pair_list"  # (where it comes from, fingerprint of the dataset, positions): what previous and next on Pair walk through
LAST_PAIR = "last_pair"  # (dataset, user id, item id) that Pair showed last
DRAFT = "import_source"  # files put aside for an import that is not committed yet
_FLASH = "flash"
_URL = "url_context"  # the context as the address bar last had it


QUALITY = ROOT / "benchmarks" / "results" / "quality.json"


def home() -> Home:
    return Home.at()


# --- context: dataset, run, annotator ---------------------------------------------------------------------------------


def read_address() -> None:
    """Take dataset and run from the address when it has changed: a link was followed, or Back was pressed."""
    if opened := st.session_state.pop(OPENED, None):
        st.session_state[DATASET], st.session_state[RUN] = opened, None
        st.query_params.pop("run", None)
    seen = st.session_state.setdefault(_URL, {})
    for name, key in (("dataset", DATASET), ("run", RUN)):
        value = st.query_params.get(name)
        if value and value != seen.get(name):
            st.session_state[key] = value
            seen[name] = value


def write_address() -> None:
    """Show a changed context in the address. An address that names none stays short: each write is a step for Back."""
    seen = st.session_state.get(_URL, {})
    for name, value in context().items():
        shown = st.query_params.get(name)
        if shown != value and (shown or seen.get(name, value) != value):
            st.query_params[name] = value
    st.session_state[_URL] = context()


def context() -> dict[str, str]:
    """What every link carries: {"dataset": ..., "run": ...}, as far as there is one."""
    chosen = {"dataset": st.session_state.get(DATASET), "run": st.session_state.get(RUN)}
    return {name: value for name, value in chosen.items() if value}


def last_pair() -> dict[str, str]:
    """The pair that was looked at last in this dataset, as link parameters; {} when there is none."""
    name, user_id, item_id = st.session_state.get(LAST_PAIR, (None, "", ""))
    return {"user": user_id, "item": item_id} if name and name == dataset_name() else {}


def keep_valid(key: str, options: list[Any]) -> Any:
    """Make a selection one of `options` (the first when it is not); returns what was asked for in vain."""
    wanted = st.session_state.get(key)
    if wanted in options:
        return None
    st.session_state[key] = options[0] if options else None
    return wanted


def dataset_name() -> str | None:
    return st.session_state.get(DATASET)


def run_id() -> str | None:
    """The finished training that Losses, Pair and Judge look at."""
    return st.session_state.get(RUN)


def annotator() -> str:
    return (st.session_state.get(ANNOTATOR) or "").strip()


def quality() -> list[dict[str, Any]]:
    """What `make bench-quality` has written, record by record; [] when it has not run."""
    return read_json(QUALITY) if QUALITY.exists() else []


# --- data: cached by identity -----------------------------------------------------------------------------------------

Value = TypeVar("Value")
Of = Concatenate[Dataset, ...]


def _of_dataset(function: Callable[Of, Value], *, revision_matters: bool) -> Callable[Of, Value]:
    @st.cache_resource(max_entries=12, show_spinner=False)
    def cached(key: tuple[object, ...], _data: Dataset, _rest: tuple[object, ...]) -> Value:
        return function(_data, *_rest)

    @wraps(function)
    def door(data: Dataset, *rest: object) -> Value:
        now = revision(data.name) if revision_matters else 0
        return cached((function.__name__, str(home().path), data.name, data.fingerprint, now, *rest), data, rest)

    return door


def per_dataset(function: Callable[Of, Value]) -> Callable[Of, Value]:
    """Computed once per imported dataset (and further arguments). The result is shared: never change it."""
    return _of_dataset(function, revision_matters=False)


def per_revision(function: Callable[Of, Value]) -> Callable[Of, Value]:
    """Computed again whenever a judgment or a decision about the dataset is written. The result is shared: never change it."""
    return _of_dataset(function, revision_matters=True)


def infos() -> list[DatasetInfo]:
    return datasets.listing(home())


def dataset() -> Dataset | None:
    """The dataset of the context."""
    found = {info.name: info.fingerprint for info in infos()}
    name = dataset_name()
    return _dataset(str(home().path), name, found[name]) if name in found else None


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset")
def _dataset(home_path: str, name: str, fingerprint: str) -> Dataset:
    return datasets.load(Home.at(home_path), name)


def peek(path: Path) -> Peek:
    """What is plain about a source before any checking."""
    return _peek(str(path), _changed(path))


@st.cache_resource(max_entries=8, show_spinner="Reading the file")
def _peek(path: str, changed: tuple[int, ...]) -> Peek:
    return datasets.peek(path)


def _changed(*paths: Path | None) -> tuple[int, ...]:
    """When the files of a source were last written."""
    files = [child for path in paths if path for child in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return tuple(file.stat().st_mtime_ns for file in files)


def draft(path: Path, items: Path | None, users: Path | None, settings_json: str) -> Draft:
    """The checked import of these files; nothing is written by it."""
    return _draft(_changed(path, items, users), str(path), str(items or ""), str(users or ""), settings_json)


@st.cache_resource(max_entries=2, ttl=3600, show_spinner="Checking every row")
def _draft(changed: tuple[int, ...], path: str, items: str, users: str, settings_json: str) -> Draft:
    settings = ImportSettings.model_validate_json(settings_json)
    return datasets.examine(path, settings=settings, items=items or None, users=users or None)


@per_dataset
def index(data: Dataset) -> tuple[dict[str, int], dict[str, int]]:
    """Positions by raw id, of users and of items."""
    users, items = ({str(key): place for place, key in enumerate(ids)} for ids in (data.user_ids, data.item_ids))
    return users, items


def positions(data: Dataset, user_id: str | None, item_id: str | None) -> tuple[int | None, int | None]:
    """Positions of raw ids; None where the dataset does not know one."""
    users, items = index(data)
    return users.get(user_id), items.get(item_id)


def places(data: Dataset, pairs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """User and item positions int32 (n,) of a table with raw ids in `user` and `item`, all of which the dataset knows."""
    users, items = index(data)
    return pairs["user"].map(users).to_numpy(np.int32), pairs["item"].map(items).to_numpy(np.int32)


@per_dataset
def health(data: Dataset) -> list[Check]:
    return health_checks(data)


def store() -> Store:
    return _store(str(home().database_url), str(home().path))


@st.cache_resource(show_spinner=False)
def _store(url: str, home_path: str) -> Store:
    return Store.open(Home.at(home_path))


def revision(name: str) -> int:
    """Grows with everything that is written about a dataset."""
    return store().revision(name)


@per_revision
def labels(data: Dataset) -> LabelSet:
    """Labels as they stand now, from all judgments and decisions."""
    return pipeline.current_labels(home(), data)


@per_revision
def train_labels(data: Dataset) -> np.ndarray:
    """The label code of every training interaction: int8 (n_train,)."""
    return codes_now(data, data.train)


def codes_now(data: Dataset, pairs: Interactions) -> np.ndarray:
    """The label code that each of `pairs` has now: int8 (n,)."""
    found = labels(data)
    return dynamics.codes_of(pairs, found.user, found.item, found.label, data.n_items)


@per_revision
def train_sources(data: Dataset) -> np.ndarray:
    """Who gave the label of every training interaction: Source codes int8 (n_train,)."""
    found = labels(data)
    return dynamics.codes_of(data.train, found.user, found.item, found.source, data.n_items)


@per_revision
def standing(data: Dataset) -> pd.DataFrame:
    """What people say now, see Store.standing."""
    return store().standing(data.name)


@per_revision
def pair_table(data: Dataset) -> pd.DataFrame:
    """Examined pairs with both ratings."""
    return browse.pair_table(data, labels(data), judgments(data))


@per_revision
def judgments(data: Dataset) -> pd.DataFrame:
    """All answers of judges that count, see Store.judgments, without the long texts."""
    return store().judgments(data.name, texts=False)


@per_revision
def raters(data: Dataset) -> pd.DataFrame:
    """Whose opinions can be audited, see core.store.audits.raters."""
    return audits.raters(audits.population(data, judgments(data)))


@per_revision
def audit_samples(data: Dataset) -> pd.DataFrame:
    """Samples for audits, newest first, see Store.samples."""
    return store().samples(data.name)


@per_revision
def audit_pairs(data: Dataset) -> pd.DataFrame:
    """The pairs of all samples with what people say of each."""
    return assessments.audits(store().sampled(data.name), standing(data))


@per_revision
def assessment(data: Dataset, sample: int) -> Assessment:
    """What the audits of a sample say."""
    return assessments.assess(data, audit_samples(data), audit_pairs(data), standing(data), judgments(data), sample)


@per_revision
def newest_version(data: Dataset) -> tuple[str | None, int]:
    """The newest frozen label version, and how many pairs are labelled otherwise by now."""
    versions = store().versions(data.name)
    now = label_rules.to_frame(data, labels(data))
    if not len(versions):
        return None, len(now)
    version = versions["version"].iloc[0]
    return version, browse.changed(store().version(data.name, version), now)


def candidates(data: Dataset) -> Candidates | None:
    """The newest candidates; None while there are none of this import of the dataset."""
    newest = candidate_rules.newest(home(), data.name)
    return _candidates(data, newest) if newest else None


@per_dataset
def _candidates(data: Dataset, identifier: str) -> Candidates | None:
    found, about = candidate_rules.load(home(), data, identifier)
    return found if about["dataset_fingerprint"] == data.fingerprint else None


def answered(data: Dataset) -> Answered | None:
    """What people's answers make of the doubt of the newest candidates; None while there are none."""
    newest = candidate_rules.newest(home(), data.name)
    return _answered(data, newest) if newest else None


@per_revision
def _answered(data: Dataset, identifier: str) -> Answered | None:
    found = _candidates(data, identifier)
    return None if found is None else candidate_rules.answered(found, labels(data), data.n_items)


def versions(name: str) -> pd.DataFrame:
    """Frozen label versions, newest first."""
    return store().versions(name)


@per_revision
def selections(data: Dataset) -> pd.DataFrame:
    """Saved selections, newest first, see Store.selections."""
    return store().selections(data.name)


@per_revision
def selection_pairs(data: Dataset, name: str) -> Interactions:
    """The pairs of a saved selection, as far as the dataset still knows their users and items."""
    kept = store().selection(data.name, name).rename(columns={"user_id": "user", "item_id": "item"})
    users, items = index(data)
    kept = kept[kept["user"].isin(users) & kept["item"].isin(items)]
    return Interactions(*places(data, kept))


@per_revision
def listing(data: Dataset, run_id: str | None) -> browse.Listing:
    """Every interaction with its label now and its loss in a training."""
    return browse.listing(data, train_labels(data), losses(run_id) if run_id else None)


@per_revision
def side_table(data: Dataset, run_id: str | None, side: str) -> pd.DataFrame:
    """Users or items, one line each."""
    return browse.side_table(data, listing(data, run_id), side)


# --- runs and judges --------------------------------------------------------------------------------------------------


def runs_of(name: str | None, kind: str | None = None) -> list[Run]:
    return runs.listing(home(), name, kind) if name else []


def trained(name: str | None) -> list[Run]:
    """Finished trainings, newest first."""
    return [run for run in runs_of(name, "train") if run.state is State.DONE]


def active_jobs() -> list[Run]:
    """Everything at work now, on any dataset."""
    return [run for run in runs.listing(home()) if run.state.active]


def losses(run_id: str) -> dict[str, np.ndarray]:
    """The recorded losses of a finished run, as its folder gives them."""
    return _losses(str(home().path), run_id)


@st.cache_resource(max_entries=3, show_spinner="Reading the recorded losses")
def _losses(home_path: str, run_id: str) -> dict[str, np.ndarray]:
    return runs.folder(Home.at(home_path), run_id).losses()


def loss_labels(data: Dataset, losses: dict[str, np.ndarray], *, truth: bool) -> np.ndarray:
    """The label of every interaction with a recorded loss, by what is known now or by the planted truth: int8 (n,)."""
    pairs, known = Interactions(losses["user"], losses["item"]), data.train
    if truth and known.truth is not None:
        return dynamics.codes_of(pairs, known.user, known.item, known.truth, data.n_items)
    return codes_now(data, pairs)


@st.cache_resource(max_entries=3, show_spinner=False)
def _embeddings(home_path: str, run_id: str) -> Embeddings:
    return runs.folder(Home.at(home_path), run_id).embeddings()


def embeddings(run_id: str) -> Embeddings:
    """The vectors of a finished run."""
    return _embeddings(str(home().path), run_id)


def projection(run_id: str) -> Projection:
    """Where everything lies on the map of a finished run."""
    return _projection(str(home().path), run_id)


@st.cache_resource(max_entries=3, show_spinner=False)
def _projection(home_path: str, run_id: str) -> Projection:
    return Projection(**runs.folder(Home.at(home_path), run_id).projection())


@per_dataset
def preview_base(data: Dataset, run_id: str) -> Base:
    """What previews of a finished training start from."""
    return previews.load(home(), run_id)


@per_dataset
def frozen(data: Dataset, version: str) -> LabelSet:
    """The labels of a version."""
    return pipeline.frozen_labels(home(), data, version)


@per_revision
def labels_by(data: Dataset, sources: frozenset[Source]) -> LabelSet:
    """The labels when only these sources count."""
    return previews.labels_by(data, judgments(data), standing(data), sources)


@per_revision
def preview(data: Dataset, run_id: str, sources: frozenset[Source], noisy_weight: float, add_missed: str) -> Preview:
    """What these labels would do to a finished training's lists."""
    wanted = {"noisy_weight": noisy_weight, "add_missed": add_missed}
    return previews.preview(preview_base(data, run_id), labels_by(data, sources), **wanted)


def comparison(a: str, b: str) -> Comparison:
    """Two finished trainings."""
    return _comparison(str(home().path), a, b)


@st.cache_resource(max_entries=16, show_spinner="Resampling the test users")
def _comparison(home_path: str, a: str, b: str) -> Comparison:
    return compare.compare(Home.at(home_path), a, b)


@per_dataset
def beneath(data: Dataset, a: str, b: str) -> tuple[list[Segment], Flips, list[Report]]:
    """What lies beneath the means of a comparison: segments, flips, and both reports on the test users."""
    reports = [runs.folder(home(), run_id).report("test") for run_id in (a, b)]
    parts = compare.segments(*reports, data.train, data.n_items, CompareSettings())
    return parts, compare.flips(*reports, "hit@20"), reports


@st.cache_data(ttl=15, max_entries=4, show_spinner="Asking the server")
def judge_health(settings_json: str) -> Health:
    """Whether a judge can be asked now; looked up again after a few seconds."""
    return judges.health(JudgeSettings.model_validate_json(settings_json))


@st.cache_resource
def pulls() -> dict[tuple[str | None, str], Pulling]:
    """Models that servers fetch at this moment or have fetched, by (address, model)."""
    return {}


def forget_judge_health() -> None:
    judge_health.clear()


# --- messages that survive a rerun ------------------------------------------------------------------------------------


def flash(text: str, icon: str = ":material/check:") -> None:
    """Say something after the next rerun, whichever page that shows."""
    st.session_state.setdefault(_FLASH, []).append((text, icon))


def show_flashes() -> None:
    for text, icon in st.session_state.pop(_FLASH, []):
        st.toast(text, icon=icon)
