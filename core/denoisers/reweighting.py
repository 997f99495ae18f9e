"""Denoisers that tell noise by the loss or by the gradients: what looks noisy weighs less, or goes."""

import numpy as np
import torch

from core import graph, losses
from core.backbones import BACKBONES, Backbone
from core.denoisers.base import DENOISERS, Batch, Denoiser
from core.denoisers.contrast import some
from core.denoisers.mlp import mlp
from core.rng import stream

HIDDEN = 64
"""Width of the code between encoder and decoder of BOD's weight generator, as in the authors' program."""
UNIFORMITY = 0.5
"""Weight of uniformity beside alignment in BOD's outer step, as in the authors' program."""


class _Pointwise(Denoiser):
    """Base of those that learn each click and each drawn negative by itself.

    Differs from the paper: the means over clicks and over negatives are added, so that `reg` weighs as it does beside BPR.
    """

    def scores(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each user's click and of its negative: (B,), (B,)."""
        anchor = batch.vectors[batch.user]
        return (anchor * batch.vectors[batch.positive]).sum(1), (anchor * batch.vectors[batch.negative]).sum(1)


@DENOISERS.register("tce")
class TCE(_Pointwise):
    """T-CE, truncated cross-entropy: the clicks with the highest loss of a batch are left out (Wang et al., WSDM 2021).

    L(u, i) = 0 for a click whose loss is above tau, its cross-entropy otherwise; tau leaves out the share epsilon(T) =
    min(alpha T, epsilon_max) of the clicks: from 0 in a straight line to `drop_rate` (.1) after `ramp_epochs` (10).
    Differs from the paper: T counts epochs, not steps, so that the batch size does not change the schedule.
    """

    def share(self) -> float:
        """The share of a batch's clicks that this epoch leaves out; none in the first."""
        ramp = self.settings.ramp_epochs
        return self.settings.drop_rate * (min((self.epoch - 1) / ramp, 1) if ramp else 1)

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        positive, negative = losses.bce(*self.scores(batch))
        kept = len(positive) - int(self.share() * len(positive))
        least = positive.detach().argsort(stable=True)[:kept]
        bce = positive[least].mean() + negative.mean()
        return {"bce": bce, "reg": self.regularisation(batch)}


@DENOISERS.register("rce")
class RCE(_Pointwise):
    """R-CE, reweighted cross-entropy: what the model does not believe weighs less (Wang et al., WSDM 2021).

    L(u, i) = f(y) times the cross-entropy, without a gradient through f; f(y) = y ** beta for a click of predicted
    probability y, (1 - y) ** beta for a negative. beta is `reweight` (.25).
    """

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        scores = self.scores(batch)
        believed = (scores[0].detach().sigmoid(), (-scores[1].detach()).sigmoid())
        weighted = (loss * y**self.settings.reweight for loss, y in zip(losses.bce(*scores), believed, strict=True))
        return {"bce": sum(loss.mean() for loss in weighted), "reg": self.regularisation(batch)}


@DENOISERS.register("prune")
class Prune(Denoiser):
    """The clicks with the highest loss, averaged over the epochs so far, are taken out for good (no paper; a control).

    After `ramp_epochs` (10; at least one) the share `drop_rate` (.1) leaves the loss and every graph, that of inference too.
    The average tells noise better than the last loss does (core.train.LossRecord). Each user keeps its best click on every
    graph, so a little less may go. What is regularised does not change, and the loss of what went is still recorded.
    """

    average: torch.Tensor
    pruned: torch.Tensor

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self.whole = self.edges
        self.register_buffer("average", torch.zeros(len(self.positives)))
        self.register_buffer("pruned", torch.zeros(len(self.positives), dtype=torch.bool))
        self.register_load_state_dict_post_hook(lambda module, keys: module._cut())

    def end_epoch(self, loss: np.ndarray) -> None:
        last = max(self.settings.ramp_epochs, 1)
        if self.epoch > last:
            return
        self.average += (torch.from_numpy(loss).to(self.average.device) - self.average) / self.epoch
        if self.epoch == last:
            self.pruned[torch.from_numpy(self._worst()).to(self.pruned.device)] = True
            self._cut()

    def _worst(self) -> np.ndarray:
        """Places in `positives` of those to prune, the highest average first."""
        average, codes = self.average.cpu().numpy(), self.positives.codes(self.n_items)
        by_loss = np.argsort(average, kind="stable")
        held = np.zeros(len(codes), bool)
        for edges in self.whole.values():
            there = by_loss[np.isin(codes[by_loss], edges.codes(self.n_items))]
            held[there[np.unique(self.positives.user[there], return_index=True)[1]]] = True
        worst = by_loss[::-1]
        return worst[~held[worst]][: int(self.settings.drop_rate * len(codes))]

    def taken_out(self) -> np.ndarray:
        return self.positives.codes(self.n_items)[self.pruned.cpu().numpy()]

    def _cut(self) -> None:
        """Makes edges and graphs what `pruned` says they are, whoever has set it: an epoch's end or a checkpoint."""
        self.edges = {
            name: edges.where(~np.isin(edges.codes(self.n_items), self.taken_out())) for name, edges in self.whole.items()
        }
        self.graphs = {name: graph.build(edges, self.n_users, self.n_items) for name, edges in self.edges.items()}

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        kept = ~self.pruned[torch.from_numpy(batch.row).to(self.pruned.device)]
        bpr = (batch.bpr * kept).sum() / kept.sum().clamp(min=1)
        return super().terms(batch, backbone) | {"bpr": bpr}


@DENOISERS.register("bod")
class BOD(Denoiser):
    """BOD: a generator weighs each click, learned by matching gradients in an outer step (Wang et al., KDD 2023).

    Generator: the vectors of user and item, one after the other -> encoder (64, 64) -> decoder -> a weight in (0, 1).
    Inner step, for the backbone: min over vectors of mean w(u, i) bpr(u, i, j), w fixed. Outer step, for the generator: min
    over w of 1 - cos(gradient of weighted BPR, gradient of weighted alignment + .5 uniformity), by dimension, vectors fixed.

    Differs from the paper: the gradients that are matched are those with respect to the propagated vectors of the batch, not
    the parameters, which is cheap and asks nothing of the backbone; both steps are taken on every batch by one optimizer, so
    the generator's learning rate is `lr` (theirs .001); weights multiply a triplet's loss, not the scores inside it, and a
    negative has none; uniformity is over at most 1024 users and as many items of the batch.
    """

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        width = BACKBONES[self.settings.backbone].width(self.settings)
        self.generator = mlp(stream(self.settings.seed, "bod", "generator"), 2 * width, HIDDEN, HIDDEN, 1)

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        nodes = torch.stack([batch.user, batch.positive, batch.negative])
        vectors = batch.vectors.detach()
        pairs = vectors[nodes[:2]]
        weight = self.generator(torch.cat([*pairs], dim=1)).squeeze(1).sigmoid()
        return {
            "bpr": (weight.detach() * batch.bpr).mean(),
            "reg": self.regularisation(batch),
            "match": self._mismatch(weight, nodes, vectors),
        }

    def _mismatch(self, weight: torch.Tensor, nodes: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Mean over dimensions of 1 - cosine of both losses' gradients; weight (B,), nodes (3, B), vectors (N, width) -> ().

        A weighted loss's gradient is the weighted sum of the triplets' own, so no gradient of a gradient is needed.
        """
        rows = vectors[nodes].requires_grad_()
        anchor, positive, negative = rows
        ranked = losses.bpr((anchor * positive).sum(1), (anchor * negative).sum(1))
        (of_bpr,) = torch.autograd.grad(ranked.sum(), rows)
        (of_alignment,) = torch.autograd.grad(losses.alignment(anchor, positive).mean(), rows)
        by_bpr = _gathered(weight[:, None] * of_bpr, nodes, vectors)
        by_both = _gathered(weight[:, None] * of_alignment, nodes, vectors) + self._of_uniformity(nodes, vectors)
        return 1 - torch.nn.functional.cosine_similarity(by_bpr, by_both, dim=0).mean()

    def _of_uniformity(self, nodes: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Gradient (N, width) of the uniformity of the batch's users and of its items, weighted."""
        leaf = vectors.clone().requires_grad_()
        rng = self.rng("nodes")
        term = sum(losses.uniformity(leaf[some(kind, rng)]) for kind in nodes[:2]) / 2
        return torch.autograd.grad(UNIFORMITY * term, leaf)[0]


def _gathered(rows: torch.Tensor, nodes: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """The sum of the rows (3, B, width) of each node (3, B): shape of `vectors`."""
    return torch.zeros_like(vectors).index_add(0, nodes.flatten(), rows.flatten(0, 1))
