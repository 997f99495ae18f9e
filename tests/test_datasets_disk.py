"""Datasets on disk: whole or not at all, loaded as they were imported, the real ones included."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from movielens_folder import write_movielens

from core import datasets
from core.artifacts import ROOT, Home
from core.datasets import disk
from core.errors import DatasetError, NotFoundError
from core.records import Dataset, Interactions, Label
from core.settings import ImportSettings

CLICKS = """user,item,rating,time,split
u10,b,5,1700000000,train
u2,a,4,1700000001,train
u2,b,2,1700000002,train
u10,a,5,1700000003,valid
u2,c,4,1700000004,test
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all four tables."""
    path = tmp_path / "shop"
    path.mkdir()
    (path / "interactions.csv").write_text(CLICKS)
    (path / "items.tsv").write_text("item\ttitle\tcategory\ttext\na\tAlpha\tX|Y\tfirst\nd\tDelta\t\t\nb\t\tY\t\n")
    pd.DataFrame({"user": ["u2"], "about": ["likes alphas"]}).to_parquet(path / "users.parquet")
    (path / "truth.csv").write_text("user,item,truth\nu10,b,noisy\nu2,a,hard\nu10,c,missed\n")
    return path


def test_a_dataset_comes_back_as_it_was_imported(home: Home, folder: Path) -> None:
    info, report = datasets.import_path(home, folder, settings=ImportSettings(threshold=4))
    data = datasets.load(home, "shop")
    assert data.user_ids.tolist() == ["u10", "u2"]
    assert data.item_ids.tolist() == ["a", "b", "c", "d"]
    assert data.user_text.tolist() == ["", "likes alphas"]
    assert data.item_title.tolist() == ["Alpha", "b", "c", "Delta"]
    assert data.item_category.tolist() == ["X|Y", "Y", "", ""]
    assert data.item_text.tolist() == ["first", "", "", ""]
    assert told(data.train) == [(0, 1, 5.0, 1_700_000_000, Label.NOISY_POSITIVE), (1, 0, 4.0, 1_700_000_001, Label.HARD_POSITIVE)]
    assert told(data.valid) == [(0, 0, 5.0, 1_700_000_003, Label.CLEAN)]
    assert told(data.test) == [(1, 2, 4.0, 1_700_000_004, Label.CLEAN)]
    assert told(data.disliked) == [(1, 1, 2.0, 1_700_000_002, Label.CLEAN)]
    assert (data.missed.user.tolist(), data.missed.item.tolist()) == ([0], [2])
    assert {data.train.user.dtype, data.train.item.dtype} == {np.dtype(np.int32)}
    assert all(isinstance(text, str) for texts in (data.user_ids, data.item_ids, data.item_text) for text in texts)
    assert (info.users, info.items, info.interactions, info.train, info.valid, info.test) == (2, 4, 4, 2, 1, 1)
    assert (info.has_text, info.has_truth, info.threshold, info.source, info.format) == (True, True, 4, "shop", "winnow-folder")
    assert datasets.listing(home) == [info] == [datasets.info(home, "shop")]
    assert datasets.import_report(home, "shop") == report


def told(part: Interactions) -> list[tuple[float, ...]]:
    columns = (part.user, part.item, part.rating, part.time, part.truth)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_fingerprint_is_of_the_content_not_of_name_or_truth(home: Home, folder: Path) -> None:
    first, _ = datasets.import_path(home, folder, name="first")
    (folder / "truth.csv").unlink()
    same, _ = datasets.import_path(home, folder, name="second")
    (folder / "items.tsv").write_text("item\ttitle\na\tAnother\n")
    other, _ = datasets.import_path(home, folder, name="third")
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert datasets.load(home, "second").fingerprint == same.fingerprint
    assert datasets.load(home, "second").train.truth is None


def test_whole_number_ids_are_placed_by_value(home: Home, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("user,item\n10,100\n9,20\n10,20\n")
    datasets.import_path(home, tmp_path / "n.csv")
    data = datasets.load(home, "n")
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == (["9", "10"], ["20", "100"])


def test_a_name_is_taken_until_it_is_replaced(home: Home, folder: Path) -> None:
    first, _ = datasets.import_path(home, folder)
    (folder / "interactions.csv").write_text(CLICKS + "u7,a,5,1700000009,train\n")
    with pytest.raises(DatasetError, match="already a dataset named 'shop'"):
        datasets.import_path(home, folder)
    assert datasets.info(home, "shop") == first
    second, _ = datasets.import_path(home, folder, replace=True)
    assert (first.users, second.users) == (2, 3)
    assert [path.name for path in home.datasets.iterdir()] == ["shop"]


def test_examining_writes_nothing(home: Home, folder: Path) -> None:
    draft = datasets.examine(folder)
    assert not home.path.exists()
    assert (draft.name, draft.format, draft.columns) == ("shop", "winnow-folder", ["user", "item", "rating", "time", "split"])
    assert draft.preview.iloc[0].tolist() == ["u10", "b", "5", "1700000000", "train"]
    datasets.commit(home, draft)
    assert datasets.listing(home)


def test_a_failed_write_leaves_the_old_dataset_and_no_traces(home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = datasets.import_path(home, folder)

    def full(*args: object, **rest: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(DatasetError, match="No space left"):
        datasets.import_path(home, folder, replace=True)
    assert datasets.listing(home) == [first]
    assert [path.name for path in home.datasets.iterdir()] == ["shop"]


KILLED_WHILE_WRITING = """
import os, signal, sys
from core import datasets
from core.artifacts import ROOT, Home
from core.datasets import disk

