"""Denoisers that contrast two views of every node: what survives a small change of graph or vectors is signal."""

from collections.abc import Callable

import numpy as np
import torch

from core import graph, losses
from core.backbones import Backbone
from core.denoisers.base import DENOISERS, Batch, Denoiser, Forward
from core.graph import Graph

SPARSE = 0.01
"""Below this share of observed pairs a graph is called sparse."""
NODES_AT_MOST = 1024
"""Nodes of one kind in one contrast: its cost grows with their square."""


def weight(given: float | None, density: float, *, dense: float, sparse: float = 0.1) -> float:
    """A contrast's weight: as given, else by the density of the clicks.

    Chosen on valid. On Amazon-book (density .1 %) .05 to .2 are near each other: .2, as in the paper, for XSimGCL, .1 for the
    others. On MovieLens-100K (3 %) .1 ends in every user getting the popular items, because the term's gradient grows as
    vectors shrink: there .02 is best for one perturbed pass, .005 for two, and none beside hard negatives and a strong `reg`.
    """
    if given is not None:
        return given
    return sparse if density < SPARSE else dense


def some(nodes: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The different ones of `nodes` (n,), sorted; NODES_AT_MOST of them at random when there are more."""
    chosen = torch.unique(nodes)
    if len(chosen) > NODES_AT_MOST:
        places = np.sort(rng.choice(len(chosen), NODES_AT_MOST, replace=False))
        chosen = chosen[torch.from_numpy(places).to(chosen.device)]
    return chosen


def contrast(
    batch: Batch, first: torch.Tensor, second: torch.Tensor, rng: np.random.Generator, temperature: float
) -> torch.Tensor:
    """InfoNCE between two views (n_users + n_items, dim) of the batch's users, plus that of its items."""
    total = first.new_zeros(())
    for nodes in (batch.user, batch.positive):
        chosen = some(nodes, rng)
        total = total + losses.info_nce(first[chosen], second[chosen], temperature)
    return total


def perturbation(rng: np.random.Generator, length: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Adds to each row a random vector of this length in the row's own orthant (SimGCL, eq. 6-7)."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))

    def perturb(layer: torch.Tensor) -> torch.Tensor:
        noise = torch.rand(layer.shape, generator=generator).to(layer.device)
        return layer + layer.detach().sign() * torch.nn.functional.normalize(noise, dim=1) * length

    return perturb


def noisy_layers(backbone: Backbone, on: Graph, rng: np.random.Generator, length: float) -> list[torch.Tensor]:
    """The layers of a pass with noise in each; the table, which has none, is left out as in SELFRec's code."""
    return without_table(backbone.layers(on, perturbation(rng, length)))


def without_table(layers: list[torch.Tensor]) -> list[torch.Tensor]:
    """All layers but the first, which is the table; all of them when there is no other."""
    return layers[1:] or layers


class _Weighted(Denoiser):
    dense, sparse = 0.005, 0.1

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self.contrast_weight = weight(self.settings.contrast, self.density, dense=self.dense, sparse=self.sparse)


@DENOISERS.register("sgl")
class SGL(_Weighted):
    """Contrast of two graphs with edges dropped at random, drawn anew for every epoch (Wu et al., SIGIR 2021, edge drop)."""

    def begin_epoch(self, epoch: int, backbone: Backbone) -> None:
        super().begin_epoch(epoch, backbone)
        edges = self.edges[self.settings.train_on]
        self.views = [
            graph.drop(edges, self.settings.edge_drop, self.rng("view", view), self.n_users, self.n_items) for view in (0, 1)
        ]

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        first, second = (backbone(view) for view in self.views)
        term = contrast(batch, first, second, self.rng("nodes"), self.settings.temperature)
        return super().terms(batch, backbone) | {"contrast": self.contrast_weight * term}


@DENOISERS.register("simgcl")
class SimGCL(_Weighted):
    """Contrast of two passes with noise in every layer; no graph is changed (Yu et al., SIGIR 2022)."""

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        on = self.training_graph()
        views = (
            backbone.combine(noisy_layers(backbone, on, self.rng("view", view), self.settings.perturbation)) for view in (0, 1)
        )
        term = contrast(batch, *views, self.rng("nodes"), self.settings.temperature)
        return super().terms(batch, backbone) | {"contrast": self.contrast_weight * term}


class Perturbed(Denoiser):
    """Base of those with one noisy pass for everything: its vectors are contrasted with its own first layer (XSimGCL).

    The final vectors leave the table out as the pass does. With it, vectors that nobody trained for their length take part:
    on MovieLens-100K they outweigh the layers (R@20 .29 on valid, against .31 without contrast).
    """

    def forward(self, backbone: Backbone, on: Graph) -> Forward:
        if not self.contrast_weight:
            return super().forward(backbone, on)
        layers = noisy_layers(backbone, on, self.rng("view"), self.settings.perturbation)
        return Forward(layers, backbone.combine(layers))

    def inferred(self, backbone: Backbone) -> torch.Tensor:
        if not self.contrast_weight:
            return super().inferred(backbone)
        return backbone.combine(without_table(backbone.layers(self.inference_graph())))

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        terms = super().terms(batch, backbone)
        if self.contrast_weight:
            layers = batch.forward.layers
            first = backbone.combine([layers[0]] * len(layers))
            term = contrast(batch, batch.vectors, first, self.rng("nodes"), self.settings.temperature)
            terms["contrast"] = self.contrast_weight * term
        return terms


@DENOISERS.register("xsimgcl")
class XSimGCL(Perturbed, _Weighted):
    """One pass with noise in every layer serves ranking and contrast, the latter with layer 1 (Yu et al., TKDE 2023)."""

    dense, sparse = 0.02, 0.2
