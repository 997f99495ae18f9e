"""Two training runs side by side, on the same test users: paired differences with bootstrap intervals over users."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from core import dynamics, runs
from core.artifacts import Home
from core.errors import RunError
from core.records import Interactions, Report
from core.rng import stream
from core.runs import Run
from core.settings import ACCESS, CompareSettings


@dataclass(frozen=True)
class Delta:
    """One metric of two runs: means over the shared users, b - a, and the interval of that difference."""

    a: float
    b: float
    delta: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """The interval does not contain 0. It speaks of these users; another training seed can still differ."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """`differences` lists every setting, label version or seed that the two runs do not share: (name, in a, in b)."""

    a: Run
    b: Run
    metrics: dict[str, Delta]
    differences: list[tuple[str, object, object]]
    n_users: int


def compare(home: Home, a: str, b: str, settings: CompareSettings = CompareSettings()) -> Comparison:
    """Compare two finished runs of one dataset on its test set. Raises RunError when their test sets are not the same."""
    folders = [runs.folder(home, run_id) for run_id in (a, b)]
    first, second = (folder.read() for folder in folders)
    if first.dataset_fingerprint != second.dataset_fingerprint:
        raise RunError(
            f"{first.id} and {second.id} were trained on different data or splits, so their test sets are not the same.",
            "Compare two runs of one imported dataset.",
        )
    reports = [folder.report("test") for folder in folders]
    return Comparison(first, second, deltas(*reports, settings), _differences(first, second), len(reports[0].users))


def deltas(a: Report, b: Report, settings: CompareSettings) -> dict[str, Delta]:
    """Per metric the paired difference b - a over the users, with a percentile bootstrap interval (one set of draws for all)."""
    if not np.array_equal(a.users, b.users):
        raise RunError("The two runs were not evaluated on the same users.", "Train both again on the same dataset.")
    names = [name for name in a.per_user if name in b.per_user]
    before, after = (np.stack([report.per_user[name] for name in names], axis=1) for report in (a, b))
    means = _resampled_means(after - before, settings)
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    rows = np.stack([before.mean(0), after.mean(0), (after - before).mean(0), low, high])
    return {name: Delta(*column) for name, column in zip(names, rows.T.tolist(), strict=True)}


@dataclass(frozen=True, eq=False)
class Segment:
    """A third of the evaluated users by one of their features, and what the change is for them."""

    feature: str  # one of FEATURES
    low: float
    high: float  # of the feature, both ends included
    n_users: int
    deltas: dict[str, Delta]


@dataclass(frozen=True)
class Flips:
    """Users by whether something of theirs was among the first k, in A and in B."""

    metric: str
    both: int
    lost: int  # in A only
    won: int  # in B only
    neither: int


@dataclass(frozen=True)
class OverSeeds:
    """One metric of trainings that differ from A, or from B, in the seed only, seed by seed."""

    seeds: tuple[int, ...]  # that both sides have
    a: tuple[float, ...]
    b: tuple[float, ...]
    delta: float
    low: float | None  # of the mean difference, Student's t; None below SEEDS_AT_LEAST
    high: float | None


FEATURES = {"history": "training clicks of the user", "popularity": "clicks of the user's median item"}
"""By which users are cut into thirds, in words."""

SEEDS_AT_LEAST = 3
"""So many seeds before an interval over seeds is given."""


def segments(a: Report, b: Report, train: Interactions, n_items: int, settings: CompareSettings) -> list[Segment]:
    """The paired differences for the thirds of the users by each of FEATURES; a third that would be empty is left out."""
    clicks = np.bincount(train.item, minlength=n_items)[train.item]
    history = np.bincount(train.user, minlength=int(a.users.max(initial=0)) + 1)
    middle = pd.Series(clicks).groupby(train.user).median()
    values = {"history": history[a.users].astype(float), "popularity": middle.reindex(a.users).fillna(0).to_numpy()}
    found = []
    for feature, value in values.items():
        third = dynamics.thirds(value)
        for part in range(3):
            rows = third == part
            if rows.any():
                sides = (_of_users(report, rows) for report in (a, b))
                inside = value[rows]
                found.append(Segment(feature, inside.min(), inside.max(), int(rows.sum()), deltas(*sides, settings)))
    return found


def _of_users(report: Report, rows: np.ndarray) -> Report:
    return Report(report.users[rows], {name: column[rows] for name, column in report.per_user.items()})


def flips(a: Report, b: Report, metric: str) -> Flips:
    """Who is served in one training only, by a metric that is 1 or 0 for a user (hit@k)."""
    before, after = (report.per_user[metric] > 0 for report in (a, b))
    counts = (before & after, before & ~after, ~before & after, ~before & ~after)
    return Flips(metric, *(int(one.sum()) for one in counts))


def movers(a: Report, b: Report, metric: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Users int32 (up to n,) who gain most and who lose most by a metric, the most first; only those who do."""
    change = b.per_user[metric] - a.per_user[metric]
    order = np.argsort(-change, kind="stable")
    gain, loss = order[change[order] > 0], order[::-1][change[order[::-1]] < 0]
    return a.users[gain[:n]], a.users[loss[:n]]


