"""From answers to labels: the one place that says who beats whom and what an answer means for a pair.

A judge or a person only answers "is this item relevant to this user?". What that makes of the pair follows from
whether it was observed (`label_of`); a human beats a language model, which beats the built-in rater, which beats a simulation
(`resolve`).
"""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.records import VIEWS, Dataset, Interactions, Label, LabelSet, Rating, Source

log = logging.getLogger(__name__)

LABELS_BY_WORD = {label.word: label for label in Label}
SOURCES_BY_WORD = {source.name.lower(): source for source in Source}
PAIR = ["user_id", "item_id"]
UNKNOWN, HELD_OUT = -1, -2
RATER = ["judge", "model", "digest", "prompt_version"]
SIMULATED = "simulated"
"""The judge whose answers are those of a simulation."""


@dataclass(frozen=True)
class LeftOut:
    """Pairs that labels were asked for and that get none."""

    unknown: int = 0  # the user or the item is not in the dataset
    held_out: int = 0  # observed in valid or test


def label_of(relevant: bool, observed: bool) -> Label:
    """What an answer makes of a pair."""
    if observed:
        return Label.HARD_POSITIVE if relevant else Label.NOISY_POSITIVE
    return Label.MISSED_POSITIVE if relevant else Label.HARD_NEGATIVE


