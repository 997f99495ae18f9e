"""The user-item graph: built, normalised, refined and propagated here and nowhere else.

Nodes are users 0..n_users-1, then items. A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2 (He et al., LightGCN, SIGIR 2020, eq. 8),
normalised once and kept as CSR.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
import torch

from core.records import Edges, Interactions, Label, LabelSet, Source


@dataclass(frozen=True, eq=False)
class Graph:
    """A symmetric normalised adjacency. `eq=False`: a graph is hashed by identity, so its device copy can be cached."""

    matrix: sp.csr_array  # float32 (n_users + n_items, n_users + n_items)
    n_users: int
    n_items: int

    @lru_cache(maxsize=8)  # noqa: B019  a handful of graphs live as long as one training does
    def on(self, device: torch.device) -> torch.Tensor:
        """The matrix as sparse CSR with int32 indices, for which the CPU's product is the fast one."""
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # it is what makes the product fast
        parts = (torch.from_numpy(a) for a in (self.matrix.indptr, self.matrix.indices, self.matrix.data))
        return torch.sparse_csr_tensor(*parts, self.matrix.shape, check_invariants=False).to(device)


def build(edges: Edges, n_users: int, n_items: int) -> Graph:
    """The graph of weighted pairs (n,), in both directions; the weights of a pair given twice add up."""
    n = n_users + n_items
    places = edges.user.astype(np.int32), edges.item.astype(np.int32) + n_users
    half = sp.coo_array((edges.weight.astype(np.float32), places), shape=(n, n)).tocsr()
    whole = (half + half.T).tocsr()
    degree = whole.sum(axis=1)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    whole.data *= np.repeat(scale, np.diff(whole.indptr)) * scale[whole.indices]
    whole.indices, whole.indptr = whole.indices.astype(np.int32), whole.indptr.astype(np.int32)
    return Graph(whole, n_users, n_items)


TRUSTED = {"people": Source.HUMAN, "judges": Source.NONE, "nobody": max(Source) + 1}
"""The lowest source whose missed positives become edges."""


def refine(
    observed: Interactions, labels: LabelSet, n_items: int, noisy_weight: float = 0.0, add_missed: str = "judges"
) -> Edges:
    """The edges of the refined graph G': observed, less the noisy positives, plus the missed positives (LLMHNI's E').

    Differs from the paper: noisy positives that a judge named may stay with `noisy_weight` in [0, 1], because judges err; 0
    drops them as the paper does. Those that a person named always go. `add_missed` is one of TRUSTED.
    """
    noisy, missed = labels.having(Label.NOISY_POSITIVE), labels.having(Label.MISSED_POSITIVE)
    missed = missed.where(missed.source >= TRUSTED[add_missed])
    codes, weight = observed.codes(n_items), np.ones(len(observed), np.float32)
    weight[np.isin(codes, noisy.codes(n_items))] = noisy_weight
    weight[np.isin(codes, noisy.where(noisy.source == Source.HUMAN).codes(n_items))] = 0
    user, item = (np.concatenate([getattr(observed, name), getattr(missed, name)]) for name in ("user", "item"))
    edges = Edges(user, item, np.concatenate([weight, np.ones(len(missed), np.float32)]))
    return edges.where(edges.weight > 0)


def drop(edges: Edges, share: float, rng: np.random.Generator, n_users: int, n_items: int) -> Graph:
    """The graph that is left, normalised anew, when each edge goes with probability `share`."""
    return build(edges.where(rng.random(len(edges)) >= share), n_users, n_items)


class _SymmetricProduct(torch.autograd.Function):
    """A @ x for a symmetric sparse A: the gradient is the same product, so no transpose and no gradient of A is made."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        ctx.matrix = matrix
        return matrix @ x

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, ctx.matrix @ gradient


def propagate(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    """One step A x: (n_users + n_items, dim) -> the same shape."""
    return _SymmetricProduct.apply(graph.on(x.device), x)