def over_seeds(home: Home, a: Run, b: Run, metric: str, split: str = "test") -> OverSeeds:
    """The difference at every seed that both settings were trained with; a and b themselves need not share theirs."""
    values = [_by_seed(home, run, metric, split) for run in (a, b)]
    seeds = tuple(sorted(values[0].keys() & values[1].keys()))
    before, after = (tuple(side[seed] for seed in seeds) for side in values)
    difference = np.subtract(after, before)
    low = high = None
    if len(seeds) >= SEEDS_AT_LEAST:
        reach = stats.sem(difference) * stats.t.ppf(0.975, len(seeds) - 1)
        low, high = float(difference.mean() - reach), float(difference.mean() + reach)
    return OverSeeds(seeds, before, after, float(difference.mean()) if seeds else 0.0, low, high)


def _by_seed(home: Home, like: Run, metric: str, split: str) -> dict[int, float]:
    """{seed: the metric} of all finished trainings with these settings, the newest of each seed."""
    found: dict[int, float] = {}
    for run in runs.listing(home, like.dataset, "train"):
        same = run.dataset_fingerprint == like.dataset_fingerprint and run.label_fingerprint == like.label_fingerprint
        value = run.metrics.get(split, {}).get(metric)
        if same and value is not None and _how(run) == _how(like):
            found.setdefault(run.settings.get("seed", 0), value)
    return found


def _how(run: Run) -> dict[str, object]:
    """The settings of a run without its seed, without the name of its labels, and without what only says where."""
    return {name: value for name, value in run.settings.items() if name not in {"seed", "labels", "device", *ACCESS}}


def _resampled_means(values: np.ndarray, settings: CompareSettings) -> np.ndarray:
    """Means (resamples, metrics) of users (n, metrics) drawn n times with replacement.

    scipy.stats.bootstrap gives the same, metric by metric, in ten times the time: a minute for 100 000 users.
    """
    n, rng = len(values), stream(settings.seed, "bootstrap")
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(settings.resamples))
    return np.stack([draw @ values for draw in draws]) / n


def _differences(a: Run, b: Run) -> list[tuple[str, object, object]]:
    names = sorted((a.settings.keys() | b.settings.keys()) - ACCESS)
    found = [(name, a.settings.get(name), b.settings.get(name)) for name in names]
    found.append(("label content", a.label_fingerprint or None, b.label_fingerprint or None))
    found += [
        (f"version of {name}", a.versions.get(name), b.versions.get(name))
        for name in sorted(a.versions.keys() | b.versions.keys())
    ]
    return [row for row in found if row[1] != row[2]]
