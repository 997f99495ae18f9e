"""The whole way in order; the only module that knows all steps.

train -> candidates -> judge -> labels (and people's decisions) -> freeze -> train on the refined graph. Each step that
takes long is carried out on a run folder (core.jobs), reads what earlier steps left, and can be carried out again.
"""

import platform
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import datasets, encoders, labels, runs
from core.artifacts import Home
from core.errors import Fatal, NotFoundError, RunError
from core.records import Candidates, Dataset, LabelSet, Relevance
from core.runs import Progress, RunFolder
from core.settings import AgainSettings, CandidateSettings, JudgeSettings, ProjectSettings, Settings, TrainSettings
from core.store import Store

if TYPE_CHECKING:
    from core.judges import Judge
    from core.train import Epoch

Report = Callable[[Progress], None]
Stop = Callable[[], bool]
CarryOut = Callable[[Home, RunFolder, Report, Stop], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """A kind of run: the settings it takes, and what carries it out and returns the run's result.

    A result with a true "stopped" is that of a run which did not come to its end.
    """

    settings: type[Settings]
    carry_out: CarryOut


def manifest(home: Home, dataset_name: str, settings: Settings) -> dict[str, Any]:
    """What a run's manifest says beside its settings. Raises for whatever would make the run fail for sure."""
    info = datasets.info(home, dataset_name)
    written = {"dataset_fingerprint": info.fingerprint, "versions": versions()}
    if isinstance(settings, TrainSettings):
        from core import train
        from core.denoisers import DENOISERS

        train.check(settings, has_text=info.has_text)
        if DENOISERS[settings.denoiser].text(settings):
            encoders.check(settings)
        if settings.labels:
            written["label_fingerprint"] = _label_fingerprint(Store.open(home), dataset_name, settings.labels)
    elif isinstance(settings, CandidateSettings):
        _base(home, dataset_name, settings.run, info.fingerprint)
        encoders.check(settings)
    elif isinstance(settings, ProjectSettings):
        for run_id in (settings.run, settings.other) if settings.other else (settings.run,):
            _base(home, dataset_name, run_id, info.fingerprint)
    elif isinstance(settings, JudgeSettings):
        from core import candidates, judges

        Store.open(home).rubric(dataset_name, settings.rubric)  # says which there are when it is not there
        health = judges.health(settings)
        if not health.ok:
            raise Fatal(health.message, health.hint)
        dataset = datasets.load(home, dataset_name)
        _among_candidates(dataset, candidates.load(home, dataset)[0], settings.pairs)
    return written


def _among_candidates(dataset: Dataset, picked: Candidates, pairs: tuple[tuple[str, str], ...]) -> None:
    user, item = labels.positions(dataset, pd.DataFrame(pairs, columns=labels.PAIR))
    codes = np.where((user >= 0) & (item >= 0), user * dataset.n_items + item, -1)
    for at in np.flatnonzero(~np.isin(codes, picked.codes(dataset.n_items))):
        user_id, item_id = pairs[at]
        labels.known_pair(dataset, user_id, item_id)
        raise NotFoundError(
            f"{user_id} and {item_id} are no candidate of {dataset.name!r}, so no judge is asked about it.",
            f"Find more of them with a larger budget: python -m core candidates --dataset {dataset.name} --budget N.",
        )


def current_labels(home: Home, dataset: Dataset) -> LabelSet:
    """What every examined pair is, by all judgments and decisions as they stand now."""
    return Store.open(home).labels(dataset)


def frozen_labels(home: Home, dataset: Dataset, version: str | None) -> LabelSet | None:
    """The labels of a version, for the dataset as it is now; None when none is named."""
    return labels.from_frame(dataset, Store.open(home).version(dataset.name, version)) if version else None


def freeze(home: Home, dataset_name: str, *, annotator: str, note: str = "", chosen: LabelSet | None = None) -> str:
    """Keep the labels as they stand now as an immutable version ("v1", "v2" ...), which a training can name.

    `chosen`: these labels instead, such as those of people alone.
    """
    dataset = datasets.load(home, dataset_name)
    rows = labels.to_frame(dataset, current_labels(home, dataset) if chosen is None else chosen)
    if not len(rows):
        raise RunError(f"No pair of {dataset_name!r} has a label yet.", "Judge some candidates, or decide about a pair, first.")
    return Store.open(home).freeze(dataset_name, rows, annotator=annotator, note=note)


class _Stopped(Exception):
    """Somebody asked the run to stop while it read the texts."""


def _reading(report: Report, stop: Stop) -> encoders.Report:
    def told(done: int, total: int) -> None:
        if stop():
            raise _Stopped
        report(Progress("reading the texts", done, total))

    return told


def _stoppable(step: CarryOut) -> CarryOut:
    @wraps(step)
    def carried_out(home: Home, folder: RunFolder, report: Report, stop: Stop) -> dict[str, Any]:
        try:
            return step(home, folder, report, stop)
        except _Stopped:
            return {"stopped": True}

    return carried_out


# torch, sentence-transformers and scikit-learn take seconds to import: the steps below import what needs them when they
# run, so that listing, labelling and the app's start stay quick.


@_stoppable
def _train(home: Home, folder: RunFolder, report: Report, stop: Stop) -> dict[str, Any]:
    from core import train
    from core.evaluate import evaluate

    run = folder.read()
    settings = TrainSettings.checked(**run.settings)
    dataset = _unchanged(home, run)
    version_labels = frozen_labels(home, dataset, settings.labels)
    text_vectors = relevance(home, dataset, settings, report, stop)
    folder.keep_metrics(train.checkpoint_epoch(folder.checkpoint))
    fit = train.fit(
        dataset.train,
        dataset.valid,
        dataset.n_users,
        dataset.n_items,
        settings,
        version_labels,
        text_vectors,
        checkpoint=folder.checkpoint,
        on_epoch=_EpochNotes(folder, report, settings.epochs),
        should_stop=stop,
    )
    done = {"epochs": fit.epochs, "best_epoch": fit.best_epoch}
    if fit.stopped:
        return done | {"stopped": True}
    folder.save_embeddings(fit.embeddings)
    folder.save_learned(fit.learned)
    folder.save_losses(fit.losses)
    reports = {"valid": fit.valid} if fit.valid else {}
    if len(dataset.test):
        reports["test"] = evaluate(fit.scorer, dataset.test, [dataset.train, dataset.valid])
    for split, one in reports.items():
        folder.save_report(split, one)
    report(Progress("done", fit.epochs, fit.epochs, f"best epoch {fit.best_epoch}"))
    return done | {"metrics": {split: one.means() for split, one in reports.items()}}


def relevance(
    home: Home,
    dataset: Dataset,
    settings: TrainSettings,
    report: Report = lambda progress: None,
    stop: Stop = lambda: False,
) -> Relevance | None:
    """The text vectors that the settings' denoiser asks for; None when it asks for none."""
    from core import alignment, semantic, train
    from core.denoisers import DENOISERS

    wanted = DENOISERS[settings.denoiser].text(settings)
    if not wanted:
        return None
    report(Progress("reading the texts", 0, settings.epochs))
    encoded = semantic.encode_items(dataset, settings, home.cache, _reading(report, stop))
    if wanted == "profiles":
        return semantic.profiles(encoded.vectors, dataset.train, dataset.n_users)
    report(Progress("aligning the texts to the clicks", 0, settings.epochs, encoded.name))
    return alignment.align_cached(
        encoded.vectors,
        dataset.train,
        dataset.n_users,
        home.cache,
        quantile=settings.reliable_quantile,
        seed=settings.seed,
        device=train.pick_device(settings.device),
    ).relevance


class _EpochNotes:
    """Writes each epoch down and reports how long the rest may take: at most, for training may stop early."""

    def __init__(self, folder: RunFolder, report: Report, epochs: int) -> None:
        self.folder, self.report, self.epochs = folder, report, epochs
        self.recent: deque[float] = deque(maxlen=20)

    def __call__(self, epoch: "Epoch") -> None:
        self.folder.append_metrics(vars(epoch))
        self.recent.append(epoch.seconds)
        left_s = (self.epochs - epoch.epoch) * sum(self.recent) / len(self.recent)
        self.report(Progress("training", epoch.epoch, self.epochs, f"loss {sum(epoch.loss.values()):.4f}", left_s))


@_stoppable
def _find_candidates(home: Home, folder: RunFolder, report: Report, stop: Stop) -> dict[str, Any]:
    from core import alignment, candidates, semantic

    run = folder.read()
    settings = CandidateSettings.checked(**run.settings)
    dataset = _unchanged(home, run)
    base = runs.folder(home, _base(home, dataset.name, settings.run, dataset.fingerprint).id)
    report(Progress("reading the texts", 0, 3))
    encoded = semantic.encode_items(dataset, settings, home.cache, _reading(report, stop))
    report(Progress("aligning the texts to the clicks", 1, 3, encoded.name))
    aligned = alignment.align_cached(encoded.vectors, dataset.train, dataset.n_users, home.cache).observed
    report(Progress("looking for doubtful pairs", 2, 3))
    found = candidates.find(dataset, base.embeddings(), base.losses(), encoded.vectors, settings, aligned)
    identifier = candidates.save(home, dataset, found, settings, base.id, encoder=encoded.name, why=encoded.why)
    report(Progress("done", 3, 3))
    observed = int(found.observed.sum())
    counts = {"n": len(found), "observed": observed, "unobserved": len(found) - observed}
    return {"candidates": identifier, "run": base.id, "encoder": encoded.name, "why": encoded.why} | counts


def _to_ask(home: Home, run: runs.Run, settings: JudgeSettings) -> tuple[Store, Dataset, Candidates, "Judge"]:
    """Where answers go, what they are about, and who is asked."""
    from core import candidates, judges

    dataset, store = _unchanged(home, run), Store.open(home)
    judge = judges.make(settings, home.cache, store.rubric(dataset.name, settings.rubric))
    return store, dataset, candidates.load(home, dataset)[0], judge


def _judge(home: Home, folder: RunFolder, report: Report, stop: Stop) -> dict[str, Any]:
    from core import judges

    run = folder.read()
    settings = JudgeSettings.checked(**run.settings)

    def watch(state: judges.State) -> None:
        report(Progress(state.stage, state.done, state.total, state.message, state.eta_s, state.detail))

    summary = judges.run(*_to_ask(home, run, settings), settings, watch=watch, should_stop=stop)
    unfinished = summary.unjudged > 0 and not settings.estimate
    return asdict(summary) | {"stopped": stop() and unfinished}


def _again(home: Home, folder: RunFolder, report: Report, stop: Stop) -> dict[str, Any]:
    from core import judges
    from core.judges import again

    run = folder.read()
    settings = AgainSettings.checked(**run.settings)

    def watch(state: judges.State) -> None:
        report(Progress(state.stage, state.done, state.total, state.message))

    summary = again.run(*_to_ask(home, run, settings), settings, watch=watch, should_stop=stop)
    return asdict(summary) | {"stopped": stop()}


def _project(home: Home, folder: RunFolder, report: Report, stop: Stop) -> dict[str, Any]:
    from core import projection

    run = folder.read()
    settings = ProjectSettings.checked(**run.settings)
    dataset = _unchanged(home, run)
    base = _base(home, dataset.name, settings.run, dataset.fingerprint)
    first = runs.folder(home, base.id).embeddings()
    parts, ids = [projection.rows(first, settings.of, dataset.train)], [base.id]
    if settings.other:
        other = _base(home, dataset.name, settings.other, dataset.fingerprint)
        second = projection.turned(runs.folder(home, other.id).embeddings(), first)
        parts, ids = [*parts, projection.rows(second, settings.of, dataset.train)], [base.id, other.id]
    n = len(parts[0])
    if n < projection.LEAST_ROWS:
        raise RunError(f"{n} {settings.of} are too few to draw.", f"It takes at least {projection.LEAST_ROWS}.")

    def told(phase: str, done: int, total: int) -> bool:
        report(Progress(phase, done, total))
        return not stop()

    found = projection.project(parts[0], parts[1] if settings.other else None, settings, told)
    if found is None:
        return {"stopped": True}
    arrays = {name: value for name, value in vars(found).items() if value is not None}
    folder.save_projection(arrays)
    return {"of": settings.of, "n": n, "fitted": int(found.fitted.sum()), "runs": ids}


STEPS = {
    "train": Step(TrainSettings, _train),
    "candidates": Step(CandidateSettings, _find_candidates),
    "judge": Step(JudgeSettings, _judge),
    "again": Step(AgainSettings, _again),
    "project": Step(ProjectSettings, _project),
}


def _unchanged(home: Home, run: runs.Run) -> Dataset:
    dataset = datasets.load(home, run.dataset)
    if dataset.fingerprint != run.dataset_fingerprint:
        raise RunError(f"Dataset {run.dataset!r} was imported anew since this run was made.", "Start a new run.")
    return dataset


def _base(home: Home, dataset_name: str, run_id: str | None, content: str) -> runs.Run:
    """The training run whose scores candidates come from: the named one, else the newest; of the data as they are now."""
    run = runs.folder(home, run_id).read() if run_id else runs.newest_trained(home, dataset_name, content)
    if run.kind != "train" or run.dataset_fingerprint != content:
        raise RunError(f"Run {run.id} was not trained on {dataset_name!r} as it is now.", "Train again, or name another run.")
    if run.state is not runs.State.DONE:
        raise RunError(f"Run {run.id} is {run.state}: it has no scores yet.", "Wait for it, resume it, or name another run.")
    return run


def _label_fingerprint(store: Store, dataset_name: str, name: str) -> str:
    store.version(dataset_name, name)  # says what there is when it is not there
    versions = store.versions(dataset_name)
    return versions.loc[versions["version"] == name, "fingerprint"].item()


def versions() -> dict[str, str]:
    """Of everything whose change could change a number."""
    names = ("torch", "numpy", "scipy", "scikit-learn", "implicit", "sentence-transformers", "umap-learn")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
