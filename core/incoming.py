"""Files that come in: what one is, what it would change, line by line, and then the change. Nothing is written before `take`.

An import only ever adds, and a file that was read in changes nothing the second time. Rows about users and items that the
dataset does not know are left out and told with their lines; a line that cannot be understood stops the whole file.
"""

import difflib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import exchange, guidelines, labels
from core.artifacts import Home
from core.datasets import files
from core.datasets.report import Problem, found
from core.errors import DatasetError, SettingsError
from core.exchange import Undated
from core.judges import imports
from core.labels import LABELS_BY_WORD, PAIR
from core.records import Dataset, Decision, Label, Source
from core.store import Store

DECISIONS, LABELS, JUDGMENTS, SELECTIONS, GUIDELINES = KINDS = ("decisions", "labels", "judgments", "selections", "guidelines")
ANSWER_OF = {
    Label.HARD_POSITIVE: "yes",
    Label.MISSED_POSITIVE: "yes",
    Label.NOISY_POSITIVE: "no",
    Label.HARD_NEGATIVE: "no",
    Label.UNSURE: "unsure",
}
"""What a person has said who gave this label."""
CONFLICTING = {
    DECISIONS: "against a standing answer",
    LABELS: "against a standing answer",
    SELECTIONS: "with a name that is taken",
}
PREVIEWED = 500
"""Rows of a change that are shown."""
TEXTS = (".txt", ".md")

Known = tuple[list[tuple[int, Any]], list[Problem]]


@dataclass(frozen=True)
class Receipt:
    """What was written, and what takes it back."""

    kind: str
    n: int
    undo: tuple[str, ...] = ()  # a batch, names of selections, or the text before; () when it cannot be taken back


@dataclass(frozen=True, eq=False)
class Incoming:
    """What reading a file in would do."""

    kind: str  # one of KINDS
    new: int  # 0: there is nothing to write
    same: int  # that is there already
    conflicting: int  # answers against one that stands, which are new, too; selections whose name is taken, which are left out
    by: dict[str, int]  # of what is new: how many, by who said it
    problems: tuple[Problem, ...]
    preview: pd.DataFrame  # of what is new, the first PREVIEWED rows
    take: Callable[[], Receipt]  # writes it
    difference: str = ""  # of a text, as a unified diff

    def sentence(self) -> str:
        """What it comes to: "3 new, 1 there already"."""
        told = [f"{self.new:,} new", f"{self.same:,} there already"]
        return ", ".join(told + ([f"{self.conflicting:,} {CONFLICTING[self.kind]}"] if self.kind in CONFLICTING else []))


def kinds_of(path: Path) -> tuple[str, ...]:
    """What a file can be read in as, the likeliest first. A WinnowError with one sentence and a hint when it is nothing."""
    if not path.is_file():
        raise DatasetError(f"There is no file {path}.", "Check the path.")
    with path.open("rb") as file:
        if file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return (JUDGMENTS,)
    text = files.read_text(path)
    header = set(exchange.header_of(text)[0])
    if not set(PAIR) <= header:
        if path.suffix.lower() in TEXTS:
            return (GUIDELINES,)
        raise SettingsError(
            f"{path.name} is no file that Winnow can read in: its first line does not name the columns user_id and item_id.",
            "Give the columns these names, or import the file as a dataset on Home.",
        )
    if {"view", "rating"} <= header and "relevant" not in header:
        raise SettingsError(
            f"{path.name} is a table of judgments for reading.",
            "To take them in as they are, choose the judge `replay` with this file; from another Winnow, bring the answers that "
            "`python -m core judge export --format winnow` writes.",
        )
    possible = [DECISIONS] * ("relevant" in header) + [LABELS] * ("label" in header)
    is_list = "name" in header or "title" in header or not possible
    return (SELECTIONS, *possible) if is_list and DECISIONS not in possible else (*possible, SELECTIONS)


def examine(
    home: Home, store: Store, dataset: Dataset, path: Path, *, kind: str | None = None, annotator: str, name: str = ""
) -> Incoming:
    """What reading a file in would do. `kind`: one of `kinds_of`, the likeliest when left out. `annotator`: who reads it in;
    what a row does not say is theirs. `name`: of a selection whose rows name none."""
    possible = kinds_of(path)
    kind = kind or possible[0]
    if kind not in possible:
        raise SettingsError(f"{path.name} cannot be read in as {kind}.", f"It can be: {', '.join(possible)}.")
    if kind == JUDGMENTS:
        return _judgments(home, store, dataset, path)
    text = files.read_text(path)
    if kind == GUIDELINES:
        return _guidelines(home, dataset, text)
    if kind == SELECTIONS:
        return _selections(store, dataset, text, path.name, annotator, name)
    return (_decisions if kind == DECISIONS else _labels)(store, dataset, text, path.name, annotator)


