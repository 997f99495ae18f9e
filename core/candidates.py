"""Which pairs are doubtful enough to ask about: clicks that the model finds unlikely, and unseen items that it finds likely."""

import dataclasses
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import doubt as doubts
from core import dynamics, labels, semantic
from core.artifacts import Home, atomic, read_json, write_json
from core.doubt import Calibration
from core.errors import NotFoundError
from core.records import Candidates, Dataset, Embeddings, Interactions, Label, LabelSet, Signals, Source
from core.settings import CandidateSettings

BLOCK_SCORES = 8_000_000
"""Scores held at once while all items are ranked for a block of users."""
NUMBERS = ("score", "loss", "semantic", "doubt")
SIGNAL = "signal_"
"""What a signal's column is called in the file, with its name."""


@dataclass(frozen=True)
class Why:
    """What is known of the doubt of one click."""

    place: int  # in the candidates
    doubt: float  # share of all training clicks that are less doubtful, (0, 1)
    signals: dict[str, float]  # share [0, 1] of the candidate clicks that have less of the signal; where it says something


@dataclass(frozen=True, eq=False)
class Answered:
    """What people's answers about candidate clicks make of the doubt."""

    calibration: Calibration  # `probability` is float32 (n,) of all candidates, NaN where there is no doubt
    answers: int  # yes or no
    against: bool = False  # by the answers the more doubtful clicks are the less noisy ones


def find(
    dataset: Dataset,
    embeddings: Embeddings,
    losses: dict[str, np.ndarray] | None,
    vectors: np.ndarray | None,
    settings: CandidateSettings,
    aligned: np.ndarray | None = None,
) -> Candidates:
    """Doubtful pairs under the budget, most doubtful first, observed and unobserved ones in turn by their shares.

    losses: as RunFolder.losses() gives them, or None; vectors: item texts (n_items, dim), or None, then `semantic` is NaN;
    aligned: alignment.Aligned.observed of the train pairs, or None. The truth takes no part in the choice.

    Observed: of each user's n train positives the floor(bottom_share * n) lowest-scored, so that no user can lose all; the
    most doubtful by core.doubt come first.
    Unobserved: of each user the top_k best-scored items that are not in train, valid or test, nor disliked. They come in
    order of the share of the user's own positives that score lower. A share of the budget that one kind cannot fill goes
    to the other.
    """
    signals = doubts.signals(dataset.train, dataset.n_users, dataset.n_items, losses, vectors, aligned)
    of_click = doubts.doubt(signals)
    positives, positive_scores = _low_positives(dataset.train, embeddings, of_click, settings.bottom_share)
    negatives, negative_scores = _high_negatives(dataset, embeddings, settings.top_k)
    n_positives, n_negatives = _shares(len(positives), len(negatives[0]), settings)
    turn = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in (n_positives, n_negatives)])
    order = np.argsort(turn, kind="stable")
    click, unseen = positives[:n_positives], slice(n_negatives)
    user = np.concatenate([dataset.train.user[click], negatives[0][unseen]])[order].astype(np.int32)
    item = np.concatenate([dataset.train.item[click], negatives[1][unseen]])[order].astype(np.int32)
    score = np.concatenate([positive_scores[:n_positives], negative_scores[unseen]])[order]
    observed = order < n_positives
    nothing = np.full(len(user), np.nan, np.float32)
    place = click[order[observed]]
    return Candidates(
        user=user,
        item=item,
        observed=observed,
        score=score,
        loss=nothing if losses is None else dynamics.loss_of(Interactions(user, item), losses, dataset.n_items),
        semantic=nothing if vectors is None else semantic.text_relevance(vectors, dataset.train, user, item),
        doubt=_spread(of_click[place], observed),
        signals=Signals(user, item, **{name: _spread(column[place], observed) for name, column in signals.named().items()}),
    )


