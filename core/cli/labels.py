"""Commands on labels: what stands, what people decide, versions, files."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from core import browse, candidates, datasets, exchange, incoming, known, labels, pipeline, runs
from core.artifacts import Home, atomic, login_name
from core.cli.console import DatasetOption, Output, command, dataset_name, table
from core.datasets.report import told
from core.errors import SettingsError
from core.filters import CONDITIONS, Filter
from core.records import Dataset, LabelSet
from core.store import Store

app = typer.Typer(help="What pairs are, by judges and by people.", no_args_is_help=True, rich_markup_mode=None)

PEOPLE_READ = 50
"""Rows that are shown to a person who did not ask for more."""

AnnotatorOption = Annotated[
    str | None,
    typer.Option("--annotator", envvar="WINNOW_ANNOTATOR", help="Who decides; kept with the decision. Default: the login."),
]


@command(app, "show")
def labels_show(
    output: Output,
    dataset: DatasetOption = None,
    version: Annotated[str | None, typer.Option(help="A frozen version; what stands now when left out.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's pairs.")] = None,
    item: Annotated[str | None, typer.Option(help="Only this item's pairs.")] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", help="Conditions as in an address of the app, without f_: label=unsure&loss=80-100.")
    ] = None,
    annotator: AnnotatorOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most; without it all with --json, 50 for people.")] = None,
) -> None:
    """Show the labels: how many of each kind, and pair by pair who says so.

    Examples:

    python -m core labels show --dataset demo --version v1

    python -m core labels show --filter "label=noisy-positive&user_view=high&status=undecided"
    """
    chosen, wrong = Filter.from_text(filter_ or "")
    if wrong:
        raise SettingsError(wrong[0], f"Conditions: {', '.join(CONDITIONS)}.")
    if chosen.names and version:
        raise SettingsError("A filter is of the labels as they stand now.", "Leave --filter or --version out.")
    name = dataset_name(output.home, dataset)
    store = Store.open(output.home)
    if version:
        rows = store.version(name, version)
    else:
        data = datasets.load(output.home, name)
        found = store.labels(data)
        rows = labels.to_frame(data, found)
        if chosen.names:
            rows = rows[_fits(output.home, store, data, found, chosen, annotator or login_name())]
        without = labels.left_out(data, store.standing(name))
        if without.held_out or without.unknown:
            output.note(
                f"People's answers about {without.held_out} pairs held out for evaluation, and {without.unknown} that the "
                "dataset does not know, make no label."
            )
    for column, wanted in (("user_id", user), ("item_id", item)):
        rows = rows[rows[column] == wanted] if wanted is not None else rows
    counts = rows["label"].value_counts().to_dict()
    shown = rows.head(limit or (len(rows) if output.as_json else PEOPLE_READ))
    versions = store.versions(name)["version"].tolist()
    told = ", ".join(f"{n} {label}" for label, n in counts.items()) or "no labels yet"
    output.note(f"{name}: {told}. Versions: {', '.join(versions) or 'none'}.")
    if len(shown) < len(rows):
        output.note(f"{len(shown)} of {len(rows)} shown; more with --limit.")
    output.answer(
        {"dataset": name, "version": version, "counts": counts, "versions": versions, "labels": shown.to_dict("records")},
        text=table("Labels", list(shown.columns), shown.to_numpy().tolist()),
    )


def _fits(home: Home, store: Store, data: Dataset, found: LabelSet, chosen: Filter, me: str) -> np.ndarray:
    """Which labels (n,) a filter lets through, by the newest training and candidates: bool (n,)."""
    trained = [run for run in runs.listing(home, data.name, "train") if run.state is runs.State.DONE]
    losses = runs.folder(home, trained[0].id).losses() if trained else None
    doubted = candidates.load(home, data)[0] if candidates.newest(home, data.name) else None
    rated = browse.ratings(store.judgments(data.name, texts=False))
    every = known.known(known.ground(data, doubted, losses), found, rated, store.standing(data.name))
    return chosen.mask(every, me)[every.places(found.codes(data.n_items))]


ANSWERS = {"yes": "yes", "relevant": "yes", "hard": "yes", "no": "no", "noisy": "no", "unsure": "unsure"}


@command(app, "set")
def labels_set(
    output: Output,
    user: Annotated[str, typer.Argument(help="The user's id.")],
    item: Annotated[str, typer.Argument(help="The item's id.")],
    relevant: Annotated[str, typer.Argument(help="Is the item relevant to the user? yes, no or unsure.")],
    dataset: DatasetOption = None,
    annotator: AnnotatorOption = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    reason: Annotated[str, typer.Option(help="Reason code.")] = "",
    saw_judge: Annotated[bool, typer.Option("--saw-judge", help="The judge's rating was known to who decided.")] = False,
) -> None:
    """Decide about a pair: a person's answer beats every judge's. Nothing is overwritten; undo it with `labels undo`.

    Example: python -m core labels set u17 i42 no --dataset demo --note "clicked by mistake"
    """
    if relevant not in ANSWERS:
        raise SettingsError(f"{relevant!r} is no answer.", "Say yes (relevant), no (not relevant) or unsure.")
    name = dataset_name(output.home, dataset)
    data = datasets.load(output.home, name)
    labels.known_pair(data, user, item)
    store = Store.open(output.home)
    told = {"annotator": annotator or login_name(), "note": note, "reason": reason, "saw_judge": saw_judge}
    [decision] = store.decide(name, [(user, item)], ANSWERS[relevant], **told)
    now = labels.to_frame(data, store.labels(data))
    now = now[(now["user_id"] == user) & (now["item_id"] == item)].to_dict("records")
    told = f"{user} - {item}: {now[0]['label'] if now else 'clean'} ({decision.annotator})."
    output.answer({"decision": asdict(decision), "label": now[0] if now else None}, text=told)


@command(app, "undo")
def labels_undo(
    output: Output,
    dataset: DatasetOption = None,
    annotator: Annotated[str | None, typer.Option(help="Only this person's last decision; anybody's when left out.")] = None,
) -> None:
    """Take back the last decision (or the whole batch it was part of). The log keeps both."""
    undone = Store.open(output.home).undo(dataset_name(output.home, dataset), annotator=annotator)
    output.answer({"undone": [asdict(row) for row in undone]}, text=f"Took back {len(undone)} decision(s).")


@command(app, "freeze")
def labels_freeze(
    output: Output,
    dataset: DatasetOption = None,
    annotator: AnnotatorOption = None,
    note: Annotated[str, typer.Option(help="What this version is.")] = "",
) -> None:
    """Keep the labels as they stand now as a version that never changes; `train --labels v1` uses it."""
    name = dataset_name(output.home, dataset)
    version = pipeline.freeze(output.home, name, annotator=annotator or login_name(), note=note)
    output.answer({"dataset": name, "version": version}, text=f"Labels of {name} are kept as {version}.")


@command(app, "export")
def labels_export(
    output: Output,
    path: Annotated[Path, typer.Argument(help="CSV file to write.")],
    dataset: DatasetOption = None,
    what: Annotated[str, typer.Option(help=f"One of {', '.join(exchange.KINDS)}.")] = "decisions",
    version: Annotated[str | None, typer.Option(help="Of labels: a frozen version; what stands now when left out.")] = None,
) -> None:
    """Write every decision (undo rows too, with annotator, time and note), the labels, or the judgments to a CSV file.

    Examples:

    python -m core labels export decisions.csv --dataset demo

    python -m core labels export labels.csv --dataset demo --what labels --version v1
    """
    name = dataset_name(output.home, dataset)
    text, n = exchange.file_of(Store.open(output.home), datasets.load(output.home, name), what, version)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    output.answer({"dataset": name, "path": path, what: n}, text=f"Wrote {n} {what} to {path}.")


DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


@command(app, "import")
def labels_import(
    output: Output,
    path: Annotated[Path, typer.Argument(help="A CSV file that `labels export` wrote, or one with user_id, item_id, relevant.")],
    dataset: DatasetOption = None,
    annotator: AnnotatorOption = None,
    what: Annotated[str | None, typer.Option(help="decisions or labels; by its columns when left out.")] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Append the decisions of a file; those that are already there are left alone, nothing is overwritten. Of a file with
    labels those of people come in, as decisions of the annotator.

    Example: python -m core labels import decisions.csv --dataset demo --dry-run
    """
    kind = what or next((kind for kind in incoming.kinds_of(path) if kind in (incoming.DECISIONS, incoming.LABELS)), "decisions")
    read_in(output, path, dataset, annotator, dry_run, kind)


def read_in(
    output: Output, path: Path, dataset: str | None, annotator: str | None, dry_run: bool, kind: str, name: str = ""
) -> None:
    """Read a file in, or say what that would do, and tell it."""
    who, data = annotator or login_name(), datasets.load(output.home, dataset_name(output.home, dataset))
    found = incoming.examine(output.home, Store.open(output.home), data, path, kind=kind, annotator=who, name=name)
    if found.new and not dry_run:
        found.take()
    for sentence in map(told, found.problems):
        output.note(sentence)
    counts = {name: getattr(found, name) for name in ("new", "same", "conflicting")}
    problems = [asdict(problem) for problem in found.problems]
    output.answer(
        {"dataset": data.name, "kind": kind, "dry_run": dry_run, **counts, "problems": problems},
        text=f"{'Would add' if dry_run else 'Added'}: {found.sentence()}.",
    )
