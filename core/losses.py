"""Loss terms as pure functions of tensors."""

import torch
from torch.nn.functional import cross_entropy, normalize, softplus


def bpr(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking per triplet, not averaged: -log sigmoid(positive - negative) (Rendle et al., UAI 2009).

    Shapes: scores (n,), (n,) -> (n,), each >= 0. softplus is the stable form of -log(sigmoid(x) + eps).
    """
    return softplus(negative - positive)


def bce(positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pointwise binary cross-entropy, not averaged: (-log sigmoid(positive), -log(1 - sigmoid(negative))).

    Shapes: scores (n,), (m,) -> (n,), (m,), each >= 0.
    """
    return softplus(-positive), softplus(negative)


def alignment(anchor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Squared distance of each two unit rows, not averaged (Wang & Isola, ICML 2020). (n, dim) x 2 -> (n,) in [0, 4]."""
    return (normalize(anchor, dim=1) - normalize(other, dim=1)).square().sum(1)


def uniformity(rows: torch.Tensor) -> torch.Tensor:
    """log of the mean over all pairs of exp(-2 |a - b|^2), of unit rows (Wang & Isola, ICML 2020). (n, dim) -> () <= 0.

    A row is paired with itself too, so that a single one is finite; |a - b|^2 = 2 - 2 cos makes one product of it.
    """
    unit = normalize(rows, dim=1)
    return (4 * (unit @ unit.T) - 4).exp().mean().log()


def l2(*rows: torch.Tensor) -> torch.Tensor:
    """Half the squared norm of the batch's rows, divided by the batch size: 1/(2B) sum |e|^2. Shapes: each (B, dim) -> ()."""
    return sum(row.square().sum() for row in rows) / (2 * len(rows[0]))


def info_nce(anchor: torch.Tensor, other: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over rows of -log(exp(cos(a_n, o_n)/t) / sum_m exp(cos(a_n, o_m)/t)) (van den Oord et al., 2018). (n, dim) x 2 -> ().

    Each row's other half is its positive, the other rows' halves are its negatives. The gradient goes with 1/|row|.
    """
    likeness = normalize(anchor, dim=1) @ normalize(other, dim=1).T / temperature
    return cross_entropy(likeness, torch.arange(len(anchor), device=anchor.device))
