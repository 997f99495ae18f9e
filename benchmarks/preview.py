"""How fast a preview is and how well it foretells a retraining: `python -m benchmarks.preview` (`make bench-preview`).

A plain training of the demo and of MovieLens-100K with its real dislikes as clicks (when ../shared/data is there) is previewed
with several sets of labels, good and bad ones, and trained again with each of them: on the same clicks, with another seed,
and on the refined graph. All figures are on valid, as a preview's are. The same seed on the same clicks learns the same table,
so that column agrees nearly by construction; the other two say more. Then the time at 1 000 000 invented interactions.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import torch
from scipy import stats

from benchmarks.quality import cases
from core import preview, train
from core.artifacts import ROOT, Home, write_json
from core.judges.simulated import relevant
from core.labels import labels_of
from core.preview import Base
from core.records import Dataset, Interactions, LabelSet, Source
from core.rng import stream
from core.runs import Run
from core.settings import TRAIN_PRESETS, TrainSettings

RESULTS = ROOT / "benchmarks" / "results"
METRICS = ("recall@20", "ndcg@20")
MODES = {
    "observed": "trained again on the clicks",
    "another seed": "both trainings with another seed",
    "refined": "trained again on the refined graph",
}
BIG = (50_000, 20_000, 1_000_000)  # users, items, interactions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick", choices=list(TRAIN_PRESETS))
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    names = ["demo"] + (["ml-100k-dislikes-100"] if cases.SHARED.exists() else [])
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(folder)
        for name in names:
            dataset = cases.load(home, name).dataset
            tables[name] = [
                measure(dataset, TrainSettings(**TRAIN_PRESETS[given.preset], seed=seed)) for seed in range(given.seeds)
            ]
    write(given.preset, tables, at_a_million())


def measure(dataset: Dataset, settings: TrainSettings) -> dict:
    """One seed: {"seconds": {...}, "sets": {name: {"edges", "preview", and each of MODES}}}, deltas by metric."""
    fit, took = _trained(dataset, settings, None)
    base = preview.base_of(Run("benchmark", "train", dataset.name, {}, 0.0), dataset, settings, fit.learned, None)
    other, _ = _trained(dataset, settings.model_copy(update={"seed": settings.seed + 100}), None)
    ways = {
        "observed": ({"train_on": "observed"}, fit),
        "another seed": ({"seed": settings.seed + 100}, other),
        "refined": ({"train_on": "refined"}, fit),
    }
    rows, seconds = {}, {"training": [took], "preview": []}
    for name, labels in label_sets(dataset, fit, settings.seed).items():
        found, times = _timed(base, labels)
        seconds["preview"] += times
        row = {"edges": len(found.changes)}
        row["preview"] = {m: [found.metrics[m].delta, found.metrics[m].low, found.metrics[m].high] for m in METRICS}
        for mode, (changes, before) in ways.items():
            again, took = _trained(dataset, settings.model_copy(update=changes), labels)
            seconds["training"].append(took)
            row[mode] = {m: again.valid.means()[m] - before.valid.means()[m] for m in METRICS}
        rows[name] = row
    seed = {m: other.valid.means()[m] - fit.valid.means()[m] for m in METRICS}
    return {"base": {m: fit.valid.means()[m] for m in METRICS}, "another seed": seed, "seconds": seconds, "sets": rows}


def label_sets(dataset: Dataset, fit: train.Fit, seed: int) -> dict[str, LabelSet]:
    """Labels that help and labels that harm: judges of every click with planted errors, and prunings of a tenth unseen."""
    clicks, n = dataset.train, len(dataset.train) // 10
    rng = stream(seed, "label sets")
    item_clicks = np.bincount(clicks.item, minlength=dataset.n_items)[clicks.item]
    orders: dict[str, np.ndarray] = {
        "a tenth at random": rng.permutation(len(clicks)),
        "the tenth with the highest averaged loss": np.argsort(-fit.losses["mean"], kind="stable"),
        "the tenth on the most popular items": np.argsort(-item_clicks, kind="stable"),
        "the tenth on the least popular items": np.argsort(item_clicks, kind="stable"),
    }
    found = {}
    for error in (0.0, 0.1, 0.2, 0.4):
        answers = relevant(dataset, clicks.user, clicks.item, error, seed)
        found[f"a judge of every click, wrong about {error:.0%}"] = _labels(clicks, answers)
    return found | {name: _labels(clicks.where(order[:n]), np.zeros(n, bool)) for name, order in orders.items()}


def _labels(pairs: Interactions, answers: np.ndarray) -> LabelSet:
    observed = np.ones(len(pairs), bool)
    return LabelSet(
        pairs.user, pairs.item, observed, labels_of(answers, observed), np.full(len(pairs), Source.SIMULATED, np.int8)
    )


def _trained(dataset: Dataset, settings: TrainSettings, labels: LabelSet | None) -> tuple[train.Fit, float]:
    began = time.monotonic()
    fit = train.fit(dataset.train, dataset.valid, dataset.n_users, dataset.n_items, settings, labels)
    return fit, time.monotonic() - began


def _timed(base: Base, labels: LabelSet, times: int = 3) -> tuple[preview.Preview, list[float]]:
    found = [preview.preview(base, labels) for _ in range(times + 1)]
    return found[-1], [one.seconds for one in found[1:]]


def at_a_million() -> dict:
    """Seconds of a preview and of one epoch on invented interactions of that number."""
    n_users, n_items, n = BIG
    rng = stream(0, "a million")
    user, item = rng.integers(n_users, size=2 * n), (n_items * rng.random(2 * n) ** 2.2).astype(np.int64)
    codes = rng.permutation(np.unique(user * n_items + item))[: n + n // 10]
    pairs = Interactions((codes // n_items).astype(np.int32), (codes % n_items).astype(np.int32))
    users, items = (np.array([str(place) for place in range(size)], object) for size in (n_users, n_items))
    blank = (np.full(n_users, "", object), items, np.full(n_items, "", object), np.full(n_items, "", object))
    parts = (pairs.where(slice(n)), pairs.where(slice(n, None)), pairs.where(slice(0)))
    dataset = Dataset("a million", users, items, *blank, *parts, fingerprint="")
    settings = TrainSettings(epochs=1, min_epochs=1, eval_every=1, trajectories=0)
    seconds: list[float] = []
    fit = train.fit(*parts[:2], n_users, n_items, settings, on_epoch=lambda epoch: seconds.append(epoch.seconds))
    base, loading = _clocked(
        lambda: preview.base_of(Run("benchmark", "train", "", {}, 0.0), dataset, settings, fit.learned, None)
    )
    chosen = dataset.train.where(np.sort(rng.choice(n, 5000, replace=False)))
    _, times = _timed(base, _labels(chosen, np.zeros(5000, bool)), 7)
    return {
        "users": n_users,
        "items": n_items,
        "interactions": n,
        "base [s]": loading,
        "preview [s]": times,
        "epoch [s]": seconds[0],
    }


def _clocked(work: Callable[[], Base]) -> tuple[Base, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def agreement(rows: list[dict], mode: str, metric: str) -> dict[str, float]:
    """How a preview's change goes with that of trainings, over all label sets and seeds."""
    sets = [one for row in rows for one in row["sets"].values()]
    told = np.array([one["preview"][metric] for one in sets])
    true = np.array([one[mode][metric] for one in sets])
    return {
        "sets": len(sets),
        "pearson": float(stats.pearsonr(told[:, 0], true).statistic),
        "spearman": float(stats.spearmanr(told[:, 0], true).statistic),
        "mean miss": float(np.abs(told[:, 0] - true).mean()),
        "wrong sign": int((np.sign(told[:, 0]) != np.sign(true)).sum()),
        "clear and wrong sign": int((((told[:, 1] > 0) & (true < 0)) | ((told[:, 2] < 0) & (true > 0))).sum()),
        "outside the interval": int(((true < told[:, 1]) | (true > told[:, 2])).sum()),
    }


