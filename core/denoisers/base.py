"""What every denoiser is to the training loop. It changes three things only: edges, negatives, loss terms."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core import graph, losses, sampling
from core.backbones import Backbone
from core.graph import Graph
from core.records import Edges, Interactions, Label, LabelSet, Relevance
from core.registry import Registry
from core.rng import stream
from core.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Forward:
    """One pass of the backbone."""

    layers: list[torch.Tensor]  # each (n_users + n_items, dim)
    vectors: torch.Tensor  # (n_users + n_items, any) that score pairs


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's triplets: positions into the stacked vectors (items offset by n_users)."""

    row: np.ndarray  # int64 (B,) the interactions' places in Denoiser.positives
    user: torch.Tensor  # int64 (B,)
    positive: torch.Tensor  # int64 (B,)
    negative: torch.Tensor  # int64 (B,)
    table: torch.Tensor  # (n_users + n_items, dim) what is learned
    forward: Forward  # on the training graph
    bpr: torch.Tensor  # (B,) loss of each triplet

    @property
    def vectors(self) -> torch.Tensor:
        return self.forward.vectors


def final_vectors(backbone: Backbone, on: Graph, first_layer: int = 0) -> torch.Tensor:
    """The combined layers from this one on (all of them when there is no such layer): (n_users + n_items, any)."""
    layers = backbone.layers(on)
    return backbone.combine(layers[first_layer:] or layers)


class Denoiser(nn.Module):
    """The base: labels, when given, refine the graph; nothing else is done. Members override one or more of the methods.

    A torch module: what a member learns beside the backbone (parameters) or remembers (buffers) is optimised, saved in
    checkpoints and resumed. Randomness comes from `self.rng(...)`, a stream of its own for every step.
    """

    def __init__(
        self,
        train: Interactions,
        labels: LabelSet | None,
        n_users: int,
        n_items: int,
        settings: TrainSettings,
        relevance: Relevance | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.relevance = settings, relevance
        self.n_users, self.n_items = n_users, n_items
        observed = Edges(train.user, train.item, np.ones(len(train), np.float32))
        refined = observed
        if labels is not None:
            refined = graph.refine(train, labels, n_items, settings.noisy_weight, settings.add_missed)
        self.edges = {"observed": observed, "refined": refined}
        self.positives = self.edges[settings.train_on]
        self.graphs = {name: graph.build(edges, n_users, n_items) for name, edges in self.edges.items()}
        known = [train] if labels is None else [train, labels.having(Label.MISSED_POSITIVE)]
        self.never_negative = np.unique(np.concatenate([pairs.codes(n_items) for pairs in known]))
        self.density = len(train) / max(n_users * n_items, 1)
        self.epoch = self.step = 0

    first_layer = 0
    """The first layer that the final vectors are made of; 0 is the table."""

    @classmethod
    def text(cls, settings: TrainSettings) -> str:
        """Which text vectors it needs as `relevance`: "" none, "profiles" as encoded, "aligned" to the clicks."""
        return ""

    def begin_epoch(self, epoch: int, backbone: Backbone) -> None:
        """An epoch is about to begin, counted from 1."""
        self.epoch, self.step = epoch, 0

    def end_epoch(self, loss: np.ndarray) -> None:
        """The epoch is over; loss (n,) of each of `positives`."""

    def rng(self, *names: str | int) -> np.random.Generator:
        """A stream for this use in this step of this epoch."""
        return stream(self.settings.seed, self.settings.denoiser, self.epoch, self.step, *names)

    def training_graph(self) -> Graph:
        """The graph that this epoch propagates on."""
        return self.graphs[self.settings.train_on]

    def inference_graph(self) -> Graph:
        """The graph that the final vectors, and those judged on valid, are propagated on."""
        return self.graphs[self.settings.infer_on]

    def inference_edges(self) -> Edges:
        """The edges of `inference_graph`: what a blended closed form learns from."""
        return self.edges[self.settings.infer_on]

    def forward(self, backbone: Backbone, on: Graph) -> Forward:
        """The pass that scores the batch."""
        layers = backbone.layers(on)
        return Forward(layers, backbone.combine(layers))

    def inferred(self, backbone: Backbone) -> torch.Tensor:
        """The final vectors, and those judged on valid: (n_users + n_items, any)."""
        return final_vectors(backbone, self.inference_graph(), self.first_layer)

    def taken_out(self) -> np.ndarray:
        """Codes int64 (n,) of the pairs that the denoiser itself, not a label, has taken off its graphs."""
        return np.empty(0, np.int64)

    def negatives(self) -> np.ndarray:
        """Negative items for each of `positives`, drawn before the epoch: int32 (n,) or (n, m) to `pick` from.

        Never an observed pair nor a missed positive.
        """
        return sampling.uniform(self.rng("negatives"), self.positives.user, self.never_negative, self.n_items)

    def pick(self, user: torch.Tensor, drawn: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """One of the drawn negatives (B, m) of each user (B,), by the vectors of this step: (B,). Positions into vectors."""
        raise NotImplementedError

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        """The loss by named term, each a scalar; their sum is minimised."""
        return {"bpr": batch.bpr.mean(), "reg": self.regularisation(batch)}

    def regularisation(self, batch: Batch) -> torch.Tensor:
        """Weighted squared norm of the batch's rows of the table."""
        rows = (batch.table[index] for index in (batch.user, batch.positive, batch.negative))
        return self.settings.reg * losses.l2(*rows)


DENOISERS: Registry[type[Denoiser]] = Registry("denoiser")
