"""Commands on the guidelines: the text that annotators of a dataset read beside every pair."""

from pathlib import Path
from typing import Annotated

import typer

from core import guidelines
from core.cli.console import DatasetOption, Output, command, dataset_name
from core.cli.labels import AnnotatorOption, DryRunOption, read_in
from core.incoming import GUIDELINES

app = typer.Typer(help="What annotators of a dataset are told.", no_args_is_help=True, rich_markup_mode=None)


@command(app, "show")
def guidelines_show(output: Output, dataset: DatasetOption = None) -> None:
    """Show the guidelines of a dataset.

    Example: python -m core guidelines show --dataset demo > guidelines.txt
    """
    name = dataset_name(output.home, dataset)
    text = guidelines.read(output.home, name)
    output.answer({"dataset": name, "guidelines": text}, text=text)


@command(app, "import")
def guidelines_import(
    output: Output,
    path: Annotated[Path, typer.Argument(help="Text file (.txt or .md) in UTF-8.")],
    dataset: DatasetOption = None,
    annotator: AnnotatorOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Put a text file in the place of the guidelines.

    Example: python -m core guidelines import guidelines.txt --dataset demo
    """
    read_in(output, path, dataset, annotator, dry_run, GUIDELINES)
