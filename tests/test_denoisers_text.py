"""RLMRec: which nodes are tied to their texts, how strongly, and that those without a text are left alone."""

import numpy as np
import pytest
import torch

from core import losses
from core.backbones import BACKBONES
from core.denoisers import DENOISERS
from core.denoisers.mlp import mlp
from core.records import Relevance
from core.settings import TrainSettings
from tests.denoiser_fixtures import backbone_of, first_batch, make, run

BOTH = ("rlmrec-con", "rlmrec-gen")


@pytest.mark.parametrize("denoiser", BOTH)
def test_they_ask_for_profiles(denoiser: str) -> None:
    assert DENOISERS[denoiser].text(TrainSettings(denoiser=denoiser)) == "profiles"


@pytest.mark.parametrize("denoiser", BOTH)
@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_the_term_appears_with_its_weight_and_reaches_all_that_is_learned(planted, denoiser: str, backbone: str) -> None:  # noqa: ANN001
    def term(weight: float | None) -> float:
        made = make(planted, denoiser, backbone=backbone, contrast=weight)
        model = backbone_of(planted, made)
        terms = made.terms(first_batch(planted, made, model), model)
        assert list(terms) == ["bpr", "reg", "text contrast"]
        for gradient in torch.autograd.grad(terms["text contrast"], [*made.parameters(), model.table]):
            assert torch.isfinite(gradient).all()
        return float(terms["text contrast"].detach())

    assert term(0.4) == pytest.approx(2 * term(0.2), rel=1e-5)
    assert term(None) == pytest.approx(term(0.005), rel=1e-5)  # a dense log


def test_con_is_the_contrast_of_vectors_and_texts_brought_down(planted) -> None:  # noqa: ANN001
    made = make(planted, "rlmrec-con", contrast=0.3, temperature=0.5)
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model, len(planted.train))  # all nodes are in it
    last_user, last_item = planted.n_users - 1, planted.n_users + planted.n_items - 1
    assert last_user in batch.user and last_item in batch.positive  # those without a text
    kinds = torch.arange(planted.n_users - 1), planted.n_users + torch.arange(planted.n_items - 1)
    wanted = sum(losses.info_nce(batch.vectors[kind], made.down(made.texts[kind]), 0.5) for kind in kinds)
    term = made.terms(batch, model)["text contrast"]
    torch.testing.assert_close(term, 0.3 * wanted)
    gradient = torch.autograd.grad(term, batch.forward.vectors)[0]
    assert not gradient[[last_user, last_item]].any()
    assert gradient[kinds[0]].any(dim=1).all() and gradient[kinds[1]].any(dim=1).all()


def test_gen_masks_a_share_of_those_with_a_text_anew_for_every_step(planted) -> None:  # noqa: ANN001
    made = make(planted, "rlmrec-gen", masked=0.25)
    model = backbone_of(planted, made)
    made.begin_epoch(1, model)
    first = made.masked()
    told = planted.n_users + planted.n_items - 2
    assert len(first) == len(torch.unique(first)) == round(0.25 * told)
    assert made.told[first].all()
    assert torch.equal(first, made.masked())
    made.step = 1
    assert not torch.equal(first, made.masked())
    with torch.no_grad():
        made.mask.fill_(7)
    start = made.forward(model, made.training_graph()).layers[0]
    second, rest = made.masked(), np.setdiff1d(np.arange(told + 2), made.masked())
    assert (start[second] == 7).all()
    torch.testing.assert_close(start[rest], model.table[rest])


def test_gen_rebuilds_the_texts_of_the_masked_nodes(planted) -> None:  # noqa: ANN001
    made = make(planted, "rlmrec-gen", contrast=0.3, temperature=0.5, masked=0.4)
    model = backbone_of(planted, made)
    batch = first_batch(planted, made, model)
    nodes = made.masked()
    wanted = losses.info_nce(made.up(batch.vectors[nodes]), made.texts[nodes], 0.5)
    torch.testing.assert_close(made.terms(batch, model)["text contrast"], 0.3 * wanted)


@pytest.mark.parametrize("denoiser", BOTH)
def test_where_nobody_has_a_text_or_the_weight_is_nothing_it_is_plain(planted, denoiser: str) -> None:  # noqa: ANN001
    nothing = Relevance(np.zeros((planted.n_users, 6), np.float32), np.zeros((planted.n_items, 6), np.float32))
    plain = make(planted, "plain")
    model = backbone_of(planted, plain)
    wanted = plain.forward(model, plain.training_graph()).vectors
    for made in (make(planted, denoiser, relevance=nothing), make(planted, denoiser, contrast=0.0)):
        batch = first_batch(planted, made, model)
        torch.testing.assert_close(batch.vectors, wanted)
        assert float(made.terms(batch, model).get("text contrast", torch.zeros(()))) == 0


def test_vectors_come_to_say_what_the_texts_say(planted) -> None:  # noqa: ANN001
    """With a text that divides users otherwise than their clicks do, users of one text come closer than without it."""
    rows = np.eye(2, dtype=np.float32)[np.arange(planted.n_users) // 2 % 2]
    relevance = Relevance(rows, planted.relevance.item[:, :2] * 0)

    def closeness(weight: float) -> float:
        made = make(planted, "rlmrec-con", relevance=relevance, contrast=weight, layers=1)
        model = backbone_of(planted, made)
        adam = torch.optim.Adam([*made.parameters(), *model.parameters()], lr=0.02)
        for _ in range(60):
            terms = made.terms(first_batch(planted, made, model, len(planted.train)), model)
            adam.zero_grad()
            sum(terms.values()).backward()
            adam.step()
        unit = torch.nn.functional.normalize(model(made.training_graph()).detach()[: planted.n_users], dim=1).numpy()
        alike = rows @ rows.T > 0
        return float((unit @ unit.T)[alike].mean() - (unit @ unit.T)[~alike].mean())

    assert closeness(1.0) > closeness(0.0) + 0.1


@pytest.mark.parametrize("denoiser", BOTH)
def test_text_vectors_are_no_part_of_a_checkpoint(planted, denoiser: str) -> None:  # noqa: ANN001
    made = make(planted, denoiser)
    assert all(name.split(".")[0] in {"down", "up", "mask"} for name in made.state_dict())
    assert made.state_dict()


def test_masking_everything_but_a_little_still_trains(planted) -> None:  # noqa: ANN001
    fit = run(planted, "rlmrec-gen", {"masked": 0.95, "contrast": 0.1})
    assert np.isfinite(fit.embeddings.user).all()


def test_mlp_has_its_sizes_and_is_the_same_every_time() -> None:
    first, again = (mlp(np.random.default_rng(3), 5, 4, 2) for _ in range(2))
    assert [tuple(p.shape) for p in first.parameters()] == [(4, 5), (4,), (2, 4), (2,)]
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert float(first[0].weight.detach().abs().max()) <= (6 / 9) ** 0.5
    assert not first[0].bias.any()
