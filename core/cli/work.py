"""Commands that do the work: train, find candidates, compare; and those that watch over runs."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from core import compare as comparing
from core import jobs, runs
from core.cli.console import DatasetOption, Output, command, dataset_name, table
from core.errors import SettingsError
from core.runs import Run, State
from core.settings import (
    PRESET_MEANS,
    TRAIN_PRESETS,
    CandidateSettings,
    CompareSettings,
    ProjectSettings,
    Settings,
    TrainSettings,
)

app = typer.Typer()

DetachOption = Annotated[bool, typer.Option("--detach", help="Start in the background and return at once; see `runs`.")]

_PRESETS = "; ".join(f"{name}: {means}" for name, means in PRESET_MEANS.items())


@command(app, "train", TrainSettings)
def train(
    output: Output,
    settings: TrainSettings,
    dataset: DatasetOption = None,
    preset: Annotated[str, typer.Option(help=f"Starting point of the settings. {_PRESETS}.")] = "plain",
    detach: DetachOption = False,
) -> None:
    """Train a recommender and evaluate it on the test set.

    Examples:

    python -m core train --dataset demo

    python -m core train --dataset demo --labels v1 --seed 1
    """
    if preset not in TRAIN_PRESETS:
        raise SettingsError(f"There is no preset named {preset!r}.", f"Choose one of: {', '.join(TRAIN_PRESETS)}.")
    chosen = TrainSettings.checked(**TRAIN_PRESETS[preset] | settings.model_dump(exclude_unset=True))
    run(output, "train", dataset, chosen, detach)


@command(app, "candidates", CandidateSettings)
def candidates(output: Output, settings: CandidateSettings, dataset: DatasetOption = None, detach: DetachOption = False) -> None:
    """Pick the pairs that are doubtful enough to ask a judge about.

    Example: python -m core candidates --dataset demo --budget 500
    """
    run(output, "candidates", dataset, settings, detach)


@command(app, "project", ProjectSettings)
def project(output: Output, settings: ProjectSettings, dataset: DatasetOption = None, detach: DetachOption = False) -> None:
    """Lay the vectors of a training out on a plane, for the page Embeddings.

    Example: python -m core project --dataset demo --of items
    """
    run(output, "project", dataset, settings, detach)


def run(output: Output, kind: str, dataset: str | None, settings: Settings, detach: bool) -> None:
    """Start a run in the background, or carry it out here."""
    name = dataset_name(output.home, dataset)
    if detach:
        run = jobs.start(output.home, kind, name, settings.model_dump())
        output.answer(summary(run), text=f"Started {run.id}. Watch it: python -m core runs {run.id}")
        return
    work_on(output, jobs.create(output.home, kind, name, settings.model_dump()).id)


def carry_out(output: Output, kind: str, name: str, settings: Settings) -> Run:
    """A new run, carried out in this process under a bar."""
    with output.progress() as show:
        return jobs.work(output.home, jobs.create(output.home, kind, name, settings.model_dump()).id, show)


def work_on(output: Output, run_id: str) -> None:
    """Carry out a run in this process, and tell its result."""
    with output.progress() as show:
        run = jobs.work(output.home, run_id, show)
    output.answer(summary(run), text=_told(run))
    if run.state is not State.DONE:
        output.note(f"Stopped. Go on with: python -m core resume {run.id}")
        raise typer.Exit(1)


def summary(run: Run) -> dict[str, Any]:
    """A run as `--json` tells it: {run, kind, dataset, state, seconds} and what its kind of work gives."""
    told = {"run": run.id, "kind": run.kind, "dataset": run.dataset, "state": run.state, "seconds": round(run.seconds, 3)}
    told |= {name: value for name, value in run.result.items() if name not in told}
    return told | ({} if run.state is State.DONE else {"progress": asdict(run.progress)}) | run.error


def _told(run: Run) -> Any:
    if not run.metrics:
        lines = [f"{name}: {value}" for name, value in summary(run).items() if name not in ("progress", "kind")]
        return "\n".join(lines)
    names = list(next(iter(run.metrics.values())))
    rows = [[name, *(run.metrics.get(split, {}).get(name) for split in ("valid", "test"))] for name in names]
    return table(f"{run.id}: {run.result['epochs']} epochs, {run.seconds:.1f} s", ["metric", "valid", "test"], rows)


@command(app, "runs")
def runs_(
    output: Output,
    run: Annotated[str | None, typer.Argument(help="One run, by its id or an unambiguous part; all when left out.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this dataset's.")] = None,
) -> None:
    """List the runs, newest first, or show one."""
    if run:
        one = runs.folder(output.home, run).read()
        output.answer(summary(one) | {"settings": one.settings}, text=_told(one))
        return
    found = runs.listing(output.home, dataset)
    if dataset and not found:
        dataset_name(output.home, dataset)  # no run of it, or a name that is wrong
    rows = [[r.id, r.kind, r.state, f"{r.seconds:.1f}", r.metrics.get("test", {}).get("recall@20")] for r in found]
    text = table("Runs", ["run", "kind", "state", "seconds", "test recall@20"], rows) if found else "No run yet."
    output.answer([summary(r) for r in found], text=text)


@command(app, "resume")
def resume(
    output: Output,
    run: Annotated[str, typer.Argument(help="An interrupted, cancelled or failed run.")],
    detach: DetachOption = False,
) -> None:
    """Go on with a run that did not end; a training goes on from its checkpoint, a judge run asks only what is open."""
    if detach:
        started = jobs.resume(output.home, run)
        output.answer(summary(started), text=f"Started {started.id}. Watch it: python -m core runs {started.id}")
        return
    work_on(output, jobs.resumable(output.home, run).id)


@command(app, "cancel")
def cancel(
    output: Output,
    run: Annotated[str, typer.Argument(help="A run at work.")],
    force: Annotated[bool, typer.Option("--force", help="Kill its process instead of waiting for its current step.")] = False,
) -> None:
    """Stop a run; it keeps what it has done and can be resumed."""
    stopped = jobs.cancel(output.home, run, force=force)
    output.answer(summary(stopped), text=f"{stopped.id} is {stopped.state}.")


@command(app, "work", hidden=True)
def work(output: Output, run: str) -> None:
    """Carry out a queued run in this process: what a job's child process does."""
    work_on(output, run)


@command(app, "compare", CompareSettings)
def compare(
    output: Output,
    settings: CompareSettings,
    a: Annotated[str, typer.Argument(help="A finished training run, say the plain one.")],
    b: Annotated[str, typer.Argument(help="Another one on the same dataset.")],
) -> None:
    """Compare two runs on the same test users: difference and bootstrap interval for every metric.

    Example: python -m core compare demo-20260101-120000-1a2b demo-20260101-121500-3c4d
    """
    result = comparing.compare(output.home, a, b, settings)
    columns = ["metric", "a", "b", "b - a", "low", "high"]
    rows = [[name, d.a, d.b, d.delta, d.low, d.high] for name, d in result.metrics.items()]
    output.note(
        f"a = {result.a.id}\nb = {result.b.id}\n{result.n_users} test users, {settings.confidence:.0%} interval over them."
    )
    for name, left, right in result.differences:
        output.note(f"differs: {name}: {left} -> {right}")
    differences = [{"setting": name, "a": left, "b": right} for name, left, right in result.differences]
    output.answer(
        {
            "a": result.a.id,
            "b": result.b.id,
            "metrics": {name: asdict(delta) for name, delta in result.metrics.items()},
            "differences": differences,
            "users": result.n_users,
        },
        text=table("Comparison", columns, rows),
    )
