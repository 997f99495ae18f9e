"""The tables themselves: which rows they have, how they are written."""

from dataclasses import dataclass

from benchmarks.quality import variants as v
from benchmarks.quality.variants import Judge, Variant, preset

TARGET = Judge(0.2)
PARTS = {
    "without the blend": {"blend": "none"},
    "uniform negatives": {"hard_negatives": "uniform"},
    "one negative spared": {"spared": 1},
    "vectors of 64": {"dim": 64},
    "noisy clicks dropped": {"noisy_weight": 0.0},
    "inferred on the clicks as they are": {"infer_on": "observed"},
    "trained on the refined graph": {"train_on": "refined"},
    "with the paper's contrasts": {"graph_contrast": None, "drop_contrast": None},
}
SPARSE_PARTS = {
    "without the blend": {"blend": "none"},
    "without contrast": {"contrast": 0.0},
    "uniform negatives": {"hard_negatives": "uniform"},
    "one negative spared": {"spared": 1},
    "vectors of 64": {"dim": 64},
    "with the paper's contrasts": {"contrast": 0.0, "graph_contrast": None, "drop_contrast": None},
}


@dataclass(frozen=True)
class Table:
    """Rows measured on one case; the first is what the others are compared with."""

    title: str
    case: str
    rows: list[Variant]


@dataclass(frozen=True)
class Curve:
    """Recall of a few variants over cases of growing noise."""

    title: str
    cases: dict[int, str]  # {percent: case}
    rows: list[Variant]


NOISY = "ml-100k-dislikes-100"
OTHER_BACKBONES = [
    Variant(f"{title}, {what}", {"backbone": name} | changes)
    for name, title in (("ngcf", "NGCF"), ("mf", "MF"))
    for what, changes in (("plain", {}), ("preset default", v.DEFAULT.settings))
]
TABLES = [
    Table(
        "MovieLens-100K, all real dislikes as clicks",
        NOISY,
        [v.PLAIN, *v.BASELINES, *v.REFERENCES, v.PAPER, v.NO_BLEND, v.DEFAULT],
    ),
    Table(
        "The same: what a judge is worth, and controls without one",
        NOISY,
        [v.DEFAULT, *v.JUDGED, *v.CONTROLS, v.PAPER, *v.PAPER_JUDGED],
    ),
    Table(
        "The same: parts switched off or added, one at a time, with a simulated judge of all clicks that errs 20 %",
        NOISY,
        [v.JUDGED[2], *(preset("default", title, TARGET, **changes) for title, changes in PARTS.items())],
    ),
    Table("The same: other backbones", NOISY, [v.PLAIN, *OTHER_BACKBONES]),
    Table("MovieLens-100K as it is (the ceiling)", "ml-100k", [v.PLAIN, v.EASE, v.ALS, v.PAPER, v.NO_BLEND, v.DEFAULT]),
    Table(
        "Amazon-book, trained on train",
        "amazon-book",
        [v.PLAIN, v.SGL, v.XSIMGCL, *v.REFERENCES, v.PAPER, v.NO_BLEND, v.DEFAULT],
    ),
    Table(
        "Amazon-book: parts switched off or added, one at a time",
        "amazon-book",
        [v.DEFAULT, *(preset("default", title, **changes) for title, changes in SPARSE_PARTS.items())],
    ),
    Table("Amazon-book, trained on train and valid", "amazon-book+valid", [v.PLAIN, v.EASE, v.ALS, v.DEFAULT]),
    Table(
        "The demo: planted misclicks on popular items",
        "demo",
        [
            v.PLAIN,
            v.EASE,
            v.PAPER,
            v.NO_BLEND,
            v.DEFAULT,
            *(v.JUDGED[place] for place in (0, 2)),
            *(preset("default", f"error {e:.0%}, noisy clicks dropped", Judge(e), noisy_weight=0.0) for e in (0.0, 0.2)),
        ],
    ),
]
CURVES = [
    Curve(
        "Growing noise: uniformly random clicks in MovieLens-100K, percent of train",
        {0: "ml-100k"} | {p: f"ml-100k-uniform-{p}" for p in (10, 20, 30, 40)},
        [v.PLAIN, v.EASE, v.PAPER, v.DEFAULT, v.JUDGED[2]],
    ),
    Curve(
        "Growing noise: real dislikes in MovieLens-100K, percent of the 17 480",
        {0: "ml-100k"} | {p: f"ml-100k-dislikes-{p}" for p in (25, 50, 75, 100)},
        [v.PLAIN, v.EASE, v.PAPER, v.DEFAULT, v.JUDGED[2]],
    ),
]
