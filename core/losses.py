"""Loss terms as pure functions of tensors."""

import torch
from torch.nn.functional import softplus


def bpr(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking per triplet, not averaged: -log sigmoid(positive - negative) (Rendle et al., UAI 2009).

    Shapes: scores (n,), (n,) -> (n,), each >= 0. softplus is the stable form of -log(sigmoid(x) + eps).
    """
    return softplus(negative - positive)


def l2(*rows: torch.Tensor) -> torch.Tensor:
    """Half the squared norm of the batch's rows, divided by the batch size: 1/(2B) sum |e|^2. Shapes: each (B, dim) -> ()."""
    return sum(row.square().sum() for row in rows) / (2 * len(rows[0]))
