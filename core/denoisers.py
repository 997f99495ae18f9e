"""What is done about noise while training. A denoiser changes three things only: edges, negatives, loss terms.

So every denoiser works with every backbone, and the training loop knows none of them by name.
"""

from dataclasses import dataclass

import numpy as np
import torch

from core import graph, losses, sampling
from core.graph import Graph
from core.records import Interactions, Label, LabelSet, Source
from core.registry import Registry
from core.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's triplets: positions into the stacked vectors (items offset by n_users)."""

    user: torch.Tensor  # int64 (B,)
    positive: torch.Tensor  # int64 (B,)
    negative: torch.Tensor  # int64 (B,)
    table: torch.Tensor  # (n_users + n_items, dim) what is learned
    vectors: torch.Tensor  # (n_users + n_items, dim) after propagation
    bpr: torch.Tensor  # (B,) loss of each triplet


class Denoiser:
    """The base: labels, when given, refine the graph; nothing else is done. Members override one or more of the methods."""

    def __init__(self, train: Interactions, labels: LabelSet | None, n_users: int, n_items: int, settings: TrainSettings) -> None:
        self.settings = settings
        self.n_users, self.n_items = n_users, n_items
        refined = train if labels is None else graph.refine(train, _edits(labels, settings), n_items)
        pairs = {"observed": train, "refined": refined}
        self.positives = pairs[settings.train_on]
        self._graphs = {name: graph.build(p.user, p.item, n_users, n_items) for name, p in pairs.items()}
        known = [train] if labels is None else [train, labels.having(Label.MISSED_POSITIVE)]
        self.never_negative = np.unique(np.concatenate([pairs.codes(n_items) for pairs in known]))

    def training_graph(self, epoch: int) -> Graph:
        """The graph that an epoch propagates on."""
        return self._graphs[self.settings.train_on]

    def inference_graph(self) -> Graph:
        """The graph that the final vectors, and those judged on valid, are propagated on."""
        return self._graphs[self.settings.infer_on]

    def negatives(self, rng: np.random.Generator) -> np.ndarray:
        """One negative item for each of `positives`: int32 (n,). Never an observed pair nor a missed positive."""
        return sampling.uniform(rng, self.positives.user, self.never_negative, self.n_items)

    def terms(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The loss by named term, each a scalar; their sum is minimised."""
        rows = (batch.table[index] for index in (batch.user, batch.positive, batch.negative))
        return {"bpr": batch.bpr.mean(), "reg": self.settings.reg * losses.l2(*rows)}


def _edits(labels: LabelSet, settings: TrainSettings) -> LabelSet:
    """The labels that change edges: noisy positives, and the missed ones of those whom the settings trust to add."""
    trusted = {"people": Source.HUMAN, "judges": Source.NONE, "nobody": max(Source) + 1}[settings.add_missed]
    return labels.where((labels.label != Label.MISSED_POSITIVE) | (labels.source >= trusted))


DENOISERS: Registry[type[Denoiser]] = Registry("denoiser")


@DENOISERS.register("plain")
class Plain(Denoiser):
    """Nothing is done about noise, but for the refined graph of a label version when one is given."""
