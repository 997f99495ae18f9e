"""Objective alignment: text vectors drawn towards the clicks, so that what a user chose points at what they would choose.

LLMHNI's semantic relevance (Song, Chao, Liu, AAAI 2026, arXiv 2511.07295): an encoder knows what texts are about, not what
people choose together. One small network, the same for users and items, learns the difference from the clicks that the
texts themselves find believable. torch is in here only; what comes out are arrays.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from core import semantic
from core.artifacts import read_arrays, write_arrays
from core.encoders import unit_rows
from core.records import Interactions, Relevance, fingerprint
from core.rng import stream

log = logging.getLogger(__name__)

HIDDEN, DIM = 256, 64
"""Widths of the network: between an encoder's 384 and the 64 of the recommender's vectors that it is used beside."""
TEMPERATURE = 0.1
"""Of the contrast. Half of what the recommender's contrasts use: a batch's other items are easy negatives."""
LR, WEIGHT_DECAY = 1e-3, 1e-4
BATCH = 1024
"""Pairs a step: a step's cost grows with its square, and each pair has 1023 negatives already."""
EPOCHS = 5
"""More of them learn the training clicks by heart: the network is asked about other pairs."""
BLOCK = 16_384
"""Pairs that go through the network at once when nothing is learned."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """What the alignment leaves."""

    relevance: Relevance  # of unobserved pairs: a user's row is made of all their clicks
    observed: np.ndarray  # float32 (len(train),) leave-one-out relevance of each click in [-1, 1], 0 where nothing is known


def align(
    vectors: np.ndarray,
    train: Interactions,
    n_users: int,
    *,
    quantile: float = 0.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Aligned:
    """Learn f, an MLP that users and items share, and put everything through it.

    vectors: (n_items, dim) as semantic.encode_items gives them; they are centred here, x_i is a unit row or zero.
    p(u\\i) = norm f(norm(sum_{i' in N(u)} x_i' - x_i)) is the user without the pair's own item, q(i) = norm f(x_i).
    Minimised is InfoNCE over a batch, -log(exp(p_n.q_n / t) / sum_m exp(p_n.q_m / t)), where the user's other known
    positives are no negatives (the paper's objective alignment, made exact).

    quantile: only clicks whose leave-one-out cosine of the raw texts is at or above this quantile teach; 0 is all of them.
    A click whose item, or whose user's other items, have no text teaches nothing and has relevance 0; without any such
    click the network stays as it began. On one device the same seed gives the same numbers.
    """
    rows = semantic.centred(vectors)
    clicked = semantic.chosen(train, np.arange(n_users), len(rows))
    texts = _Texts(rows, clicked @ rows, clicked, torch.device(device))
    told = rows.any(axis=1)
    known = told[train.item] & ((clicked @ told.astype(np.float32))[train.user] > 1)
    network = _network(rows.shape[1], seed).to(device)
    _learn(network, texts, train.where(reliable(vectors, train, known, quantile)), seed)
    network.eval()
    observed = np.zeros(len(train), np.float32)
    q = _through(network, texts, rows)
    for start in range(0, len(train), BLOCK):
        part = slice(start, start + BLOCK)
        p = _through(network, texts, texts.without(train.user[part], train.item[part]))
        observed[part] = np.einsum("nd,nd->n", p, q[train.item[part]])
    relevance = Relevance(_through(network, texts, unit_rows(texts.sums)), q)
    return Aligned(relevance, np.clip(np.where(known, observed, 0), -1, 1).astype(np.float32))


def align_cached(
    vectors: np.ndarray,
    train: Interactions,
    n_users: int,
    cache: Path,
    *,
    quantile: float = 0.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Aligned:
    """`align`, or what it gave before for the same texts, clicks, quantile and seed: a resumed training must get the same."""
    fixed = (HIDDEN, DIM, TEMPERATURE, LR, WEIGHT_DECAY, BATCH, EPOCHS)
    path = cache / "aligned" / f"{fingerprint(vectors, train.user, train.item, n_users, quantile, seed, fixed)}.npz"
    if not path.exists():
        made = align(vectors, train, n_users, quantile=quantile, seed=seed, device=device)
        write_arrays(path, user=made.relevance.user, item=made.relevance.item, observed=made.observed)
        log.info("texts of %d items aligned to %d clicks", len(vectors), len(train))
    stored = read_arrays(path)
    return Aligned(Relevance(stored["user"], stored["item"]), stored["observed"])


def reliable(vectors: np.ndarray, train: Interactions, known: np.ndarray, quantile: float) -> np.ndarray:
    """Which clicks teach: bool (n,), those of `known` (n,) whose raw text relevance reaches its quantile among them."""
    if not known.any():
        return known
    raw = semantic.text_relevance(vectors, train, train.user, train.item)
    return known & (raw >= np.quantile(raw[known], quantile))


@dataclass(frozen=True, eq=False)
class _Texts:
    rows: np.ndarray  # float32 (n_items, dim) centred unit rows
    sums: np.ndarray  # float32 (n_users, dim) of the rows that a user chose
    clicked: sparse.csr_array  # 0/1 (n_users, n_items)
    device: torch.device

    def without(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Profiles (n, dim) of users (n,), each without one of their items (n,): unit rows."""
        return unit_rows(self.sums[user] - self.rows[item])

    def other_positives(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Whether pair n's user chose pair m's item: bool (n, n), False on the diagonal."""
        others = self.clicked[user][:, item].toarray() > 0
        np.fill_diagonal(others, False)
        return others


def _network(dim: int, seed: int) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(dim, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, DIM))
    rng = stream(seed, "alignment")
    for layer in (network[0], network[2]):
        bound = layer.in_features**-0.5  # torch's own initial values, but from a stream of ours
        for parameter in layer.parameters():
            drawn = rng.uniform(-bound, bound, tuple(parameter.shape)).astype(np.float32)
            parameter.data.copy_(torch.from_numpy(drawn))
    return network


def _learn(network: nn.Module, texts: _Texts, pairs: Interactions, seed: int) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    for epoch in range(EPOCHS):
        order = stream(seed, "alignment", epoch).permutation(len(pairs))
        for start in range(0, len(pairs), BATCH):
            batch = pairs.where(order[start : start + BATCH])
            optimizer.zero_grad(set_to_none=True)
            _loss(network, texts, batch).backward()
            optimizer.step()


def _loss(network: nn.Module, texts: _Texts, batch: Interactions) -> torch.Tensor:
    """InfoNCE of the batch: ()."""
    halves = texts.without(batch.user, batch.item), texts.rows[batch.item]
    p, q = (normalize(network(torch.from_numpy(half).to(texts.device)), dim=1) for half in halves)
    masked = torch.from_numpy(texts.other_positives(batch.user, batch.item)).to(texts.device)
    likeness = (p @ q.T / TEMPERATURE).masked_fill(masked, -torch.inf)
    return cross_entropy(likeness, torch.arange(len(p), device=p.device))


@torch.no_grad()
def _through(network: nn.Module, texts: _Texts, rows: np.ndarray) -> np.ndarray:
    """norm f(rows): (n, dim) -> float32 (n, DIM), unit rows; zero rows stay zero, whatever the biases say."""
    parts = [network(torch.from_numpy(rows[s : s + BLOCK]).to(texts.device)).cpu().numpy() for s in range(0, len(rows), BLOCK)]
    return unit_rows(np.concatenate([*parts, np.zeros((0, DIM), np.float32)]) * rows.any(axis=1)[:, None])
