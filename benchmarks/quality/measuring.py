"""One row for one seed, kept by the content of all that it depends on: a run that was stopped goes on where it was."""

import ast
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality import cases
from benchmarks.quality.cases import Case
from benchmarks.quality.variants import Variant
from core import alignment, doubt, evaluate, pipeline, references, semantic, train
from core.artifacts import ROOT, Home, read_arrays, write_arrays
from core.denoisers import DENOISERS
from core.records import Dataset, Edges, Report, Scorer, Signals, fingerprint
from core.settings import ReferenceSettings, TrainSettings

KEPT = ("recall@20", "ndcg@20", "recall@10", "ndcg@10")
ALS_GRID = [(0.01, 10.0), (0.01, 20.0), (0.01, 40.0), (1.0, 20.0), (3.0, 1.0), (10.0, 1.0), (30.0, 1.0), (30.0, 10.0)]
"""(als_reg, als_alpha) that the ALS row is chosen from."""
TRAINING = ("train", "backbones", "graph", "losses", "sampling", "denoisers", "evaluate", "metrics", "rng")
TEXT = ("semantic", "alignment", "encoders")
"""Modules whose change makes a kept row void, when the row depends on them."""


@dataclass(frozen=True)
class Job:
    """A row to measure."""

    case: str
    variant: Variant
    seed: int


@dataclass(frozen=True, eq=False)
class Measured:
    """A row for one seed."""

    report: Report
    epochs: int  # trained
    best_epoch: int
    seconds: float
    day: str  # on which it was measured


def code_digest(*modules: str) -> str:
    """Of what these modules and packages of core do: comments and docstrings do not count."""
    core = ROOT / "core"
    files = [file for name in modules for file in (*sorted(core.glob(f"{name}.py")), *sorted(core.glob(f"{name}/*.py")))]
    return fingerprint(*(_deeds(file.read_text(encoding="utf-8")) for file in files))


