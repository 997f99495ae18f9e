"""Every judgment with all that is known of it, for people who check the work: one row an answer."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core import labels
from core.artifacts import atomic
from core.errors import SettingsError
from core.records import Dataset, Decision
from core.store import PROBE, Store
from core.untrusted import safe_cells

TEXT, NUMBER, COUNT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("user_id", "item_id", "view", "rating", "analysis", "how"), TEXT),
    "confidence": NUMBER,
    "judge": TEXT,
    "is_llm": FLAG,
    **dict.fromkeys(("model", "digest", "prompt_version", "profile"), TEXT),
    "truncated": FLAG,
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "answer_tokens"), COUNT),
    **dict.fromkeys(("seconds", "wait_s"), NUMBER),
    **dict.fromkeys(("server", "origin"), TEXT),
    **{"at": NUMBER, "at_iso": TEXT, "asked_at": NUMBER, "asked_at_iso": TEXT},
    **{"probe_rating": TEXT, "probe_confidence": NUMBER, "further_answers": TEXT, "counterfactuals": TEXT},
    **dict.fromkeys(("label", "label_source", "decision", "decided_by"), TEXT),
    **{"decided_at": NUMBER, "decided_at_iso": TEXT},
    **dict.fromkeys(("decision_reason", "decision_note", "decisions", "key", "prompt", "raw"), TEXT),
}
"""What a row holds. Times are Unix seconds and ISO 8601 in UTC. `how`: read as it was, or repaired. `label`: what the pair is
now, by whoever counts. `decision` and what follows: the person's answer that stands; `decisions`: all of them as JSON, those
that were undone, too. `further_answers`: JSON. `counterfactuals`: JSON, what the rater answered with something about this
question changed; never judgments."""


def write(store: Store, dataset: Dataset, file: Path) -> int:
    """Write the file, whose suffix says in which form: .csv, .jsonl or .parquet. Returns the number of rows."""
    writers = {".csv": _to_csv, ".jsonl": _to_jsonl, ".parquet": _to_parquet}
    if file.suffix.lower() not in writers:
        raise SettingsError(f"{file.name} has no suffix that says its form.", f"Choose one of: {', '.join(writers)}.")
    with atomic(file) as temporary:
        return writers[file.suffix.lower()](rows(store, dataset), temporary)


def rows(store: Store, dataset: Dataset) -> Iterator[pd.DataFrame]:
    """COLUMNS of every judgment about the dataset, some hundred rows at a time."""
    known = labels.to_frame(dataset, store.labels(dataset)).set_index(["user_id", "item_id"])
    decided = _decided(store.decisions(dataset.name))
    stands = {(row["user_id"], row["item_id"]): row for row in store.standing(dataset.name).to_dict("records")}
    changed = _changed(store.counterfactuals(dataset.name))
    for part in store.every_judgment(dataset.name):
        further = _further(store.further(part["key"]))
        pairs = list(zip(part["user_id"], part["item_id"], strict=True))
        label = known.reindex(pd.MultiIndex.from_tuples(pairs))
        last = pd.DataFrame([stands.get(pair, {}) for pair in pairs], columns=["relevant", "annotator", "at", "reason", "note"])
        last.columns = ["decision", "decided_by", "decided_at", "decision_reason", "decision_note"]
        told = pd.DataFrame([further.get(key, {}) for key in part["key"]])
        whole = pd.concat([part, last, told], axis=1).assign(
            label=label["label"].to_numpy(),
            label_source=label["source"].to_numpy(),
            counterfactuals=[changed.get((*pair, key)) for pair, key in zip(pairs, part["key"], strict=True)],
            decisions=[json.dumps(decided.get(pair, []), ensure_ascii=False) for pair in pairs],
        )
        for name in ("at", "asked_at", "decided_at"):
            whole[f"{name}_iso"] = [_iso(value) for value in whole[name]]
        counts = {name: "Int64" for name, kind in COLUMNS.items() if kind == COUNT}
        yield whole.reindex(columns=list(COLUMNS)).astype(counts)


def _further(answers: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The probe and the further answers in full, by key."""
    told: dict[str, dict[str, Any]] = {}
    for key, group in answers.groupby("key"):
        probe = group[group["number"] == PROBE]
        full = group[group["number"] != PROBE].drop(columns="key")
        told[str(key)] = {"further_answers": json.dumps(_plain(full), ensure_ascii=False)} if len(full) else {}
        if len(probe):
            told[str(key)] |= {"probe_rating": probe["rating"].iloc[0], "probe_confidence": probe["confidence"].iloc[0]}
    return told


def _changed(answers: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """The counterfactuals of each judgment, by user, item and the judgment's key."""
    told = {}
    for (user, item, key), group in answers.groupby(["user_id", "item_id", "of_key"]):
        rows = _plain(group.drop(columns=["user_id", "item_id", "of_key"]))
        told[user, item, key] = json.dumps([row | {"at_iso": _iso(row["at"])} for row in rows], ensure_ascii=False)
    return told


def _decided(log: list[Decision]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """What people said about each pair, oldest first, with who took it back and when. An undo that was undone counts not."""
    takers = {row.undoes: row for row in log if row.undoes is not None}  # the newest taker of each row
    told: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in log:
        if row.relevant is None:
            continue
        taker = takers.get(row.id)
        undone = taker is not None and taker.id not in takers
        entry = {name: getattr(row, name) for name in ("relevant", "annotator", "at", "reason", "note", "saw_judge")}
        entry |= {"at_iso": _iso(row.at), "undone": undone}
        entry |= {"undone_by": taker.annotator, "undone_at": taker.at, "undone_at_iso": _iso(taker.at)} if undone else {}
        told.setdefault((row.user_id, row.item_id), []).append(entry)
    return told


def _iso(at: float | None) -> str | None:
    return None if at is None or pd.isna(at) else datetime.fromtimestamp(at, UTC).isoformat()


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of Python's own values, None where there is nothing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _to_csv(parts: Iterator[pd.DataFrame], path: Path) -> int:
    n = 0
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerow(COLUMNS)
        for part in parts:
            safe_cells(part).to_csv(out, header=False, index=False)
            n += len(part)
    return n


def _to_jsonl(parts: Iterator[pd.DataFrame], path: Path) -> int:
    n = 0
    with path.open("w", encoding="utf-8") as out:
        for part in parts:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _plain(part))
            n += len(part)
    return n


def _to_parquet(parts: Iterator[pd.DataFrame], path: Path) -> int:
    n, schema = 0, pa.schema(COLUMNS)
    with pq.ParquetWriter(path, schema) as out:
        for part in parts:
            out.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))
            n += len(part)
    return n
