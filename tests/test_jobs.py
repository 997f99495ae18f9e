"""Training as a child process: watched, cancelled, killed with kill -9, resumed to the same numbers."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from core import datasets, evaluate, jobs, runs
from core.artifacts import ROOT, Home
from core.errors import ConflictError, NotFoundError, RunError, SettingsError
from core.records import Report
from core.runs import Run, State
from core.settings import DemoSettings

SMALL = {"dim": 8, "layers": 1, "epochs": 30, "min_epochs": 30, "eval_every": 3, "batch_size": 512, "device": "cpu"}
LONG = SMALL | {"epochs": 4000, "min_epochs": 4000}


@pytest.fixture
def shop(home: Home) -> Home:
    datasets.import_demo(home, DemoSettings(users=80, items=200, interactions=1200), name="shop")
    return home


def wait(home: Home, run_id: str, until: Callable[[Run], bool], seconds: float = 60) -> Run:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = runs.folder(home, run_id).read()
        if until(run):
            return run
        time.sleep(0.05)
    raise AssertionError(f"{run} after {seconds} s; log: {runs.folder(home, run_id).log_tail()}")


def ended(run: Run) -> bool:
    return not run.state.active


def test_a_job_runs_to_its_end_and_leaves_everything(shop: Home) -> None:
    started = jobs.start(shop, "train", "shop", SMALL)
    assert started.state is State.QUEUED
    run = wait(shop, started.id, ended)
    folder = runs.folder(shop, run.id)
    assert run.state is State.DONE, folder.log_tail()
    assert set(run.metrics) == {"valid", "test"}
    assert run.metrics["test"]["recall@20"] == pytest.approx(folder.report("test").means()["recall@20"])
    assert [row["epoch"] for row in folder.metrics()[0]] == list(range(1, 31))
    assert run.dataset_fingerprint == datasets.load(shop, "shop").fingerprint
    assert run.versions["torch"].startswith("2.")
    assert not folder.checkpoint.exists()
    with pytest.raises(RunError, match="nothing to resume"):
        jobs.resume(shop, run.id)


def test_kill_9_then_resume_gives_the_same_as_an_unbroken_run(shop: Home) -> None:
    settings = SMALL | {"epochs": 300, "min_epochs": 300}
    whole = wait(shop, jobs.start(shop, "train", "shop", settings).id, ended)
    broken = jobs.start(shop, "train", "shop", settings)
    folder = runs.folder(shop, broken.id)
    run = wait(shop, broken.id, lambda run: len(folder.metrics()[0]) > 20)
    os.kill(run.pid, signal.SIGKILL)
    run = wait(shop, broken.id, ended)
    assert run.state is State.INTERRUPTED
    epochs = len(folder.metrics()[0])
    assert 20 < epochs < 300
    jobs.resume(shop, broken.id)
    run = wait(shop, broken.id, ended)
    assert run.state is State.DONE, folder.log_tail()
    assert run.metrics == whole.metrics
    assert [row["epoch"] for row in folder.metrics()[0]] == list(range(1, 301))
    one, other = runs.folder(shop, whole.id), folder
    np.testing.assert_array_equal(one.embeddings().user, other.embeddings().user)
    np.testing.assert_array_equal(one.losses()["trajectory"], other.losses()["trajectory"])


def test_cancel_keeps_a_checkpoint_and_resume_goes_on(shop: Home) -> None:
    started = jobs.start(shop, "train", "shop", LONG)
    folder = runs.folder(shop, started.id)
    wait(shop, started.id, lambda run: run.progress.done > 0)
    began = time.monotonic()
    jobs.cancel(shop, started.id)
    run = wait(shop, started.id, ended)
    assert run.state is State.CANCELLED
    assert time.monotonic() - began < 5
    done = len(folder.metrics()[0])
    assert folder.checkpoint.exists()
    jobs.resume(shop, run.id)
    wait(shop, run.id, lambda run: len(folder.metrics()[0]) > done)
    jobs.cancel(shop, run.id, force=True)
    assert wait(shop, run.id, ended).state is State.CANCELLED


def test_the_same_work_is_not_started_twice_and_others_wait_for_their_turn(shop: Home) -> None:
    first = jobs.start(shop, "train", "shop", LONG)
    wait(shop, first.id, lambda run: run.state is State.RUNNING)
    with pytest.raises(ConflictError, match=first.id):
        jobs.start(shop, "train", "shop", LONG)
    with pytest.raises(ConflictError, match="Another process"):
        jobs.work(shop, first.id)
    second = jobs.start(shop, "train", "shop", LONG | {"seed": 1})
    wait(shop, second.id, lambda run: run.pid is not None)
    time.sleep(1)
    assert runs.folder(shop, second.id).read().state is State.QUEUED
    jobs.cancel(shop, second.id)
    assert wait(shop, second.id, ended).state is State.CANCELLED
    jobs.resume(shop, second.id)
    jobs.cancel(shop, first.id)
    wait(shop, second.id, lambda run: run.state is State.RUNNING)
    jobs.cancel(shop, second.id, force=True)


def test_cancelled_at_once_after_the_start(shop: Home) -> None:
    started = jobs.start(shop, "train", "shop", LONG)
    jobs.cancel(shop, started.id)
    assert wait(shop, started.id, ended).state is State.CANCELLED


def test_a_process_that_dies_before_it_begins_says_so(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.sys, "executable", "/bin/false")
    started = jobs.start(shop, "train", "shop", SMALL)
    run = wait(shop, started.id, ended)
    assert run.state is State.FAILED
    assert "before it began" in run.error["error"]


def test_a_stop_that_comes_too_late_throws_nothing_away(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = jobs.create(shop, "train", "shop", SMALL)
    real = evaluate.evaluate

    def stopped_meanwhile(*arguments: object) -> Report:
        folder.cancel_mark.touch()
        time.sleep(0.3)
        return real(*arguments)

    monkeypatch.setattr(evaluate, "evaluate", stopped_meanwhile)  # of the test set: the training itself is over
    run = jobs.work(shop, folder.id)
    assert run.state is State.DONE
    assert "test" in run.metrics


def test_a_failed_run_can_be_worked_on_again_at_once(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = jobs.create(shop, "train", "shop", SMALL)
    with monkeypatch.context() as broken:
        broken.setattr(runs.RunFolder, "append_metrics", lambda *args: 1 / 0)
        try:
            jobs.work(shop, folder.id)
        except ZeroDivisionError:
            broken.undo()
            assert jobs.work(shop, folder.id).state is State.DONE


def test_force_ends_a_command_in_a_shell_but_not_its_neighbours(shop: Home, tmp_path: Path) -> None:
    """Without a session of its own, as under make, cron or a script: its process group is not ours to kill."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in LONG.items()]
    command = shlex.join([sys.executable, "-m", "core", "--home", str(shop.path), "train", *options])
    shell = subprocess.Popen(["bash", "-c", f"{command}; touch {tmp_path}/after"], cwd=ROOT, start_new_session=True)
    end = time.monotonic() + 60
    while not (found := runs.listing(shop)) and time.monotonic() < end:
        time.sleep(0.1)
    run = wait(shop, found[0].id, lambda run: run.progress.done > 0)
    assert jobs.cancel(shop, run.id, force=True).state is State.CANCELLED
    assert not psutil.pid_exists(run.pid)
    shell.wait(timeout=20)
    assert (tmp_path / "after").exists()


