"""The plain model and one turn of the loop: `python -m benchmarks.loop [--seeds 3]`.

On the demo dataset and on MovieLens-100K (when ../shared/data is there): plain LightGCN beside the popularity ranking, then
candidates, built-in rater, refined graph; with controls of the same size, because pruning low-scored clicks unseen is
strong too. Per seed everything shares one trained model, so differences come from the graph alone.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torch_geometric

from core import alignment, candidates, datasets, evaluate, graph, judges, metrics, semantic, train
from core.artifacts import ROOT, Home, write_json
from core.backbones import embeddings, restored
from core.records import Dataset, Embeddings, Interactions, Label, LabelSet, Report, Source
from core.rng import stream
from core.settings import CandidateSettings, JudgeSettings, TrainSettings
from core.store import Store

RESULTS = ROOT / "benchmarks" / "results"
SHARED = ROOT.parent / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(folder)
        names = [datasets.import_demo(home)[0].name]
        if SHARED.exists():
            names.append(_movielens(home))
        tables = {name: [measure(home, datasets.load(home, name), seed) for seed in seeds] for name in names}
        speed = {name: per_epoch(datasets.load(home, name)) for name in names}
    write(tables, speed)


def measure(home: Home, dataset: Dataset, seed: int) -> dict[str, float]:
    """Test recall@20 of every variant, the seconds of the training, and what its losses tell."""
    held = dataset.test, [dataset.train, dataset.valid]
    began = time.monotonic()
    fit = train.fit(dataset.train, dataset.valid, dataset.n_users, dataset.n_items, TrainSettings(seed=seed))
    row = {"training [s]": time.monotonic() - began, "epochs": float(fit.epochs)}
    popularity = np.bincount(dataset.train.item, minlength=dataset.n_items).astype(np.float32)[:, None]
    row["popularity"] = _recall(Embeddings(np.ones((dataset.n_users, 1), np.float32), popularity), *held)
    row["plain LightGCN"] = _recall(fit.embeddings, *held)
    settings = JudgeSettings()
    encoded = semantic.encode_items(dataset, settings, home.cache)
    aligned = alignment.align_cached(encoded.vectors, dataset.train, dataset.n_users, home.cache).observed
    budget = CandidateSettings(budget=len(dataset.train) // 5)
    found = candidates.find(dataset, fit.embeddings, fit.losses, encoded.vectors, budget, aligned)
    store = Store.open(Home(home.path / f"{dataset.name}-{seed}"))
    judges.run(store, dataset, found, judges.make(settings, home.cache), settings)
    judged = store.labels(dataset)
    doubtful = found.where(found.observed)
    n = int((judged.label == Label.NOISY_POSITIVE).sum())
    rng = stream(seed, "control")
    pick = rng.choice(len(dataset.train), n, replace=False)
    controls = {
        "built-in rater: prune and add": judged,
        "built-in rater: prune only": judged.having(Label.NOISY_POSITIVE),
        "no judge: prune as many, most doubtful first": _noisy(doubtful.user[:n], doubtful.item[:n]),
        "prune as many at random": _noisy(dataset.train.user[pick], dataset.train.item[pick]),
    }
    if dataset.train.truth is not None:
        known = dataset.train.where(dataset.train.truth == Label.NOISY_POSITIVE)
        controls["known noise pruned (upper bound)"] = _noisy(known.user, known.item)
        row |= _confusion(dataset.train.truth, fit.losses)
    for name, labels in controls.items():
        row[name] = _recall(_propagated(dataset, fit, labels, seed), *held)
    return row | {"pruned": float(n)}


def _propagated(dataset: Dataset, fit: train.Fit, labels: LabelSet, seed: int) -> Embeddings:
    """The trained table, propagated on the refined graph instead (train on G, infer on G')."""
    backbone = restored(fit.learned.parameters, dataset.n_users, dataset.n_items, TrainSettings(seed=seed))
    edges = graph.refine(dataset.train, labels, dataset.n_items)
    return embeddings(backbone, graph.build(edges, dataset.n_users, dataset.n_items))


def _confusion(truth: np.ndarray, losses: dict[str, np.ndarray]) -> dict[str, float]:
    """AUC of the losses: noisy against hard (the confusion), and noisy against all others."""
    doubted = np.isin(truth, (Label.NOISY_POSITIVE, Label.HARD_POSITIVE))
    noisy = truth == Label.NOISY_POSITIVE
    told = {}
    for name, column in (("final", "last"), ("averaged", "mean")):
        told[f"AUC noisy/hard, {name} loss"] = metrics.detection_auc(losses[column][doubted], noisy[doubted])
        told[f"AUC noisy/rest, {name} loss"] = metrics.detection_auc(losses[column], noisy)
    return told


def per_epoch(dataset: Dataset, epochs: int = 6) -> dict[str, float]:
    """Median seconds of an epoch: ours, and the same steps on torch_geometric.nn.LightGCN."""
    settings = TrainSettings(epochs=epochs, min_epochs=epochs, eval_every=epochs)
    seconds: list[float] = []
    train.fit(
        dataset.train, dataset.valid, dataset.n_users, dataset.n_items, settings, on_epoch=lambda e: seconds.append(e.seconds)
    )
    return {"Winnow": float(np.median(seconds[1:-1])), "torch_geometric": _timed(_pyg_epoch(dataset, settings), epochs)}


def _timed(epoch: Callable[[], None], n: int) -> float:
    seconds = []
    for _ in range(n):
        began = time.monotonic()
        epoch()
        seconds.append(time.monotonic() - began)
    return float(np.median(seconds[1:]))


def _pyg_epoch(dataset: Dataset, settings: TrainSettings) -> Callable[[], None]:
    model = torch_geometric.nn.LightGCN(dataset.n_users + dataset.n_items, settings.dim, settings.layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr)
    pairs = torch.from_numpy(np.stack([dataset.train.user, dataset.train.item + dataset.n_users]).astype(np.int64))
    edges = torch.cat([pairs, pairs.flip(0)], 1)

    def epoch() -> None:
        negative = torch.randint(dataset.n_users, dataset.n_users + dataset.n_items, (pairs.shape[1],))
        for rows in torch.randperm(pairs.shape[1]).split(settings.batch_size):
            user, positive = pairs[:, rows]
            optimizer.zero_grad()
            scores = model(edges, torch.stack([user.repeat(2), torch.cat([positive, negative[rows]])]))
            loss = model.recommendation_loss(*scores.chunk(2), node_id=torch.cat([user, positive, negative[rows]]))
            loss.backward()
            optimizer.step()

    return epoch


def _noisy(user: np.ndarray, item: np.ndarray) -> LabelSet:
    codes = (np.full(len(user), code, np.int8) for code in (Label.NOISY_POSITIVE, Source.MODEL))
    return LabelSet(user, item, np.ones(len(user), bool), *codes)


def _recall(vectors: Embeddings, held_out: Interactions, seen: list[Interactions]) -> float:
    report: Report = evaluate.evaluate(vectors, held_out, seen)
    return report.means()["recall@20"]


def _movielens(home: Home) -> str:
    sys.path.insert(0, str(ROOT / "tests"))
    from movielens_folder import write_movielens

    with tempfile.TemporaryDirectory() as folder:
        return datasets.import_path(home, write_movielens(SHARED, Path(folder) / "ml-100k"))[0].name


def write(tables: dict[str, list[dict[str, float]]], speed: dict[str, dict[str, float]]) -> None:
    """benchmarks/results/loop.md and .json: mean and range over the seeds."""
    lines = [
        "# One turn of the loop",
        "",
        f"`python -m benchmarks.loop`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}. Test recall@20 over all items, train and valid masked, epoch chosen on valid; mean over "
        f"{len(next(iter(tables.values())))} seeds (lowest to highest). The variants share each seed's trained model and differ "
        "in the graph that the vectors are propagated on. A difference within the range of the seeds is no finding.",
    ]
    for name, rows in tables.items():
        lines += ["", f"## {name}", "", "| | mean | range |", "|---|---|---|"]
        for key in rows[0]:
            values = [row[key] for row in rows]
            form = ".0f" if min(values) > 20 else ".4f" if max(values) < 1 else ".1f"
            lines.append(f"| {key} | {np.mean(values):{form}} | {min(values):{form}} to {max(values):{form}} |")
        ratio = speed[name]["torch_geometric"] / speed[name]["Winnow"]
        lines.append(f"| one epoch: torch_geometric.nn.LightGCN / Winnow | {ratio:.1f} x | {speed[name]['Winnow']:.2f} s ours |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "loop.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(RESULTS / "loop.json", {"settings": TrainSettings().model_dump(), "tables": tables, "seconds_per_epoch": speed})


if __name__ == "__main__":
    main()
