"""T-CE, R-CE, average-loss pruning and BOD against values by hand, and that pruning survives a kill."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from core import losses, train
from core.backbones import BACKBONES, embeddings, restored
from core.denoisers import Batch, Denoiser
from core.records import Embeddings, Label, LabelSet, Source
from tests.denoiser_fixtures import backbone_of, first_batch, make, run, same


def scores(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Of clicks and of negatives, in double precision."""
    vectors = batch.vectors.detach().double().numpy()
    anchor = vectors[batch.user]
    return (anchor * vectors[batch.positive]).sum(1), (anchor * vectors[batch.negative]).sum(1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_bce_is_the_pointwise_loss_of_the_label() -> None:
    score = torch.tensor([-3.0, 0.0, 2.0])
    for loss, label in zip(losses.bce(score, score), (1.0, 0.0), strict=True):
        wanted = torch.nn.functional.binary_cross_entropy_with_logits(score, torch.full((3,), label), reduction="none")
        torch.testing.assert_close(loss, wanted)


def test_alignment_and_uniformity_by_hand() -> None:
    a, b = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[5.0, 0.0], [3.0, 0.0]])
    torch.testing.assert_close(losses.alignment(a, b), torch.tensor([0.0, 2.0]))
    wanted = np.log((2 + 2 * np.exp(-4)) / 4)  # two at distance 0 from themselves, at squared distance 2 from each other
    assert float(losses.uniformity(a)) == pytest.approx(wanted, rel=1e-5)
    assert float(losses.uniformity(a[:1])) == 0


@pytest.mark.parametrize(("epoch", "share"), [(1, 0.0), (2, 0.1), (3, 0.2), (4, 0.3), (5, 0.4), (6, 0.4), (60, 0.4)])
def test_tce_leaves_out_a_share_that_rises_in_a_straight_line(planted, epoch: int, share: float) -> None:  # noqa: ANN001
    made = make(planted, "tce", drop_rate=0.4, ramp_epochs=4)
    made.begin_epoch(epoch, backbone_of(planted, made))
    assert made.share() == pytest.approx(share)


def test_tce_without_a_ramp_leaves_out_the_whole_share_at_once(planted) -> None:  # noqa: ANN001
    made = make(planted, "tce", drop_rate=0.4, ramp_epochs=0)
    made.begin_epoch(1, backbone_of(planted, made))
    assert made.share() == 0.4


def test_tce_leaves_out_the_clicks_with_the_highest_loss_and_no_negative(planted) -> None:  # noqa: ANN001
    made = make(planted, "tce", backbone="mf", drop_rate=0.25, ramp_epochs=0, reg=0.0, init_std=1.0)
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model, 8)
    liked, other = scores(batch)
    kept = np.sort(-np.log(sigmoid(liked)))[:6]
    terms = made.terms(batch, model)
    assert float(terms["bce"].detach()) == pytest.approx(kept.mean() - np.log(1 - sigmoid(other)).mean(), rel=1e-4)
    positive = torch.arange(planted.n_users + planted.n_items)[batch.positive]
    gradient = torch.autograd.grad(terms["bce"], batch.forward.vectors)[0]
    dropped = set(positive[np.argsort(liked)[:2]].tolist()) - set(positive[np.argsort(liked)[2:]].tolist())
    dropped -= set(batch.negative.tolist())
    assert dropped
    assert not gradient[sorted(dropped)].any()
    assert gradient[batch.negative].any(dim=1).all()


@pytest.mark.parametrize("power", [0.0, 0.25, 2.0])
def test_rce_weighs_by_what_the_model_believes_and_learns_nothing_through_the_weight(planted, power: float) -> None:  # noqa: ANN001
    made = make(planted, "rce", backbone="mf", reweight=power, init_std=1.0)
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model, 30)
    liked, other = (sigmoid(score) for score in scores(batch))
    wanted = -(liked**power * np.log(liked)).mean() - ((1 - other) ** power * np.log(1 - other)).mean()
    term = made.terms(batch, model)["bce"]
    assert float(term.detach()) == pytest.approx(wanted, rel=1e-4)

    anchor = batch.vectors[batch.user]
    by_weight = (anchor * batch.vectors[batch.positive]).sum(1), (anchor * batch.vectors[batch.negative]).sum(1)
    fixed = (torch.from_numpy(one.astype(np.float32)) ** power for one in (liked, 1 - other))
    plain = sum((weight * loss).mean() for weight, loss in zip(fixed, losses.bce(*by_weight), strict=True))
    gradients = (torch.autograd.grad(one, batch.vectors, retain_graph=True)[0] for one in (term, plain))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def planted_losses(made: Denoiser) -> np.ndarray:
    """A loss for each click that grows with its place."""
    return np.linspace(0, 1, len(made.positives), dtype=np.float32)


