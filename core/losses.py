"""Loss terms as pure functions of tensors."""

import torch
from torch.nn.functional import cross_entropy, normalize, softplus


def bpr(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking per triplet, not averaged: -log sigmoid(positive - negative) (Rendle et al., UAI 2009).

    Shapes: scores (n,), (n,) -> (n,), each >= 0. softplus is the stable form of -log(sigmoid(x) + eps).
    """
    return softplus(negative - positive)


def l2(*rows: torch.Tensor) -> torch.Tensor:
    """Half the squared norm of the batch's rows, divided by the batch size: 1/(2B) sum |e|^2. Shapes: each (B, dim) -> ()."""
    return sum(row.square().sum() for row in rows) / (2 * len(rows[0]))


def info_nce(anchor: torch.Tensor, other: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over rows of -log(exp(cos(a_n, o_n)/t) / sum_m exp(cos(a_n, o_m)/t)) (van den Oord et al., 2018). (n, dim) x 2 -> ().

    Each row's other half is its positive, the other rows' halves are its negatives. The gradient goes with 1/|row|.
    """
    likeness = normalize(anchor, dim=1) @ normalize(other, dim=1).T / temperature
    return cross_entropy(likeness, torch.arange(len(anchor), device=anchor.device))
