"""Named starting points for trainings."""

from core.settings.base import ACCESS
from core.settings.training import TrainSettings

TRAIN_PRESETS: dict[str, dict[str, object]] = {
    "plain": {},
    "quick": {"dim": 32, "layers": 2, "epochs": 60, "min_epochs": 20, "patience": 3},
    "default": {
        "denoiser": "llmhni",
        "dim": 128,
        "reg": 5e-3,
        "eval_every": 3,
        "min_epochs": 30,
        "noisy_weight": 0.3,
        "blend": "ease",
    },
    "paper": {
        "denoiser": "llmhni",
        "hard_negatives": "semantic",
        "contrast": 0.0,
        "graph_contrast": None,
        "drop_contrast": None,
        "reliable_quantile": 0.5,
        "infer_on": "observed",
        "add_missed": "judges",
    },
}
"""Named starting points for TrainSettings; what is not named keeps its default."""

PRESET_MEANS = {
    "plain": "LightGCN on the clicks as they are, nothing is done about noise; where the loop begins",
    "quick": "the same, smaller and shorter, to look around",
    "default": "the method as it measured best: longer vectors, harder negatives, noisy clicks weighed down, blended with EASE",
    "paper": "LLMHNI as published: negatives by their text, contrasts of both graphs, no blend",
}
"""What each preset is, in words for people."""

APART = {"labels", "seed", "device", *ACCESS}
"""TrainSettings that say on what or where, not how: they belong to no preset."""


def preset_of(settings: dict[str, object]) -> str | None:
    """The name of the preset that a training's settings follow in everything but APART; None when they follow none."""
    fields = TrainSettings().model_dump(exclude=APART)
    how = {name: settings.get(name, default) for name, default in fields.items()}
    return next((name for name, preset in TRAIN_PRESETS.items() if how == fields | preset), None)
