"""Which pairs a person should look at next: orders, what they are learned from, and what has become of one's decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import browse, dynamics, labels
from core.labels import PAIR
from core.records import Candidates, Dataset, Decision, Interactions, Pairs, Rating, Signals

SECOND_LOOK, SETTLED = "second-look", "settled"
"""Reason codes: of the "unsure" of a flagged pair, and of the decision that settles what others differ about."""
CUT = 0.8
"""The share of clicks that a loss-based denoiser is taken to keep: it would drop the fifth with the highest loss."""
LEAST = 10
"""Decisions of each kind, relevant and not, below which nothing is learned from them."""
FOLDS = 5
PAUSE_S = 15 * 60
"""A longer pause ends a sitting [s]."""
LEVELS = {Rating.LOW.value: 0.0, Rating.MID.value: 0.5, Rating.HIGH.value: 1.0}


@dataclass(frozen=True)
class Order:
    """One way through the pairs. `tells` means that its order gives the judge's answers away, so it is no order for blind."""

    title: str
    about: str
    tells: bool = False


ORDERS = {
    "doubtful": Order("Most doubtful", "Clicks by the doubt of the newest candidates, then what was not clicked."),
    "disagree": Order("Views disagree", "Pairs that the judge rates differently in its two views, the widest apart first.", True),
    "contradict": Order(
        "Judge against loss",
        "Clicks that the judge calls relevant and the model learns last, or calls not relevant and the model learns with ease.",
        True,
    ),
    "threshold": Order(
        "Near the threshold", "Clicks whose averaged loss is nearest to the line above which the highest fifth would be dropped."
    ),
    "sample": Order(
        "Audit sample",
        "The newest random sample, stratified and weighted: the only order whose answers say how often the judge is right.",
    ),
    "influence": Order(
        "Most influence",
        "Pairs whose edge weighs most in the graph, 1 / sqrt(clicks of the user × clicks of the item). It stands for how far the "
        "vectors would move, which only a training could tell.",
    ),
    "learned": Order(
        "Learned from your decisions",
        "Pairs that your next answer would most likely change, by a logistic regression on the visible signals and ratings. "
        "It is fitted anew with every decision; in blind mode it sees no rating.",
    ),
    "flagged": Order("Flagged", "Pairs that somebody wants to have looked at again."),
    "sent": Order("Sent here", "Pairs that you sent here from a list or a map, in the order they had there."),
    "differ": Order("People differ", "Pairs with different answers by people; who is none of them can settle it."),
}


@dataclass(frozen=True, eq=False)
class Reviewable(Pairs):
    """Everything visible about the pairs that can be reviewed, by pair code; NaN where nothing is known."""

    observed: np.ndarray  # bool (n,)
    doubt: np.ndarray  # float32 (n,) of the candidates, (0, 1)
    loss: np.ndarray  # float32 (n,) share [0, 1] of the clicks with a lower averaged loss
    user_view: np.ndarray  # float32 (n,) 0 Low, .5 Mid, 1 High
    item_view: np.ndarray  # float32 (n,)
    confidence: np.ndarray  # float32 (n,) the lowest that the judges gave, [0, 1]
    influence: np.ndarray  # float32 (n,)
    signals: Signals | None = None


@dataclass(frozen=True, eq=False)
class Learned:
    """What a person's decisions say about all other pairs."""

    probability: np.ndarray | None  # float32 (n,) that they would answer "relevant"; None below LEAST of a kind
    auc: float | None  # cross-validated: a pair answered relevant gets more than one answered otherwise
    reason: str  # what it stands on, or why there is none