def pruned_codes(made: Denoiser) -> set[int]:
    return set(made.positives.codes(made.n_items)[made.pruned.numpy()].tolist())


def edge_codes(made: Denoiser, name: str) -> set[int]:
    return set(made.edges[name].codes(made.n_items).tolist())


def test_prune_takes_out_the_highest_average_after_the_ramp_and_for_good(planted) -> None:  # noqa: ANN001
    made = make(planted, "prune", drop_rate=0.2, ramp_epochs=2)
    model, rising = backbone_of(planted, made), planted_losses(made)
    n = len(rising)
    before = made.training_graph()
    made.begin_epoch(1, model)
    made.end_epoch(3 * rising)
    assert made.training_graph() is before and not made.pruned.any()
    made.begin_epoch(2, model)
    made.end_epoch(1 - rising)  # the last loss falls, but the average rises with 3x + 1 - x
    np.testing.assert_allclose(made.average.numpy(), (1 + 2 * rising) / 2, atol=1e-6)
    gone = made.pruned.numpy()
    assert gone.sum() == int(0.2 * n)
    best = {u: np.flatnonzero(made.positives.user == u)[0] for u in range(planted.n_users)}
    wanted = [place for place in range(n - 1, -1, -1) if place != best[made.positives.user[place]]][: int(0.2 * n)]
    assert set(np.flatnonzero(gone)) == set(wanted)
    for name in ("observed", "refined"):
        assert edge_codes(made, name) == set(planted.train.codes(planted.n_items).tolist()) - pruned_codes(made)
    assert made.training_graph().matrix.nnz == 2 * (n - gone.sum()) == made.inference_graph().matrix.nnz
    assert len(made.inference_edges()) == n - gone.sum()
    was = made.pruned.clone()
    made.begin_epoch(3, model)
    made.end_epoch(rising[::-1].copy())
    assert torch.equal(made.pruned, was)


def test_prune_leaves_the_pruned_out_of_the_loss(planted) -> None:  # noqa: ANN001
    made = make(planted, "prune")
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model, 10)
    made.pruned[[2, 5]] = True
    kept = np.setdiff1d(np.arange(10), [2, 5])
    bpr = made.terms(batch, model)["bpr"].detach()
    assert float(bpr) == pytest.approx(float(batch.bpr.detach()[kept].mean()), rel=1e-6)
    made.pruned[:10] = True
    assert float(made.terms(batch, model)["bpr"].detach()) == 0


@pytest.mark.parametrize("rate", [0.5, 0.99])
def test_prune_leaves_every_user_a_click_on_every_graph(planted, rate: float) -> None:  # noqa: ANN001
    rows = np.flatnonzero(planted.train.user < 5)[::2]
    n = len(rows)
    noise = (np.ones(n, bool), np.full(n, Label.NOISY_POSITIVE, np.int8), np.full(n, Source.HUMAN, np.int8))
    made = make(
        planted, "prune", LabelSet(planted.train.user[rows], planted.train.item[rows], *noise), drop_rate=rate, ramp_epochs=0
    )
    made.begin_epoch(1, backbone_of(planted, made))
    made.end_epoch(planted_losses(made) * (planted.train.user % 2))  # all of the odd users' clicks look bad
    assert made.pruned.any()
    for edges in made.edges.values():
        assert len(np.unique(edges.user)) == planted.n_users


@pytest.mark.parametrize("stop_after", [1, 2, 5])
@pytest.mark.parametrize("train_on", ["observed", "refined"])
def test_prune_resumed_equals_unbroken_bit_by_bit(planted, tmp_path: Path, stop_after: int, train_on: str) -> None:  # noqa: ANN001
    rows, path, epochs = np.arange(0, len(planted.train), 9), tmp_path / "checkpoint", []
    n = len(rows)
    noise = (np.ones(n, bool), np.full(n, Label.NOISY_POSITIVE, np.int8), np.full(n, Source.HUMAN, np.int8))
    more = {"labels": LabelSet(planted.train.user[rows], planted.train.item[rows], *noise)}
    options = {"train_on": train_on, "eval_every": 1}
    whole = run(planted, "prune", options, **more)
    run(planted, "prune", options, checkpoint=path, on_epoch=epochs.append, should_stop=lambda: len(epochs) >= stop_after, **more)
    assert train.checkpoint_epoch(path) == stop_after
    same(whole, run(planted, "prune", options, checkpoint=path, **more))


