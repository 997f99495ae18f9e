"""Run folders: what a long piece of work was asked (manifest), how it stands (status), and what it left.

<home>/runs/<id>/
    manifest.json           written once: kind, dataset, settings, fingerprints, versions
    status.json             replaced as the work goes on: state, process, heartbeat, progress, result, error
    metrics.jsonl           one line an epoch
    checkpoint.safetensors  to go on from after a kill
    embeddings.safetensors  the final vectors
    learned.safetensors     what they were made from: vectors on another graph come from it without training
    losses.npz              the recorded loss of every training interaction
    projection.npz          where every row lies on a plane
    report_valid.npz, report_test.npz   metrics per user
    log.txt                 what the process printed
"""

import json
import logging
import secrets
import shutil
import time
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from core.artifacts import Home, atomic, explained, read_arrays, read_json, whole_file, write_arrays, write_json
from core.errors import NotFoundError, RunError
from core.records import Embeddings, Learned, Report

log = logging.getLogger(__name__)

HEARTBEAT_LIMIT_S = 120.0
"""A run whose process is gone is interrupted at once; one whose process cannot be looked up, after this silence."""


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # its process died; it can be resumed

    @property
    def active(self) -> bool:
        return self in (State.QUEUED, State.RUNNING, State.STOPPING)


@dataclass(frozen=True)
class Progress:
    """How far a run is. `eta_s` is None while nothing is known."""

    phase: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    eta_s: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)  # figures of this kind of work, for those who look closer


@dataclass(frozen=True)
class Run:
    """One long piece of work as its folder tells it."""

    id: str
    kind: str  # a member of core.pipeline.STEPS
    dataset: str
    settings: dict[str, Any]
    created: float  # [Unix s]
    dataset_fingerprint: str = ""
    label_fingerprint: str = ""  # of the label version named in the settings, "" without one
    versions: dict[str, str] = field(default_factory=dict)
    state: State = State.QUEUED
    progress: Progress = Progress()
    pid: int | None = None
    pid_started: float | None = None  # [Unix s]; tells a recycled process number apart
    heartbeat: float = 0.0  # [Unix s]
    seconds: float = 0.0  # worked, over all resumes
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] = field(default_factory=dict)  # {"error": ..., "hint": ...}

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """{"valid": {"recall@20": ...}, "test": {...}}; empty until a training run is done."""
        return self.result.get("metrics", {})


