"""`python -m benchmarks.quality`: measure every row that is not known yet, then write benchmarks/results/quality.md and .json.

Rows are kept under the home by the content of what they depend on, so a run that was stopped goes on where it was. The real
data are expected in ../shared/data; a dataset of your own is measured with --dataset NAME.
"""

import logging
import platform
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.quality import detection, measuring, report
from benchmarks.quality.measuring import Job
from benchmarks.quality.tables import CURVES, TABLES, Curve, Table
from benchmarks.quality.variants import BASELINES, DEFAULT, NO_BLEND, PAPER, PLAIN, REFERENCES
from core import pipeline
from core.artifacts import ROOT, Home, atomic, read_json, write_json

RESULTS = ROOT / "benchmarks" / "results"


def main(
    dataset: Annotated[str | None, typer.Option(help="Measure this imported dataset instead of the real ones.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to this less one.")] = 3,
    workers: Annotated[int, typer.Option(min=1, help="Rows at once.")] = 2,
    only: Annotated[str, typer.Option(help="Measure only tables with this in title or case; all known rows are written.")] = "",
    home: Annotated[Path | None, typer.Option(help="Folder with all data; WINNOW_HOME, else data/.")] = None,
) -> None:
    """Measure what is not known yet and write the tables."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    place, span = Home.at(home), range(seeds)
    tables, curves, name = TABLES, CURVES, "quality"
    if dataset:
        rows = [PLAIN, *BASELINES, *REFERENCES, PAPER, NO_BLEND, DEFAULT]
        tables, curves, name = [Table(dataset, dataset, rows)], [], f"quality-{dataset}"
    jobs = [Job(t.case, row, seed) for t in tables if only in t.title + t.case for seed in span for row in t.rows]
    for curve in (curve for curve in curves if only in curve.title):
        jobs += [Job(case, row, seed) for seed in span for case in curve.cases.values() for row in curve.rows]
    for job, left in measuring.measure_all(place, jobs, workers):
        logging.info("%s, %s, seed %d; %d left", job.case, job.variant.name, job.seed, left)
    detected = () if dataset else detection.CASES
    for case, seed in ((case, seed) for case in detected if only in f"detection {case}" for seed in span):
        detection.measure(place, measuring.case(place.path, case), seed)
        logging.info("detection, %s, seed %d", case, seed)
    _write(place, name, tables, curves, span, detected)


def _write(place: Home, name: str, tables: list[Table], curves: list[Curve], span: range, detected: tuple[str, ...]) -> None:
    """Everything that is known, whichever part was measured now."""
    command = f"python -m benchmarks.quality --seeds {span.stop}" + ("" if name == "quality" else f" --dataset {tables[0].case}")
    path = RESULTS / f"{name}.json"
    past = report.earlier(read_json(path) if path.exists() else [])
    lines, records = report.heading(span, command), []
    for one in tables:
        told, kept = report.table(place, one, measuring.case(place.path, one.case), span, past)
        lines, records = lines + told, records + kept
    for one in curves:
        told, kept = report.curve(place, one, span, past)
        lines, records = lines + told, records + kept
    for case_name in detected:
        by_seed = [one for seed in span if (one := detection.known(place, case_name, seed)) is not None]
        by_seed = max(by_seed, past.get((case_name, None, None), {}).get("by_seed", []), key=len)
        if by_seed:
            case = measuring.case(place.path, case_name)
            lines += detection.lines(case, by_seed)
            records.append({"detection": case_name, "protocol": case.protocol, "by_seed": by_seed})
    with atomic(RESULTS / f"{name}.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    about = {"command": command, "seeds": list(span), "machine": platform.machine(), "versions": pipeline.versions()}
    write_json(path, [{"about": about}, *records])


if __name__ == "__main__":
    typer.run(main)
