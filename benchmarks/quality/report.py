"""From measured rows to benchmarks/results/quality.md and .json.

What an earlier run wrote there and this home does not know (it was measured elsewhere, or before the code changed) stays, with
the day on which it was measured.
"""

import platform
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from benchmarks.quality.cases import Case
from benchmarks.quality.measuring import KEPT, Job, Measured, known
from benchmarks.quality.tables import Curve, Table
from benchmarks.quality.variants import Variant
from core.artifacts import Home
from core.compare import Delta, deltas
from core.records import Report
from core.settings import CompareSettings

SHOWN = ("recall@20", "ndcg@20")
HEAD = ("R@20", "seeds", "N@20", "seeds", "R@20 less the first row's", "best epochs", "seconds", "measured")
NOT = f"not measured {'| ' * (len(HEAD) - 1)}"


Earlier = dict[tuple[str, str | None, int | None], dict[str, Any]]
"""What an earlier run wrote, by title, row and percent, as far as a record has them."""


def earlier(records: list[dict[str, Any]]) -> Earlier:
    """The records of results as they were."""
    titles = ((one.get("table") or one.get("curve") or one.get("detection", ""), one) for one in records)
    return {(title, one.get("row"), one.get("percent")): one for title, one in titles}


def row(home: Home, case: str, variant: Variant, seeds: range) -> dict[int, Measured]:
    """What is known of a row, by seed."""
    return {seed: one for seed in seeds if (one := known(home, Job(case, variant, seed))) is not None}


def difference(first: dict[int, Measured], other: dict[int, Measured]) -> Delta | None:
    """Of recall@20, over the seeds that both have."""
    shared = first.keys() & other.keys()
    if not shared:
        return None
    return deltas(*(averaged([one[seed] for seed in sorted(shared)]) for one in (first, other)), CompareSettings())["recall@20"]


def averaged(rows: list[Measured]) -> Report:
    """Each user's metrics as the mean over the seeds."""
    users = rows[0].report.users
    return Report(users, {name: np.mean([one.report.per_user[name] for one in rows], axis=0) for name in KEPT})


def table(home: Home, wanted: Table, case: Case, seeds: range, past: Earlier) -> tuple[list[str], list[dict[str, Any]]]:
    """A table as Markdown lines and as records. The first row is the one that the differences are from; a row that was measured
    with more seeds before is taken from there."""
    lines = ["", f"## {wanted.title}", "", case.protocol, ""]
    lines += [f"| | {' | '.join(HEAD)} |", "|---" * (len(HEAD) + 1) + "|"]
    records, first = [], row(home, wanted.case, wanted.rows[0], seeds)
    for variant in wanted.rows:
        found, before = row(home, wanted.case, variant, seeds), past.get((wanted.title, variant.name, None))
        if before is not None and before["settings"] == variant.settings and len(before["seeds"]) > len(found):
            record = before
        elif found:
            delta = None if variant is wanted.rows[0] else difference(first, found)
            record = _record(wanted.title, case, variant, found, delta)
        else:
            lines.append(f"| {variant.name} | {NOT}|")
            continue
        records.append(record)
        lines.append(_line(record))
    return lines, records


def _record(title: str, case: Case, variant: Variant, by_seed: dict[int, Measured], delta: Delta | None) -> dict[str, Any]:
    found = list(by_seed.values())
    values = {name: [one.report.means()[name] for one in found] for name in KEPT}
    return {
        "table": title,
        "case": case.name,
        "protocol": case.protocol,
        "row": variant.name,
        "settings": variant.settings,
        "seeds": list(by_seed),
        "metrics": {name: {"mean": float(np.mean(each)), "by_seed": each} for name, each in values.items()},
        "difference": None if delta is None else {"recall@20": delta.delta, "low": delta.low, "high": delta.high},
        "best_epochs": [one.best_epoch for one in found],
        "seconds": [round(one.seconds, 1) for one in found],
        "measured": max(one.day for one in found),
    }


def _line(record: dict[str, Any]) -> str:
    cells = [record["row"]]
    for name in SHOWN:
        metric = record["metrics"][name]
        cells += [f"{metric['mean']:.4f}", _reach(metric["by_seed"])]
    delta = record["difference"]
    cells.append("" if delta is None else f"{delta['recall@20']:+.4f} ({delta['low']:+.4f} to {delta['high']:+.4f})")
    cells += [", ".join(map(str, record["best_epochs"])), f"{np.mean(record['seconds']):.0f}", record["measured"]]
    return f"| {' | '.join(cells)} |"


def _reach(values: list[float]) -> str:
    """Lowest and highest over the seeds; one seed has none."""
    return f"{min(values):.4f} to {max(values):.4f}" if len(values) > 1 else "one seed"


def curve(home: Home, wanted: Curve, seeds: range, past: Earlier) -> tuple[list[str], list[dict[str, Any]]]:
    """R@20 by the share of noise."""
    lines = ["", f"## {wanted.title}", "", f"Test R@20; mean over the seeds (lowest to highest). {CURVE_PROTOCOL}", ""]
    lines += ["| | " + " | ".join(f"{percent} %" for percent in wanted.cases) + " |", "|---" * (len(wanted.cases) + 1) + "|"]
    records = []
    for variant in wanted.rows:
        cells = []
        for percent, case in wanted.cases.items():
            values = [one.report.means()["recall@20"] for one in row(home, case, variant, seeds).values()]
            before = past.get((wanted.title, variant.name, percent), {}).get("recall@20", [])
            values = max(values, before, key=len)  # the first where both are as long
            cells.append(f"{np.mean(values):.4f} ({_reach(values)})" if values else "")
            about = {"curve": wanted.title, "protocol": CURVE_PROTOCOL, "row": variant.name, "percent": percent}
            records.append(about | {"recall@20": values})
        lines.append(f"| {variant.name} | {' | '.join(cells)} |")
    return lines, records


CURVE_PROTOCOL = (
    "All items are ranked; train, valid and all ratings of 1-2 are masked at every point, so that the points compare. "
    "A simulated judge has nothing to say where there is no noise."
)


def heading(seeds: range, command: str) -> list[str]:
    """What was run, when and on what."""
    return [
        "# Quality",
        "",
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, torch {torch.__version__}. Seeds {seeds.start} to "
        f"{seeds.stop - 1}; a figure is the mean over them, beside it the lowest and the highest. Differences are paired over "
        "the test users, each user's metric averaged over the seeds, with 95 % bootstrap intervals: one that leaves "
        "out 0 speaks of these users, another split can still differ. Recall divides by all held-out positives. Settings were "
        "chosen on valid, none on test. Seconds are of one thread on a shared machine: read them as orders of magnitude. A row "
        "is by the code of the day in its last column.",
    ]