def gather(
    dataset: Dataset, found: Candidates | None, judgments: pd.DataFrame, losses: dict[str, np.ndarray] | None
) -> Reviewable:
    """All candidates and all judged pairs that can have a label.

    judgments: as Store.judgments gives them; losses: as RunFolder.losses() gives them, or None.
    """
    n_items = max(dataset.n_items, 1)
    rated = browse.ratings(judgments)
    user, item = labels.positions(dataset, rated)
    rated_codes = np.where((user >= 0) & (item >= 0), user.astype(np.int64) * n_items + item, -1)
    rated_codes = np.where(labels.held_out(dataset, rated_codes), -1, rated_codes)
    candidate_codes = np.zeros(0, np.int64) if found is None else found.codes(n_items)
    codes = np.union1d(rated_codes[rated_codes >= 0], candidate_codes)
    user, item = (codes // n_items).astype(np.int32), (codes % n_items).astype(np.int32)
    observed = labels.among(codes, dataset.train, n_items)
    at = np.searchsorted(codes, candidate_codes)
    of_judge = np.flatnonzero(rated_codes >= 0), np.searchsorted(codes, rated_codes[rated_codes >= 0])
    least = judgments.groupby(PAIR)["confidence"].min() if len(judgments) else pd.Series(dtype=float)
    confidence = pd.to_numeric(rated[PAIR].join(least.rename("confidence"), on=PAIR)["confidence"]) if len(rated) else []
    signals = None
    if found is not None and found.signals is not None:
        spread = {name: _spread(len(codes), at, column) for name, column in found.signals.named().items()}
        signals = Signals(user, item, **spread)
    return Reviewable(
        user,
        item,
        observed,
        doubt=_spread(len(codes), at, np.zeros(0) if found is None else found.doubt),
        loss=dynamics.loss_share(Interactions(user, item), losses, dataset.n_items),
        user_view=_rating(len(codes), *of_judge, rated["user view"]),
        item_view=_rating(len(codes), *of_judge, rated["item view"]),
        confidence=_spread(len(codes), of_judge[1], np.asarray(confidence, float)[of_judge[0]]),
        influence=_influence(dataset, user, item, observed),
        signals=signals,
    )


def ordered(pile: Reviewable, name: str) -> np.ndarray:
    """Places int64 (m,) in the pile of those that an order is about, first first. The order is one that the pile alone tells:
    doubtful, disagree, contradict, threshold or influence."""
    apart = np.abs(pile.user_view - pile.item_view)
    gap = _contradiction(pile)
    value = {
        "doubtful": np.nan_to_num(pile.doubt, nan=-1),
        "disagree": np.where(apart > 0, apart, np.nan),
        "contradict": np.where(gap > 0.5, gap, np.nan),
        "threshold": -np.abs(pile.loss - CUT),
        "influence": pile.influence,
    }[name]
    return _descending(value, np.nan_to_num(pile.doubt))


def relevant(pile: Reviewable) -> np.ndarray:
    """What the judge says: 1 relevant (both views High), 0 not relevant, NaN where a view is missing: float (n,)."""
    judged = ~np.isnan(pile.user_view + pile.item_view)
    return np.where(judged, (pile.user_view == 1) & (pile.item_view == 1), np.nan)


def learn(pile: Reviewable, place: np.ndarray, answer: np.ndarray, *, ratings: bool) -> Learned:
    """Learn from decisions: places (m,) in the pile, and whether each was answered relevant, bool (m,)."""
    from sklearn.impute import SimpleImputer  # takes a second to import
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    counts = {"relevant": int(answer.sum()), "not relevant": int((~answer).sum())}
    rarer = min(counts, key=counts.get)
    if counts[rarer] < LEAST:
        return Learned(None, None, f"not enough labels yet ({counts[rarer]} of {LEAST} {rarer})")
    features = _features(pile, ratings)
    features = features[:, ~np.isnan(features[place]).all(axis=0)]
    model = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression(max_iter=500))
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    auc = cross_val_score(model, features[place], answer, cv=parts, scoring="roc_auc").mean()
    model.fit(features[place], answer)
    told = f"{counts['relevant']} relevant and {counts['not relevant']} not relevant"
    return Learned(model.predict_proba(features)[:, 1].astype(np.float32), float(auc), f"learned from {told}")


def by_change(pile: Reviewable, probability: np.ndarray, *, ratings: bool) -> np.ndarray:
    """All places, those first whose answer would most likely differ from what stands: the judge's, else that clicks are kept."""
    stands = pile.observed.astype(float)
    if ratings:
        judged = relevant(pile)
        stands = np.where(np.isnan(judged), stands, judged)
    return _descending(np.abs(stands - probability), np.nan_to_num(pile.doubt))