class RunFolder:
    """Reads and writes one run. One process writes status.json at a time; everybody may read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def manifest(self) -> Path:
        """What the run was started from: settings, seed, fingerprints of dataset and labels, versions."""
        return self.path / "manifest.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def cancel_mark(self) -> Path:
        return self.path / "cancel"

    def read(self) -> Run:
        """The run as it stands; a dead process shows as interrupted without anything being written."""
        manifest = read_json(self.manifest)
        status = read_json(self.path / "status.json")
        known = {f.name for f in fields(Run)}
        values = {name: value for name, value in (manifest | status).items() if name in known}
        run = Run(**values | {"state": State(status["state"]), "progress": Progress(**status["progress"])})
        if not run.state.active:
            return run
        if not _alive(run):
            return replace(run, state=State.INTERRUPTED)
        return replace(run, state=State.STOPPING) if self.cancel_mark.exists() else run

    def update(self, **changes: Any) -> float:
        """Change fields of status.json in one atomic step, with a fresh heartbeat, which is returned."""
        status = read_json(self.path / "status.json")
        if "progress" in changes:
            changes["progress"] = vars(changes["progress"])
        heartbeat = time.time()
        write_json(self.path / "status.json", status | changes | {"heartbeat": heartbeat})
        return heartbeat

    def append_metrics(self, row: dict[str, Any]) -> None:
        path = self.path / "metrics.jsonl"
        with explained(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")

    def metrics(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Rows from byte `offset` on, and the offset to go on from; a line still being written waits for the next call."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return [], 0
        with path.open("rb") as file:
            file.seek(offset)
            whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()], offset + len(whole)

    def keep_metrics(self, last_epoch: int) -> None:
        """Drop the rows after `last_epoch`: a resumed run makes them again."""
        rows = [row for row in self.metrics()[0] if row["epoch"] <= last_epoch]
        with atomic(self.path / "metrics.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def save_embeddings(self, embeddings: Embeddings) -> None:
        with atomic(self.path / "embeddings.safetensors") as temporary:
            save_file({"user": embeddings.user, "item": embeddings.item}, temporary)

    def embeddings(self) -> Embeddings:
        path = self.path / "embeddings.safetensors"
        if not path.exists():
            raise NotFoundError(f"Run {self.id} has no vectors yet.", "Wait until it is done, or resume it.")
        with whole_file(path):
            return Embeddings(**load_file(path))

    def save_learned(self, learned: Learned) -> None:
        with atomic(self._learned) as temporary:
            arrays = {f"parameter.{name}": np.ascontiguousarray(value) for name, value in learned.parameters.items()}
            save_file(arrays | {"taken_out": learned.taken_out}, temporary, {"first_layer": str(learned.first_layer)})

    def learned(self) -> Learned:
        if not self._learned.exists():
            raise NotFoundError(
                f"Run {self.id} did not keep what a preview starts from: it is not done, or older than previews.",
                "Train again with the same settings.",
            )
        with whole_file(self._learned), safe_open(self._learned, "numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a dictionary
            first_layer = int(stored.metadata()["first_layer"])
        taken_out = arrays.pop("taken_out")
        return Learned({name.removeprefix("parameter."): value for name, value in arrays.items()}, first_layer, taken_out)

    @property
    def _learned(self) -> Path:
        return self.path / "learned.safetensors"

    def save_losses(self, losses: dict[str, np.ndarray]) -> None:
        write_arrays(self.path / "losses.npz", **losses)

    def losses(self) -> dict[str, np.ndarray]:
        """user, item int32 (n,); mean, variance, early, last float32 (n,); rows int64 (m,) sampled, trajectory (m, epochs)."""
        path = self.path / "losses.npz"
        if not path.exists():
            raise NotFoundError(f"Run {self.id} has no recorded losses yet.", "Wait until it is done, or resume it.")
        return read_arrays(path)

    def save_projection(self, projection: dict[str, np.ndarray]) -> None:
        write_arrays(self.path / "projection.npz", **projection)

    def projection(self) -> dict[str, np.ndarray]:
        """The fields of core.projection.Projection that were written."""
        return read_arrays(self.path / "projection.npz")

    def save_report(self, split: str, report: Report) -> None:
        write_arrays(self.path / f"report_{split}.npz", users=report.users, **report.per_user)

    def report(self, split: str) -> Report:
        path = self.path / f"report_{split}.npz"
        if not path.exists():
            raise NotFoundError(f"Run {self.id} has no {split} report yet.", "Wait until it is done, or resume it.")
        arrays = read_arrays(path)
        return Report(arrays.pop("users"), arrays)

    def log_tail(self, lines: int = 20) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def create(home: Home, kind: str, dataset: str, settings: dict[str, Any], **manifest: Any) -> RunFolder:
    """A new run folder in state queued; it appears whole or not at all."""
    when = datetime.now(UTC)
    identifier = f"{dataset}-{when:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    building = home.runs / f".{identifier}"
    with explained(building):
        building.mkdir(parents=True)
    write_json(
        building / "manifest.json",
        {"id": identifier, "kind": kind, "dataset": dataset, "settings": settings, "created": when.timestamp(), **manifest},
    )
    write_json(
        building / "status.json",
        {
            "state": State.QUEUED,
            "progress": vars(Progress()),
            "pid": None,
            "pid_started": None,
            "heartbeat": time.time(),
            "seconds": 0.0,
            "result": {},
            "error": {},
        },
    )
    building.rename(home.runs / identifier)
    return RunFolder(home.runs / identifier)


def folder(home: Home, run_id: str) -> RunFolder:
    """The folder of a run, by its id or by an unambiguous beginning or end of it."""
    found = [path for path in _paths(home) if path.name.startswith(run_id) or path.name.endswith(run_id)] if run_id else []
    exact = [path for path in found if path.name == run_id]
    if len(exact or found) == 1:
        return RunFolder((exact or found)[0])
    if found:
        names = ", ".join(path.name for path in found[:4])
        raise NotFoundError(f"{run_id!r} fits {len(found)} runs.", f"Give more of the id: {names}.")
    raise NotFoundError(f"There is no run {run_id!r}.", "List them with `python -m core runs`.")


def listing(home: Home, dataset: str | None = None, kind: str | None = None) -> list[Run]:
    """All readable runs, newest first; a damaged one is logged and hides no other."""
    kept = []
    for path in _paths(home):
        try:
            run = RunFolder(path).read()
        except (NotFoundError, KeyError, ValueError, TypeError) as error:
            log.warning("run %s cannot be read: %s", path.name, error)
            continue
        if dataset in (None, run.dataset) and kind in (None, run.kind):
            kept.append(run)
    return sorted(kept, key=lambda run: run.created, reverse=True)


def newest_trained(home: Home, dataset: str, content: str) -> Run:
    """The newest finished training run of a dataset whose fingerprint is `content`."""
    trained = listing(home, dataset, "train")
    done = [run for run in trained if run.state is State.DONE and run.dataset_fingerprint == content]
    if not done:
        hint = f"Train first: python -m core train --dataset {dataset}."
        raise NotFoundError(f"No finished training run of {dataset!r}.", hint)
    return done[0]


def remove(home: Home, run_id: str) -> None:
    """Delete a run that is not at work, a damaged one too. It vanishes from the list at once, then file by file."""
    target = folder(home, run_id)
    try:
        active = target.read().state.active
    except NotFoundError:
        active = False
    if active:
        raise RunError(f"Run {target.id} is at work.", "Cancel it first.")
    shutil.rmtree(target.path.rename(home.runs / f".{target.id}"))


def _paths(home: Home) -> list[Path]:
    if not home.runs.exists():
        return []
    return [path for path in home.runs.iterdir() if not path.name.startswith(".") and (path / "manifest.json").exists()]


def _alive(run: Run) -> bool:
    if run.pid is None:
        return time.time() - run.heartbeat < HEARTBEAT_LIMIT_S
    try:
        process = psutil.Process(run.pid)
        return abs(process.create_time() - (run.pid_started or 0)) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return time.time() - run.heartbeat < HEARTBEAT_LIMIT_S
