"""Denoisers that choose other negatives, and the plain one that chooses none."""

import numpy as np
import torch

from core import sampling
from core.denoisers.base import DENOISERS, Denoiser


@DENOISERS.register("plain")
class Plain(Denoiser):
    """Nothing is done about noise, but for the refined graph of a label version when one is given."""


@DENOISERS.register("wbpr")
class WBPR(Denoiser):
    """Negatives by popularity: an item that everybody sees and this user did not click is disliked (Gantner et al., KDDCup 2012).

    Drawn by clicks ** popularity_power. Differs from the paper: its power is 1; .75 keeps rare items in play.
    """

    def negatives(self) -> np.ndarray:
        clicks = np.bincount(self.positives.item, minlength=self.n_items) ** self.settings.popularity_power
        return sampling.by_weight(self.rng("negatives"), self.positives.user, self.never_negative, clicks)


class Drawn(Denoiser):
    """Base of those that pick a negative by the current vectors out of several drawn uniformly."""

    def negatives(self) -> np.ndarray:
        rng = self.rng("negatives")
        draws = [
            sampling.uniform(rng, self.positives.user, self.never_negative, self.n_items) for _ in range(self.settings.drawn)
        ]
        return np.stack(draws, axis=1)

    def pick(self, user: torch.Tensor, drawn: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return best_scored(user, drawn, vectors)


@torch.no_grad()
def best_scored(user: torch.Tensor, drawn: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Of each row of `drawn` (B, m) the one whose vector scores best for `user` (B,): (B,)."""
    scores = torch.einsum("bd,bmd->bm", vectors[user], vectors[drawn])
    return drawn.gather(1, scores.argmax(dim=1, keepdim=True)).squeeze(1)


@DENOISERS.register("dns")
class DNS(Drawn):
    """Dynamic negative sampling: the best-scored of `drawn` uniform negatives (Zhang et al., SIGIR 2013)."""
