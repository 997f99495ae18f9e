"""How the command line speaks: options made from settings, one JSON object on request, progress bars, errors with hints."""

import inspect
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from core import datasets, runs
from core.artifacts import Home
from core.errors import NotFoundError, SettingsError
from core.settings import Settings, Unset, marked, told

errors = Console(stderr=True)

PIPED_WIDTH = 160
"""Columns when nobody looks: wide enough that no table is squeezed."""

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", envvar="WINNOW_HOME", help="Folder with all data: datasets, runs, database. Default: data/ beside the code."
    ),
]
DatasetOption = Annotated[
    str | None, typer.Option("--dataset", "-d", help="Name of the dataset; may be left out when there is only one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else.")]


class Output:
    """Where a command's answer goes: JSON for programs, tables and sentences for people."""

    def __init__(self, home: Home, as_json: bool) -> None:
        self.home = home
        self.as_json = as_json
        self._console = Console()
        if not self._console.is_terminal:
            self._console.width = PIPED_WIDTH

    def answer(self, value: Any, *, text: str | Table | None = None) -> None:
        """The command's result; people see `text` instead when there is one."""
        if self.as_json or text is None:
            typer.echo(json.dumps(plain(value), ensure_ascii=False, indent=None if self.as_json else 2, allow_nan=False))
        else:
            self._console.print(text, highlight=False, markup=False, soft_wrap=isinstance(text, str))

    def note(self, sentence: str) -> None:
        """Something a person should know beside the result; on stderr, so that pipes stay clean."""
        if not self.as_json:
            errors.print(sentence, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[runs.Progress], None]]:
        """A bar on a terminal, nothing elsewhere."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, TextColumn("{task.fields[note]}"), console=errors, disable=self.as_json or not errors.is_terminal
        ) as bar:
            task = bar.add_task("starting", total=None, note="")

            def show(progress: runs.Progress) -> None:
                bar.update(
                    task, description=progress.phase, completed=progress.done, total=progress.total or None, note=progress.message
                )

            yield show


def dataset_name(home: Home, name: str | None) -> str:
    """The named dataset, or the only one."""
    if name:
        return datasets.info(home, name).name
    names = [info.name for info in datasets.listing(home)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotFoundError("There is no dataset yet.", "Make one: python -m core demo, or python -m core import PATH.")
    raise SettingsError("Which dataset?", f"Give --dataset; there are: {', '.join(names)}.")


def plain(value: Any) -> Any:
    """JSON-ready: NaN and infinity become null, paths text, numpy numbers Python's."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def table(title: str, columns: list[str], rows: list[list[object]]) -> Table:
    """A table whose first column reads from the left, the others from the right."""
    made = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*(escape(_shown(cell)) for cell in row))
    return made


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def command(
    app: typer.Typer, name: str, *models: type[Settings], skip: tuple[str, ...] = (), **extra: Any
) -> Callable[[Callable], Callable]:
    """Register a function as a command with `--home` and `--json`, and an option for every field of the settings models.

    The function gets an Output first, then an instance of each model, then its own parameters by name. Fields named in
    `skip` get no option. Without a name it is what the app does when none of its commands is named.
    """

    def register(function: Callable) -> Callable:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1 + len(models) :]
        made = [_option(name, field) for model in models for name, field in model.model_fields.items() if name not in skip]

        def run(context: typer.Context, home: Path | None, json: bool, **given: Any) -> None:
            if context.invoked_subcommand:
                return
            output = Output(Home.at(home or context.find_root().obj), json)
            chosen = {name: value for name, value in given.items() if value is not None}
            # the command's own option may bear the name of a field that has none, such as `import --truth FILE`
            fields = [chosen.keys() & model.model_fields.keys() - set(skip) for model in models]
            filled = [model.checked(**{f: chosen[f] for f in named}) for model, named in zip(models, fields, strict=True)]
            function(output, *filled, **{p.name: given[p.name] for p in own})

        parameters = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own),
            *made,
            inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=HomeOption),
            inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption),
        ]
        run.__signature__ = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        register_as = app.command(name, **extra) if name else app.callback(invoke_without_command=True)
        register_as(run)
        return function

    return register


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """None means "not given", so that a preset or the model's own default can fill it; the help shows the default."""
    unset = marked(field, Unset)
    default = unset.word if unset and field.default is None else field.default
    option = typer.Option(
        f"--{name.replace('_', '-')}", help=told(field), show_default=False if default is None else str(default)
    )
    kind = str if unset else field.annotation  # the word for None is no number; the model checks the rest
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])