def write(preset: str, tables: dict[str, list[dict]], million: dict) -> None:
    """benchmarks/results/preview.md and .json."""
    threads = torch.get_num_threads()
    lines = [
        "# Previews beside retrainings",
        "",
        f"`python -m benchmarks.preview --preset {preset}`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, "
        f"{threads} threads, torch {torch.__version__}. Change on valid of dropping what the labels call noisy, "
        "against a plain training on all clicks. The epoch of a training is chosen on the same valid users, so its figures are a "
        "little too good. The same seed on the same clicks learns the same table, so that column agrees nearly by "
        "construction; the other two say more.",
    ]
    result = {"preset": preset, "tables": tables, "agreement": {}, "million": million}
    for name, rows in tables.items():
        times = {kind: np.median([t for row in rows for t in row["seconds"][kind]]) for kind in ("preview", "training")}
        seed = ", ".join(f"{row['another seed']['recall@20']:+.4f}" for row in rows)
        slowest = max(t for row in rows for t in row["seconds"]["preview"])
        base = np.mean([row["base"]["recall@20"] for row in rows])
        lines += [
            "",
            f"## {name}",
            "",
            f"Recall@20 of the base {base:.4f}, of the same with another seed {seed}. A preview takes {times['preview']:.2f} s "
            f"(median, warm; slowest {slowest:.2f}), a training {times['training']:.0f} s.",
            "",
            "| labels | edges dropped | preview, Recall@20 | " + " | ".join(MODES.values()) + " |",
            "|---" * (3 + len(MODES)) + "|",
        ]
        for labels in rows[0]["sets"]:
            cells = [row["sets"][labels] for row in rows]
            edges = " / ".join(f"{cell['edges']:,}" for cell in cells)
            told = " / ".join("{:+.4f} ({:+.4f} to {:+.4f})".format(*cell["preview"]["recall@20"]) for cell in cells)
            again = " | ".join(" / ".join(f"{cell[mode]['recall@20']:+.4f}" for cell in cells) for mode in MODES)
            lines.append(f"| {labels} | {edges} | {told} | {again} |")
        lines += [
            "",
            "| foretold | metric | Pearson | Spearman | mean miss | wrong sign | clear, yet wrong sign | outside the interval |",
        ]
        lines.append("|---|---|---|---|---|---|---|---|")
        for mode, word in MODES.items():
            for metric in METRICS:
                one = agreement(rows, mode, metric)
                result["agreement"][f"{name}, {mode}, {metric}"] = one
                wrong = ("wrong sign", "clear and wrong sign", "outside the interval")
                counts = " | ".join(f"{one[key]} of {one['sets']}" for key in wrong)
                lines.append(
                    f"| {word} | {metric} | {one['pearson']:.2f} | {one['spearman']:.2f} | {one['mean miss']:.4f} | {counts} |"
                )
    times = million["preview [s]"]
    lines += [
        "",
        "## 1 000 000 interactions",
        "",
        f"{million['users']:,} users, {million['items']:,} items, invented; vectors of 64, 3 layers, 5 000 clicks dropped, "
        f"{preview.USERS_AT_MOST:,} validation users ranked. A preview takes {np.median(times):.2f} s (slowest of {len(times)} "
        f"{max(times):.2f}), what it starts from is ranked once in {million['base [s]']:.1f} s. One epoch of a training takes "
        f"{million['epoch [s]']:.0f} s, and a training some dozens of them.",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "preview.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(RESULTS / "preview.json", result)


if __name__ == "__main__":
    main()
