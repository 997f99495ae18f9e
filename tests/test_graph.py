"""The graph against hand-made values and against PyTorch Geometric."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.nn import LightGCN as ReferenceLightGCN

from core import graph
from core.backbones import LightGCN
from core.records import Edges, Interactions, Label, LabelSet, Source
from core.settings import TrainSettings

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=20, unique=True)


def as_interactions(pairs: list[tuple[int, int]]) -> Interactions:
    user, item = np.array(pairs, np.int32).T
    return Interactions(user, item)


def edges(user: np.ndarray, item: np.ndarray, weight: np.ndarray | None = None) -> Edges:
    return Edges(user, item, np.ones(len(user), np.float32) if weight is None else weight)


def test_values_by_hand() -> None:
    """User 0 clicked items 0 and 1, user 1 item 1: degrees 2, 1 and 1, 2."""
    matrix = graph.build(edges(np.array([0, 0, 1]), np.array([0, 1, 1])), 2, 2).matrix.toarray()
    expected = np.zeros((4, 4))
    expected[0, 2], expected[0, 3], expected[1, 3] = 1 / np.sqrt(2 * 1), 1 / np.sqrt(2 * 2), 1 / np.sqrt(1 * 2)
    np.testing.assert_allclose(matrix, expected + expected.T, rtol=1e-6)


@given(PAIRS)
def test_symmetric_with_both_directions_of_every_pair(pairs: list[tuple[int, int]]) -> None:
    positives = as_interactions(pairs)
    matrix = graph.build(edges(positives.user, positives.item), 7, 5).matrix
    assert matrix.nnz == 2 * len(pairs)
    np.testing.assert_array_equal(matrix.toarray(), matrix.toarray().T)
    assert abs(np.linalg.eigvalsh(matrix.toarray())).max() <= 1 + 1e-5


def test_weights_of_a_pair_given_twice_add_up() -> None:
    once = graph.build(edges(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 2.0])), 2, 1).matrix.toarray()
    twice = graph.build(edges(np.array([0, 1, 1]), np.array([0, 0, 0])), 2, 1).matrix.toarray()
    np.testing.assert_array_equal(once, twice)


def test_weights_are_normalised_by_weighted_degree() -> None:
    matrix = graph.build(edges(np.array([0, 0]), np.array([0, 1]), np.array([3.0, 1.0])), 1, 2).matrix.toarray()
    assert matrix[0, 1] == pytest.approx(3 / np.sqrt(4 * 3))
    assert matrix[0, 2] == pytest.approx(1 / np.sqrt(4 * 1))


@given(PAIRS, st.integers(0, 3))
def test_lightgcn_agrees_with_pytorch_geometric(pairs: list[tuple[int, int]], layers: int) -> None:
    positives = as_interactions(pairs)
    ours = LightGCN(7, 5, TrainSettings(dim=8, layers=layers))
    reference = ReferenceLightGCN(12, 8, layers)
    reference.embedding.weight.data.copy_(ours.table.data)
    one_way = torch.from_numpy(np.stack([positives.user, positives.item + 7]).astype(np.int64))
    expected = reference.get_embedding(torch.cat([one_way, one_way.flip(0)], 1))
    torch.testing.assert_close(ours(graph.build(edges(positives.user, positives.item), 7, 5)), expected, atol=1e-5, rtol=0)


def test_gradient_of_propagation_agrees_with_a_dense_product() -> None:
    built = graph.build(edges(np.array([0, 0, 1]), np.array([0, 1, 1])), 2, 2)
    dense = torch.from_numpy(built.matrix.toarray())
    x, y = (torch.arange(12.0).reshape(4, 3).requires_grad_() for _ in range(2))
    (graph.propagate(built, x).square()).sum().backward()
    ((dense @ y).square()).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_propagation_changes_the_vectors(planted) -> None:  # noqa: ANN001
    """A graph with one direction only, or weights of 0, would leave plain matrix factorisation behind, unnoticed."""
    built = graph.build(edges(planted.train.user, planted.train.item), planted.n_users, planted.n_items)
    settings = TrainSettings(dim=8)
    model = LightGCN(planted.n_users, planted.n_items, settings)
    share = (model(built) - model.table / (settings.layers + 1)).norm(dim=1) / model.table.norm(dim=1)
    assert share.min() > 0.05


def test_refined_graph_drops_noisy_adds_missed_and_keeps_the_rest() -> None:
    observed = Interactions(np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32))
    labels = LabelSet(
        np.array([0, 0, 1, 1], np.int32),
        np.array([0, 1, 0, 2], np.int32),
        np.array([True, True, False, False]),
        np.array([Label.NOISY_POSITIVE, Label.HARD_POSITIVE, Label.MISSED_POSITIVE, Label.HARD_NEGATIVE], np.int8),
        np.full(4, Source.HUMAN, np.int8),
    )
    refined = graph.refine(observed, labels, n_items=3)
    assert sorted(zip(refined.user.tolist(), refined.item.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 1)]
    assert refined.weight.tolist() == [1, 1, 1]
    assert len(graph.refine(observed, labels, n_items=3, noisy_weight=0.25)) == 3  # what a person calls noisy goes
    by_judge = dataclasses.replace(labels, source=np.full(4, Source.LLM, np.int8))
    softened = graph.refine(observed, by_judge, n_items=3, noisy_weight=0.25)
    assert sorted(zip(softened.user.tolist(), softened.item.tolist(), softened.weight.tolist(), strict=True)) == [
        (0, 0, 0.25),
        (0, 1, 1),
        (1, 0, 1),
        (1, 1, 1),
    ]


@given(PAIRS, st.floats(0, 0.9))
def test_dropped_edges_leave_a_symmetric_part_of_the_graph(pairs: list[tuple[int, int]], share: float) -> None:
    given_edges = edges(*(getattr(as_interactions(pairs), name) for name in ("user", "item")))
    whole = graph.build(given_edges, 7, 5).matrix.toarray()
    left = graph.drop(given_edges, share, np.random.default_rng(0), 7, 5).matrix.toarray()
    np.testing.assert_array_equal(left, left.T)
    assert not ((left > 0) & (whole == 0)).any()
    assert share or (left == whole).all()
