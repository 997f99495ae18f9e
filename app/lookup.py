"""What pages know of a dataset: itself, its labels, judgments, decisions, audits and selections, read once per revision."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.sparse import csr_array

from app import caching, state
from core import assessment as assessments
from core import browse, datasets, dynamics, neighbours, pipeline, semantic
from core import candidates as candidate_rules
from core import labels as label_rules
from core import preview as previews
from core.artifacts import Home
from core.assessment import Assessment
from core.candidates import Answered
from core.datasets import DatasetInfo, Draft, Peek
from core.datasets.health import Check
from core.datasets.health import health as health_checks
from core.records import Candidates, Dataset, Interactions, LabelSet, Relevance, Source
from core.settings import ImportSettings
from core.store import audits


def infos() -> list[DatasetInfo]:
    return datasets.listing(state.home())


def dataset() -> Dataset | None:
    """The dataset of the context."""
    found = {info.name: info.fingerprint for info in infos()}
    name = state.dataset_name()
    return _dataset(str(state.home().path), name, found[name]) if name in found else None


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


@caching.per_dataset
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


@caching.per_dataset
def health(data: Dataset) -> list[Check]:
    return health_checks(data)


@caching.per_revision
def labels(data: Dataset) -> LabelSet:
    """Labels as they stand now, from all judgments and decisions."""
    return label_rules.decided(data, _judged(data), standing(data))


@caching.per_asked
def _judged(data: Dataset) -> LabelSet:
    return state.store().judged(data)


@caching.per_revision
def train_labels(data: Dataset) -> np.ndarray:
    """The label code of every training interaction: int8 (n_train,)."""
    return codes_now(data, data.train)


def codes_now(data: Dataset, pairs: Interactions) -> np.ndarray:
    """The label code that each of `pairs` has now: int8 (n,)."""
    found = labels(data)
    return dynamics.codes_of(pairs, found.user, found.item, found.label, data.n_items)


@caching.per_revision
def train_sources(data: Dataset) -> np.ndarray:
    """Who gave the label of every training interaction: Source codes int8 (n_train,)."""
    found = labels(data)
    return dynamics.codes_of(data.train, found.user, found.item, found.source, data.n_items)


@caching.per_revision
def standing(data: Dataset) -> pd.DataFrame:
    """What people say now, see Store.standing."""
    return state.store().standing(data.name)


@caching.per_revision
def pair_table(data: Dataset) -> pd.DataFrame:
    """Examined pairs with both ratings."""
    return browse.pair_table(data, labels(data), judgments(data))


@caching.per_asked
def judgments(data: Dataset) -> pd.DataFrame:
    """All answers of judges that count, see Store.judgments, without the long texts."""
    return state.store().judgments(data.name, texts=False)


@caching.per_asked
def coverage(data: Dataset) -> pd.DataFrame:
    """How much is judged, see Store.coverage."""
    return state.store().coverage(data.name)


@caching.per_asked
def raters(data: Dataset) -> pd.DataFrame:
    """Whose opinions can be audited, see core.store.audits.raters."""
    return audits.raters(_population(data))


@caching.per_asked
def _population(data: Dataset) -> pd.DataFrame:
    return audits.population(data, judgments(data))


@caching.per_revision
def audit_samples(data: Dataset) -> pd.DataFrame:
    """Samples for audits, newest first, see Store.samples."""
    return state.store().samples(data.name)


@caching.per_revision
def audit_pairs(data: Dataset) -> pd.DataFrame:
    """The pairs of all samples with what people say of each."""
    return assessments.audits(state.store().sampled(data.name), standing(data))


@caching.per_revision
def assessment(data: Dataset, sample: int) -> Assessment:
    """What the audits of a sample say."""
    return assessments.assess(data, audit_samples(data), audit_pairs(data), standing(data), _population(data), sample)


def newest_version(data: Dataset) -> tuple[str | None, int]:
    """The newest frozen label version, and how many pairs are labelled otherwise by now."""
    known = versions(data.name)
    if not len(known):
        return None, len(labels(data))
    version = known["version"].iloc[0]
    return version, changed_since(data, version)


@caching.per_revision
def changed_since(data: Dataset, version: str) -> int:
    """How many pairs are labelled otherwise by now than in a frozen version."""
    return browse.changed(_version(data, version), label_rules.to_frame(data, labels(data)))


@caching.per_dataset
def _version(data: Dataset, version: str) -> pd.DataFrame:
    return state.store().version(data.name, version)


def candidates(data: Dataset) -> Candidates | None:
    """The newest candidates; None while there are none of this import of the dataset."""
    newest = candidate_rules.newest(state.home(), data.name)
    return _candidates(data, newest) if newest else None


@caching.per_dataset
def _candidates(data: Dataset, identifier: str) -> Candidates | None:
    found, about = candidate_rules.load(state.home(), data, identifier)
    return found if about["dataset_fingerprint"] == data.fingerprint else None


def has_texts(data: Dataset) -> bool:
    """Whether `texts` has something to read."""
    return semantic.kept_path(data, state.home().cache).exists()


def texts(data: Dataset) -> tuple[Relevance, str]:
    """Text vectors of users and items as they are kept, and who encoded them. Nothing is encoded."""
    return _texts(data, _changed(semantic.kept_path(data, state.home().cache)))


@caching.per_dataset
def _texts(data: Dataset, changed: tuple[int, ...]) -> tuple[Relevance, str]:
    vectors, name = semantic.kept_items(data, state.home().cache)
    return semantic.profiles(vectors, data.train, data.n_users), name


def answered(data: Dataset) -> Answered | None:
    """What people's answers make of the doubt of the newest candidates; None while there are none."""
    newest = candidate_rules.newest(state.home(), data.name)
    return _answered(data, newest) if newest else None


@caching.per_revision
def _answered(data: Dataset, identifier: str) -> Answered | None:
    found = _candidates(data, identifier)
    return None if found is None else candidate_rules.answered(found, labels(data), data.n_items)


@caching.per_dataset
def clicks(data: Dataset, side: str) -> csr_array:
    """Who clicked what in train, a row a user or an item, see core.neighbours.clicks_of."""
    return neighbours.clicks_of(data.train, side, data.n_users, data.n_items)


def versions(name: str) -> pd.DataFrame:
    """Frozen label versions, newest first."""
    return _versions(str(state.home().path), name, state.revision(name))


@st.cache_resource(max_entries=4, show_spinner=False)
def _versions(home_path: str, name: str, revision: int) -> pd.DataFrame:
    return state.store().versions(name)


@caching.per_revision
def selections(data: Dataset) -> pd.DataFrame:
    """Saved selections, newest first, see Store.selections."""
    return state.store().selections(data.name)


@caching.per_revision
def selection_pairs(data: Dataset, name: str) -> Interactions:
    """The pairs of a saved selection, as far as the dataset still knows their users and items."""
    kept = state.store().selection(data.name, name).rename(columns={"user_id": "user", "item_id": "item"})
    users, items = index(data)
    kept = kept[kept["user"].isin(users) & kept["item"].isin(items)]
    return Interactions(*places(data, kept))


@caching.per_dataset
def frozen(data: Dataset, version: str) -> LabelSet:
    """The labels of a version."""
    return pipeline.frozen_labels(state.home(), data, version)


@caching.per_revision
def labels_by(data: Dataset, sources: frozenset[Source]) -> LabelSet:
    """The labels when only these sources count."""
    return previews.labels_by(data, judgments(data), standing(data), sources)