def take_back(home: Home, store: Store, dataset: str, receipt: Receipt, *, annotator: str) -> None:
    """Undo what was read in; the log keeps both. NotFoundError when it is undone already."""
    if receipt.kind in (DECISIONS, LABELS):
        store.undo(dataset, annotator=annotator, batch=receipt.undo[0])
    elif receipt.kind == SELECTIONS:
        for name in receipt.undo:
            store.delete_selection(dataset, name, annotator=annotator)
    elif receipt.kind == GUIDELINES:
        guidelines.write(home, dataset, receipt.undo[0])


def _decisions(store: Store, dataset: Dataset, text: str, file: str, annotator: str) -> Incoming:
    rows, problems = _known(dataset, exchange.numbered(text, annotator), _ids, file)
    change = exchange.difference([row for _, row in rows], store.decisions(dataset.name), store.standing(dataset.name))
    against = {id(row) for row in change.conflicting}
    lines = [line for line, row in rows if id(row) in against]
    return _answers(DECISIONS, store, dataset, change.new, change.known, change.same, lines, problems, file)


def _labels(store: Store, dataset: Dataset, text: str, file: str, annotator: str) -> Incoming:
    """The answers that people's labels stand for. A label of a judge is no answer of a person, so those are left out."""
    read, silent, judged = [], [], []
    for line, cells in exchange.rows_of(text, [*PAIR, "label"]):
        label = LABELS_BY_WORD.get(cells["label"].strip().lower())
        with exchange.at_line(line):
            if label is None or not (cells["user_id"] and cells["item_id"]):
                raise ValueError(f"label is {cells['label']!r}, not one of {', '.join(LABELS_BY_WORD)}, or an id is empty")
        if label not in ANSWER_OF:
            silent.append(line)
        elif cells.get("source", Source.HUMAN.name.lower()) != Source.HUMAN.name.lower():
            judged.append(line)
        else:
            pair, at = (cells["user_id"], cells["item_id"]), time.time()
            read.append((line, Undated(-len(read) - 1, *pair, ANSWER_OF[label], annotator, at, note=f"from {file}"[:500])))
    rows, problems = _known(dataset, read, _ids, file)
    standing = store.standing(dataset.name).drop_duplicates(PAIR, keep="last")
    stands = {(row.user_id, row.item_id): row.relevant for row in standing.itertuples()}
    last = {_ids(row): (line, row) for line, row in rows}
    new = [(line, row) for pair, (line, row) in last.items() if stands.get(pair) != row.relevant]
    lines = [line for line, row in new if _ids(row) in stands]
    for at, message in (
        (silent, "Left out {n} labelled clean or unjudged: they say nothing about the pair."),
        (judged, "Left out {n} whose label a judge gave: answers of judges come in as judgments, never as a person's."),
    ):
        problems += [found("left out", "note", file, message, at)] if at else []
    return _answers(LABELS, store, dataset, [row for _, row in new], {}, len(rows) - len(new), lines, problems, file)


def _answers(
    kind: str,
    store: Store,
    dataset: Dataset,
    new: Sequence[Decision],
    known: dict[int, int],
    same: int,
    against: Sequence[int],
    problems: list[Problem],
    file: str,
) -> Incoming:
    """Decisions to be added as one batch."""
    if against:
        message = "Found {n} against a standing answer: both are kept, and the newer one counts."
        problems = [found("conflicting", "warning", file, message, against), *problems]

    def take() -> Receipt:
        written = store.add(dataset.name, new, known)
        return Receipt(kind, len(written), (written[0].batch,) if written else ())

    columns = ["user_id", "item_id", "relevant", "annotator", "note"]
    table = pd.DataFrame([[getattr(row, name) for name in columns] for row in new[:PREVIEWED]], columns=columns)
    by = dict(Counter(row.annotator for row in new))
    return Incoming(kind, len(new), same, len(against), by, tuple(problems), table, take)


