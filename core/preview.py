"""What other labels would do to the lists of a finished training, at once and without training again.

The table that the run learned is propagated on the graph that the other labels refine: train on G, infer on G' (LLMHNI's
refined graph; core.graph.refine). A retraining goes on from there and may end elsewhere: benchmarks/preview.py says how far.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from core import compare, datasets, dynamics, graph, metrics, pipeline, runs
from core import labels as label_rules
from core.artifacts import Home
from core.backbones import Backbone, as_embeddings, restored
from core.compare import Delta
from core.denoisers import final_vectors
from core.errors import RunError
from core.evaluate import hits_of, top_lists
from core.records import Dataset, Edges, Embeddings, Interactions, LabelSet, Learned, Pairs, Report, Scorer, Source
from core.references import blended
from core.rng import stream
from core.runs import Run, State
from core.settings import CompareSettings, TrainSettings

USERS_AT_MOST = 2500
"""Validation users that are ranked: with more of them a sample, so that a preview stays instant."""
TOUCHED_AT_MOST = 300
"""Further users whose own clicks a label changes, whose lists are compared though nothing of theirs is held out."""
DEPTH = max(metrics.CUTS)
DEEDS = ("dropped", "weighed down", "added", "put back")
"""What labels do to an edge; "dropped" also is an added edge that goes again."""


@dataclass(frozen=True, eq=False)
class Changes(Pairs):
    """The edges that differ between two graphs; a weight of 0 is no edge."""

    before: np.ndarray  # float32 (n,)
    after: np.ndarray  # float32 (n,)
    deed: np.ndarray  # int8 (n,) place in DEEDS
    source: np.ndarray  # int8 (n,) Source of the label that changes it, or whose label no longer counts


@dataclass(frozen=True, eq=False)
class Base:
    """A finished training with everything that previews of it start from: loaded once, then previews only compute."""

    run: Run
    dataset: Dataset
    settings: TrainSettings
    backbone: Backbone
    learned: Learned
    labels: LabelSet  # that the run was trained with; empty without any
    edges: Edges  # that the run infers on
    vectors: Embeddings
    scorer: Scorer
    users: np.ndarray  # int32 (n,) with something held out on valid, at most USERS_AT_MOST
    held_out: Interactions  # of these users, on valid
    lists: np.ndarray  # int32 (n, DEPTH) best first
    report: Report


@dataclass(frozen=True, eq=False)
class Preview:
    """What the labels would do. `users` are those of the base, then those with a changed click beside them."""

    changes: Changes
    vectors: Embeddings
    report: Report
    metrics: dict[str, Delta]  # on valid
    users: np.ndarray  # int32 (m,)
    before: np.ndarray  # int32 (m, DEPTH)
    after: np.ndarray  # int32 (m, DEPTH)
    seconds: float

    def replaced(self) -> np.ndarray:
        """How many items of each user's list are others now: int64 (m,)."""
        n = max(int(self.before.max(initial=0)), int(self.after.max(initial=0))) + 1
        rows = np.arange(len(self.users), dtype=np.int64)[:, None] * n
        return (~np.isin(rows + self.after, rows + self.before)).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Moved:
    """One user's list, before and after."""

    user: int
    before: np.ndarray  # int32 (DEPTH,)
    after: np.ndarray  # int32 (DEPTH,)
    changed_clicks: int  # of the user's own edges

    @property
    def came(self) -> np.ndarray:
        return self.after[~np.isin(self.after, self.before)]

    @property
    def went(self) -> np.ndarray:
        return self.before[~np.isin(self.before, self.after)]


@dataclass(frozen=True, eq=False)
class Turned:
    """One user's ranking with the edge of one pair and without it. What the user clicked otherwise is in no list."""

    on: bool  # whether the training's graph has the edge: then "after" is without it, else with it
    place: tuple[int, int]  # of the item, from 1, before and after
    score: tuple[float, float]
    before: np.ndarray  # int32 (depth,) best first, or as many as are left
    after: np.ndarray  # int32 (depth,)
    ranked: int  # items that compete
    seconds: float


