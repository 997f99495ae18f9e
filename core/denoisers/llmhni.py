"""LLMHNI: semantic-guided hard negatives and a graph refined by a judge (Song, Chao, Liu, AAAI 2026, arXiv 2511.07295)."""

import numpy as np
import torch

from core import graph, sampling
from core.backbones import Backbone
from core.denoisers.base import DENOISERS, Batch
from core.denoisers.contrast import Perturbed, contrast, weight
from core.denoisers.negatives import Drawn, best_scored
from core.settings import TrainSettings

POOL_BLOCK = 2_000_000
"""Scores held at once while the pools are refreshed."""


@DENOISERS.register("llmhni")
class LLMHNI(Perturbed, Drawn):
    """LLMHNI: hard negatives guided by texts, and a graph refined by a judge (Song, Chao, Liu, AAAI 2026).

    Each part has a switch; the presets `paper` and `default` (core.settings) set them.

    Negatives (semantic relevance): `semantic` is the paper's rule, of some drawn from a user's pool of best-scored items the
    least text-relevant one; `dynamic` takes the best-scored of those drawn, after the `spared` most text-relevant are put back.
    Contrast (logical relevance): L_de between the vectors on G and on the refined G', L_hal between both with edges dropped,
    drawn anew for every epoch. Beside them XSimGCL's perturbed pass, which the paper does not have.
    The refined graph: what labels do to edges is in the base, `train_on`, `infer_on` and `noisy_weight` say where it is used.

    Differs from the paper: dynamic negatives, the perturbed pass, noisy clicks down-weighted instead of dropped and vectors
    inferred on G' measured better (benchmarks/results/quality.md); `paper` switches all of them off.
    """

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        chosen, density = self.settings, self.density
        self.contrast_weight = weight(chosen.contrast, density, dense=0.0)
        self.graph_weight = weight(chosen.graph_contrast, density, dense=0.005)
        self.drop_weight = weight(chosen.drop_contrast, density, dense=0.005)

    @classmethod
    def text(cls, settings: TrainSettings) -> str:
        spares = settings.hard_negatives == "dynamic" and settings.spared > 0
        return "aligned" if spares or settings.hard_negatives == "semantic" else ""

    def begin_epoch(self, epoch: int, backbone: Backbone) -> None:
        super().begin_epoch(epoch, backbone)
        if self.settings.hard_negatives == "semantic":
            self.pool = self._pool(backbone)
        if self.drop_weight:
            share, size = self.settings.edge_drop, (self.n_users, self.n_items)
            self.views = [graph.drop(edges, share, self.rng("view", name), *size) for name, edges in self.edges.items()]

    def _pool(self, backbone: Backbone) -> np.ndarray:
        """HN_u: the `pool` best-scored of `pool_of` uniform non-positives of every user: int32 (n_users, pool)."""
        chosen = self.settings
        users = np.repeat(np.unique(self.positives.user), chosen.pool_of)
        drawn = sampling.uniform(self.rng("pool"), users, self.never_negative, self.n_items).reshape(-1, chosen.pool_of)
        users = users[:: chosen.pool_of]
        with torch.no_grad():
            vectors = backbone(self.training_graph()).cpu().numpy()
        pool = np.zeros((self.n_users, min(chosen.pool, chosen.pool_of)), np.int32)
        block = max(1, POOL_BLOCK // (chosen.pool_of * vectors.shape[1]) * 8)
        for start in range(0, len(users), block):
            part = slice(start, start + block)
            scores = np.einsum("ud,umd->um", vectors[users[part]], vectors[self.n_users + drawn[part]])
            best = np.argsort(-scores, axis=1, kind="stable")[:, : pool.shape[1]]
            pool[users[part]] = np.take_along_axis(drawn[part], best, axis=1)
        return pool

    def negatives(self) -> np.ndarray:
        if self.settings.hard_negatives == "dynamic":
            return super().negatives()
        user = self.positives.user
        if self.settings.hard_negatives == "uniform":
            return sampling.uniform(self.rng("negatives"), user, self.never_negative, self.n_items)
        places = self.rng("negatives").integers(self.pool.shape[1], size=(len(user), self.settings.pool_drawn))
        drawn = np.take_along_axis(self.pool[user], places, axis=1)
        least = np.full(len(user), np.inf, np.float32)
        negative = drawn[:, 0].copy()
        for column in drawn.T:
            relevance = self.relevance.score(user, column)
            closer = relevance < least
            negative[closer], least[closer] = column[closer], relevance[closer]
        return negative

    def pick(self, user: torch.Tensor, drawn: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        spared = min(self.settings.spared, drawn.shape[1] - 1)
        if spared:
            users, items = user.cpu().numpy(), drawn.cpu().numpy() - self.n_users
            likeness = np.einsum("bd,bmd->bm", self.relevance.user[users], self.relevance.item[items])
            kept = np.sort(np.argsort(likeness, axis=1, kind="stable")[:, : drawn.shape[1] - spared], axis=1)
            drawn = drawn.gather(1, torch.from_numpy(kept).to(drawn.device))
        return best_scored(user, drawn, vectors)

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        terms = super().terms(batch, backbone)
        for name, weighs in (("graph contrast", self.graph_weight), ("drop contrast", self.drop_weight)):
            if weighs:
                graphs = self.views if name == "drop contrast" else (self.graphs["observed"], self.graphs["refined"])
                views = (backbone(one) for one in graphs)
                terms[name] = weighs * contrast(batch, *views, self.rng(name), self.settings.temperature)
        return terms
