"""What the recorded losses say: their distribution by label, what a threshold would drop, and how well that fits the truth.

All functions are pure and take plain arrays; `loss` is one value per training interaction, `group` its `Label` code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from core.records import Embeddings, Interactions, Label, Pairs
from core.rng import stream

STATISTICS = {
    "mean": "averaged over training",
    "early": "early in training",
    "last": "in the last epoch",
    "variance": "variance over training",
}
"""What a run records of every interaction's loss, in words."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts per group over shared bins."""

    edges: np.ndarray  # float64 (bins + 1,)
    counts: dict[int, np.ndarray]  # {Label code: int64 (bins,)}


@dataclass(frozen=True)
class Share:
    """A proportion `value` = hits / n with its 95 % Wilson interval; NaN without observations."""

    hits: int
    n: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Drop:
    """What dropping every interaction whose loss is above `threshold` would do."""

    threshold: float
    n: int  # interactions looked at
    dropped: int
    by_group: dict[int, int]  # dropped, by Label code
    precision: Share | None  # of the dropped, the noisy ones; None without known noise
    recall: Share | None  # of the noisy ones, the dropped
    f1: float | None


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of "noisy if the loss is above a threshold", for falling thresholds."""

    threshold: np.ndarray  # float64 (points,)
    precision: np.ndarray  # float64 (points,)
    recall: np.ndarray  # float64 (points,)
    average_precision: float
    base_rate: float  # share of noisy ones: the precision of a coin


@dataclass(frozen=True, eq=False)
class Band:
    """The middle of a group's losses at every epoch."""

    epoch: np.ndarray  # int64 (epochs,), from 1
    low: np.ndarray  # float32 (epochs,) first quartile
    median: np.ndarray  # float32 (epochs,)
    high: np.ndarray  # float32 (epochs,) third quartile
    n: int  # interactions in it


def place_of(pairs: Interactions, user: np.ndarray, item: np.ndarray, n_items: int) -> np.ndarray:
    """Where each of `pairs` (n,) stands among the pairs (user, item) (m,), which differ: int64 (n,), -1 where it does not."""
    if np.array_equal(pairs.user, user) and np.array_equal(pairs.item, item):  # as a training's losses and its clicks are
        return np.arange(len(pairs))
    known, wanted = user.astype(np.int64) * n_items + item, pairs.codes(n_items)
    if len(known) < len(wanted):  # the fewer are hashed, and what is not among both is neither sorted nor looked for
        asked = np.flatnonzero(_among(wanted, known))
        there = np.flatnonzero(_among(known, wanted[asked]))
    else:
        there = np.flatnonzero(_among(known, wanted))
        asked = np.flatnonzero(_among(wanted, known[there]))
    there = there[np.argsort(known[there], kind="stable")]
    found = np.full(len(pairs), -1)
    if len(there):
        found[asked] = there[np.searchsorted(known[there], wanted[asked])]
    return found


