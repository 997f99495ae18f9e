"""One doubt per training click from signals that cost next to nothing, and what it is worth once people have answered.

No signal sees the truth, a judge or a label. Each stays visible beside the doubt, for a person who asks why.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from core import dynamics, references, semantic
from core.records import Edges, Interactions, Signals
from core.settings import ReferenceSettings

LOSSES = {"early": "early", "averaged": "mean", "final": "last"}
"""Signals that a run has recorded, and which of its statistics (dynamics.STATISTICS) they are."""

SIGNALS = {
    "early": "loss early in training",
    "averaged": "loss averaged over training",
    "final": "loss in the last epoch",
    "rank": "ranked low by the user's other clicks",
    "support": "little support by the user's other clicks",
    "rarity": "an item with few clicks",
    "taste": "a user of unusual taste",
    "readers": "an item for users of unusual taste",
    "text": "a text unlike those of the user's other items",
    "aligned": "an aligned text unlike those of the user's other items",
}
"""Every signal, in words that say what a high value means."""

DEFAULT = ("rank", "support", "taste", "readers", "aligned")
"""The signals that `doubt` combines when nobody says otherwise; its docstring says how they were chosen."""

LABELS_AT_LEAST = 30
"""Answers of each kind, noisy and not, below which a probability would be made up."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """What people's answers make of a doubt."""

    probability: np.ndarray | None  # float32 (n,) that a click is noisy; None below LABELS_AT_LEAST answers of a kind
    auc: float | None  # cross-validated: the chance that a click answered noisy gets more than one answered otherwise
    reason: str  # why there is none, or what it stands on: a sentence for people


def signals(
    train: Interactions,
    n_users: int,
    n_items: int,
    losses: dict[str, np.ndarray] | None = None,
    vectors: np.ndarray | None = None,
    aligned: np.ndarray | None = None,
) -> Signals:
    """Every signal of every click in train (n,).

    losses: as RunFolder.losses() gives them; vectors: item texts (n_items, dim) as semantic.encode_items gives them;
    aligned: alignment.Aligned.observed (n,). Whatever is None is no signal. Above references.ITEMS_AT_MOST items there is
    no EASE, and so neither `rank` nor `support`; texts that say nothing are no signal either. 100 000 clicks on 1 700
    items take two seconds, 120 000 on 9 300 take 22: the closed form.
    """
    clicks = np.log(np.bincount(train.item, minlength=n_items).clip(1))
    taste = -_mean_by(train.user, clicks[train.item], n_users)
    columns = {
        "rarity": -clicks[train.item],
        "taste": taste[train.user],
        "readers": _mean_by(train.item, taste[train.user], n_items)[train.item],
    }
    if losses is not None:
        kept = {name: statistic for name, statistic in LOSSES.items() if statistic in losses}
        columns |= {name: dynamics.loss_of(train, losses, n_items, statistic) for name, statistic in kept.items()}
    if n_items <= references.ITEMS_AT_MOST:
        edges = Edges(train.user, train.item, np.ones(len(train), np.float32))
        model = references.ease(edges, n_users, n_items, ReferenceSettings())
        columns |= {"rank": 1 - model.ranks(train.user, train.item), "support": -model.score(train.user, train.item)}
    if vectors is not None and vectors.any():
        columns["text"] = _unlike(semantic.text_relevance(vectors, train, train.user, train.item))
    if aligned is not None and aligned.any():
        columns["aligned"] = _unlike(aligned)
    return Signals(train.user, train.item, **{name: column.astype(np.float32) for name, column in columns.items()})


def doubt(of: Signals, names: tuple[str, ...] = DEFAULT) -> np.ndarray:
    """How doubtful each click is among all: float32 (n,) in (0, 1), the rank of the mean of its signals' ranks.

    A signal that is not there is left out, one that says nothing about a click counts as the middle. Nothing is learned
    from labels, but DEFAULT was chosen by these measurements: AUC (inside the fifth with the highest final loss of a plain
    LightGCN) for the noise, three seeds each. "Dislikes" are the ratings 1-2 of MovieLens-100K as clicks among those of 4-5,
    "random" 20 % uniformly random clicks there, "demo" the demo's popular misclicks. The choice was made on the same data.

    |                                     | dislikes                | random          | demo            |
    |---|---|---|---|
    | DEFAULT                             | .672-.679 (.654-.661)   | .88 (.83)       | .62-.64         |
    | DEFAULT without texts               | .675 (.66)              | .86-.87 (.82)   | .50-.52         |
    | DEFAULT and the averaged loss       | .661-.667 (.65-.66)     | .89 (.85)       | .66-.68         |
    | rarity, rank and taste              | .668 (.65)              | .83 (.76)       | .44-.45         |
    | averaged / early / final loss alone | .59-.60 / .59 / .52-.53 | .87 / .80 / .60 | .74 / .42 / .66 |
    | raw / aligned text alone            | .51 / .57-.60           | .73 / .60-.65   | .89 / .85       |

    Rarity is left out: dislikes are of rare items, the demo's misclicks of popular ones (.30), and `readers` tells the former
    better. The averaged loss is the best where noise is random or popular, and costs most on dislikes. Raw text is left out:
    people dislike films of their own genres. Without texts, misclicks on popular items are not told from other clicks.
    """
    present = of.named()
    ranks = [_ranks(present[name]) for name in names if name in present]
    return _ranks(np.mean(ranks, axis=0)) if ranks else np.full(len(of), 0.5, np.float32)


def calibrate(doubt: np.ndarray, decided: np.ndarray, noisy: np.ndarray) -> Calibration:
    """The chance that each click is noisy, by what people have answered: a logistic regression on the doubt's logit.

    doubt: (n,) in [0, 1]; decided: bool (n,), a person said yes or no; noisy: bool (n,), they said no, read where decided.
    Nothing is balanced, so the chances are as frequent as noise is among the answers: who was shown doubtful clicks only
    gets the chances of such clicks. The AUC is the mean over FOLDS parts, each predicted by the others.
    """
    from sklearn.linear_model import LogisticRegression  # takes a second to import, and few callers have the labels
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    answered = noisy[decided]
    counts = {"noisy": int(answered.sum()), "relevant": int((~answered).sum())}
    kind = min(counts, key=counts.get)
    if counts[kind] < LABELS_AT_LEAST:
        return Calibration(None, None, f"not enough labels yet: {counts[kind]} of {LABELS_AT_LEAST} {kind} clicks")
    feature = logit(np.clip(doubt.astype(np.float64), 1e-6, 1 - 1e-6))[:, None]
    model, parts = LogisticRegression(), StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    auc = cross_val_score(model, feature[decided], answered, cv=parts, scoring="roc_auc").mean()
    model.fit(feature[decided], answered)
    reason = f"learned from {counts['noisy']} noisy and {counts['relevant']} relevant clicks"
    return Calibration(model.predict_proba(feature)[:, 1].astype(np.float32), float(auc), reason)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in (0, 1), the middle of its ties for each; .5 where there is no value: float32 (n,)."""
    ranks = pd.Series(values).rank()
    return ((ranks - 0.5) / max(ranks.count(), 1)).fillna(0.5).to_numpy(np.float32)


def _mean_by(group: np.ndarray, values: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean of the values (n,) in each group: (n_groups,), 0 for an empty one."""
    return np.bincount(group, values, minlength=n_groups) / np.bincount(group, minlength=n_groups).clip(1)


def _unlike(relevance: np.ndarray) -> np.ndarray:
    """Minus the relevance; NaN where it is exactly 0, which is how text relevance says that nothing is known."""
    return np.where(relevance == 0, np.nan, -relevance)