# --- what people have said --------------------------------------------------------------------------------------------


def flagged(standing: pd.DataFrame) -> pd.DataFrame:
    """The rows of Store.standing that flag their pair, where nobody has decided since."""
    newest = standing.drop_duplicates(PAIR, keep="last")
    return newest[newest["reason"] == SECOND_LOOK]


def differing(standing: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each pair that people differ about (Store.standing) and that nobody has settled since."""
    newest = standing.drop_duplicates(PAIR, keep="last")
    return newest[newest["conflict"] & (newest["reason"] != SETTLED)]


@dataclass(frozen=True)
class Action:
    """Decisions that were taken, and are taken back, together."""

    batch: str
    pairs: tuple[tuple[str, str], ...]  # raw ids
    relevant: str
    note: str
    reason: str  # code


def stacks(rows: Sequence[Decision]) -> tuple[list[Action], list[Action]]:
    """What one annotator can undo and redo, the next one last, from the newest rows of theirs (oldest first)."""
    by_id = {row.id: row for row in rows}
    undo: dict[str, list[Decision]] = {}
    redo: dict[str, list[Decision]] = {}
    for row in rows:
        if row.relevant is not None:
            undo.setdefault(row.batch, []).append(row)
            redo.clear()
            continue
        target = by_id.get(row.undoes or 0)
        if target is None:
            continue
        origin = target if target.relevant is not None else by_id.get(target.undoes or 0)
        if origin is None:
            continue
        source, goal = (undo, redo) if target is origin else (redo, undo)
        if moved := source.pop(origin.batch, None):
            goal[origin.batch] = moved
    return [_action(group) for group in undo.values()], [_action(group) for group in redo.values()]


def _action(rows: list[Decision]) -> Action:
    """From its rows, which differ in their pairs alone."""
    first = rows[0]
    return Action(first.batch, tuple((row.user_id, row.item_id) for row in rows), first.relevant, first.note, first.reason)


def pace(at: np.ndarray, now: float) -> float | None:
    """Decisions per hour in the present sitting, from their times [Unix s], ascending (n,); None while there are under five."""
    if not len(at) or now - at[-1] > PAUSE_S:
        return None
    pauses = np.flatnonzero(np.diff(at) > PAUSE_S)
    sitting = at[pauses[-1] + 1 :] if len(pauses) else at
    span = sitting[-1] - sitting[0]
    return (len(sitting) - 1) / span * 3600 if len(sitting) >= 5 and span > 0 else None


# --- numbers ----------------------------------------------------------------------------------------------------------


def _descending(value: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Places of the values that are there, the highest first; of equal ones the higher of `then`, then as they come."""
    order = np.lexsort((np.arange(len(value)), -then, -value))
    return order[~np.isnan(value[order])]


def _contradiction(pile: Reviewable) -> np.ndarray:
    """How far judge and loss contradict each other, [0, 1]; .5 and less is no contradiction."""
    judged = relevant(pile)
    return np.where(judged == 1, pile.loss, np.where(judged == 0, 1 - pile.loss, np.nan))


def _features(pile: Reviewable, ratings: bool) -> np.ndarray:
    signals = [] if pile.signals is None else list(pile.signals.named().values())
    columns = [pile.observed, pile.doubt, pile.loss, pile.influence, *signals]
    if ratings:
        columns += [pile.user_view, pile.item_view, pile.confidence]
    return np.column_stack([np.asarray(column, float) for column in columns])


def _spread(n: int, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    spread = np.full(n, np.nan, np.float32)
    spread[at] = values
    return spread


def _rating(n: int, rows: np.ndarray, at: np.ndarray, words: pd.Series) -> np.ndarray:
    return _spread(n, at, words.map(LEVELS).to_numpy(float)[rows])


def _influence(dataset: Dataset, user: np.ndarray, item: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The weight of the pair's edge in LightGCN's graph, or that which it would have."""
    of_user = np.bincount(dataset.train.user, minlength=dataset.n_users)[user] + ~observed
    of_item = np.bincount(dataset.train.item, minlength=dataset.n_items)[item] + ~observed
    return (1 / np.sqrt(of_user * of_item)).astype(np.float32)
