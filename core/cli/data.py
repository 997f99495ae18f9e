"""Commands on datasets, and the look at this installation."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core import datasets, noise
from core import doctor as examining
from core.cli.console import DatasetOption, Output, command, dataset_name, table
from core.datasets import exporting
from core.errors import SettingsError
from core.settings import DemoSettings, EncoderSettings, ExportSettings, ImportSettings, InjectSettings, JudgeSettings

app = typer.Typer()


@command(app, "demo", DemoSettings)
def demo(
    output: Output,
    settings: DemoSettings,
    name: Annotated[str, typer.Option(help="Name of the dataset.")] = "demo",
    replace: Annotated[bool, typer.Option("--replace", help="Make it anew when it is already there.")] = False,
) -> None:
    """Invent a small shop with known noise, and import it.

    Example: python -m core demo
    """
    _imported(output, *datasets.import_demo(output.home, settings, name=name, replace=replace))


MAPPED = tuple(name for name, field in ImportSettings.model_fields.items() if field.annotation == str | None)
"""Settings that name a column; all of them are given by --mapping."""


@command(app, "import", ImportSettings, skip=MAPPED)
def import_(
    output: Output,
    settings: ImportSettings,
    path: Annotated[Path, typer.Argument(help="A CSV, TSV or Parquet file, or the MovieLens-100K folder.")],
    name: Annotated[str | None, typer.Option(help="Name of the dataset; the file's when left out.")] = None,
    format: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(datasets.FORMATS.names())}; guessed when left out.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Columns, as user=uid,item=sku,rating=stars; an empty name switches a guess off. Known: {', '.join(MAPPED)}."
        ),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Table of items: id, title, category, text.")] = None,
    users: Annotated[Path | None, typer.Option(help="Table of users: id, and any attributes.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Table of known noise: user, item, truth. For evaluation only.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a dataset of this name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be imported.")] = False,
) -> None:
    """Import interactions, after saying what is wrong with the file.

    Examples:

    python -m core import ml-100k/

    python -m core import clicks.csv --mapping user=uid,item=sku,rating=stars --threshold 4 --items products.csv
    """
    settings = ImportSettings.checked(**settings.model_dump() | _mapping(mapping or []))
    draft = datasets.examine(path, name=name, format=format, settings=settings, items=items, users=users, truth=truth)
    if dry_run:
        output.answer(draft.report.to_json(), text="\n".join(draft.report.sentences()))
        return
    _imported(output, datasets.commit(output.home, draft, replace=replace), draft.report)


def _mapping(given: list[str]) -> dict[str, str]:
    pairs = [part for text in given for part in text.split(",") if part]
    if wrong := [part for part in pairs if "=" not in part]:
        raise SettingsError(f"A mapping is written column=name, not {wrong[0]!r}.", "Example: --mapping user=uid,item=sku.")
    return dict(part.split("=", 1) for part in pairs)


def _imported(output: Output, info: datasets.DatasetInfo, report: datasets.ImportReport) -> None:
    for sentence in report.sentences():
        output.note(sentence)
    text = f"Imported {info.name}: {info.users} users, {info.items} items, {info.interactions} positives "
    text += f"({info.train} train, {info.valid} valid, {info.test} test)."
    output.answer(asdict(info) | {"report": report.to_json()}, text=text)


@command(app, "inject", InjectSettings)
def inject(
    output: Output,
    settings: InjectSettings,
    dataset: DatasetOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the noisy copy; DATASET-KIND when left out.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a dataset of this name.")] = False,
) -> None:
    """Copy a dataset with noisy clicks added to train; that they are noisy is known, for evaluation only.

    Examples:

    python -m core inject --dataset ml-100k --kind dislikes

    python -m core inject --dataset demo --kind popular --share .3 --name demo-misclicks
    """
    source = dataset_name(output.home, dataset)
    made = noise.make(output.home, source, settings, name=name, replace=replace)
    text = f"Made {made.info.name} of {source}: {made.clicks} noisy clicks among {made.info.train} in train ({settings.kind})."
    about = {"source": source, "kind": settings.kind, "injected": made.clicks, "report": made.report.to_json()}
    output.answer(asdict(made.info) | about, text=text)


@command(app, "export-dataset", ExportSettings)
def export_dataset(
    output: Output,
    settings: ExportSettings,
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    dataset: DatasetOption = None,
    labels: Annotated[str | None, typer.Option(help="Label version; the labels as they stand now when left out.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the folder when it is there.")] = False,
) -> None:
    """Write the dataset as its labels leave it, splits kept, with changes.csv that says what was changed, by whom and why.

    Example: python -m core export-dataset --dataset demo --labels v1 --format recbole --out demo-cleaned
    """
    name = dataset_name(output.home, dataset)
    made = exporting.export(output.home, name, out.expanduser().resolve(), settings, labels, replace=replace)
    told = ", ".join(f"{n} {deed}" for deed, n in made.changes.items())
    rows = ", ".join(f"{n} {split}" for split, n in made.splits.items())
    for column, n in made.filled.items():
        output.note(f"{n} clicks without a {column} got that of the user's median click.")
    output.answer(asdict(made), text=f"Wrote {name} to {made.folder} as {made.format}: {rows}; {told}.")


@command(app, "datasets")
def datasets_(output: Output) -> None:
    """List the imported datasets."""
    found = datasets.listing(output.home)
    columns = ["name", "users", "items", "interactions", "train", "valid", "test"]
    rows = [[getattr(info, column) for column in columns] for info in found]
    text = table("Datasets", columns, rows) if found else "No dataset yet. Make one: python -m core demo"
    output.answer([asdict(info) for info in found], text=text)


@command(
    app, "doctor", JudgeSettings, skip=tuple(set(JudgeSettings.model_fields) - {"url", "model", *EncoderSettings.model_fields})
)
def doctor(output: Output, settings: JudgeSettings) -> None:
    """Say what is installed, reachable and writable here. Exits with 1 when something is missing that Winnow needs."""
    checks = examining.examine(output.home, settings)
    rows = [[check.name, "ok" if check.ok else "missing", check.detail, check.hint] for check in checks]
    fine = all(check.ok for check in checks if check.needed)
    told = {"ok": fine, "checks": [asdict(check) for check in checks]}
    output.answer(
        told,
        text="\n".join(f"{name:18} {state:8} {detail}{'  -> ' + hint if hint else ''}" for name, state, detail, hint in rows),
    )
    if not fine:
        raise typer.Exit(1)
