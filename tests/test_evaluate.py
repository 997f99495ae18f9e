"""Ranking metrics against torchmetrics, and full ranking against a slow and obvious one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import (
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from core import metrics
from core.evaluate import evaluate, top_items
from core.records import Embeddings, Interactions
from core.rng import stream

ORACLE = {
    "recall": retrieval_recall,
    "ndcg": retrieval_normalized_dcg,
    "precision": retrieval_precision,
    "hit": retrieval_hit_rate,
    "mrr": retrieval_reciprocal_rank,
}


def random_case(seed: int, n_users: int = 30, n_items: int = 45) -> tuple[Embeddings, Interactions, Interactions]:
    rng = stream(seed, "case")
    vectors = Embeddings(rng.normal(size=(n_users, 8)).astype(np.float32), rng.normal(size=(n_items, 8)).astype(np.float32))
    codes = rng.permutation(n_users * n_items)[: n_users * 12].astype(np.int32)
    parts = [Interactions(c // n_items, c % n_items) for c in np.split(codes, [n_users * 6])]
    return vectors, parts[0], parts[1]


@given(st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_every_metric_agrees_with_torchmetrics(seed: int) -> None:
    vectors, seen, held_out = random_case(seed)
    report = evaluate(vectors, held_out, [seen])
    scores = vectors.user @ vectors.item.T
    scores[seen.user, seen.item] = -np.inf
    places = torch.from_numpy(scores.argsort(axis=1).argsort(axis=1) + 1.0)  # torchmetrics ignores targets whose score is not > 0
    for row, user in enumerate(report.users):
        target = torch.zeros(len(vectors.item), dtype=torch.bool)
        target[torch.from_numpy(held_out.item[held_out.user == user].astype(np.int64))] = True
        for name, values in report.per_user.items():
            kind, k = name.split("@")
            expected = ORACLE[kind](places[user], target, top_k=int(k))
            assert values[row] == pytest.approx(float(expected), abs=1e-6), name


def test_only_users_with_held_out_positives_count() -> None:
    vectors, seen, held_out = random_case(0)
    some = held_out.where(held_out.user < 5)
    assert set(evaluate(vectors, some, [seen]).users) == set(some.user)


def test_seen_items_never_come_before_unseen_ones_and_blocks_agree_with_one_sort() -> None:
    vectors, seen, _ = random_case(3, n_users=700, n_items=40)
    users = np.arange(700)
    scores = vectors.user @ vectors.item.T
    scores[seen.user, seen.item] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    blocks = list(top_items(vectors, users, [seen], 10))
    assert [start for start, _ in blocks] == [0, 256, 512]
    np.testing.assert_array_equal(np.concatenate([top for _, top in blocks]), expected)


def test_fewer_items_than_the_cut() -> None:
    vectors = Embeddings(np.ones((1, 2), np.float32), np.array([[1, 0], [0, 2], [3, 3]], np.float32))
    held_out = Interactions(np.array([0], np.int32), np.array([0], np.int32))
    report = evaluate(vectors, held_out, [])
    assert report.per_user["recall@20"].tolist() == [1.0]
    assert report.per_user["mrr@20"].tolist() == [pytest.approx(1 / 3)]


def test_detection_metrics_say_so_when_there_is_nothing_to_detect() -> None:
    assert np.isnan(metrics.detection_auc(np.array([0.1, 0.2]), np.array([False, False])))
    assert np.isnan(metrics.detection_average_precision(np.array([0.1, 0.2]), np.array([False, False])))
    assert metrics.detection_auc(np.array([0.1, 0.2]), np.array([False, True])) == 1.0