def labels_of(relevant: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """`label_of` for arrays (n,): int8 (n,)."""
    table = np.array([[label_of(bool(r), bool(o)) for o in (0, 1)] for r in (0, 1)], dtype=np.int8)
    return table[relevant.astype(int), observed.astype(int)]


def resolve(dataset: Dataset, judgments: pd.DataFrame, decisions: pd.DataFrame) -> LabelSet:
    """The label of every examined pair, ordered by user and item.

    judgments: rows as Store.judgments gives them (a rating that is no Rating counts as missing).
    decisions: rows as Store.standing gives them, oldest first.

    - A person's newest decision wins over everything; "unsure" keeps the pair as it is, whatever a judge said.
    - A rater's two views of one questioning (`asked_at`) make one opinion: both High is relevant, anything else is not.
      A missing view is no opinion: the pair is UNJUDGED unless another opinion is complete. Views of different raters, or
      of questionings with different texts, are never combined.
    - Of several opinions an LLM's beats the built-in rater's, and that one a simulated judge's; then the newest one counts.
    - Pairs observed in valid or test get no label, whoever asked: an edge or a hard negative made from them would carry
      the answer of the evaluation into the training. Pairs with unknown ids get none either. Both are counted by
      `left_out` and logged.
    """
    return decided(dataset, judged(dataset, judgments), decisions)


def judged(dataset: Dataset, judgments: pd.DataFrame) -> LabelSet:
    """The labels by judges alone, as in `resolve`: what stays when only a decision is new."""
    codes, relevant, source = _opinions(judgments, _told(dataset, judgments))
    return _labelled(dataset, codes, relevant, source, np.zeros(len(codes), bool))


def decided(dataset: Dataset, found: LabelSet, decisions: pd.DataFrame) -> LabelSet:
    """The labels by judges, with what people say on top, as in `resolve`."""
    n_items = max(dataset.n_items, 1)
    places, answers = _newest(_told(dataset, decisions), decisions["relevant"].to_numpy(dtype=object))
    known = found.codes(n_items)
    codes = np.union1d(known, places)
    relevant, source = np.zeros(len(codes), bool), np.zeros(len(codes), np.int8)
    at = np.searchsorted(codes, known)
    relevant[at], source[at] = np.isin(found.label, (Label.HARD_POSITIVE, Label.MISSED_POSITIVE)), found.source
    at = np.searchsorted(codes, places)
    relevant[at], source[at] = answers == "yes", Source.HUMAN
    unsure = np.zeros(len(codes), bool)
    unsure[at] = answers == "unsure"
    return _labelled(dataset, codes, relevant, source, unsure)


def _told(dataset: Dataset, answers: pd.DataFrame) -> np.ndarray:
    """The codes of the pairs that answers are about (`_codes`); those that count for nothing are logged."""
    codes = _codes(dataset, answers)
    if (codes < 0).any():
        log.info(
            "%d answers are about unknown pairs, %d about held-out pairs", *((codes == one).sum() for one in (UNKNOWN, HELD_OUT))
        )
    return codes


def _labelled(dataset: Dataset, codes: np.ndarray, relevant: np.ndarray, source: np.ndarray, unsure: np.ndarray) -> LabelSet:
    """What the answers make of pairs, whose codes ascend."""
    n_items = max(dataset.n_items, 1)
    observed = among(codes, dataset.train, n_items)
    label = labels_of(relevant, observed)
    label[source == Source.NONE] = Label.UNJUDGED
    label[unsure] = Label.UNSURE
    return LabelSet((codes // n_items).astype(np.int32), (codes % n_items).astype(np.int32), observed, label, source)


def sources(judgments: pd.DataFrame) -> np.ndarray:
    """Who gave each judgment, by its `judge` and `is_llm`: int8 (n,) Source."""
    rater = np.where(judgments["is_llm"].fillna(False).astype(bool), Source.LLM, Source.BUILTIN)
    return np.where(judgments["judge"] == SIMULATED, Source.SIMULATED, rater).astype(np.int8)


def opinions(judgments: pd.DataFrame) -> pd.DataFrame:
    """One line per complete opinion, both views of one questioning by one rater: user_id, item_id, the columns of RATER,
    is_llm, "user view" and "item view" (Rating values), and the lower of the two confidences (NaN where one is missing)."""
    answered = judgments[judgments["rating"].isin([rating.value for rating in Rating])]
    keys = [*PAIR, *RATER, "is_llm", "asked_at"]
    views = [
        answered[answered["view"] == view].drop_duplicates(keys, keep="last")[[*keys, "rating", "confidence"]] for view in VIEWS
    ]
    both = views[0].merge(views[1], on=keys, suffixes=VIEWS)
    confidence = both[[f"confidence{view}" for view in VIEWS]].astype(float).min(axis=1, skipna=False)
    names = {f"rating{view}": f"{view} view" for view in VIEWS}
    columns = [*PAIR, *RATER, "is_llm", *names.values()]
    return both.rename(columns=names)[columns].assign(confidence=confidence)


def of_rater(rows: pd.DataFrame, rater: pd.Series) -> pd.Series:
    """Which rows are one rater's, who has the columns of RATER: bool (n,)."""
    return (rows[RATER] == rater[RATER]).all(axis=1)


def left_out(dataset: Dataset, pairs: pd.DataFrame) -> LeftOut:
    """How many distinct pairs (user_id, item_id) of the rows can have no label here."""
    codes = _codes(dataset, pairs[PAIR].drop_duplicates())
    return LeftOut(int((codes == UNKNOWN).sum()), int((codes == HELD_OUT).sum()))


def positions(dataset: Dataset, pairs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """User and item positions (n,) of raw ids; -1 where the dataset does not know the id."""
    found = (
        pd.Index(ids).get_indexer(pairs[name].to_numpy(dtype=object))
        for name, ids in (("user_id", dataset.user_ids), ("item_id", dataset.item_ids))
    )
    user, item = found
    return user, item


def known_pair(dataset: Dataset, user_id: str, item_id: str) -> tuple[int, int]:
    """Positions of one pair; NotFoundError when the dataset knows no such user or item."""
    user, item = positions(dataset, pd.DataFrame({"user_id": [user_id], "item_id": [item_id]}))
    for place, kind, name in ((user[0], "user", user_id), (item[0], "item", item_id)):
        if place < 0:
            raise NotFoundError(f"Dataset {dataset.name!r} has no {kind} {name!r}.", "Check the id; it is case-sensitive.")
    return int(user[0]), int(item[0])


def held_out(dataset: Dataset, codes: np.ndarray) -> np.ndarray:
    """Which pair codes (n,) are observed in valid or test and not in train."""
    n_items = max(dataset.n_items, 1)
    apart = among(codes, dataset.valid, n_items) | among(codes, dataset.test, n_items)
    return apart & ~among(codes, dataset.train, n_items)


def among(codes: np.ndarray, interactions: Interactions, n_items: int) -> np.ndarray:
    """Which pair codes (n,) are among the interactions. pandas hashes, which is ten times faster here than numpy's sort; and
    the fewer are hashed."""
    known = interactions.codes(n_items)
    if len(codes) < len(known):
        known = known[pd.Series(known).isin(codes).to_numpy(bool)]
    return pd.Series(codes).isin(known).to_numpy(bool)


def to_frame(dataset: Dataset, labels: LabelSet) -> pd.DataFrame:
    """Raw ids and words: what people read and what label versions keep."""
    return pd.DataFrame(
        {
            "user_id": dataset.user_ids[labels.user],
            "item_id": dataset.item_ids[labels.item],
            "observed": labels.observed,
            "label": np.array([label.word for label in Label], dtype=object)[labels.label],
            "source": np.array([source.name.lower() for source in Source], dtype=object)[labels.source],
        }
    )


def from_frame(dataset: Dataset, frame: pd.DataFrame) -> LabelSet:
    """Back from `to_frame`, for the dataset as it is now.

    A label's answer (relevant or not) is what was frozen; `observed` comes from the dataset, and the label follows from
    both. Unknown and held-out pairs are left out, as in `resolve`.
    """
    codes = _codes(dataset, frame)
    kept = codes >= 0
    order = np.flatnonzero(kept)[np.argsort(codes[kept], kind="stable")]
    codes, n_items = codes[order], max(dataset.n_items, 1)
    frozen = frame["label"].map(LABELS_BY_WORD).to_numpy(dtype=np.int8)[order]
    observed = among(codes, dataset.train, n_items)
    answered = labels_of(np.isin(frozen, (Label.HARD_POSITIVE, Label.MISSED_POSITIVE)), observed)
    label = np.where(np.isin(frozen, (Label.CLEAN, Label.UNJUDGED, Label.UNSURE)), frozen, answered).astype(np.int8)
    source = frame["source"].map(SOURCES_BY_WORD).to_numpy(dtype=np.int8)[order]
    return LabelSet((codes // n_items).astype(np.int32), (codes % n_items).astype(np.int32), observed, label, source)


def _codes(dataset: Dataset, pairs: pd.DataFrame) -> np.ndarray:
    """One int64 per row, user * n_items + item; UNKNOWN and HELD_OUT are negative."""
    user, item = positions(dataset, pairs)
    codes = np.where((user >= 0) & (item >= 0), user.astype(np.int64) * dataset.n_items + item, UNKNOWN)
    return np.where(held_out(dataset, codes), HELD_OUT, codes)


def _newest(codes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct codes >= 0, ascending, with the value of the last row of each."""
    kept = np.flatnonzero(codes >= 0)[::-1]
    unique, first = np.unique(codes[kept], return_index=True)
    return unique, values[kept[first]]


def _opinions(judgments: pd.DataFrame, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per judged pair its code, whether the best opinion says relevant, and that opinion's source (NONE: there is none)."""
    rows = judgments.assign(
        code=codes,
        answered=judgments["rating"].isin([rating.value for rating in Rating]),
        high=judgments["rating"] == Rating.HIGH.value,
        source=sources(judgments),
    )
    rows = rows[codes >= 0].sort_values("asked_at", kind="stable")
    rows["rater"] = rows.groupby(RATER, dropna=False, sort=False).ngroup()
    opinion = ["code", "rater", "asked_at"]
    rows = rows.drop_duplicates([*opinion, "view"], keep="last")
    opinions = rows.groupby(opinion, as_index=False, sort=False).agg(
        views=("answered", "sum"), high=("high", "sum"), source=("source", "last")
    )
    opinions["complete"] = opinions["views"] == 2
    best = opinions.sort_values(["code", "complete", "source", "asked_at"], kind="stable").drop_duplicates("code", keep="last")
    source = np.where(best["complete"], best["source"], Source.NONE).astype(np.int8)
    return best["code"].to_numpy(np.int64), (best["high"] == 2).to_numpy(bool), source
