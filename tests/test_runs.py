"""Run folders: atomic, readable by others at any moment, honest about dead processes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from core import runs
from core.artifacts import Home, atomic
from core.errors import NotFoundError, RunError, WinnowError
from core.records import Embeddings, Learned, Report
from core.runs import Progress, State
from core.store import Store


def made(home: Home, **manifest) -> runs.RunFolder:  # noqa: ANN003
    return runs.create(home, "train", "shop", {"seed": 0}, **manifest)


def test_a_new_run_is_queued_and_listed_newest_first(home: Home) -> None:
    first = made(home, dataset_fingerprint="abc")
    time.sleep(0.01)
    second = made(home)
    assert [run.id for run in runs.listing(home)] == [second.id, first.id]
    assert runs.listing(home, "other shop") == []
    run = first.read()
    assert (run.state, run.kind, run.settings, run.dataset_fingerprint) == (State.QUEUED, "train", {"seed": 0}, "abc")


def test_found_by_an_unambiguous_part_of_the_id(home: Home) -> None:
    one = made(home)
    assert runs.folder(home, one.id[-4:]).id == one.id
    made(home)
    with pytest.raises(NotFoundError, match="fits 2 runs"):
        runs.folder(home, "shop-")
    with pytest.raises(NotFoundError, match="no run"):
        runs.folder(home, "nothing")


def test_a_run_whose_process_is_gone_is_interrupted(home: Home) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = made(home)
    folder.update(state=State.RUNNING, pid=child.pid, pid_started=psutil.Process(child.pid).create_time())
    assert folder.read().state is State.RUNNING
    child.kill()
    child.wait()
    assert folder.read().state is State.INTERRUPTED


def test_a_recycled_process_number_is_no_sign_of_life(home: Home) -> None:
    folder = made(home)
    folder.update(state=State.RUNNING, pid=os.getpid(), pid_started=psutil.Process().create_time() - 1000)
    assert folder.read().state is State.INTERRUPTED


def test_a_cancel_mark_shows_as_stopping(home: Home) -> None:
    folder = made(home)
    folder.update(state=State.RUNNING, pid=os.getpid(), pid_started=psutil.Process().create_time())
    folder.cancel_mark.touch()
    assert folder.read().state is State.STOPPING
    with pytest.raises(RunError, match="at work"):
        runs.remove(home, folder.id)


def test_metrics_are_read_on_from_an_offset_and_half_a_line_waits(home: Home) -> None:
    folder = made(home)
    assert folder.metrics() == ([], 0)
    folder.append_metrics({"epoch": 1})
    rows, offset = folder.metrics()
    assert rows == [{"epoch": 1}]
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2')
    assert folder.metrics(offset) == ([], offset)
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write("}\n")
    assert folder.metrics(offset)[0] == [{"epoch": 2}]
    folder.keep_metrics(1)
    assert folder.metrics()[0] == [{"epoch": 1}]


def test_arrays_come_back_as_they_were(home: Home) -> None:
    folder = made(home)
    with pytest.raises(NotFoundError, match="no vectors yet"):
        folder.embeddings()
    folder.save_embeddings(Embeddings(np.eye(3, dtype=np.float32), np.ones((2, 3), np.float32)))
    np.testing.assert_array_equal(folder.embeddings().item, np.ones((2, 3)))
    folder.save_report("test", Report(np.array([4, 7], np.int32), {"recall@20": np.array([0.5, 1.0])}))
    report = folder.report("test")
    assert report.users.tolist() == [4, 7]
    assert report.means() == {"recall@20": 0.75}


def test_status_with_progress_and_removal(home: Home) -> None:
    folder = made(home)
    folder.update(
        state=State.DONE, progress=Progress("training", 3, 5, "loss .4", 12.0), result={"metrics": {"test": {"a": 1.0}}}
    )
    run = folder.read()
    assert run.progress == Progress("training", 3, 5, "loss .4", 12.0)
    assert run.metrics == {"test": {"a": 1.0}}
    runs.remove(home, folder.id)
    assert runs.listing(home) == []


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(home: Home) -> None:
    path = home.path / "status.json"
    with atomic(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(WinnowError, match="could not be written"), atomic(path) as temporary:
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert [p.name for p in home.path.iterdir()] == ["status.json"]


def test_a_broken_status_file_names_itself(home: Home) -> None:
    folder = made(home)
    (folder.path / "status.json").write_text("{")
    with pytest.raises(NotFoundError, match="status.json"):
        folder.read()
    assert json.loads((folder.path / "manifest.json").read_text())["id"] == folder.id


def test_a_damaged_run_hides_no_other_and_can_be_removed(home: Home) -> None:
    broken, fine = made(home), made(home)
    (broken.path / "status.json").unlink()
    assert [run.id for run in runs.listing(home)] == [fine.id]
    runs.remove(home, broken.id)
    assert [path.name for path in home.runs.iterdir()] == [fine.id]


def test_a_place_that_cannot_be_written_is_explained(home: Home, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(WinnowError, match="could not be written") as caught:
        runs.create(Home(blocked / "home"), "train", "shop", {})
    assert "--home" in caught.value.hint
    with pytest.raises(WinnowError, match="could not be written"), atomic(blocked / "x.csv"):
        raise AssertionError("nothing to write to")


@pytest.mark.parametrize("name", ["a?b", "e%20f", "g#h", "blank space"])
def test_a_home_with_odd_characters_keeps_its_database(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINNOW_DB", raising=False)
    place = Home.at(tmp_path / name)
    Store.open(place).close()
    assert (place.path / "winnow.db").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_file_of_a_run_is_named(home: Home) -> None:
    folder = made(home)
    rows = np.ones((3, 2), np.float32)
    folder.save_embeddings(Embeddings(rows, rows))
    folder.save_learned(Learned({"user": rows}, 0, np.zeros(0, np.int64)))
    folder.save_losses({"mean": np.ones(5, np.float32)})
    folder.save_report("test", Report(np.arange(3), {"recall@20": np.ones(3)}))
    reads = {
        "embeddings.safetensors": folder.embeddings,
        "learned.safetensors": folder.learned,
        "losses.npz": folder.losses,
        "report_test.npz": lambda: folder.report("test"),
    }
    for name, read in reads.items():
        read()
        whole = (folder.path / name).read_bytes()
        for kept in (0, 9, len(whole) // 2):
            (folder.path / name).write_bytes(whole[:kept])
            with pytest.raises(NotFoundError, match=rf"{name} is damaged") as caught:
                read()
            assert "Delete the file" in caught.value.hint
