"""Commands about judges: ask one, send questions away and take answers in, write down what was judged."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from core import candidates, datasets, judges
from core.artifacts import login_name
from core.cli.console import DatasetOption, Output, command, dataset_name
from core.cli.labels import AnnotatorOption
from core.cli.work import DetachOption, carry_out, run, summary
from core.errors import SettingsError
from core.judges import imports, trail
from core.judges.again import first
from core.judges.asked import everything
from core.judges.export import SETTINGS_APART, Format, export
from core.runs import Progress
from core.settings import AgainSettings, JudgeSettings
from core.store import Store

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


APART = ("limit", "shard", "pairs", "estimate", "samples", "file")
AGAIN = {name: AgainSettings.model_fields[name].description for name in ("without", "reverse", "seeds", "title_only")}


@command(app, "again", JudgeSettings, skip=APART)
def judge_again(
    output: Output,
    settings: JudgeSettings,
    user: Annotated[str, typer.Argument(help="The user's id.")],
    item: Annotated[str, typer.Argument(help="The item's id.")],
    without: Annotated[list[str] | None, typer.Option(help=AGAIN["without"])] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help=AGAIN["reverse"])] = False,
    seeds: Annotated[int, typer.Option(min=0, max=20, help=AGAIN["seeds"])] = 0,
    title_only: Annotated[bool, typer.Option("--title-only", help=AGAIN["title_only"])] = False,
    dataset: DatasetOption = None,
    annotator: AnnotatorOption = None,
) -> None:
    """Ask the judge of a pair again with one thing changed at a time, and see whether its rating changes. Without any
    change named, all are tried that this judge can be asked with. The answers are kept, and never count as judgments.

    The judge is the one whose answer counts, asked as it was, unless options say otherwise.

    Examples:

    python -m core judge again u17 i42 --dataset demo --without i3

    python -m core judge again u17 i42 --dataset demo --judge ollama --model llama3.1:8b --reverse --seeds 3
    """
    from core import counterfactuals

    name = dataset_name(output.home, dataset)
    data, store = datasets.load(output.home, name), Store.open(output.home)
    asked, _ = candidates.load(output.home, data)
    given = {one: getattr(settings, one) for one in settings.model_fields_set}
    given |= {"without": tuple(without or ()), "reverse": reverse, "seeds": seeds, "title_only": title_only}
    wanted = everything(output.home, store, data, asked, user, item, **given, annotator=annotator or login_name())
    done = carry_out(output, "again", name, wanted)
    rows = store.counterfactuals(name, user, item)
    rows = rows[rows["of_key"].isin(first(store, name, user, item, wanted.judge, given.get("model"))["key"])]
    found = counterfactuals.findings(data, rows)
    for view, change in done.result["unread"]:
        output.note(f"The {view} view was not asked: its question is the same ({counterfactuals.WORDS[change]}).")
    columns = ["view", "change", "items", "before", "rating", "model", "digest", "analysis"]
    text = "\n".join(one.sentence for one in found) or f"No question got a valid answer. {done.result['last_error']}"
    value = summary(done) | {"findings": [one.sentence for one in found], "counterfactuals": rows[columns].to_dict("records")}
    output.answer(value, text=text)


@command(app, "export", JudgeSettings, skip=tuple(SETTINGS_APART - {"api_key_env"}))
def judge_export(
    output: Output,
    settings: JudgeSettings,
    out: Annotated[Path, typer.Option(help="Folder for the files and manifest.json.")],
    dataset: DatasetOption = None,
    format: Annotated[  # noqa: A002
        Format, typer.Option(help="openai: the open questions, as an OpenAI batch; winnow: the answers, for another machine.")
    ] = "openai",
    shards: Annotated[int, typer.Option(min=1, max=999, help="By so many files the users are split.")] = 1,
) -> None:
    """Write the open questions about the candidates as a batch that a provider answers, or the answers that are there.

    Examples:

    python -m core judge export --dataset demo --judge openai --model gpt-4o-mini --out batch

    python -m core judge export --dataset demo --judge builtin --format winnow --out answers
    """
    name = dataset_name(output.home, dataset)
    data, store = datasets.load(output.home, name), Store.open(output.home)
    asked, _ = candidates.load(output.home, data)
    judge = judges.make(settings, output.home.cache, store.rubric(name, settings.rubric))
    manifest = export(store, data, asked, judge, settings, out, form=format, shards=shards)
    if manifest["server_not_asked"] and format == "openai":
        output.note(f"{manifest['server_not_asked']} So the questions hold everything that a server may take.")
    if manifest["profiles_not_written"]:
        output.note(f"{manifest['profiles_not_written']:,} users have no written profile yet: theirs is the made one.")
    output.answer({"folder": str(out), **manifest}, text=_exported(out, manifest))


def _exported(folder: Path, manifest: dict[str, Any]) -> str:
    lines, files = sum(part["lines"] for part in manifest["files"]), len(manifest["files"])
    what = "questions" if manifest["format"] == "openai" else "answers"
    if not lines:
        return f"There are no {'open ' if what == 'questions' else ''}{what}; {folder} holds only the manifest."
    told = f"{folder}: {lines:,} {what} in {files} file{'s' * (files != 1)}, and manifest.json."
    return told + (" Their answers come in with: python -m core judge import FILES" if what == "questions" else "")


@command(app, "import")
def judge_import(
    output: Output,
    files: Annotated[list[Path], typer.Argument(help="A batch's output and error files, or answers that judge export wrote.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Only answers about this one; all when left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come in.")] = False,
) -> None:
    """Take in answers from files; nobody is asked. What is there already stays, so a file can be read again.

    Example: python -m core judge import batch_output.jsonl batch_errors.jsonl
    """
    name = dataset_name(output.home, dataset) if dataset else None
    with output.progress() as show:
        report = imports.take_in(
            output.home,
            Store.open(output.home),
            files,
            dataset=name,
            dry_run=dry_run,
            watch=lambda file, lines: show(Progress("reading", lines, message=file.name)),
        )
    for trouble in report.troubles:
        output.note(f"{trouble.file}, line {trouble.line}: {trouble.outcome}. {trouble.message}")
    counts = {outcome: report.counts[outcome] for outcome in imports.OUTCOMES}
    told = ", ".join(f"{n:,} {outcome}" for outcome, n in counts.items() if n) or "nothing"
    output.answer(
        {"dry_run": dry_run, "lines": report.lines, **counts, "troubles": [asdict(trouble) for trouble in report.troubles]},
        text=f"{'Would read' if dry_run else 'Read'} {report.lines:,} lines: {told}.",
    )


@command(app, "record")
def judge_record(
    output: Output,
    out: Annotated[Path, typer.Option(help="File to write: .csv, .jsonl or .parquet.")],
    dataset: DatasetOption = None,
) -> None:
    """Write down every judgment: what was asked and answered, by whom and when, the label that follows, and who overrode it.

    Example: python -m core judge record --dataset demo --out record.csv
    """
    name = dataset_name(output.home, dataset)
    n = trail.write(Store.open(output.home), datasets.load(output.home, name), out)
    output.answer({"dataset": name, "file": str(out), "judgments": n}, text=f"{out}: {n:,} judgments of {name}.")
