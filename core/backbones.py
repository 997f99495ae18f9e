"""The recommenders: from a table of vectors and a graph to the vectors that score pairs."""

from typing import Protocol

import numpy as np
import torch
from torch import nn

from core.graph import Graph, propagate
from core.records import Embeddings
from core.registry import Registry
from core.rng import stream
from core.settings import TrainSettings


class Backbone(Protocol):
    """A torch module; `table` (n_users + n_items, dim) is what it learns and what is regularised."""

    table: nn.Parameter

    def __init__(self, n_users: int, n_items: int, settings: TrainSettings) -> None: ...

    def __call__(self, graph: Graph) -> torch.Tensor:
        """(n_users + n_items, dim): users first, then items; a pair's score is the inner product of its rows."""
        ...


BACKBONES: Registry[type[Backbone]] = Registry("backbone")


def initial_table(n_users: int, n_items: int, settings: TrainSettings) -> nn.Parameter:
    """N(0, init_std), the same on every device."""
    table = stream(settings.seed, "table").normal(0, settings.init_std, (n_users + n_items, settings.dim))
    return nn.Parameter(torch.from_numpy(table.astype(np.float32)))


@BACKBONES.register("lightgcn")
class LightGCN(nn.Module):
    """Z = mean over k = 0..L of A^k E (He et al., SIGIR 2020, eq. 4 with alpha_k = 1/(L + 1))."""

    def __init__(self, n_users: int, n_items: int, settings: TrainSettings) -> None:
        super().__init__()
        self.layers = settings.layers
        self.table = initial_table(n_users, n_items, settings)

    def forward(self, graph: Graph) -> torch.Tensor:
        layer = total = self.table
        for _ in range(self.layers):
            layer = propagate(graph, layer)
            total = total + layer
        return total / (self.layers + 1)


@torch.no_grad()
def embeddings(backbone: Backbone, graph: Graph) -> Embeddings:
    """The vectors that a backbone gives on a graph, as numpy."""
    vectors = backbone(graph).cpu().numpy()
    return Embeddings(np.ascontiguousarray(vectors[: graph.n_users]), np.ascontiguousarray(vectors[graph.n_users :]))