def load(home: Home, run_id: str) -> Base:
    """Everything a preview of this run needs. RunError or NotFoundError, with the reason, for runs that cannot have one."""
    folder = runs.folder(home, run_id)
    run = folder.read()
    settings = TrainSettings.checked(**run.settings) if run.kind == "train" else None
    if settings is None or run.state is not State.DONE:
        raise RunError(f"Run {run.id} is no finished training.", "Choose a training that is done.")
    if not propagates(settings):
        raise RunError(
            f"Run {run.id} does not propagate on a graph, so labels reach its lists only through a new training.",
            "Train again with the labels, or preview a training with backbone lightgcn or ngcf.",
        )
    learned = folder.learned()
    dataset = datasets.load(home, run.dataset)
    if dataset.fingerprint != run.dataset_fingerprint:
        raise RunError(f"Dataset {run.dataset!r} was imported anew since run {run.id} was made.", "Train again.")
    own = pipeline.frozen_labels(home, dataset, settings.labels)
    return base_of(run, dataset, settings, learned, own)


def propagates(settings: TrainSettings) -> bool:
    """Whether a training's vectors depend on a graph at all."""
    return settings.backbone != "mf" and settings.layers > 0


def base_of(run: Run, dataset: Dataset, settings: TrainSettings, learned: Learned, own: LabelSet | None) -> Base:
    """The base of a training by what it learned and the labels `own` that it was trained with."""
    if not len(dataset.valid):
        raise RunError("No click is held out for validation, so a preview has nothing to be measured on.", "Import with a split.")
    n_users, n_items = dataset.n_users, dataset.n_items
    backbone = restored(learned.parameters, n_users, n_items, settings)
    own = own if own is not None else _no_labels()
    on = own if settings.infer_on == "refined" else _no_labels()
    edges = _edges(dataset, learned, on, settings)
    users = np.unique(dataset.valid.user)
    if len(users) > USERS_AT_MOST:
        users = np.sort(stream(0, "preview users").choice(users, USERS_AT_MOST, replace=False))
    held_out = dataset.valid.where(np.isin(dataset.valid.user, users))
    vectors, scorer = _propagated(backbone, learned, edges, settings, n_users, n_items)
    lists = top_lists(scorer, users, [dataset.train], DEPTH)
    report = _report(lists, users, held_out, n_items)
    return Base(run, dataset, settings, backbone, learned, own, edges, vectors, scorer, users, held_out, lists, report)


def preview(
    base: Base,
    labels: LabelSet,
    *,
    noisy_weight: float | None = None,
    add_missed: str | None = None,
    comparison: CompareSettings = CompareSettings(),
) -> Preview:
    """What the training would recommend on the graph that `labels` refine.

    `noisy_weight` and `add_missed` as in TrainSettings; those of the run when left out.
    """
    began = time.monotonic()
    dataset, n_items = base.dataset, base.dataset.n_items
    chosen = {"noisy_weight": noisy_weight, "add_missed": add_missed}
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = TrainSettings.checked(**base.settings.model_dump() | given)
    edges = _edges(dataset, base.learned, labels, settings)
    changes = _changes(base, edges, labels)
    vectors, scorer = base.vectors, base.scorer
    lists, report = base.lists, base.report
    if len(changes):
        vectors, scorer = _propagated(base.backbone, base.learned, edges, settings, dataset.n_users, n_items)
        lists = top_lists(scorer, base.users, [dataset.train], DEPTH)
        report = _report(lists, base.users, base.held_out, n_items)
    touched = np.setdiff1d(changes.user, base.users)[:TOUCHED_AT_MOST].astype(np.int32)
    sides = (
        np.concatenate([own, top_lists(one, touched, [dataset.train], DEPTH)])
        for own, one in ((base.lists, base.scorer), (lists, scorer))
    )
    deltas = compare.deltas(base.report, report, comparison)
    users = np.concatenate([base.users, touched])
    return Preview(changes, vectors, report, deltas, users, *sides, time.monotonic() - began)


def turned(base: Base, user: int, item: int, depth: int = 10) -> Turned:
    """What the user's list would be if the training's graph had not the edge of this pair, or had it, with weight 1.

    Only the propagation (and a closed form that is blended in) is done again. The table that the training learned stays, and
    it has seen the click: a retraining without it may move the item further.
    """
    began = time.monotonic()
    n_users, n_items = base.dataset.n_users, base.dataset.n_items
    own = (base.edges.user == user) & (base.edges.item == item)
    edges = base.edges.where(~own)
    if not own.any():
        ends = (np.append(side, np.int32(place)) for side, place in ((edges.user, user), (edges.item, item)))
        edges = Edges(*ends, np.append(edges.weight, np.float32(1)))
    _, scorer = _propagated(base.backbone, base.learned, edges, base.settings, n_users, n_items)
    train = base.dataset.train
    others = train.where((train.user == user) & (train.item != item))
    left = n_items - len(np.unique(others.item))
    who, sides = np.array([user]), []
    for one in (base.scorer, scorer):
        scores = one.scores(who)[0]
        scores[others.item] = -np.inf
        top = top_lists(one, who, [others], min(depth, left))[0]
        sides.append((int((scores > scores[item]).sum()) + 1, float(scores[item]), top))
    place, score, (before, after) = zip(*sides, strict=True)
    return Turned(bool(own.any()), place, score, before, after, left, time.monotonic() - began)