def _among(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of `codes` (n,) are among `others`: bool (n,). pandas hashes, where numpy sorts."""
    return pd.Series(codes).isin(others).to_numpy(bool)


def codes_of(pairs: Interactions, user: np.ndarray, item: np.ndarray, label: np.ndarray, n_items: int) -> np.ndarray:
    """The label of each of `pairs` (n,), looked up among labelled pairs (m,); int8 (n,), CLEAN where none is known."""
    place = place_of(pairs, user, item, n_items)
    found = np.full(len(pairs), Label.CLEAN, np.int8)
    found[place >= 0] = label[place[place >= 0]]
    return found


def loss_of(pairs: Interactions, losses: dict[str, np.ndarray], n_items: int, statistic: str = "mean") -> np.ndarray:
    """The recorded loss of each of `pairs` (n,), from what a run folder gives: float32 (n,), NaN where none was recorded."""
    place = place_of(pairs, losses["user"], losses["item"], n_items)
    found = np.full(len(pairs), np.nan, np.float32)
    found[place >= 0] = losses[statistic][place[place >= 0]]
    return found


def loss_share(pairs: Interactions, losses: dict[str, np.ndarray] | None, n_items: int) -> np.ndarray:
    """Which share [0, 1] of the clicks has a lower averaged loss than each of `pairs`: float32 (n,), NaN where none is known."""
    if losses is None or not len(losses["mean"]):
        return np.full(len(pairs), np.nan, np.float32)
    own = loss_of(pairs, losses, n_items)
    share = np.searchsorted(np.sort(losses["mean"]), own) / len(losses["mean"])
    return np.where(np.isnan(own), np.nan, share).astype(np.float32)


def thirds(value: np.ndarray) -> np.ndarray:
    """Which third of the values each one (n,) is in, 0 the lowest: int8 (n,). Equal values are in one third."""
    cuts = np.quantile(value, [1 / 3, 2 / 3]) if len(value) else []
    return np.searchsorted(cuts, value, side="left").astype(np.int8)


def histogram(loss: np.ndarray, group: np.ndarray, bins: int = 60, *, log: bool = False) -> Histogram:
    """Counts of every group that occurs, over `bins` bins from the smallest to the largest loss: equal ones, or with equal
    logarithms, from the smallest loss above 0; what is not above it is counted in the first."""
    if log:
        positive = loss[loss > 0]
        low, high = (float(positive.min()), float(positive.max())) if len(positive) else (0.1, 1.0)
        edges = np.geomspace(low, high if high > low else 10 * low, bins + 1)
        loss = np.clip(loss.astype(np.float64), edges[0], edges[-1])  # geomspace rounds its ends
    else:
        low, high = (float(loss.min()), float(loss.max())) if len(loss) else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    return Histogram(edges, {code: np.histogram(loss[group == code], edges)[0] for code in groups(group)})


def ecdf(loss: np.ndarray, group: np.ndarray, points: int = 400) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """{group: (loss, share of the group at or below it)}, at most `points` points each, ends included."""
    curves = {}
    for code in groups(group):
        ordered = np.sort(loss[group == code])
        rank = np.unique(np.linspace(0, len(ordered) - 1, min(points, len(ordered))).astype(np.int64))
        curves[code] = (ordered[rank], (rank + 1) / len(ordered))
    return curves


def density(
    loss: np.ndarray, group: np.ndarray, points: int = 300, *, log: bool = False
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """{group: (loss, density)}: a Gaussian kernel of Silverman's width, laid over counts in narrow bins.

    With `log` the kernel is laid over log10(loss), and the density is per factor of ten.
    """
    counted = histogram(loss, group, points, log=log)
    edges = np.log10(counted.edges) if log else counted.edges
    width, middle = edges[1] - edges[0], (edges[:-1] + edges[1:]) / 2
    curves = {}
    for code, counts in counted.counts.items():
        rows = loss[group == code].astype(np.float64)
        rows = np.log10(np.maximum(rows, counted.edges[0])) if log else rows
        low, high = np.quantile(rows, (0.25, 0.75))
        spread = min(rows.std(), (high - low) / 1.34) or rows.std()
        bandwidth = max(0.9 * spread * len(rows) ** -0.2 / width, 0.5)  # in bins
        height = gaussian_filter1d(counts / (len(rows) * width), bandwidth, mode="constant")
        curves[code] = (10**middle if log else middle, height)
    return curves


def groups(group: np.ndarray) -> list[int]:
    """The label codes that occur, ascending."""
    return [int(code) for code in np.unique(group)]


def drop_above(loss: np.ndarray, group: np.ndarray, threshold: float, noisy: np.ndarray | None = None) -> Drop:
    """What goes when everything above `threshold` is dropped; with the known noise (bool (n,)), how right that would be."""
    above = loss.astype(np.float64) > threshold
    by_group = {code: int((above & (group == code)).sum()) for code in groups(group)}
    precision = recall = f1 = None
    if noisy is not None:
        hits = int((above & noisy).sum())
        precision, recall = share(hits, int(above.sum())), share(hits, int(noisy.sum()))
        f1 = 2 * hits / max(int(above.sum()) + int(noisy.sum()), 1)
    return Drop(float(threshold), len(loss), int(above.sum()), by_group, precision, recall, f1)


def composition(group: np.ndarray, chosen: np.ndarray) -> pd.DataFrame:
    """What the chosen rows (bool (n,)) are beside all: group, n, share of the chosen, "of all", and lift, their ratio.

    "low" and "high" are the 95 % interval of the lift, by Wilson's of the share; NaN when nothing is chosen.
    """
    codes, of_all = np.unique(group, return_counts=True)
    n = np.array([(group[chosen] == code).sum() for code in codes], np.int64)
    table = pd.DataFrame({"group": codes, "n": n, "share": n / max(n.sum(), 1), "of all": of_all / max(len(group), 1)})
    reach = [share(hits, int(n.sum())) for hits in n.tolist()]
    low, high = (np.array([getattr(one, end) for one in reach], float) / table["of all"] for end in ("low", "high"))
    return table.assign(lift=table["share"] / table["of all"], low=low, high=high)


def share(hits: int, n: int) -> Share:
    """hits / n with its 95 % Wilson interval."""
    if not n:
        return Share(hits, n, np.nan, np.nan, np.nan)
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return Share(hits, n, hits / n, float(interval.low), float(interval.high))


def changes(group: np.ndarray, above: np.ndarray) -> tuple[int, int]:
    """Labels (n,) that would change if what is `above` (bool (n,)) were noisy and nothing else: (become noisy, stop being so)."""
    noisy = group == Label.NOISY_POSITIVE
    return int((above & ~noisy).sum()), int((noisy & ~above).sum())


def thrown_away(scores: dict[str, np.ndarray], k: int, hard: np.ndarray, noisy: np.ndarray) -> list[dict[str, Any]]:
    """What goes when the k > 0 rows with the highest score are dropped; by score: {by, dropped, hard, noisy} and how many
    there are, "all hard" and "all noisy". Scores have no NaN; `hard` and `noisy` are bool (n,)."""
    rows = []
    for by, score in scores.items():
        gone = np.argpartition(score, len(score) - k)[len(score) - k :]
        row = {"by": by, "dropped": k, "hard": int(hard[gone].sum()), "noisy": int(noisy[gone].sum())}
        rows.append(row | {"all hard": int(hard.sum()), "all noisy": int(noisy.sum())})
    return rows


def learnt(losses: dict[str, np.ndarray]) -> np.ndarray:
    """How every click was learnt, float32 (n, 2): variability, the standard deviation of its loss over the epochs, and
    confidence, exp(-averaged loss) in (0, 1]. The axes of a data map (Swayamdipta et al., EMNLP 2020), told of losses."""
    return np.column_stack([np.sqrt(losses["variance"]), np.exp(-losses["mean"])])


def model_loss(vectors: Embeddings, pairs: Pairs, seed: int = 0, negatives: int = 16) -> np.ndarray:
    """BPR loss of pairs (n,) under finished vectors, against random items on average: float32 (n,).

    Unlike the recorded losses, unobserved pairs have one, too.
    """
    random, own = stream(seed, "model loss"), vectors.score(pairs.user, pairs.item)
    total = np.zeros(len(pairs), np.float64)
    for _ in range(negatives):
        total += np.logaddexp(0, vectors.score(pairs.user, random.integers(0, len(vectors.item), len(pairs))) - own)
    return (total / negatives).astype(np.float32)


def precision_recall(loss: np.ndarray, noisy: np.ndarray, points: int = 200) -> Curve | None:
    """The curve thinned to about `points` thresholds; None when all or none of the interactions are noisy."""
    if not 0 < noisy.sum() < len(noisy):
        return None
    precision, recall, threshold = precision_recall_curve(noisy, loss)
    rank = np.unique(np.linspace(0, len(threshold) - 1, min(points, len(threshold))).astype(np.int64))[::-1]
    average = float(average_precision_score(noisy, loss))
    return Curve(threshold[rank], precision[rank], recall[rank], average, float(noisy.mean()))


def separation(loss: np.ndarray, group: np.ndarray, high: Label, low: Label) -> float | None:
    """AUC: the chance that an interaction of group `high` has a greater loss than one of `low`; .5 is total confusion."""
    either = (group == high) | (group == low)
    truth = group[either] == high
    if not 0 < truth.sum() < len(truth):
        return None
    return float(roc_auc_score(truth, loss[either]))


def bands(trajectory: np.ndarray, group: np.ndarray) -> dict[int, Band]:
    """Quartiles of the loss at every epoch by group, from sampled trajectories (m, epochs) and their groups (m,)."""
    found = {}
    for code in groups(group):
        rows = trajectory[group == code].astype(np.float32)
        low, median, high = np.nanquantile(rows, (0.25, 0.5, 0.75), axis=0)
        found[code] = Band(np.arange(1, trajectory.shape[1] + 1), low, median, high, len(rows))
    return found


def best_told(trajectory: np.ndarray, group: np.ndarray, high: Label, low: Label) -> tuple[int, np.ndarray] | None:
    """The epoch (from 1) at which the loss tells group `high` from `low` best, and the AUC of every epoch float64 (epochs,)."""
    either = (group == high) | (group == low)
    truth = group[either] == high
    if not 0 < truth.sum() < len(truth):
        return None
    auc = np.array([roc_auc_score(truth, loss) for loss in trajectory[either].astype(np.float32).T])
    return int(auc.argmax()) + 1, auc


def trajectory_of(losses: dict[str, np.ndarray], user: int, item: int) -> np.ndarray | None:
    """The loss of one pair at every epoch, when it is among the sampled ones. `losses` is what a run folder gives."""
    at = np.flatnonzero((losses["user"] == user) & (losses["item"] == item))
    row = np.flatnonzero(losses["rows"] == at[0]) if len(at) else at
    return losses["trajectory"][row[0]].astype(np.float32) if len(row) else None