def _selections(store: Store, dataset: Dataset, text: str, file: str, annotator: str, name: str) -> Incoming:
    sets: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, cells in exchange.rows_of(text, PAIR):
        wanted = cells.get("name", "").strip() or name.strip() or Path(file).stem
        sets.setdefault(wanted, []).append((line, cells))
    there = set(store.selections(dataset.name)["name"])
    new: dict[str, list[dict[str, str]]] = {}
    same, taken, problems = 0, [], []
    for wanted, rows in sets.items():
        known, unknown = _known(dataset, rows, _pair, file)
        problems += unknown
        pairs = list(dict.fromkeys(_pair(cells) for _, cells in known))
        if wanted in there:
            kept = list(store.selection(dataset.name, wanted).itertuples(index=False, name=None))
            same, taken = same + (kept == pairs), taken + ([] if kept == pairs else [rows[0][0]])
        elif pairs:
            new[wanted] = [cells for _, cells in known]
    if taken:
        message = "Left out {n}: a selection of that name is there with other pairs. Rename one of them."
        message = message.replace("{n}", f"{len(taken)} selection{'s' * (len(taken) > 1)}")
        problems.insert(0, found("conflicting", "warning", file, message, taken))

    def take() -> Receipt:
        for wanted, rows in new.items():
            who, note = rows[0].get("annotator") or annotator, rows[0].get("note", "")
            pairs = map(_pair, rows)
            store.keep_selection(dataset.name, wanted, pairs, annotator=who, note=note, origin=f"file {file}")
        return Receipt(SELECTIONS, len(new), tuple(new))

    rows = [(wanted, *_pair(cells)) for wanted, cells_ in new.items() for cells in cells_]
    by = Counter(rows_[0].get("annotator") or annotator for rows_ in new.values())
    table = pd.DataFrame(rows[:PREVIEWED], columns=["name", *PAIR])
    return Incoming(SELECTIONS, len(new), same, len(taken), dict(by), tuple(problems), table, take)


def _judgments(home: Home, store: Store, dataset: Dataset, path: Path) -> Incoming:
    report = imports.take_in(home, store, [path], dataset=dataset.name, dry_run=True)
    if not report.lines:
        raise SettingsError(f"{path.name} is empty.", "Choose a file with answers, one JSON object a line.")
    at: dict[str, list[int]] = {}
    for trouble in report.troubles:
        at.setdefault(f"{trouble.outcome}: {trouble.message}", []).append(trouble.line)
    problems = [found("left out", "warning", path.name, f"{{n}} {message}", lines) for message, lines in at.items()]
    new, same = report.counts[imports.NEW], report.counts[imports.KNOWN]

    def take() -> Receipt:
        written = imports.take_in(home, store, [path], dataset=dataset.name)
        return Receipt(JUDGMENTS, written.counts[imports.NEW])

    return Incoming(JUDGMENTS, new, same, 0, {}, tuple(problems), pd.DataFrame(), take)


def _guidelines(home: Home, dataset: Dataset, text: str) -> Incoming:
    wanted, before = text.replace("\r\n", "\n").strip(), guidelines.read(home, dataset.name)
    if len(wanted) > guidelines.LONGEST:
        message = f"The text has {len(wanted):,} characters; guidelines have at most {guidelines.LONGEST:,}."
        raise SettingsError(message, "Shorten it: people read it beside every pair.")
    lines = [each.splitlines() for each in (before, wanted)]
    changed = int(lines[0] != lines[1])

    def take() -> Receipt:
        guidelines.write(home, dataset.name, wanted)
        return Receipt(GUIDELINES, changed, (before,))

    told = "\n".join(difflib.unified_diff(*lines, "now", "the file", lineterm=""))
    return Incoming(GUIDELINES, changed, 1 - changed, 0, {}, (), pd.DataFrame(), take, told)


def _pair(cells: dict[str, str]) -> tuple[str, str]:
    return cells["user_id"], cells["item_id"]


def _ids(row: Decision) -> tuple[str, str]:
    return row.user_id, row.item_id


def _known(dataset: Dataset, rows: Sequence[tuple[int, Any]], pair: Callable[[Any], tuple[str, str]], file: str) -> Known:
    """The rows, each with its line, whose user and item the dataset knows, and what to say of the others."""
    places = labels.positions(dataset, pd.DataFrame([pair(row) for _, row in rows], columns=PAIR))
    problems, kept = [], np.ones(len(rows), bool)
    for which, (one, place) in enumerate(zip(("a user", "an item"), places, strict=True)):
        at = np.flatnonzero(kept & (place < 0))
        kept[at] = False
        if len(at):
            message = f"Left out {{n}} about {one} that {dataset.name} does not know. Ids are case-sensitive."
            example = pair(rows[at[0]][1])[which]
            problems.append(found("unknown", "warning", file, message, [rows[place][0] for place in at], example))
    return [row for row, keep in zip(rows, kept, strict=True) if keep], problems
