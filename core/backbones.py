"""The recommenders: from a table of vectors and a graph to the vectors that score pairs."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn.functional import leaky_relu, normalize

from core.graph import Graph, propagate
from core.records import Embeddings
from core.registry import Registry
from core.rng import stream
from core.settings import TrainSettings

Perturb = Callable[[torch.Tensor], torch.Tensor]
"""What a denoiser does to a layer's output: same shape."""


def as_it_is(layer: torch.Tensor) -> torch.Tensor:
    """No perturbation."""
    return layer


class Backbone(Protocol):
    """A torch module; `table` (n_users + n_items, dim) is what it learns and what is regularised."""

    table: nn.Parameter

    def __init__(self, n_users: int, n_items: int, settings: TrainSettings) -> None: ...

    @staticmethod
    def width(settings: TrainSettings) -> int:
        """Length of the rows that `combine` gives: what stands on them can be made before any pass."""
        ...

    def layers(self, graph: Graph, perturb: Perturb = as_it_is, table: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Outputs (n_users + n_items, dim) of every layer; each after the first is perturbed at once.

        The first is the table, or the one that is given in its place.
        """
        ...

    def combine(self, layers: list[torch.Tensor]) -> torch.Tensor:
        """(n_users + n_items, any): users first, then items; a pair's score is the inner product of its rows."""
        ...

    def __call__(self, graph: Graph) -> torch.Tensor:
        """The combined layers."""
        ...


BACKBONES: Registry[type[Backbone]] = Registry("backbone")


def initial_table(n_users: int, n_items: int, settings: TrainSettings) -> nn.Parameter:
    """N(0, init_std), the same on every device."""
    table = stream(settings.seed, "table").normal(0, settings.init_std, (n_users + n_items, settings.dim))
    return nn.Parameter(torch.from_numpy(table.astype(np.float32)))


class _Module(nn.Module):
    def forward(self, graph: Graph) -> torch.Tensor:
        return self.combine(self.layers(graph))


@BACKBONES.register("lightgcn")
class LightGCN(_Module):
    """Z = mean over k = 0..L of A^k E (He et al., SIGIR 2020, eq. 4 with alpha_k = 1/(L + 1))."""

    def __init__(self, n_users: int, n_items: int, settings: TrainSettings) -> None:
        super().__init__()
        self.depth = settings.layers
        self.table = initial_table(n_users, n_items, settings)

    @staticmethod
    def width(settings: TrainSettings) -> int:
        return settings.dim

    def layers(self, graph: Graph, perturb: Perturb = as_it_is, table: torch.Tensor | None = None) -> list[torch.Tensor]:
        outputs = [self.table if table is None else table]
        for _ in range(self.depth):
            outputs.append(perturb(propagate(graph, outputs[-1])))
        return outputs

    def combine(self, layers: list[torch.Tensor]) -> torch.Tensor:
        return sum(layers) / len(layers)


@BACKBONES.register("ngcf")
class NGCF(_Module):
    """Z = [E_0 | ... | E_L], E_k+1 = norm(LeakyReLU((A + I) E_k W1_k + (A E_k * E_k) W2_k)) (Wang et al., SIGIR 2019, eq. 7).

    Differs from the paper: no dropout of nodes or messages, so that a training is the same on every device.
    """

    def __init__(self, n_users: int, n_items: int, settings: TrainSettings) -> None:
        super().__init__()
        self.table = initial_table(n_users, n_items, settings)
        self.sums, self.products = (
            nn.ParameterList([_weights(settings, kind, k) for k in range(settings.layers)]) for kind in ("sum", "product")
        )

    @staticmethod
    def width(settings: TrainSettings) -> int:
        return settings.dim * (settings.layers + 1)

    def layers(self, graph: Graph, perturb: Perturb = as_it_is, table: torch.Tensor | None = None) -> list[torch.Tensor]:
        outputs = [self.table if table is None else table]
        for of_sum, of_product in zip(self.sums, self.products, strict=True):
            own = outputs[-1]
            around = propagate(graph, own)
            mixed = (around + own) @ of_sum + (around * own) @ of_product
            outputs.append(perturb(normalize(leaky_relu(mixed, 0.2), dim=1)))
        return outputs

    def combine(self, layers: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(layers, dim=1)


def _weights(settings: TrainSettings, *names: str | int) -> nn.Parameter:
    """Xavier-uniform (dim, dim)."""
    bound = (3 / settings.dim) ** 0.5
    values = stream(settings.seed, "weights", *names).uniform(-bound, bound, (settings.dim, settings.dim))
    return nn.Parameter(torch.from_numpy(values.astype(np.float32)))


@BACKBONES.register("mf")
class MF(_Module):
    """Matrix factorisation: Z = E, no graph (Rendle et al., UAI 2009). A refined graph changes its training pairs only."""

    def __init__(self, n_users: int, n_items: int, settings: TrainSettings) -> None:
        super().__init__()
        self.table = initial_table(n_users, n_items, settings)

    @staticmethod
    def width(settings: TrainSettings) -> int:
        return settings.dim

    def layers(self, graph: Graph, perturb: Perturb = as_it_is, table: torch.Tensor | None = None) -> list[torch.Tensor]:
        own = self.table if table is None else table
        return [own, perturb(own)]

    def combine(self, layers: list[torch.Tensor]) -> torch.Tensor:
        return layers[-1]


def restored(parameters: dict[str, np.ndarray], n_users: int, n_items: int, settings: TrainSettings) -> Backbone:
    """The backbone of a training, with what it learned (records.Learned)."""
    backbone = BACKBONES[settings.backbone](n_users, n_items, settings)
    backbone.load_state_dict({name: torch.from_numpy(value) for name, value in parameters.items()})
    return backbone


@torch.no_grad()
def embeddings(backbone: Backbone, graph: Graph) -> Embeddings:
    """The vectors that a backbone gives on a graph, as numpy."""
    return as_embeddings(backbone(graph), graph.n_users)


def as_embeddings(vectors: torch.Tensor, n_users: int) -> Embeddings:
    """Stacked vectors (n_users + n_items, any) as numpy."""
    rows = vectors.detach().cpu().numpy()
    return Embeddings(np.ascontiguousarray(rows[:n_users]), np.ascontiguousarray(rows[n_users:]))
