"""Ranking and detection metrics. Denominators differ between libraries of the field: ours are stated at each function.

Ranking metrics take `hits` bool (n_users, depth), whether the item at each rank is a held-out positive, and `n_relevant`
(n_users,), the number of held-out positives; they give one float64 per user.
"""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

CUTS = (10, 20)
"""Ranks at which every ranking metric is computed."""


def recall(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """Hits in the top k / all held-out positives (the LightGCN family's denominator; LensKit divides by min(all, k))."""
    return hits[:, :k].sum(axis=1) / n_relevant


def precision(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """Hits in the top k / k."""
    return hits[:, :k].sum(axis=1) / k


def hit(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """1 if any of the top k is a hit (SELFRec's "Hit Ratio" is another thing)."""
    return hits[:, :k].any(axis=1).astype(np.float64)


def mrr(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """1 / rank of the first hit within the top k, else 0 (RLMRec sums over all hits)."""
    top = hits[:, :k]
    return np.where(top.any(axis=1), 1 / (top.argmax(axis=1) + 1), 0.0)


def ndcg(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """Discounted gain 1/log2(rank + 1), divided by that of min(held-out positives, k) hits at the top."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], discount.cumsum()])[np.minimum(n_relevant, k)]
    return hits[:, :k] @ discount[: hits[:, :k].shape[1]] / ideal


RANKING = {"recall": recall, "ndcg": ndcg, "precision": precision, "hit": hit, "mrr": mrr}
NAMES = tuple(f"{name}@{k}" for name in RANKING for k in CUTS)
"""Every metric of a Report: "recall@10", "recall@20", "ndcg@10" ..."""


def ranking(hits: np.ndarray, n_relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric at every cut."""
    return {f"{name}@{k}": metric(hits, n_relevant, k) for name, metric in RANKING.items() for k in CUTS}


def detection_auc(doubt: np.ndarray, noisy: np.ndarray) -> float:
    """Chance that a noisy pair has more doubt than one that is not; NaN when only one kind is there."""
    return float(roc_auc_score(noisy, doubt)) if 0 < noisy.sum() < len(noisy) else float("nan")


def detection_average_precision(doubt: np.ndarray, noisy: np.ndarray) -> float:
    """Average precision of the pairs in order of falling doubt; NaN when none is noisy."""
    return float(average_precision_score(noisy, doubt)) if noisy.any() else float("nan")
