"""Commands on what a language model is asked: the rubric's versions, and the messages about one pair."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import typer

from core import candidates, datasets, labels, prompts
from core.artifacts import login_name
from core.cli.console import DatasetOption, Output, command, dataset_name, table
from core.cli.labels import AnnotatorOption
from core.errors import SettingsError
from core.judges.preview import preview
from core.prompts import BUILT_IN, MADE, RUBRIC, Prompt, Rubric
from core.records import VIEWS
from core.settings import JudgeSettings
from core.store import Store

app = typer.Typer(help="What a language model is told to judge.", no_args_is_help=True, rich_markup_mode=None)
asking = typer.Typer()

VersionOption = Annotated[str | None, typer.Option("--rubric", help="r1, r2 ... or built-in; the newest when left out.")]


@command(app, "show")
def rubric_show(
    output: Output,
    dataset: DatasetOption = None,
    version: VersionOption = None,
    diff: Annotated[bool, typer.Option("--diff", help="Only what differs from the built-in rubric.")] = False,
) -> None:
    """Show the instructions of both views.

    Example: python -m core rubric show --dataset demo --rubric r1 --diff
    """
    name = dataset_name(output.home, dataset)
    rubric = Store.open(output.home).rubric(name, version)
    difference = prompts.difference(RUBRIC, rubric)
    whole = "\n\n".join(f"{view} view, {rubric.version}\n\n{rubric.of(view)}" for view in VIEWS)
    text = (difference or "The same as the built-in rubric.") if diff else whole
    output.answer({"dataset": name} | asdict(rubric) | {"difference": difference}, text=text)


@command(app, "list")
def rubric_list(output: Output, dataset: DatasetOption = None) -> None:
    """List the versions of a dataset's rubric, newest first; the built-in one is always there."""
    name = dataset_name(output.home, dataset)
    rows = Store.open(output.home).rubrics(name)
    shown = ["version", "annotator", "note"]
    text = table("Rubrics", shown, [*rows[shown].to_numpy().tolist(), [BUILT_IN, "", ""]])
    output.answer({"dataset": name, "rubrics": rows.to_dict("records")}, text=text)


@command(app, "edit")
def rubric_edit(
    output: Output,
    dataset: DatasetOption = None,
    user_file: Annotated[Path | None, typer.Option(help="Text file with the instructions of the user view.")] = None,
    item_file: Annotated[Path | None, typer.Option(help="Text file with the instructions of the item view.")] = None,
    restore: Annotated[str | None, typer.Option(help="Begin with this version's texts: r1, r2 ... or built-in.")] = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    annotator: AnnotatorOption = None,
) -> None:
    """Keep new instructions as a version; a view without a file stays as it is. On a terminal without any file or --restore,
    both are opened in your editor ($EDITOR).

    Examples:

    python -m core rubric edit --dataset demo --user-file user.txt --note "gifts count as Mid"

    python -m core rubric edit --dataset demo --restore built-in
    """
    name = dataset_name(output.home, dataset)
    store = Store.open(output.home)
    old = store.rubric(name, restore)
    files = {"user": user_file, "item": item_file}
    if any(files.values()) or restore:
        texts = {view: _read(path) if path else old.of(view) for view, path in files.items()}
    else:
        texts = _edited(old, output.as_json)
    rubric = store.add_rubric(name, **texts, annotator=annotator or login_name(), note=note)
    text = f"The rubric of {name} is {rubric.version}."
    output.answer({"dataset": name} | asdict(rubric), text=text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text: {error}.", "Give a text file in UTF-8.") from error


def _edited(old: Rubric, as_json: bool) -> dict[str, str]:
    """Both texts as a person leaves them in the editor; closed without saving, a text stays."""
    if as_json or not sys.stdin.isatty():
        raise SettingsError("There is no new text.", "Give --user-file, --item-file or --restore, or run it on a terminal.")
    try:
        return {view: click.edit(old.of(view), extension=f"-{view}-view.txt") or old.of(view) for view in VIEWS}
    except click.ClickException as error:
        raise SettingsError(f"The editor failed: {error.format_message()}", "Set EDITOR, or give the texts as files.") from error


@command(asking, "prompt", JudgeSettings, skip=tuple(name for name in JudgeSettings.model_fields if name != "history_items"))
def prompt(
    output: Output,
    settings: JudgeSettings,
    user: Annotated[str, typer.Argument(help="The user's id.")],
    item: Annotated[str, typer.Argument(help="The item's id.")],
    dataset: DatasetOption = None,
    view: Annotated[Literal["user", "item"] | None, typer.Option(help="One view; both when left out.")] = None,
    rubric: VersionOption = None,
    profiles: Annotated[Literal["made", "written"], typer.Option(help="Where the profile comes from.")] = MADE,
) -> None:
    """Show exactly what a language model would be sent about one of the candidates. Nothing is sent.

    Example: python -m core prompt u17 i42 --dataset demo --view user --rubric built-in
    """
    name = dataset_name(output.home, dataset)
    data = datasets.load(output.home, name)
    place = labels.known_pair(data, user, item)
    chosen = Store.open(output.home).rubric(name, rubric)
    asked = preview(data, candidates.load(output.home, data)[0], chosen, *place, settings, profiles)
    questions = {f"{one} view": asked.views[one] for one in VIEWS if view in (None, one)}
    if asked.profile and view != "item":
        questions = {"profile": asked.profile} | questions
        output.note("The model is asked for the profile first. In the user view here stands the made one in its place.")
    history = [{"id": data.item_ids[one], "title": data.item_title[one]} for one in asked.history]
    told = ", ".join(str(one["id"]) for one in history) or "nothing"
    output.note(f"Prompt version {asked.version}. The history holds {told}.")
    value = {"dataset": name, "user": user, "item": item, "rubric": chosen.version, "version": asked.version, "history": history}
    text = "\n\n".join(f"{title}\n{_told(question)}" for title, question in questions.items())
    output.answer(value | {"questions": {title: _numbers(question) for title, question in questions.items()}}, text=text)


def _numbers(question: Prompt) -> dict[str, Any]:
    return asdict(question) | {"characters": question.characters, "tokens_estimated": question.tokens}


def _told(question: Prompt) -> str:
    size = f"{question.characters:,} characters, about {question.tokens:,} tokens"
    cut = f"cut: {', '.join(question.cut)}" if question.cut else "nothing was cut"
    messages = "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in question.messages)
    return f"{size}; {cut}\n\n{messages}"
