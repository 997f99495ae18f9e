"""Commands about judges: ask one."""

from typing import Annotated

import typer

from core.cli.console import DatasetOption, Output, command
from core.cli.work import DetachOption, run
from core.errors import SettingsError
from core.settings import JudgeSettings

app = typer.Typer()


@command(app, "", JudgeSettings, skip=("pairs",))
def judge(
    output: Output,
    settings: JudgeSettings,
    dataset: DatasetOption = None,
    user: Annotated[str | None, typer.Option(help="Only the candidate of this user, with --item.")] = None,
    item: Annotated[str | None, typer.Option(help="Only the candidate with this item, with --user.")] = None,
    detach: DetachOption = False,
) -> None:
    """Ask a judge about the candidates; what has been answered is not asked again.

    Examples:

    python -m core judge --dataset demo --judge builtin

    python -m core judge --dataset demo --judge ollama --model llama3.1:8b --estimate

    python -m core judge --dataset demo --judge openai --url http://localhost:8000/v1 --model qwen3-8b --confidence probe
    """
    if (user is None) != (item is None):
        raise SettingsError("One of --user and --item is missing.", "A pair is a user and an item.")
    if user is not None and item is not None:
        settings = settings.model_copy(update={"pairs": ((user, item),)})
    run(output, "judge", dataset, settings, detach)