@pytest.mark.parametrize(("best", "pruned"), [(2, False), (5, True)])
def test_prune_infers_the_best_epochs_vectors_on_the_graph_of_that_epoch(
    planted,  # noqa: ANN001
    monkeypatch: pytest.MonkeyPatch,
    best: int,
    pruned: bool,
) -> None:
    real, judged = train.evaluate, []

    def evaluate(vectors: Embeddings, *rest: object) -> object:
        judged.append(vectors)
        report = real(vectors, *rest)
        value = np.full(len(report.users), 0.9 if len(judged) == best else 0.1)
        return dataclasses.replace(report, per_user=report.per_user | {"recall@20": value})

    monkeypatch.setattr(train, "evaluate", evaluate)
    fit = run(planted, "prune", {"eval_every": 1, "ramp_epochs": 3})
    assert fit.best_epoch == best
    np.testing.assert_array_equal(fit.embeddings.user, judged[best - 1].user)
    made = make(planted, "prune")
    unpruned = Embeddings(*rows_on(planted, made, fit))
    assert np.array_equal(fit.embeddings.user, unpruned.user) != pruned


def rows_on(planted, made: Denoiser, fit: train.Fit) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN001
    """The vectors of a training's parameters on a denoiser's graph."""
    model = restored(fit.learned.parameters, planted.n_users, planted.n_items, made.settings)
    vectors = embeddings(model, made.inference_graph())
    return vectors.user, vectors.item


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_bod_gives_the_outer_gradient_to_the_generator_and_the_inner_to_the_backbone(planted, backbone: str) -> None:  # noqa: ANN001
    made = make(planted, "bod", backbone=backbone, reg=0.0)
    model = backbone_of(planted, made)
    terms = made.terms(first_batch(planted, made, model), model)
    assert list(terms) == ["bpr", "reg", "match"]
    own, theirs = list(made.parameters()), list(model.parameters())
    inner = torch.autograd.grad(terms["bpr"], own + theirs, retain_graph=True, allow_unused=True)
    outer = torch.autograd.grad(terms["match"], own + theirs, allow_unused=True)
    assert all(gradient is None for gradient in inner[: len(own)] + outer[len(own) :])
    assert all(gradient is not None for gradient in outer[: len(own)] + inner[len(own) :])
    assert any(gradient.any() for gradient in outer[: len(own)])


def test_bod_mismatch_is_that_of_the_gradients_autograd_gives(planted) -> None:  # noqa: ANN001
    made = make(planted, "bod", init_std=1.0)
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model, 60)
    vectors = batch.vectors.detach()
    nodes = torch.stack([batch.user, batch.positive, batch.negative])
    weight = torch.rand(60, generator=torch.Generator().manual_seed(0)).requires_grad_()

    leaf = vectors.clone().requires_grad_()
    anchor, liked, other = leaf[batch.user], leaf[batch.positive], leaf[batch.negative]
    ranking = (weight * losses.bpr((anchor * liked).sum(1), (anchor * other).sum(1))).mean()
    kinds = (torch.unique(batch.user), torch.unique(batch.positive))
    apart = 0.25 * sum(losses.uniformity(leaf[kind]) for kind in kinds)
    matched = (weight * losses.alignment(anchor, liked)).mean() + apart
    first, second = (torch.autograd.grad(loss, leaf, create_graph=True)[0] for loss in (ranking, matched))
    wanted = (1 - (first * second).sum(0) / (first.norm(dim=0) * second.norm(dim=0))).mean()

    found = made._mismatch(weight, nodes, vectors)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    gradients = (torch.autograd.grad(one, weight)[0] for one in (found, wanted))
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_bod_weighs_the_loss_of_each_click_by_its_generator(planted) -> None:  # noqa: ANN001
    made = make(planted, "bod")
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model, 20)
    pairs = torch.cat([batch.vectors[batch.user], batch.vectors[batch.positive]], dim=1)
    weight = made.generator(pairs).squeeze(1).sigmoid()
    assert ((weight > 0) & (weight < 1)).all()
    torch.testing.assert_close(made.terms(batch, model)["bpr"], (weight * batch.bpr).mean())


def test_bod_generator_learns_to_bring_the_gradients_together(planted) -> None:  # noqa: ANN001
    made = make(planted, "bod", backbone="mf")
    model = backbone_of(planted, made)
    batch, course = first_batch(planted, made, model), []
    adam = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(50):  # the vectors stay where they are
        match = made.terms(batch, model)["match"]
        adam.zero_grad()
        match.backward()
        adam.step()
        course.append(float(match.detach()))
    assert course[-1] < 0.9 * course[0]
