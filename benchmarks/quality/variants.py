"""What the tables compare: a training or a reference, and what a judge or a control said about the clicks before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.judges.simulated import relevant
from core.records import Dataset, Label, LabelSet, Source
from core.rng import stream
from core.settings import TRAIN_PRESETS

Labels = Callable[[Dataset, np.ndarray, int], LabelSet]
"""(dataset, doubt of each training click, seed) -> labels."""

BOTTOM = 0.2
"""Share of the clicks, the most doubtful ones, that the controls of one size are about."""


@dataclass(frozen=True)
class Variant:
    """One row of a table."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)  # of TrainSettings
    reference: str | None = None  # a member of REFERENCES instead of a training
    labels: Labels | None = None


def preset(name: str, title: str, labels: Labels | None = None, **changes: Any) -> Variant:
    return Variant(title, TRAIN_PRESETS[name] | changes, labels=labels)


@dataclass(frozen=True)
class Judge:
    """A simulated judge that is wrong on the share `error` of the pairs, asked about the most doubtful `share` of the clicks."""

    error: float
    share: float = 1.0

    def __call__(self, dataset: Dataset, doubt: np.ndarray, seed: int) -> LabelSet:
        asked = _most_doubtful(doubt, self.share)
        user, item = dataset.train.user[asked], dataset.train.item[asked]
        return _noisy(dataset, asked[~relevant(dataset, user, item, self.error, seed)])


@dataclass(frozen=True)
class AsMany:
    """As many noisy clicks as that judge finds among the BOTTOM share, chosen without one: by doubt, rarity or chance."""

    error: float
    order: str

    def __call__(self, dataset: Dataset, doubt: np.ndarray, seed: int) -> LabelSet:
        n = len(Judge(self.error, BOTTOM)(dataset, doubt, seed))
        if self.order == "doubt":
            return _noisy(dataset, _most_doubtful(doubt, 1)[:n])
        if self.order == "rarity":
            clicks = np.bincount(dataset.train.item, minlength=dataset.n_items)[dataset.train.item]
            return _noisy(dataset, np.argsort(clicks, kind="stable")[:n])
        return _noisy(dataset, stream(seed, "control").choice(len(doubt), n, replace=False))


@dataclass(frozen=True)
class Unseen:
    """No judge: every one of the most doubtful clicks counts as noisy."""

    share: float = BOTTOM

    def __call__(self, dataset: Dataset, doubt: np.ndarray, seed: int) -> LabelSet:
        return _noisy(dataset, _most_doubtful(doubt, self.share))


def _most_doubtful(doubt: np.ndarray, share: float) -> np.ndarray:
    return np.argsort(-doubt, kind="stable")[: round(share * len(doubt))]


def _noisy(dataset: Dataset, rows: np.ndarray) -> LabelSet:
    codes = (np.full(len(rows), code, np.int8) for code in (Label.NOISY_POSITIVE, Source.MODEL))
    return LabelSet(dataset.train.user[rows], dataset.train.item[rows], np.ones(len(rows), bool), *codes)


POPULARITY, EASE, ALS = (
    Variant("popularity", reference="popularity"),
    Variant("EASE (closed form)", reference="ease"),
    Variant("implicit ALS", reference="als"),
)
PLAIN = Variant("LightGCN")
DEFAULT, PAPER = preset("default", "Winnow, preset default"), preset("paper", "LLMHNI, preset paper")
NO_BLEND = preset("default", "default without the blend", blend="none")


def denoiser(name: str, title: str, **changes: Any) -> Variant:
    return Variant(title, {"denoiser": name} | changes)


SGL, XSIMGCL = denoiser("sgl", "SGL"), denoiser("xsimgcl", "XSimGCL")
BASELINES = [
    denoiser("wbpr", "WBPR"),
    denoiser("tce", "T-CE"),
    denoiser("rce", "R-CE"),
    denoiser("prune", "average-loss pruning"),
    denoiser("dns", "DNS"),
    SGL,
    denoiser("simgcl", "SimGCL"),
    XSIMGCL,
    denoiser("bod", "BOD"),
    denoiser("rlmrec-con", "RLMRec-Con"),
    denoiser("rlmrec-gen", "RLMRec-Gen"),
]
REFERENCES = [POPULARITY, EASE, ALS]
ERRORS = (0.0, 0.1, 0.2, 0.3, 0.4)
JUDGED = [preset("default", f"default, simulated judge of all clicks, error {e:.0%}", Judge(e)) for e in ERRORS]
PAPER_JUDGED = [preset("paper", f"paper, simulated judge of all clicks, error {e:.0%}", Judge(e)) for e in (0.0, 0.2)]
CONTROLS = [
    preset("default", "default, judge of the most doubtful 20 %, error 20 %", Judge(0.2, BOTTOM)),
    preset("default", "default, no judge: all of the most doubtful 20 %", Unseen()),
    preset("default", "default, as many: the most doubtful", AsMany(0.2, "doubt")),
    preset("default", "default, as many: those on the rarest items", AsMany(0.2, "rarity")),
    preset("default", "default, as many: random", AsMany(0.2, "random")),
]