@lru_cache(maxsize=256)
def _deeds(source: str) -> str:
    """A module's syntax tree without the strings that stand alone."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    return ast.dump(tree)


def _modules(variant: Variant) -> list[str]:
    """What a row depends on."""
    settings = TrainSettings.checked(**variant.settings)
    used = ["references"] if variant.reference or settings.blend != "none" else []
    used += TEXT if DENOISERS[settings.denoiser].text(settings) else []
    used += ["doubt", "references", *TEXT] if variant.labels else []
    return sorted({"evaluate", "metrics", *used} if variant.reference else {*TRAINING, *used})


def known(home: Home, job: Job) -> Measured | None:
    """The kept row, when there is one."""
    path = _path(home, job)
    if not path.exists():
        return None
    arrays = read_arrays(path)
    epochs, best_epoch, seconds = arrays.pop("about")
    day = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d}"
    return Measured(Report(arrays.pop("users"), arrays), int(epochs), int(best_epoch), float(seconds), day)


def measure_all(home: Home, jobs: list[Job], workers: int) -> Iterator[tuple[Job, int]]:
    """Measure what is not known yet, several rows at once; gives each job that is done and how many are left."""
    left = [job for job in {_path(home, job): job for job in jobs}.values() if known(home, job) is None]
    # spawned: a fork of a process in which OpenMP has run may wait for its threads for ever
    with ProcessPoolExecutor(workers, get_context("spawn"), _share_cores, (workers,)) as pool:
        running = {pool.submit(measure, home.path, job): job for job in left}
        for number, done in enumerate(as_completed(running), 1):
            done.result()
            yield running[done], len(left) - number


def _share_cores(workers: int) -> None:
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))


def measure(path: Path, job: Job) -> Measured:
    """Train or fit, evaluate on the test set, keep."""
    home = Home.at(path)
    if (row := known(home, job)) is not None:
        return row
    chosen, began = case(path, job.case), time.monotonic()
    dataset, variant = chosen.dataset, job.variant
    if variant.reference:
        edges = Edges(dataset.train.user, dataset.train.item, np.ones(len(dataset.train), np.float32))
        fit_reference = references.REFERENCES[variant.reference]
        scorer = fit_reference(edges, dataset.n_users, dataset.n_items, _reference_settings(path, chosen, job))
        return _keep(home, job, chosen, scorer, 0, 0, began)
    settings = _settings(home, chosen, job)
    labels = variant.labels and variant.labels(dataset, _doubt(path, job.case, job.seed), job.seed)
    relevance = pipeline.relevance(home, dataset, settings)
    fit = train.fit(dataset.train, dataset.valid, dataset.n_users, dataset.n_items, settings, labels, relevance)
    if settings.blend != "none":  # a blend changes nothing in the training, so this is the row without it, too
        alone = replace(job, variant=replace(variant, settings=variant.settings | {"blend": "none"}))
        _keep(home, alone, chosen, fit.embeddings, fit.epochs, fit.best_epoch, began)
    return _keep(home, job, chosen, fit.scorer, fit.epochs, fit.best_epoch, began)


def _keep(home: Home, job: Job, of: Case, scorer: Scorer, epochs: int, best_epoch: int, began: float) -> Measured:
    hidden = [of.dataset.train, of.dataset.valid, *([] if of.hidden is None else [of.hidden])]
    report = evaluate.evaluate(scorer, of.dataset.test, hidden)
    report = Report(report.users, {name: report.per_user[name] for name in KEPT})
    about = np.array([epochs, best_epoch, time.monotonic() - began])
    write_arrays(_path(home, job), users=report.users, about=about, **report.per_user)
    return known(home, job)


def _reference_settings(path: Path, of: Case, job: Job) -> ReferenceSettings:
    """ALS has no setting that suits dense and sparse data alike: its penalty and confidence are chosen on valid."""
    settings = ReferenceSettings(seed=job.seed)
    if job.variant.reference != "als":
        return settings
    return settings.model_copy(update=_best_als(path, of.epochs_from or of.name, job.seed))


@lru_cache(maxsize=64)
def _best_als(path: Path, name: str, seed: int) -> dict[str, float]:
    """Of ALS_GRID what ranks valid best."""
    dataset = case(path, name).dataset
    edges = Edges(dataset.train.user, dataset.train.item, np.ones(len(dataset.train), np.float32))
    found = []
    for reg, alpha in ALS_GRID:
        changes = {"als_reg": reg, "als_alpha": alpha}
        scorer = references.als(edges, dataset.n_users, dataset.n_items, ReferenceSettings(seed=seed, **changes))
        found.append((evaluate.evaluate(scorer, dataset.valid, [dataset.train]).means()["recall@20"], changes))
    return max(found, key=lambda one: one[0])[1]


def _settings(home: Home, of: Case, job: Job) -> TrainSettings:
    chosen = {**job.variant.settings, "seed": job.seed}
    if of.epochs_from:
        best = measure(home.path, Job(of.epochs_from, job.variant, job.seed)).best_epoch
        chosen |= {"epochs": best, "min_epochs": best}
    return TrainSettings.checked(**chosen)


@lru_cache(maxsize=3)
def case(path: Path, name: str) -> Case:
    """A case, loaded once a process."""
    return cases.load(Home.at(path), name)


@lru_cache(maxsize=8)
def _doubt(path: Path, name: str, seed: int) -> np.ndarray:
    """The doubt of every training click, from signals that cost no training."""
    return doubt.doubt(signals(Home.at(path), case(path, name).dataset, seed))


def signals(home: Home, dataset: Dataset, seed: int, losses: dict[str, np.ndarray] | None = None) -> Signals:
    """Every signal that there is for the training clicks; those of the losses only when a training's are given."""
    vectors = semantic.encode_items(dataset, TrainSettings(), home.cache).vectors
    aligned = alignment.align_cached(vectors, dataset.train, dataset.n_users, home.cache, seed=seed).observed
    return doubt.signals(dataset.train, dataset.n_users, dataset.n_items, losses, vectors, aligned)


def _path(home: Home, job: Job) -> Path:
    variant = job.variant
    if variant.reference:
        settings = ReferenceSettings().model_dump() | ({"grid": ALS_GRID} if variant.reference == "als" else {})
    else:
        settings = TrainSettings.checked(**variant.settings).model_dump(exclude={"device", "trajectories"})
    parts = (job.case, settings, variant.reference, variant.labels, job.seed, code_digest(*_modules(variant)))
    return home.path / "bench" / f"{job.case}-{fingerprint(*parts)}.npz"
