"""A home with 1 000 000 training clicks and all that a turn of the loop leaves, made by the app's own steps.

50 000 users and 20 000 items of the invented bookshop with its planted truth (core.datasets.demo), two short trainings, one of
them on frozen labels, 20 000 judged pairs, some hundred decisions of two people, an audit sample, a selection, a map. What is
there already is not made again: a broken making goes on where it stopped.
"""

import logging
import time

import numpy as np

from core import datasets, jobs, pipeline, runs
from core.artifacts import Home
from core.records import Interactions, Label
from core.rng import stream
from core.runs import State
from core.settings import DemoSettings
from core.store import Store

log = logging.getLogger(__name__)

NAME = "million"
USERS, ITEMS, CLICKS = 50_000, 20_000, 1_667_000  # three fifths of the clicks are for training
JUDGED = 20_000
DECIDED = {"ada": 300, "ben": 120}  # the second one's pairs are among the first one's
FLIPPED = 0.15
"""How often the second person contradicts the truth: some pairs are to be differed about."""
SHORT = {"epochs": 2, "min_epochs": 1, "eval_every": 1, "early_epoch": 1, "batch_size": 16_384}
"""An epoch with the usual 2 048 clicks a step takes minutes at this size; nothing here is about quality."""


def fill(home: Home, seed: int = 0) -> None:
    """All of it; minutes the first time, nothing after that."""
    began = time.monotonic()
    if NAME not in {info.name for info in datasets.listing(home)}:
        datasets.import_demo(home, DemoSettings(users=USERS, items=ITEMS, interactions=CLICKS, seed=seed), NAME)
        _said("imported", began)
    first = _done(home, "train", **SHORT, seed=seed)
    _done(home, "candidates", budget=JUDGED, encoder="tfidf", run=first)
    _done(home, "judge", encoder="tfidf")
    store = Store.open(home)
    if not len(store.standing(NAME)):
        _decide(home, store, seed)
    if not len(store.versions(NAME)):
        pipeline.freeze(home, NAME, annotator="ada", note="what is judged and decided")
    _done(home, "train", **SHORT, seed=seed, labels="v1", train_on="refined")
    _done(home, "project", of="pairs", run=first, seed=seed)
    _said("ready", began)


def _done(home: Home, kind: str, **settings: object) -> str:
    """The id of a finished run with these settings: the one that is there, else the rest of a broken one, else a new one."""
    wanted = pipeline.STEPS[kind].settings.checked(**settings).model_dump(mode="json")
    found = [run for run in runs.listing(home, NAME, kind) if run.settings == wanted]
    for run in found:
        if run.state is State.DONE:
            return run.id
    began = time.monotonic()
    folder = jobs.resumable(home, found[0].id) if found else jobs.create(home, kind, NAME, settings)
    jobs.work(home, folder.id)
    _said(kind, began)
    return folder.id


def _decide(home: Home, store: Store, seed: int) -> None:
    """Answers of people by the planted truth, an audit sample, and a selection of what is called noisy."""
    data = datasets.load(home, NAME)
    labels = pipeline.current_labels(home, data)
    rows = stream(seed, "decisions").permutation(np.flatnonzero(labels.observed))
    truth = _truth(data.train, Interactions(labels.user, labels.item), data.n_items)
    for annotator, n in DECIDED.items():
        for row in rows[:n]:
            wrong = annotator != "ada" and stream(seed, "flipped", int(row)).random() < FLIPPED
            answer = "no" if (truth[row] == Label.NOISY_POSITIVE) != wrong else "yes"
            pair = (str(data.user_ids[labels.user[row]]), str(data.item_ids[labels.item[row]]))
            store.decide(NAME, [pair], answer, annotator=annotator, saw_judge=False)
    store.draw(data, size=200, annotator="ada", seed=seed)
    noisy = np.flatnonzero(labels.label == Label.NOISY_POSITIVE)[:500]
    pairs = list(zip(data.user_ids[labels.user[noisy]], data.item_ids[labels.item[noisy]], strict=True))
    store.keep_selection(NAME, "called noisy", pairs, annotator="ada")


def _truth(train: Interactions, pairs: Interactions, n_items: int) -> np.ndarray:
    """The planted truth of observed pairs: Label codes int8 (n,); that of the first click for the unobserved ones."""
    codes = train.codes(n_items)
    order = np.argsort(codes)
    at = np.searchsorted(codes[order], pairs.codes(n_items))
    return train.truth[order[np.minimum(at, len(order) - 1)]]


def _said(what: str, began: float) -> None:
    log.warning("%s after %.0f s", what, time.monotonic() - began)
