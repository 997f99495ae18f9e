"""Denoisers: what every member keeps to, and what those without a file of their own do to negatives and loss."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from core import train
from core.backbones import BACKBONES
from core.denoisers import DENOISERS, Denoiser, contrast
from core.errors import RunError, SettingsError
from core.records import Embeddings, Label, LabelSet, Relevance, Source
from core.settings import TrainSettings
from tests.denoiser_fixtures import backbone_of, first_batch, make, run, same


@pytest.mark.parametrize("backbone", BACKBONES.names())
@pytest.mark.parametrize("denoiser", DENOISERS.names())
def test_resumed_equals_unbroken_bit_by_bit_and_the_same_seed_repeats(
    planted,  # noqa: ANN001
    tmp_path: Path,
    denoiser: str,
    backbone: str,
) -> None:
    options, path, epochs = {"backbone": backbone}, tmp_path / "checkpoint", []
    whole = run(planted, denoiser, options)
    first = run(planted, denoiser, options, checkpoint=path, on_epoch=epochs.append, should_stop=lambda: len(epochs) >= 3)
    assert first.stopped
    same(whole, run(planted, denoiser, options, checkpoint=path))
    same(whole, run(planted, denoiser, options, checkpoint=path))  # nothing is left to do but to read it


@pytest.mark.parametrize("denoiser", DENOISERS.names())
def test_another_seed_gives_other_vectors(planted, denoiser: str) -> None:  # noqa: ANN001
    assert not np.allclose(run(planted, denoiser).embeddings.user, run(planted, denoiser, {"seed": 1}).embeddings.user)


@pytest.mark.parametrize("denoiser", [name for name in DENOISERS.names() if DENOISERS[name].text(TrainSettings())])
def test_those_that_need_texts_are_refused_without_in_one_sentence(planted, denoiser: str) -> None:  # noqa: ANN001
    settings = TrainSettings(denoiser=denoiser)
    with pytest.raises(SettingsError, match="needs item texts") as caught:
        train.fit(planted.train, planted.valid, planted.n_users, planted.n_items, settings)
    assert caught.value.message.count(".") == 1
    assert denoiser in caught.value.message
    assert "plain" in caught.value.hint and denoiser not in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop_rate": 1.0},
        {"ramp_epochs": -1},
        {"reweight": -0.1},
        {"masked": 1.0},
        {"contrast": -1.0},
        {"temperature": 0.0},
        {"edge_drop": 1.0},
        {"perturbation": 2.0},
        {"popularity_power": -1.0},
        {"drawn": 0},
        {"pool": 0},
        {"spared": -1},
        {"hard_negatives": "random"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_broken_bound_is_one_sentence_that_names_the_setting(wrong: dict) -> None:
    with pytest.raises(SettingsError) as caught:
        TrainSettings.checked(**wrong)
    assert caught.value.message.startswith(f"Setting {next(iter(wrong))!r} cannot be ")
    assert "\n" not in caught.value.message and caught.value.message.endswith(".")


@pytest.mark.parametrize("denoiser", DENOISERS.names())
def test_negatives_are_never_observed_nor_missed(planted, denoiser: str) -> None:  # noqa: ANN001
    missed = LabelSet(
        np.array([0], np.int32),
        np.array([1], np.int32),
        np.array([False]),
        np.array([Label.MISSED_POSITIVE], np.int8),
        np.array([Source.LLM], np.int8),
    )
    made = make(planted, denoiser, missed)
    made.begin_epoch(1, backbone_of(planted, made))
    drawn = made.negatives().reshape(len(made.positives), -1)
    codes = made.positives.user.astype(np.int64)[:, None] * planted.n_items + drawn
    assert not np.isin(codes, planted.train.codes(planted.n_items)).any()
    assert not np.isin(codes, missed.codes(planted.n_items)).any()


def test_dns_takes_the_best_scored_of_those_drawn(planted) -> None:  # noqa: ANN001
    made = make(planted, "dns", drawn=5)
    made.begin_epoch(1, backbone_of(planted, made))
    drawn = torch.from_numpy(made.negatives()[:50].astype(np.int64)) + planted.n_users
    assert drawn.shape == (50, 5)
    vectors = torch.randn(planted.n_users + planted.n_items, 4, generator=torch.Generator().manual_seed(0))
    user = torch.from_numpy(made.positives.user[:50].astype(np.int64))
    picked = made.pick(user, drawn, vectors)
    for row in range(50):
        best = max(drawn[row].tolist(), key=lambda item: float(vectors[user[row]] @ vectors[item]))
        assert picked[row] == best


@pytest.mark.parametrize(("power", "ratio"), [(0.0, 1.0), (0.5, 3.0), (1.0, 9.0)])
def test_wbpr_draws_by_popularity(planted, power: float, ratio: float) -> None:  # noqa: ANN001
    made = make(planted, "wbpr", popularity_power=power)
    user = np.repeat(np.arange(planted.n_users, dtype=np.int32), 400)
    item = np.where(np.arange(len(user)) % 10 == 0, 0, 2).astype(np.int32)  # item 2 has nine times the clicks of item 0
    made.positives = dataclasses.replace(made.positives, user=user, item=item, weight=np.ones(len(user), np.float32))
    made.never_negative = np.arange(planted.n_users)[::2].astype(np.int64) * planted.n_items + 2  # even users: never item 2
    negative = made.negatives()
    odd = negative[user % 2 == 1]
    assert (odd == 2).sum() / (odd == 0).sum() == pytest.approx(ratio, rel=0.2)
    assert not (negative[user % 2 == 0] == 2).any()
    if power:
        assert set(odd.tolist()) == {0, 2}  # what nobody clicked is not drawn


@pytest.mark.parametrize("denoiser", ["sgl", "simgcl", "xsimgcl"])
@pytest.mark.parametrize("backbone", ["lightgcn", "ngcf"])
def test_the_contrast_appears_with_its_weight(planted, denoiser: str, backbone: str) -> None:  # noqa: ANN001
    def term(weight: float | None) -> float:
        made = make(planted, denoiser, backbone=backbone, contrast=weight)
        model = backbone_of(planted, made)
        terms = made.terms(first_batch(planted, made, model), model)
        assert list(terms) == ["bpr", "reg", "contrast"]
        assert float(terms["contrast"].detach()) > 0
        return float(terms["contrast"].detach())

    assert term(0.4) == pytest.approx(2 * term(0.2), rel=1e-5)
    assert term(None) == pytest.approx(term({"xsimgcl": 0.02}.get(denoiser, 0.005)), rel=1e-5)  # a dense log


def test_xsimgcl_without_weight_is_plain(planted) -> None:  # noqa: ANN001
    made, plain = make(planted, "xsimgcl", contrast=0.0), make(planted, "plain")
    model = backbone_of(planted, made)
    np.testing.assert_array_equal(*(one.forward(model, one.training_graph()).vectors.detach().numpy() for one in (made, plain)))
    assert "contrast" not in made.terms(first_batch(planted, made, model), model)


def test_the_weight_of_a_contrast_is_the_given_one_or_goes_by_density() -> None:
    assert contrast.weight(0.0, 0.5, dense=0.3) == 0
    assert contrast.weight(None, 0.001, dense=0.3) == 0.1
    assert contrast.weight(None, 0.5, dense=0.3) == 0.3


def test_a_contrast_takes_each_node_once_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = torch.tensor([5, 3, 5, 9, 1])
    assert contrast.some(nodes, np.random.default_rng(0)).tolist() == [1, 3, 5, 9]
    monkeypatch.setattr(contrast, "NODES_AT_MOST", 2)
    few = contrast.some(nodes, np.random.default_rng(0)).tolist()
    assert len(few) == 2 and few == sorted(set(few)) and set(few) < {1, 3, 5, 9}


def test_llmhni_semantic_takes_the_least_relevant_of_those_drawn(planted) -> None:  # noqa: ANN001
    made = make(planted, "llmhni", hard_negatives="semantic", pool=4, pool_of=60, pool_drawn=3)
    made.begin_epoch(1, backbone_of(planted, made))
    user = made.positives.user
    drawn = np.take_along_axis(made.pool[user], made.rng("negatives").integers(4, size=(len(user), 3)), axis=1)
    likeness = made.relevance.score(np.repeat(user, 3), drawn.ravel()).reshape(-1, 3)
    negative = made.negatives()
    assert (drawn == negative[:, None]).any(axis=1).all()
    np.testing.assert_allclose(made.relevance.score(user, negative), likeness.min(axis=1), atol=1e-6)


def test_llmhni_pool_is_the_best_scored_of_those_it_is_drawn_from(planted) -> None:  # noqa: ANN001
    made = make(planted, "llmhni", hard_negatives="semantic", pool=3, pool_of=400)  # of 400 draws no item stays unseen
    model = backbone_of(planted, made)
    made.begin_epoch(1, model)
    vectors = model(made.training_graph()).detach().numpy()
    scores = Embeddings(vectors[: planted.n_users], vectors[planted.n_users :]).scores(np.arange(planted.n_users))
    scores[planted.train.user, planted.train.item] = -np.inf
    np.testing.assert_array_equal(made.pool[:, 0], scores.argmax(axis=1))


def test_llmhni_spared_puts_the_most_relevant_back(planted) -> None:  # noqa: ANN001
    likeness = np.array([0.1, 0.9, 0.5, 0.7], np.float32)  # of items 0..3 to user 0
    item = np.zeros((planted.n_items, 2), np.float32)
    item[:4] = np.stack([likeness, np.sqrt(1 - likeness**2)], axis=1)
    relevance = Relevance(np.tile(np.array([1, 0], np.float32), (planted.n_users, 1)), item)
    vectors = torch.zeros(planted.n_users + planted.n_items, 1)
    vectors[0], vectors[planted.n_users : planted.n_users + 4, 0] = 1, torch.tensor([1.0, 4.0, 2.0, 3.0])
    user, drawn = torch.tensor([0]), torch.tensor([[0, 1, 2, 3]]) + planted.n_users
    for spared, left in [(0, 1), (1, 3), (2, 2), (3, 0), (9, 0)]:  # one is left always
        made = make(planted, "llmhni", relevance=relevance, spared=spared)
        assert made.pick(user, drawn, vectors).tolist() == [planted.n_users + left]


def noisy(planted) -> LabelSet:  # noqa: ANN001
    rows = np.arange(0, len(planted.train), 7)
    n = len(rows)
    return LabelSet(
        planted.train.user[rows],
        planted.train.item[rows],
        np.ones(n, bool),
        np.full(n, Label.NOISY_POSITIVE, np.int8),
        np.full(n, Source.HUMAN, np.int8),
    )


def test_llmhni_contrasts_the_observed_with_the_refined_graph(planted) -> None:  # noqa: ANN001
    def terms(**more: float | None) -> dict[str, float]:
        made = make(planted, "llmhni", noisy(planted), contrast=0.0, **more)
        model = backbone_of(planted, made)
        found = made.terms(first_batch(planted, made, model), model)
        return {name: float(value.detach()) for name, value in found.items()}

    assert list(terms()) == ["bpr", "reg"]
    assert list(terms(graph_contrast=0.2, drop_contrast=0.1)) == ["bpr", "reg", "graph contrast", "drop contrast"]
    weighed = terms(graph_contrast=0.2)["graph contrast"]
    assert weighed == pytest.approx(2 * terms(graph_contrast=0.1)["graph contrast"], rel=1e-5)
    made = make(planted, "llmhni", noisy(planted), contrast=0.0, graph_contrast=0.2)
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model)
    views = (model(made.graphs[name]) for name in ("observed", "refined"))
    expected = contrast.contrast(batch, *views, made.rng("graph contrast"), made.settings.temperature)
    assert weighed == pytest.approx(0.2 * float(expected.detach()), rel=1e-5)


def test_a_perturbed_model_infers_from_the_layers_that_it_trains(planted) -> None:  # noqa: ANN001
    made = make(planted, "xsimgcl", perturbation=0.0)
    model = backbone_of(planted, made)
    trained, inferred = made.forward(model, made.training_graph()).vectors, made.inferred(model)
    torch.testing.assert_close(trained, inferred)
    assert not torch.allclose(inferred, model(made.inference_graph()))  # which has the table, too


@pytest.mark.parametrize("denoiser", ["plain", "bod"])
def test_collapsed_vectors_stop_with_the_epoch_and_leave_the_checkpoint(
    planted,  # noqa: ANN001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    denoiser: str,
) -> None:
    path, whole = tmp_path / "checkpoint", run(planted, denoiser)
    real, seen = train.as_embeddings, []

    def collapses(*args: object) -> Embeddings:
        seen.append(real(*args))
        return dataclasses.replace(seen[-1], item=np.ones_like(seen[-1].item)) if len(seen) > 1 else seen[-1]

    with monkeypatch.context() as patched:
        patched.setattr(train, "as_embeddings", collapses)
        with pytest.raises(RunError, match="By epoch 4 .* collapsed") as caught:
            run(planted, denoiser, checkpoint=path)
    assert "lr" in caught.value.hint
    assert train.checkpoint_epoch(path) == 2
    same(whole, run(planted, denoiser, checkpoint=path))


@pytest.mark.parametrize(
    ("item", "collapsed"),
    [
        (np.ones((9, 2)), True),
        (np.zeros((9, 2)), True),
        (np.ones((9, 2)) + 1e-6 * np.arange(18).reshape(9, 2), True),
        (np.ones((9, 2)) + 0.1 * np.arange(18).reshape(9, 2), False),
    ],
)
def test_collapsed_means_that_no_item_is_told_from_another(item: np.ndarray, collapsed: bool) -> None:
    assert train._collapsed(Embeddings(np.ones((5, 2), np.float32), item.astype(np.float32))) == collapsed


@pytest.mark.parametrize("denoiser", ["xsimgcl", "rce", "rlmrec-gen"])
def test_a_term_that_is_no_number_stops_with_the_epoch_and_leaves_the_checkpoint(
    planted,  # noqa: ANN001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    denoiser: str,
) -> None:
    path, whole = tmp_path / "checkpoint", run(planted, denoiser)
    real = Denoiser.regularisation
    with monkeypatch.context() as patched:
        patched.setattr(Denoiser, "regularisation", lambda self, b: real(self, b) * (np.nan if self.epoch == 5 else 1))
        with pytest.raises(RunError, match="no longer a number in epoch 5") as caught:
            run(planted, denoiser, checkpoint=path)
    assert "reg" in caught.value.message
    assert train.checkpoint_epoch(path) == 4
    same(whole, run(planted, denoiser, checkpoint=path))
