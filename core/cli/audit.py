"""Commands on audits: a random sample of a judge's opinions, its pairs for people to decide about, and what these say."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from core import datasets
from core.artifacts import login_name
from core.cli.console import DatasetOption, Output, command, dataset_name, table
from core.cli.labels import AnnotatorOption
from core.store import Store
from core.store.audits import population
from core.untrusted import safe_cells

app = typer.Typer(help="How often a judge is right, by people's audits.", no_args_is_help=True, rich_markup_mode=None)

SampleOption = Annotated[int | None, typer.Option(help="A sample's number; the newest when left out.")]


@command(app, "draw")
def audit_draw(
    output: Output,
    dataset: DatasetOption = None,
    size: Annotated[int, typer.Option(help="Pairs; 96 tell a share to about ±10 points, 385 to ±5.")] = 96,
    judge: Annotated[str | None, typer.Option(help="Whose opinions; a language model's before the built-in rater's.")] = None,
    model: Annotated[str | None, typer.Option(help="Of which model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draw; the number of samples so far when left out.")] = None,
    annotator: AnnotatorOption = None,
) -> None:
    """Draw a random sample of a judge's opinions, in strata of label and confidence. It is kept and never changes.

    Example: python -m core audit draw --dataset demo --size 96 --judge builtin
    """
    data = datasets.load(output.home, dataset_name(output.home, dataset))
    store, who = Store.open(output.home), annotator or login_name()
    identifier = store.draw(data, size=size, annotator=who, judge=judge, model=model, seed=seed)
    sample = store.samples(data.name).iloc[0].to_dict()
    told = (
        f"Sample {identifier}: {sample['size']} of the {sample['population']} pairs that {sample['model']} judged in both views."
    )
    output.answer({"dataset": data.name} | sample, text=f"{told} Decide about them: python -m core audit pairs -d {data.name}")


@command(app, "pairs")
def audit_pairs(
    output: Output,
    dataset: DatasetOption = None,
    sample: SampleOption = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that somebody has decided about.")] = False,
) -> None:
    """Print the pairs of a sample that wait for an audit, as CSV, in the order in which to take them.

    What the judge said is left out on purpose. Fill the column `relevant` with yes, no or unsure, and give the lines back
    with `labels import` (only filled ones), or decide on the page Pair.

    Example: python -m core audit pairs --dataset demo > queue.csv
    """
    from core import assessment

    data = datasets.load(output.home, dataset_name(output.home, dataset))
    store = Store.open(output.home)
    chosen = assessment.chosen(store.samples(data.name), sample, data.name)
    rows = assessment.audits(store.sampled(data.name), store.standing(data.name))
    rows = rows[(rows["sample"] == chosen["id"]) & (every | rows["relevant"].isna())]
    title = dict(zip(data.item_ids, data.item_title, strict=True))
    shown = rows[["user_id", "item_id"]].assign(
        title=rows["item_id"].map(title), relevant=rows["relevant"].fillna(""), saw_judge=0
    )
    output.note(f"Sample {chosen['id']}: {len(rows)} of {chosen['size']} pairs.")
    output.answer(
        {"dataset": data.name, "sample": int(chosen["id"]), "pairs": shown.to_dict("records")},
        text=safe_cells(shown).to_csv(index=False).rstrip(),
    )


@command(app, "report")
def audit_report(output: Output, dataset: DatasetOption = None, sample: SampleOption = None) -> None:
    """Say how good the judge is by the audits of a sample: errors with their intervals, agreement, and what that is enough for.

    Example: python -m core audit report --dataset demo --json
    """
    from core import assessment

    data = datasets.load(output.home, dataset_name(output.home, dataset))
    store, name = Store.open(output.home), data.name
    standing, opinions = store.standing(name), population(data, store.judgments(name, texts=False))
    audits = assessment.audits(store.sampled(name), standing)
    found = assessment.assess(data, store.samples(name), audits, standing, opinions, sample)
    output.note(found.about)
    output.note(f"{found.prune.sentence}\n{found.add.sentence}")
    told = asdict(found) | {name: getattr(found, name).tolist() for name in ("views", "confusion")}
    quality = assessment.MEANS
    rows = [_row(quality[one], value) for one, value in vars(found.quality).items()]
    rows += [_row(word, getattr(found, one)) for one, word in assessment.AGREEMENT.items()]
    output.answer({"dataset": name} | told, text=table("Audits", ["", "value", "low", "high", "n", "interval"], rows))


def _row(name: str, one: Any) -> list[object]:
    return [name, one.value, one.low, one.high, one.n, one.how]