def save(home: Home, dataset: Dataset, found: Candidates, settings: CandidateSettings, run_id: str, **about: Any) -> str:
    """Keep candidates by raw ids; returns their id. `about` goes into the info (who encoded the texts, and why)."""
    when = datetime.now(UTC)
    identifier = f"{when:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
    folder = _folder(home, dataset.name)
    columns = {name: getattr(found, name) for name in ("observed", *NUMBERS)}
    if found.signals is not None:
        columns |= {SIGNAL + name: column for name, column in found.signals.named().items()}
    rows = pd.DataFrame({"user_id": dataset.user_ids[found.user], "item_id": dataset.item_ids[found.item], **columns})
    with atomic(folder / f"{identifier}.parquet") as temporary:
        rows.to_parquet(temporary, index=False)
    info = {"id": identifier, "dataset": dataset.name, "dataset_fingerprint": dataset.fingerprint, "run": run_id}
    info |= {
        "settings": settings.model_dump(mode="json"),
        "at": time.time(),
        "n": len(found),
        "observed": int(found.observed.sum()),
    }
    write_json(folder / f"{identifier}.json", info | about)
    return identifier


def why(found: Candidates, user: int, item: int) -> Why | None:
    """Why this click is doubted; None unless it is among the candidates' clicks, with a doubt."""
    at = np.flatnonzero(_doubted(found) & (found.user == user) & (found.item == item))
    if not len(at):
        return None
    place, shares = int(at[0]), {}
    for name, column in ({} if found.signals is None else found.signals.named()).items():
        own, others = column[place], column[found.observed & ~np.isnan(column)]
        if not np.isnan(own):
            shares[name] = float((others < own).mean())
    return Why(place, float(found.doubt[place]), shares)


def answered(found: Candidates, known: LabelSet, n_items: int) -> Answered:
    """The candidates' doubt calibrated by what people said of its clicks; `known` are the labels as they stand."""
    clicks, people = _doubted(found), known.where(known.source == Source.HUMAN)
    doubt = found.doubt[clicks]
    label = dynamics.codes_of(found.where(clicks), people.user, people.item, people.label, n_items)
    decided = np.isin(label, (Label.HARD_POSITIVE, Label.NOISY_POSITIVE))
    made = doubts.calibrate(doubt, decided, label == Label.NOISY_POSITIVE)
    answers = int(decided.sum())
    if made.probability is None:
        return Answered(made, answers)
    against = made.probability[doubt.argmax()] < made.probability[doubt.argmin()]
    return Answered(dataclasses.replace(made, probability=_spread(made.probability, clicks)), answers, bool(against))


def newest(home: Home, dataset_name: str) -> str | None:
    """The id of the newest candidates; None while there are none."""
    return max((path.stem for path in _folder(home, dataset_name).glob("*.json")), default=None)


def load(home: Home, dataset: Dataset, identifier: str | None = None) -> tuple[Candidates, dict[str, Any]]:
    """Candidates (the newest when no id is given) for the dataset as it is now, and their info.

    `observed` is what the dataset says now; pairs that it no longer knows, or holds out in valid or test, are left out.
    """
    known = sorted(path.stem for path in _folder(home, dataset.name).glob("*.json"))
    if not known:
        hint = f"Find some: python -m core candidates --dataset {dataset.name}."
        raise NotFoundError(f"Dataset {dataset.name!r} has no candidates yet.", hint)
    if identifier is not None and identifier not in known:
        raise NotFoundError(f"Dataset {dataset.name!r} has no candidates {identifier!r}.", f"There are: {', '.join(known)}.")
    chosen = _folder(home, dataset.name) / (identifier or known[-1])
    rows = pd.read_parquet(chosen.with_suffix(".parquet"))
    user, item = labels.positions(dataset, rows)
    codes = np.where((user >= 0) & (item >= 0), user.astype(np.int64) * dataset.n_items + item, -1)
    user, item = user.astype(np.int32), item.astype(np.int32)
    numbers, signals = (
        {name: rows[prefix + name].to_numpy(np.float32) for name in names if prefix + name in rows}
        for prefix, names in (("", NUMBERS), (SIGNAL, doubts.SIGNALS))
    )
    numbers.setdefault("doubt", np.full(len(rows), np.nan, np.float32))  # files from before there was one
    observed = labels.among(codes, dataset.train, dataset.n_items)
    found = Candidates(user, item, observed, **numbers, signals=Signals(user, item, **signals) if signals else None)
    return found.where((codes >= 0) & ~labels.held_out(dataset, codes)), read_json(chosen.with_suffix(".json"))


