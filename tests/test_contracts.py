"""What every member of a registry must do, whoever adds it."""

import inspect
import itertools
import re

import numpy as np
import pytest
import torch

from core import graph
from core.backbones import BACKBONES
from core.denoisers import DENOISERS
from core.errors import SettingsError
from core.evaluate import evaluate
from core.settings import PRESET_MEANS, TRAIN_PRESETS, ReadBy, TrainSettings, preset_of, read_by
from core.train import fit


@pytest.mark.parametrize(("backbone", "denoiser"), list(itertools.product(BACKBONES.names(), DENOISERS.names())))
def test_every_backbone_learns_the_planted_groups_with_every_denoiser(planted, backbone: str, denoiser: str) -> None:  # noqa: ANN001
    settings = TrainSettings(backbone=backbone, denoiser=denoiser, dim=16, epochs=40, min_epochs=40, batch_size=128)
    relevance = planted.relevance if DENOISERS[denoiser].text(settings) else None
    result = fit(planted.train, planted.valid, planted.n_users, planted.n_items, settings, relevance=relevance)
    assert len(result.embeddings.user) == planted.n_users
    assert result.embeddings.item.dtype == np.float32
    assert evaluate(result.embeddings, planted.test, [planted.train, planted.valid]).means()["recall@10"] > 0.8


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_every_backbone_is_as_wide_as_it_says_and_starts_from_the_table_it_is_given(planted, backbone: str) -> None:  # noqa: ANN001
    settings = TrainSettings(backbone=backbone, dim=8, layers=2)
    made = BACKBONES[backbone](planted.n_users, planted.n_items, settings)
    on = graph.build(planted.edges, planted.n_users, planted.n_items)
    own = made(on)
    assert own.shape == (planted.n_users + planted.n_items, made.width(settings))
    layers = made.layers(on, table=2 * made.table)
    torch.testing.assert_close(layers[0], 2 * made.table)
    assert not torch.allclose(made.combine(layers), own)
    torch.testing.assert_close(made.combine(made.layers(on, table=made.table)), own)


@pytest.mark.parametrize("registry", [BACKBONES, DENOISERS], ids=lambda registry: registry.family)
def test_every_member_explains_itself_and_an_unknown_name_lists_the_choices(registry) -> None:  # noqa: ANN001
    for name in registry.names():
        assert registry[name].__doc__
    with pytest.raises(SettingsError, match=registry.names()[0]):
        registry["no such thing"]


@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_every_preset_is_valid(preset: str) -> None:
    TrainSettings.checked(**TRAIN_PRESETS[preset])


def test_every_preset_is_explained() -> None:
    assert list(PRESET_MEANS) == list(TRAIN_PRESETS)


def test_settings_are_marked_for_denoisers_that_there_are() -> None:
    markers = [part for field in TrainSettings.model_fields.values() for part in field.metadata if isinstance(part, ReadBy)]
    assert {name for marker in markers if marker.setting == "denoiser" for name in marker.names} <= set(DENOISERS.names())


@pytest.mark.parametrize("denoiser", DENOISERS.names())
def test_a_form_hides_nothing_that_the_denoisers_code_reads(denoiser: str) -> None:
    classes = [kind for kind in DENOISERS[denoiser].__mro__ if kind.__module__.startswith("core.")]
    used = {name for kind in classes for name in re.findall(r"\b(?:settings|chosen)\.(\w+)", inspect.getsource(kind))}
    assert used & TrainSettings.model_fields.keys() <= set(read_by(denoiser))


def test_every_setting_has_a_sentence() -> None:
    from core import settings

    models = [value for value in vars(settings).values() if isinstance(value, type) and issubclass(value, settings.Settings)]
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description and field.description.endswith("."), f"{model.__name__}.{name}"


@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_a_training_is_known_by_its_preset(preset: str) -> None:
    chosen = TrainSettings.checked(**TRAIN_PRESETS[preset], seed=3, labels="v1").model_dump()
    assert preset_of(chosen) == preset
    assert preset_of(chosen | {"layers": 7}) is None
