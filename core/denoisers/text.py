"""Denoisers that tie the vectors of users and items to those of their texts: RLMRec (Ren et al., WWW 2024)."""

import numpy as np
import torch
from torch import nn

from core import losses
from core.backbones import BACKBONES, Backbone
from core.denoisers.base import DENOISERS, Batch, Denoiser, Forward
from core.denoisers.contrast import some, weight
from core.denoisers.mlp import mlp
from core.graph import Graph
from core.rng import stream
from core.settings import TrainSettings


class _Told(Denoiser):
    """Base: the text vectors s of all nodes, and who has a text at all; nodes without one take no part in the text's term."""

    texts: torch.Tensor  # (n_users + n_items, text dim), zero rows where there is no text
    told: torch.Tensor  # bool (n_users + n_items,)

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        texts = np.concatenate([self.relevance.user, self.relevance.item]).astype(np.float32)
        self.register_buffer("texts", torch.from_numpy(texts), persistent=False)  # given anew at every start
        self.register_buffer("told", torch.from_numpy(texts.any(axis=1)), persistent=False)
        self.contrast_weight = weight(self.settings.contrast, self.density, dense=0.005)

    @classmethod
    def text(cls, settings: TrainSettings) -> str:
        return "profiles"

    def bridge(self, *, up: bool) -> nn.Sequential:
        """The paper's MLP between both kinds of vectors, its middle as wide as their mean; `up`: to the texts."""
        sizes = BACKBONES[self.settings.backbone].width(self.settings), self.texts.shape[1]
        first, last = sizes if up else sizes[::-1]
        return mlp(stream(self.settings.seed, self.settings.denoiser, "bridge"), first, (first + last) // 2, last)


@DENOISERS.register("rlmrec-con")
class RLMRecCon(_Told):
    """RLMRec-Con: InfoNCE between a node's vector e and its text's, brought down to it (Ren et al., WWW 2024).

    L_con = mean over nodes of -log(exp(cos(e, MLP(s)) / t) / sum over nodes of exp(cos(e, MLP(s')) / t)).
    Its weight is `contrast` (None: by density), t is `temperature` (.2); the authors' for Amazon are .01 and .2.
    Differs from the paper: a node is contrasted with the batch's nodes of its kind, at most 1024 with a text and each once,
    there a user with all users; the batch's negatives are not aligned.
    """

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self.down = self.bridge(up=False)

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        terms = super().terms(batch, backbone)
        if not self.contrast_weight:
            return terms
        rng, total = self.rng("nodes"), batch.vectors.new_zeros(())
        for kind in (batch.user, batch.positive):
            nodes = some(kind[self.told[kind]], rng)
            if len(nodes):
                total = total + losses.info_nce(batch.vectors[nodes], self.down(self.texts[nodes]), self.settings.temperature)
        return terms | {"text contrast": self.contrast_weight * total}


@DENOISERS.register("rlmrec-gen")
class RLMRecGen(_Told):
    """RLMRec-Gen: rows of the table are masked, and their texts rebuilt from what the graph brings (Ren et al., WWW 2024).

    The share `masked` (.1) of the nodes with a text starts from one learned vector, drawn anew for every step.
    L_gen = mean over those nodes of -log(exp(cos(MLP(z), s) / t) / sum over those nodes of exp(cos(MLP(z), s') / t)).
    Its weight is `contrast` (None: by density), t is `temperature` (.2); the authors' for Amazon are .1 and .5, masked .15.
    The same pass ranks, as in the authors' program; the final vectors are inferred unmasked.
    Differs from the paper: at most 1024 of the masked nodes are rebuilt in a step. On mf no graph brings anything: there
    masking is no more than a dropout of rows.
    """

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self.up = self.bridge(up=True)
        self.mask = nn.Parameter(torch.zeros(self.settings.dim))

    def masked(self) -> torch.Tensor:
        """The nodes that this step masks, sorted."""
        told = torch.nonzero(self.told).squeeze(1)
        size = round(self.settings.masked * len(told)) if self.contrast_weight else 0
        places = np.sort(self.rng("masked").choice(len(told), size, replace=False)) if size else np.empty(0, np.int64)
        return told[torch.from_numpy(places).to(told.device)]

    def forward(self, backbone: Backbone, on: Graph) -> Forward:
        nodes = self.masked()
        table = backbone.table.index_put((nodes,), self.mask.expand(len(nodes), -1))
        layers = backbone.layers(on, table=table)
        return Forward(layers, backbone.combine(layers))

    def terms(self, batch: Batch, backbone: Backbone) -> dict[str, torch.Tensor]:
        terms = super().terms(batch, backbone)
        nodes = some(self.masked(), self.rng("nodes"))
        if not len(nodes):
            return terms
        term = losses.info_nce(self.up(batch.vectors[nodes]), self.texts[nodes], self.settings.temperature)
        return terms | {"text contrast": self.contrast_weight * term}
