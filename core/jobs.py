"""Long work as child processes: start, watch, cancel, resume; the same from the app, the CLI and a cron job.

A job is `python -m core work RUN` on a run folder. It claims the folder with a file lock (released by the system even
after kill -9), waits for its slot (one training at a time on a machine), works, and writes its state to the folder.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from filelock import FileLock, Timeout

from core import pipeline, runs
from core.artifacts import ROOT, Home
from core.errors import ConflictError, RunError, WinnowError
from core.runs import Progress, Run, RunFolder, State

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
"""Progress is written at most this often."""


def create(home: Home, kind: str, dataset: str, settings: dict[str, Any]) -> RunFolder:
    """A queued run whose settings, dataset and labels have been checked, so that nothing fails late for an early reason.

    Raises ConflictError when the same work on the same dataset is already at work (a double click).
    """
    step = pipeline.STEPS[kind]
    checked = step.settings.checked(**settings)
    manifest = pipeline.manifest(home, dataset, checked)
    home.runs.mkdir(parents=True, exist_ok=True)
    with FileLock(home.runs / ".create.lock"):
        wanted = checked.model_dump(mode="json")
        for run in runs.listing(home, dataset, kind):
            if run.state.active and run.settings == wanted:
                raise ConflictError(f"The same work is already {run.state}: {run.id}.", "Watch it, or cancel it first.")
        return runs.create(home, kind, dataset, wanted, **manifest)


def start(home: Home, kind: str, dataset: str, settings: dict[str, Any]) -> Run:
    """Create a run and carry it out in a child process that outlives this one."""
    return _spawn(home, create(home, kind, dataset, settings))


def resume(home: Home, run_id: str) -> Run:
    """Go on with an interrupted, cancelled or failed run in a child process; a training goes on from its checkpoint."""
    return _spawn(home, resumable(home, run_id))


def resumable(home: Home, run_id: str) -> RunFolder:
    """The folder of a run that did not end; ConflictError when it is at work, RunError when it is done."""
    folder = runs.folder(home, run_id)
    run = folder.read()
    if run.state.active:
        raise ConflictError(f"Run {run.id} is {run.state}.", "Watch it, or cancel it first.")
    if run.state is State.DONE:
        raise RunError(f"Run {run.id} is done; there is nothing to resume.", "Start a new one.")
    folder.cancel_mark.unlink(missing_ok=True)
    return folder


def cancel(home: Home, run_id: str, *, force: bool = False) -> Run:
    """Ask a run to stop after its current step; it keeps its checkpoint. `force` kills its process."""
    folder = runs.folder(home, run_id)
    run = folder.read()
    if run.state.active:
        folder.cancel_mark.touch()
        if force and run.pid:
            _kill(run.pid)
            folder.update(state=State.CANCELLED, pid=None)
    elif run.state is State.INTERRUPTED:
        folder.update(state=State.CANCELLED, pid=None)
    return folder.read()


def work(home: Home, run_id: str, watch: Callable[[Progress], None] = lambda progress: None) -> Run:
    """Carry out a run in this process, to its end; `watch` sees every progress. Errors end up in the folder, then rise."""
    folder = runs.folder(home, run_id)
    claim = FileLock(folder.path / ".claim.lock")
    try:
        claim.acquire(timeout=0)
    except Timeout as error:
        raise ConflictError(f"Another process is working on run {folder.id}.", "Watch it, or cancel it first.") from error
    try:
        before = folder.read()
        began = time.monotonic()
        stop = _StopSignal(folder)
        process = psutil.Process()
        started = process.create_time()
        folder.update(state=State.QUEUED, pid=process.pid, pid_started=started, error={}, progress=Progress("waiting"))

        def worked() -> float:
            return before.seconds + time.monotonic() - began

        written = 0.0

        def report(progress: Progress) -> None:
            nonlocal written
            watch(progress)
            if time.monotonic() - written >= HEARTBEAT_S or progress.done == progress.total:
                written = time.monotonic()
                folder.update(progress=progress, seconds=worked())

        try:
            with _slot(home, before.kind, stop), stop.listening():
                folder.update(state=State.RUNNING)
                log.info("run %s: %s on %s", folder.id, before.kind, before.dataset)
                result = pipeline.STEPS[before.kind].carry_out(home, folder, report, stop)
            state = State.CANCELLED if result.pop("stopped", False) else State.DONE
            folder.update(state=state, result=result, seconds=worked(), pid=None)
            if state is State.DONE:  # only now is there nothing left to go on from
                folder.checkpoint.unlink(missing_ok=True)
            log.info("run %s: %s after %.1f s", folder.id, state, worked())
        except _CancelledWhileWaiting:
            folder.update(state=State.CANCELLED, pid=None)
        except WinnowError as error:
            folder.update(state=State.FAILED, error={"error": error.message, "hint": error.hint}, seconds=worked(), pid=None)
            raise
        except Exception as error:
            log.exception("run %s failed", folder.id)
            hint = f"This is a fault of Winnow; the log is in {folder.log}."
            folder.update(state=State.FAILED, error={"error": repr(error), "hint": hint}, seconds=worked(), pid=None)
            raise
    finally:
        folder.cancel_mark.unlink(missing_ok=True)
        claim.release()
    return folder.read()


class _CancelledWhileWaiting(Exception):
    """Somebody asked the run to stop before its turn came."""


class _StopSignal:
    """True once somebody asked this run to stop: by its cancel mark, or by SIGTERM or SIGINT to this process."""

    def __init__(self, folder: RunFolder) -> None:
        self._mark = folder.cancel_mark
        self._signalled = False
        self._looked = 0.0

    def __call__(self) -> bool:
        if not self._signalled and time.monotonic() - self._looked > 0.2:
            self._looked = time.monotonic()
            self._signalled = self._mark.exists()
        return self._signalled

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: object) -> None:
            self._signalled = True

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _slot(home: Home, kind: str, stop: Callable[[], bool]) -> Iterator[None]:
    """One run of a kind at a time: two trainings at once would only slow each other down."""
    lock = FileLock(home.runs / f".slot-{kind}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            if stop():
                raise _CancelledWhileWaiting from None
    try:
        yield
    finally:
        lock.release()


def _spawn(home: Home, folder: RunFolder) -> Run:
    """Without a pid the run counts as alive by its heartbeat until the child has claimed it: one writer at a time."""
    heartbeat = folder.update(state=State.QUEUED, pid=None, error={}, progress=Progress("starting"))
    with folder.log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "core", "--home", str(home.path), "work", folder.id],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    threading.Thread(target=_collect, args=(child, folder, heartbeat), daemon=True).start()
    return folder.read()


def _collect(child: subprocess.Popen, folder: RunFolder, heartbeat: float) -> None:
    """Take a child's exit status, so that it is no zombie; say so when it died before it could claim its run.

    Only then is the folder as it was at `heartbeat`: by now the run may have been worked on, killed and resumed.
    """
    code = child.wait()
    if folder.read().heartbeat == heartbeat:
        error = {"error": f"The process ended with code {code} before it began.", "hint": f"Its output is in {folder.log}."}
        folder.update(state=State.FAILED, error=error)


def _kill(pid: int) -> None:
    """End a run's process and, when it leads a session of its own as jobs do, everything it started; waits until it is gone."""
    try:
        process = psutil.Process(pid)
        if os.getsid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:  # a command in somebody's shell: its group is not ours to end
            process.kill()
        process.wait(timeout=10)
    except (ProcessLookupError, psutil.NoSuchProcess):
        log.info("process %d was already gone", pid)
    except (PermissionError, psutil.AccessDenied) as error:
        raise RunError(f"Process {pid} belongs to somebody else.", "Ask them to stop it.") from error
    except psutil.TimeoutExpired as error:
        raise RunError(f"Process {pid} does not end.", "Wait a moment, then try again.") from error