disk.write_json = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
datasets.import_path(Home.at(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_import_leaves_no_dataset(home: Home, folder: Path) -> None:
    code = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(home.path), str(folder)], cwd=ROOT, check=False
    ).returncode
    assert code == -signal.SIGKILL
    assert list(home.datasets.iterdir())  # it was in the middle of it
    assert datasets.listing(home) == []
    datasets.import_path(home, folder)
    assert [info.name for info in datasets.listing(home)] == ["shop"]


KILLED_WHILE_REPLACING = """
import os, signal, sys
from pathlib import Path
from core import datasets
from core.artifacts import Home

rename, due = Path.rename, int(sys.argv[3])

def counted(self, target):
    global due
    due -= 1
    if due == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.rename = counted
datasets.import_path(Home.at(sys.argv[1]), sys.argv[2], name="shop", replace=True)
"""


def killed_while_replacing(home: Home, source: Path, renames: int) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_REPLACING, str(home.path), str(source), str(renames)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("look", ["listing", "info", "load", "import", "remove"])
def test_a_killed_replacement_loses_nothing(
    home: Home, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    first, _ = datasets.import_path(home, folder)
    (tmp_path / "other.csv").write_text("user,item\n1,2\n")
    killed_while_replacing(home, tmp_path / "other.csv", 2)  # the old one is set aside, the new one not yet in its place
    assert not (home.datasets / "shop").exists()
    if look == "listing":
        assert datasets.listing(home) == [first]
    elif look == "info":
        assert datasets.info(home, "shop") == first
    elif look == "load":
        assert datasets.load(home, "shop").fingerprint == first.fingerprint
    elif look == "remove":
        datasets.remove(home, "shop")
        assert datasets.listing(home) == []
        return
    else:
        with pytest.raises(DatasetError, match="already a dataset"):
            datasets.import_path(home, tmp_path / "other.csv", name="shop")
    assert len(list(home.datasets.iterdir())) == 2  # what the dead process had written is still there
    datasets.import_path(home, folder, name="second")
    assert len(list(home.datasets.iterdir())) == 3  # it might be at work
    monkeypatch.setattr(disk, "STALE_S", -1.0)
    datasets.import_path(home, folder, name="third")
    assert sorted(path.name for path in home.datasets.iterdir()) == ["second", "shop", "third"]


def test_a_dataset_that_somebody_looks_for_while_it_is_replaced(
    home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renames the name is free; who looks then puts the old one back, and the replacement goes on."""
    first, _ = datasets.import_path(home, folder)
    (folder / "interactions.csv").write_text(CLICKS + "u7,a,5,1700000009,train\n")
    rename, seen = Path.rename, []

    def looked_at(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        if target.name.endswith(".old") and not seen:
            seen.append(datasets.load(home, "shop").fingerprint)
        return moved

    monkeypatch.setattr(Path, "rename", looked_at)
    second, _ = datasets.import_path(home, folder, replace=True)
    assert seen == [first.fingerprint]
    assert datasets.load(home, "shop").fingerprint == second.fingerprint != first.fingerprint
    assert [path.name for path in home.datasets.iterdir()] == ["shop"]


@pytest.mark.parametrize("replacements", [1, 2, 3])
def test_what_is_replaced_while_it_is_read_is_read_again(
    home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch, replacements: int
) -> None:
    datasets.import_path(home, folder)
    drafts = []
    for n in range(replacements):
        (folder / "interactions.csv").write_text(CLICKS + f"u{n},a,5,1700000009,train\n")
        drafts.append(datasets.examine(folder))
    read = pd.read_parquet

    def replaced_before(path: Path) -> pd.DataFrame:
        if path.name == "interactions.parquet" and drafts:
            datasets.commit(home, drafts.pop(0), replace=True)
        return read(path)

    monkeypatch.setattr(pd, "read_parquet", replaced_before)
    if replacements == 3:
        with pytest.raises(DatasetError, match="replaced while it was read"):
            datasets.load(home, "shop")
        return
    data = datasets.load(home, "shop")
    assert f"u{replacements - 1}" in data.user_ids
    assert data.fingerprint == datasets.info(home, "shop").fingerprint


def test_what_is_not_there_is_answered_with_what_is(home: Home, folder: Path) -> None:
    with pytest.raises(NotFoundError, match="There is none yet"):
        datasets.load(home, "shop")
    datasets.import_path(home, folder)
    for name in ("nope", "../shop", ""):
        with pytest.raises(NotFoundError, match="There are: shop"):
            datasets.load(home, name)
        with pytest.raises(NotFoundError):
            datasets.remove(home, name)
    datasets.remove(home, "shop")
    assert datasets.listing(home) == []
    assert list(home.datasets.iterdir()) == []


def test_a_damaged_dataset_says_so_and_hides_no_other(home: Home, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("good", "cut", "mixed", "old", "torn"):
        datasets.import_path(home, folder, name=name)
    (home.datasets / "cut" / "interactions.parquet").write_bytes(b"PAR1")
    shutil.copy(home.datasets / "mixed" / "users.parquet", home.datasets / "mixed" / "items.parquet")
    (home.datasets / "old" / "dataset.json").write_text(json.dumps({"info": {"name": "old"}}))
    (home.datasets / "torn" / "dataset.json").write_text("{")
    for name in ("cut", "mixed", "old"):
        with pytest.raises(DatasetError, match=name):
            datasets.load(home, name)
    assert [info.name for info in datasets.listing(home)] == ["cut", "good", "mixed"]
    assert "old" in caplog.text and "torn" in caplog.text


# ---- the real ones


@pytest.mark.real
def test_movielens_in_its_original_form(home: Home, tmp_path: Path, shared_data: Path) -> None:
    info, report = datasets.import_path(home, write_movielens(shared_data, tmp_path / "ml-100k"))
    assert (info.name, info.format, info.threshold) == ("ml-100k", "movielens-100k", 4)
    assert (info.users, info.items, info.interactions) == (943, 1682, 55_375)
    assert (info.train, info.valid, info.test) == (33_316, 11_018, 11_041)
    assert (report.rows_read, report.rows_kept) == (100_000, 100_000)
    data = datasets.load(home, "ml-100k")
    assert_same_split(data, pd.read_parquet(shared_data / "ml-100k" / "interactions.parquet"))
    assert len(data.disliked) == 44_625
    assert data.item_title[542] == "Les Misérables (1995)"
    assert data.item_category[542] == "Drama|Musical"
    assert data.item_category[266] == ""  # the film whose genre is "unknown"
    assert data.user_text[0] == "age: 24; gender: M; occupation: technician"


@pytest.mark.real
def test_movielens_without_its_side_files_and_by_its_file(home: Home, tmp_path: Path, shared_data: Path) -> None:
    folder = write_movielens(shared_data, tmp_path / "ml-100k")
    (folder / "u.item").unlink()
    (folder / "u.user").unlink()
    info, _ = datasets.import_path(home, folder / "u.data")
    assert (info.name, info.users, info.items, info.has_text) == ("ml-100k", 943, 1682, False)


def assert_same_split(data: Dataset, rows: pd.DataFrame) -> None:
    """The shared files count ids from 0, as positions do."""
    for split in ("train", "valid", "test"):
        part = getattr(data, split)
        expected = rows[(rows["split"] == split) & rows["positive"]]
        assert (part.user == expected["user_id"]).all()
        assert (part.item == expected["item_id"]).all()
        assert (part.rating == expected["rating"]).all()
        assert (part.time == expected["timestamp"]).all()


@pytest.mark.real
@pytest.mark.parametrize(("name", "counts"), [("ml-100k", (33_316, 11_018, 11_041)), ("amazon-book", (120_464, 40_290, 40_106))])
def test_folders_of_parquet_files_keep_their_own_split(home: Home, shared_data: Path, name: str, counts: tuple[int, ...]) -> None:
    settings = ImportSettings(threshold=4 if name == "ml-100k" else None)
    info, report = datasets.import_path(home, shared_data / name, settings=settings)
    assert (info.format, info.train, info.valid, info.test) == ("winnow-folder", *counts)
    assert report.rows_read == report.rows_kept
    data = datasets.load(home, name)
    source = pd.read_parquet(shared_data / name / "interactions.parquet").query("split == 'test'")
    source = source[source["positive"]] if name == "ml-100k" else source
    assert (data.test.codes(data.n_items) == source["user_id"].astype(np.int64) * data.n_items + source["item_id"]).all()
