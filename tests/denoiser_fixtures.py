"""What the tests of denoisers share: one made on the planted data, its first batch, a short training."""

import numpy as np
import torch

from core import losses, train
from core.backbones import BACKBONES, Backbone
from core.denoisers import DENOISERS, Batch, Denoiser
from core.records import LabelSet, Relevance
from core.settings import TrainSettings

TINY = {"dim": 8, "layers": 2, "epochs": 6, "min_epochs": 6, "eval_every": 2, "batch_size": 128, "device": "cpu"}
TINY |= {"ramp_epochs": 2, "drop_rate": 0.2, "masked": 0.3}


def make(planted, denoiser: str, labels: LabelSet | None = None, relevance: Relevance | None = None, **more) -> Denoiser:  # noqa: ANN001, ANN003
    settings = TrainSettings.checked(**TINY | {"denoiser": denoiser} | more)
    relevance = relevance or planted.relevance
    return DENOISERS[denoiser](planted.train, labels, planted.n_users, planted.n_items, settings, relevance)


def backbone_of(planted, made: Denoiser) -> Backbone:  # noqa: ANN001
    return BACKBONES[made.settings.backbone](planted.n_users, planted.n_items, made.settings)


def first_batch(planted, made: Denoiser, backbone: Backbone, size: int = 100) -> Batch:  # noqa: ANN001
    """The first step of the first epoch, its clicks in the order of the log."""
    made.begin_epoch(1, backbone)
    forward = made.forward(backbone, made.training_graph())
    user = torch.from_numpy(made.positives.user[:size].astype(np.int64))
    positive, negative = (
        torch.from_numpy(item[:size].astype(np.int64)) + planted.n_users for item in (made.positives.item, made.negatives())
    )
    if negative.ndim > 1:
        negative = made.pick(user, negative, forward.vectors.detach())
    anchor, liked, other = (forward.vectors[index] for index in (user, positive, negative))
    bpr = losses.bpr((anchor * liked).sum(1), (anchor * other).sum(1))
    return Batch(np.arange(size), user, positive, negative, backbone.table, forward, bpr)


def run(planted, denoiser: str, options: dict | None = None, **more) -> train.Fit:  # noqa: ANN001, ANN003
    settings = TrainSettings.checked(**TINY | {"denoiser": denoiser} | (options or {}))
    relevance = planted.relevance if DENOISERS[denoiser].text(settings) else None
    return train.fit(planted.train, planted.valid, planted.n_users, planted.n_items, settings, relevance=relevance, **more)


def same(a: train.Fit, b: train.Fit) -> None:
    """Two trainings gave the same numbers, bit by bit."""
    np.testing.assert_array_equal(a.embeddings.user, b.embeddings.user)
    np.testing.assert_array_equal(a.embeddings.item, b.embeddings.item)
    for name, values in a.losses.items():
        np.testing.assert_array_equal(values, b.losses[name], err_msg=name)
    assert a.best_epoch == b.best_epoch