def _folder(home: Home, dataset_name: str) -> Path:
    return home.path / "candidates" / dataset_name


def _shares(n_positives: int, n_negatives: int, settings: CandidateSettings) -> tuple[int, int]:
    """How many of each kind the budget takes."""
    wanted = round(settings.budget * settings.positive_share)
    positives = min(n_positives, max(wanted, settings.budget - n_negatives))
    return positives, min(n_negatives, settings.budget - positives)


def _low_positives(train: Interactions, embeddings: Embeddings, doubt: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Places in train and scores of each user's lowest-scored positives, most doubtful first."""
    scores = pair_scores(embeddings, train.user, train.item)
    rank, size = _rank_within(train.user, scores)
    kept = np.flatnonzero(rank < np.floor(share * size + 1e-9))
    kept = kept[np.lexsort((train.item[kept], train.user[kept], -doubt[kept]))]
    return kept, scores[kept]


def _high_negatives(dataset: Dataset, embeddings: Embeddings, top_k: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """(user, item) and scores of each user's best-scored unobserved items, most doubtful first."""
    k = min(top_k, dataset.n_items)
    known = [part for part in (dataset.train, dataset.valid, dataset.test, dataset.disliked) if part is not None]
    seen = np.unique(np.concatenate([part.codes(dataset.n_items) for part in known]))
    users = np.flatnonzero(np.bincount(dataset.train.user, minlength=dataset.n_users)) if k else np.zeros(0, np.int64)
    parts = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0))]
    block = max(1, BLOCK_SCORES // max(dataset.n_items, 1))
    for start in range(0, len(users), block):
        parts.append(_top_of_block(users[start : start + block], dataset.train, embeddings, seen, k))
    user, item, score, doubt = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((item, user, -score, -doubt))
    return (user[order], item[order]), score[order]


def _top_of_block(
    users: np.ndarray, train: Interactions, embeddings: Embeddings, seen: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """user, item, score, doubt (m,) of the k best unseen items of each of `users` (consecutive, ascending)."""
    n_items = len(embeddings.item)
    scores = embeddings.user[users] @ embeddings.item.T
    own = np.flatnonzero(np.isin(train.user, users))
    own_scores = np.full((len(users), np.bincount(train.user[own]).max()), np.inf, np.float32)
    rank, _ = _rank_within(train.user[own], np.zeros(len(own)))
    row = np.searchsorted(users, train.user[own])
    own_scores[row, rank] = scores[row, train.item[own]]
    first, last = np.searchsorted(seen, [users[0] * np.int64(n_items), (users[-1] + 1) * np.int64(n_items)])
    known = seen[first:last]
    known = known[np.isin(known // n_items, users)]
    scores[np.searchsorted(users, known // n_items), known % n_items] = -np.inf
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    best_scores = np.take_along_axis(scores, best, axis=1)
    doubt = (own_scores[:, None, :] < best_scores[:, :, None]).sum(axis=2) / np.isfinite(own_scores).sum(axis=1)[:, None]
    there = np.isfinite(best_scores)
    user = np.broadcast_to(users[:, None], best.shape)[there]
    return user.astype(np.int32), best[there].astype(np.int32), best_scores[there].astype(np.float32), doubt[there]


def pair_scores(embeddings: Embeddings, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """embeddings.score for any number of pairs (n,), float32, in blocks that keep memory small."""
    scores = np.empty(len(user), np.float32)
    block = max(1, BLOCK_SCORES // max(embeddings.user.shape[1], 1))
    for start in range(0, len(user), block):
        part = slice(start, start + block)
        scores[part] = embeddings.score(user[part], item[part])
    return scores


def _rank_within(group: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank (n,) of each value in its group, 0 for the lowest, and the group's size (n,)."""
    order = np.lexsort((values, group))
    sizes = np.bincount(group)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - starts[group[order]]
    return rank, sizes[group]


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The values of the pairs in the mask (n,) at their places among all, NaN at the others: float32 (n,)."""
    spread = np.full(len(mask), np.nan, np.float32)
    spread[mask] = values
    return spread


def _doubted(found: Candidates) -> np.ndarray:
    """Which candidates are clicks with a doubt: bool (n,)."""
    return found.observed & ~np.isnan(found.doubt)