def moved(found: Preview, n: int) -> Iterator[Moved]:
    """The users whose lists changed most, most first: by items replaced, then by their own changed clicks."""
    replaced = found.replaced()
    own = np.bincount(found.changes.user, minlength=int(found.users.max(initial=0)) + 1)[found.users]
    order = np.lexsort((-own, -replaced))[: min(n, int((replaced > 0).sum()))]
    for row in order:
        yield Moved(int(found.users[row]), found.before[row], found.after[row], int(own[row]))


def labels_by(dataset: Dataset, judgments: pd.DataFrame, decisions: pd.DataFrame, sources: frozenset[Source]) -> LabelSet:
    """The labels when only these sources count: what a person overrode is the judge's again when people do not."""
    counted = judgments[np.isin(label_rules.sources(judgments), list(sources))]
    return label_rules.resolve(dataset, counted, decisions if Source.HUMAN in sources else decisions.iloc[:0])


def _edges(dataset: Dataset, learned: Learned, labels: LabelSet, settings: TrainSettings) -> Edges:
    """The refined edges, without those that the denoiser itself took out while it trained."""
    edges = graph.refine(dataset.train, labels, dataset.n_items, settings.noisy_weight, settings.add_missed)
    if not len(learned.taken_out):
        return edges
    return edges.where(~np.isin(edges.codes(dataset.n_items), learned.taken_out))


@torch.no_grad()
def _propagated(
    backbone: Backbone, learned: Learned, edges: Edges, settings: TrainSettings, n_users: int, n_items: int
) -> tuple[Embeddings, Scorer]:
    on = graph.build(edges, n_users, n_items)
    vectors = as_embeddings(final_vectors(backbone, on, learned.first_layer), n_users)
    return vectors, blended(vectors, edges, settings)


def _report(lists: np.ndarray, users: np.ndarray, held_out: Interactions, n_items: int) -> Report:
    hits = hits_of(lists, users, held_out, n_items, DEPTH)
    return Report(users, metrics.ranking(hits, np.bincount(held_out.user, minlength=int(users.max()) + 1)[users]))


def _changes(base: Base, edges: Edges, labels: LabelSet) -> Changes:
    """Every edge whose weight is another one than in the run, by code."""
    n_items = base.dataset.n_items
    sides = [pd.Series(one.weight, index=one.codes(n_items)) for one in (base.edges, edges)]
    if sides[0].index.equals(sides[1].index):
        places = np.flatnonzero(sides[0].to_numpy() != sides[1].to_numpy())
        codes = sides[0].index.to_numpy()[places]
    else:
        both = pd.Index(sides[0].index.union(sides[1].index, sort=False))
        weights = [side.reindex(both, fill_value=0).to_numpy() for side in sides]
        codes = both.to_numpy()[weights[0] != weights[1]]
    before, after = (side.reindex(codes, fill_value=0).to_numpy(np.float32) for side in sides)
    pairs = Interactions((codes // n_items).astype(np.int32), (codes % n_items).astype(np.int32))
    source = np.full(len(codes), Source.NONE, np.int8)
    for one in (base.labels, labels):  # the new label names who changes the edge; without one, the label that went does
        place = dynamics.place_of(pairs, one.user, one.item, n_items)
        source[place >= 0] = one.source[place[place >= 0]]
    observed = label_rules.among(codes, base.dataset.train, n_items)
    deed = np.select([after == 0, after < before, ~observed], [0, 1, 2], 3).astype(np.int8)
    return Changes(pairs.user, pairs.item, before, after, deed, source)


def _no_labels() -> LabelSet:
    return LabelSet(*(np.empty(0, kind) for kind in (np.int32, np.int32, bool, np.int8, np.int8)))
