"""Commands on saved selections: named sets of pairs."""

from pathlib import Path
from typing import Annotated

import typer

from core.artifacts import atomic, login_name
from core.cli.console import DatasetOption, Output, command, dataset_name, table
from core.cli.labels import PEOPLE_READ, AnnotatorOption, DryRunOption, read_in
from core.exchange import selections_csv
from core.incoming import SELECTIONS
from core.store import Store

app = typer.Typer(help="Named sets of pairs that people have kept.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(help="Name of the selection.")]


@command(app, "list")
def selections_list(output: Output, dataset: DatasetOption = None) -> None:
    """List the selections of a dataset, newest first."""
    name = dataset_name(output.home, dataset)
    rows = Store.open(output.home).selections(name)
    shown = ["name", "n", "annotator", "origin", "note"]
    text = table("Selections", shown, rows[shown].to_numpy().tolist()) if len(rows) else "No selection yet."
    output.answer({"dataset": name, "selections": rows.to_dict("records")}, text=text)


@command(app, "show")
def selections_show(output: Output, selection: NameArgument, dataset: DatasetOption = None) -> None:
    """Show the pairs of a selection; all with --json, the first 50 for people.

    Example: python -m core selections show "left cluster" --dataset demo
    """
    name = dataset_name(output.home, dataset)
    rows = Store.open(output.home).selection(name, selection)
    if len(rows) > PEOPLE_READ:
        output.note(f"{PEOPLE_READ} of {len(rows)} shown; all with --json or `selections export`.")
    text = table(selection, list(rows.columns), rows.head(PEOPLE_READ).to_numpy().tolist())
    output.answer({"dataset": name, "selection": selection, "pairs": rows.to_dict("records")}, text=text)


@command(app, "export")
def selections_export(
    output: Output,
    selection: NameArgument,
    path: Annotated[Path, typer.Argument(help="CSV file to write.")],
    dataset: DatasetOption = None,
) -> None:
    """Write the pairs of a selection to a CSV file.

    Example: python -m core selections export "left cluster" pairs.csv --dataset demo
    """
    name = dataset_name(output.home, dataset)
    text, n = selections_csv(Store.open(output.home), name, [selection])
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    output.answer({"dataset": name, "selection": selection, "path": path, "n": n}, text=f"Wrote {n} pairs to {path}.")


@command(app, "import")
def selections_import(
    output: Output,
    path: Annotated[Path, typer.Argument(help="CSV file with user_id and item_id, and perhaps name, note and annotator.")],
    dataset: DatasetOption = None,
    annotator: AnnotatorOption = None,
    name: Annotated[str, typer.Option(help="Name of the selection when the file has none; the file's when left out.")] = "",
    dry_run: DryRunOption = False,
) -> None:
    """Keep the selections of a file; one whose name is taken by other pairs is left out, and nothing is kept twice.

    Example: python -m core selections import pairs.csv --dataset demo --name "left cluster" --dry-run
    """
    read_in(output, path, dataset, annotator, dry_run, SELECTIONS, name)


@command(app, "delete")
def selections_delete(
    output: Output, selection: NameArgument, dataset: DatasetOption = None, annotator: AnnotatorOption = None
) -> None:
    """Delete a selection. Its pairs and their labels stay as they are.

    Example: python -m core selections delete "left cluster" --dataset demo
    """
    name = dataset_name(output.home, dataset)
    Store.open(output.home).delete_selection(name, selection, annotator=annotator or login_name())
    output.answer({"dataset": name, "deleted": selection}, text=f"Deleted {selection}.")