def test_candidates_come_from_a_run_on_the_same_data(shop: Home) -> None:
    run = jobs.work(shop, jobs.create(shop, "train", "shop", SMALL).id)
    datasets.import_demo(shop, DemoSettings(users=80, items=200, interactions=1200, seed=8), name="other")
    with pytest.raises(RunError, match="not trained on 'other'"):
        jobs.create(shop, "candidates", "other", {"run": run.id})
    datasets.import_demo(shop, DemoSettings(users=80, items=200, interactions=1200, seed=9), name="shop", replace=True)
    with pytest.raises(NotFoundError, match="Train first"):
        jobs.create(shop, "candidates", "shop", {})


def test_without_a_test_part_a_training_still_ends_well(home: Home, tmp_path: Path) -> None:
    rows = [
        f"u{user},i{(user * item) % 31},{'valid' if item % 5 == 0 else 'train'}" for user in range(20) for item in range(1, 12)
    ]
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(["user,item,split", *rows]))
    datasets.import_path(home, path)
    run = jobs.work(home, jobs.create(home, "train", "clicks", SMALL).id)
    assert run.state is State.DONE
    assert set(run.metrics) == {"valid"}


def test_what_cannot_work_is_refused_before_any_run_exists(shop: Home) -> None:
    for settings, error in (
        ({"dim": 0}, SettingsError),
        ({"backbone": "resnet"}, SettingsError),
        ({"monitor": "recall@7"}, SettingsError),
        ({"labels": "v7"}, NotFoundError),
    ):
        with pytest.raises(error):
            jobs.start(shop, "train", "shop", settings)
    with pytest.raises(NotFoundError, match="shop"):
        jobs.start(shop, "train", "bookshop", {})
    with pytest.raises(NotFoundError, match="Train first"):
        jobs.start(shop, "candidates", "shop", {})
    assert runs.listing(shop) == []


def test_a_failure_while_working_is_kept_with_its_reason(shop: Home) -> None:
    folder = jobs.create(shop, "train", "shop", SMALL)
    datasets.import_demo(shop, DemoSettings(users=80, items=200, interactions=1200, seed=8), name="shop", replace=True)
    with pytest.raises(RunError, match="imported anew"):
        jobs.work(shop, folder.id)
    run = folder.read()
    assert run.state is State.FAILED
    assert "imported anew" in run.error["error"]
    assert run.error["hint"]
