"""How well each signal of doubt, and their combination, tells known noise from the other clicks."""

from pathlib import Path

import numpy as np

from benchmarks.quality import measuring
from benchmarks.quality.cases import Case
from core import doubt, metrics, train
from core.artifacts import Home, read_json, write_json
from core.records import Label, fingerprint
from core.settings import TrainSettings

TOP = 0.2
"""The share of the clicks with the highest final loss, among which hard and noisy ones are mixed."""
CASES = ("ml-100k-dislikes-100", "ml-100k-uniform-20", "ml-100k-popular-20")


def known(home: Home, case_name: str, seed: int) -> dict[str, dict[str, float]] | None:
    """The kept figures of a seed, when there are any."""
    path = _path(home, case_name, seed)
    return read_json(path) if path.exists() else None


def _path(home: Home, case_name: str, seed: int) -> Path:
    code = measuring.code_digest(*measuring.TRAINING, *measuring.TEXT, "doubt", "references")
    return home.path / "bench" / f"detection-{fingerprint(case_name, seed, code)}.json"


def measure(home: Home, case: Case, seed: int) -> None:
    """AUC and average precision of every signal, overall and in the top-loss part, kept; a plain training gives the losses."""
    if known(home, case.name, seed) is not None:
        return
    dataset = case.dataset
    fit = train.fit(dataset.train, dataset.valid, dataset.n_users, dataset.n_items, TrainSettings(seed=seed))
    found = measuring.signals(home, dataset, seed, fit.losses)
    columns = found.named() | {"combined": doubt.doubt(found)}
    noisy = dataset.train.truth == Label.NOISY_POSITIVE
    top = fit.losses["last"] >= np.quantile(fit.losses["last"], 1 - TOP)
    told = {name: _told(values, noisy, top) for name, values in columns.items() if np.isfinite(values).any()}
    write_json(_path(home, case.name, seed), told)


def _told(values: np.ndarray, noisy: np.ndarray, top: np.ndarray) -> dict[str, float]:
    values = np.nan_to_num(values, nan=float(np.nanmedian(values)))
    return {
        "AUC": metrics.detection_auc(values, noisy),
        "AP": metrics.detection_average_precision(values, noisy),
        "AUC, top-loss fifth": metrics.detection_auc(values[top], noisy[top]),
        "AP, top-loss fifth": metrics.detection_average_precision(values[top], noisy[top]),
    }


def lines(case: Case, by_seed: list[dict[str, dict[str, float]]]) -> list[str]:
    """A table: mean over the seeds."""
    base = (case.dataset.train.truth == Label.NOISY_POSITIVE).mean()
    names = list(next(iter(by_seed[0].values())))
    told = [f"## Telling noise: {case.name}", "", f"{case.protocol} Of the clicks {base:.1%} are noise: the AP of a coin.", ""]
    told += ["| signal | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for signal in by_seed[0]:
        means = [np.mean([one[signal][name] for one in by_seed]) for name in names]
        told.append(f"| {signal} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    return ["", *told]
