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

from core.records import Interactions, Label, LabelSet


@dataclass(frozen=True, eq=False)
class Graph:
    """A symmetric normalised adjacency. `eq=False`: a graph is hashed by identity, so its device copy can be cached."""

    matrix: sp.csr_array  # float32 (n_users + n_items, n_users + n_items)
    n_users: int
    n_items: int

    @lru_cache(maxsize=4)  # noqa: B019  a handful of graphs live as long as one training does
    def on(self, device: torch.device) -> torch.Tensor:
        """The matrix as sparse CSR with int32 indices, for which the CPU's product is the fast one."""
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # it is what makes the product fast
        parts = (torch.from_numpy(a) for a in (self.matrix.indptr, self.matrix.indices, self.matrix.data))
        return torch.sparse_csr_tensor(*parts, self.matrix.shape, check_invariants=False).to(device)


def build(user: np.ndarray, item: np.ndarray, n_users: int, n_items: int, weight: np.ndarray | None = None) -> Graph:
    """The graph of pairs (n,): both directions of every pair, a pair given twice counts once. Weights are positive, 1 if None."""
    n = n_users + n_items
    values = np.ones(len(user), np.float32) if weight is None else weight.astype(np.float32)
    half = sp.coo_array((values, (user.astype(np.int32), item.astype(np.int32) + n_users)), shape=(n, n)).tocsr()
    half.sum_duplicates()
    if weight is None:
        half.data[:] = 1
    whole = (half + half.T).tocsr()
    degree = whole.sum(axis=1)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    whole.data *= np.repeat(scale, np.diff(whole.indptr)) * scale[whole.indices]
    whole.indices, whole.indptr = whole.indices.astype(np.int32), whole.indptr.astype(np.int32)
    return Graph(whole, n_users, n_items)


def refine(observed: Interactions, labels: LabelSet, n_items: int) -> Interactions:
    """The pairs of the refined graph G': observed, less the noisy positives, plus the missed positives (LLMHNI's E')."""
    noisy, missed = labels.having(Label.NOISY_POSITIVE), labels.having(Label.MISSED_POSITIVE)
    kept = ~np.isin(observed.codes(n_items), noisy.codes(n_items))
    user, item = (np.concatenate([getattr(observed, name)[kept], getattr(missed, name)]) for name in ("user", "item"))
    return Interactions(user, item)


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
