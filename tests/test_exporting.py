"""The cleaned dataset as files: back through the importer, in RecBole's headers, with who changed what, whole or not there."""

import contextlib
import errno
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import datasets, exchange, pipeline
from core.__main__ import run
from core.artifacts import Home
from core.datasets import exporting
from core.errors import DatasetError, SettingsError
from core.records import Candidates, Dataset
from core.settings import DemoSettings, ExportSettings, JudgeSettings
from core.store import Store

NAME = "shop"


@pytest.fixture
def data(home: Home, tmp_path: Path) -> Dataset:
    """Ratings, times, awkward titles and ids, and three decisions frozen as v1."""
    datasets.import_demo(home, DemoSettings(users=60, items=50, interactions=1000), "demo")
    demo = datasets.load(home, "demo")
    parts = {"train": demo.train, "valid": demo.valid, "test": demo.test}
    rows = pd.concat(
        pd.DataFrame(
            {"user": demo.user_ids[part.user], "item": demo.item_ids[part.item], "split": word, "time": 1_700_000_000 + part.item}
        )
        for word, part in parts.items()
    )
    rows["rating"] = 1 + (np.arange(len(rows)) * 7) % 5 * 0.5
    rows.to_csv(tmp_path / "rows.csv", index=False)
    titles = [f'=SUM({place}), "quoted"\tand tab' if place % 2 else f"Title {place}" for place in range(demo.n_items)]
    items = pd.DataFrame({"item": demo.item_ids, "title": titles, "category": "Science fiction|Crime", "text": demo.item_text})
    items.to_csv(tmp_path / "items.csv", index=False)
    datasets.import_path(home, tmp_path / "rows.csv", name=NAME, items=tmp_path / "items.csv")
    data = datasets.load(home, NAME)
    store = Store.open(home)
    store.decide(NAME, pairs(data, [0]), "no", annotator="ada", note="=clicked by mistake", reason="misclick")
    store.decide(NAME, pairs(data, [1]), "no", annotator="bob")
    store.undo(NAME, annotator="bob")
    store.decide(NAME, [missing_pair(data)], "yes", annotator="ada")
    pipeline.freeze(home, NAME, annotator="ada")
    store.decide(NAME, pairs(data, [2]), "no", annotator="late")
    return data


def pairs(data: Dataset, rows: list[int]) -> list[tuple[str, str]]:
    return [(str(data.user_ids[data.train.user[row]]), str(data.item_ids[data.train.item[row]])) for row in rows]


def missing_pair(data: Dataset) -> tuple[str, str]:
    """A pair that nobody observed, of the first user."""
    seen = set(np.concatenate([part.item[part.user == 0] for part in (data.train, data.valid, data.test)]).tolist())
    return str(data.user_ids[0]), str(data.item_ids[next(item for item in range(data.n_items) if item not in seen)])


def table(data: Dataset, split: str) -> pd.DataFrame:
    part = getattr(data, split)
    frame = pd.DataFrame(
        {"user": data.user_ids[part.user], "item": data.item_ids[part.item], "rating": part.rating, "time": part.time}
    )
    return frame.sort_values(["user", "item"], ignore_index=True)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_exported_can_be_imported_again(home: Home, data: Dataset, tmp_path: Path, form: str) -> None:
    made = exporting.export(home, NAME, tmp_path / "out", ExportSettings(format=form), "v1")
    assert (made.changes, made.filled) == ({"dropped": 1, "weighed down": 0, "added": 1}, {"rating": 1, "time": 1})
    datasets.import_path(home, tmp_path / "out", name="again")
    again = datasets.load(home, "again")
    for split in ("valid", "test"):
        pd.testing.assert_frame_equal(table(again, split), table(data, split))
    dropped, added = pairs(data, [0])[0], missing_pair(data)
    before, after = (table(one, "train").set_index(["user", "item"]) for one in (data, again))
    assert set(before.index) - set(after.index) == {dropped}
    assert set(after.index) - set(before.index) == {added}
    kept = before.index.intersection(after.index)
    pd.testing.assert_frame_equal(before.loc[kept], after.loc[kept])
    own = before.loc[[data.user_ids[0]]]
    assert after.loc[added, "rating"] == pytest.approx(own["rating"].median())
    np.testing.assert_array_equal(again.item_title, data.item_title)
    np.testing.assert_array_equal(again.item_category, data.item_category)
    np.testing.assert_array_equal(again.user_text, data.user_text)


def test_truth_comes_along_for_evaluation_only(home: Home, tmp_path: Path) -> None:
    datasets.import_demo(home, DemoSettings(users=60, items=50, interactions=1000), "demo")
    data = datasets.load(home, "demo")
    row = int(np.flatnonzero(data.train.truth == 2)[0])
    added = str(data.user_ids[data.missed.user[0]]), str(data.item_ids[data.missed.item[0]])
    store = Store.open(home)
    store.decide("demo", pairs(data, [row]), "no", annotator="ada")
    store.decide("demo", [added], "yes", annotator="ada")
    exporting.export(home, "demo", tmp_path / "out", ExportSettings())
    datasets.import_path(home, tmp_path / "out", name="again")
    again = datasets.load(home, "again")
    assert (again.train.truth == 2).sum() == (data.train.truth == 2).sum() - 1
    assert len(again.missed) == len(data.missed) - 1


def test_changes_say_who_and_why_as_of_the_version(home: Home, data: Dataset, tmp_path: Path) -> None:
    exporting.export(home, NAME, tmp_path / "out", ExportSettings(), "v1")
    changes = pd.read_csv(tmp_path / "out" / "changes.csv", dtype=str).set_index(["user", "item"])
    assert set(changes.index) == {pairs(data, [0])[0], missing_pair(data)}
    first = changes.loc[pairs(data, [0])[0]]
    assert first[["deed", "label", "source", "annotators", "reason", "version"]].tolist() == [
        *("dropped", "noisy positive", "human", "ada", "misclick", "v1")
    ]
    assert first["note"] == "'=clicked by mistake"  # a spreadsheet runs nothing
    assert float(first["at"]) == Store.open(home).decisions(NAME)[0].at
    exporting.export(home, NAME, tmp_path / "now", ExportSettings())
    now = pd.read_csv(tmp_path / "now" / "changes.csv", dtype=str)
    assert set(now["annotators"]) == {"ada", "late"}
    assert json.loads((tmp_path / "out" / "export.json").read_text())["version"] == "v1"


def test_judges_are_named_with_their_ratings_and_weigh_down(home: Home, data: Dataset, tmp_path: Path) -> None:
    from core import judges

    rows = slice(5, 30)
    observed, nothing = np.ones(25, bool), np.zeros(25, np.float32)
    asked = Candidates(data.train.user[rows], data.train.item[rows], observed, *[nothing] * 4)
    store, settings = Store.open(home), JudgeSettings(encoder="tfidf")
    judges.run(store, data, asked, judges.make(settings, home.cache, store.rubric(NAME, None)), settings)
    found = exporting.cleaned(data, store, ExportSettings(noisy_weight=0.25))
    judged = found.changes[found.changes["source"] == "builtin"]
    assert len(judged) > 0
    assert set(judged["deed"]) == {"weighed down"}
    assert set(judged["weight"]) == {0.25}
    assert judged["annotators"].str.startswith("builtin").all()
    assert judged["reason"].str.fullmatch(r"user view (High|Mid|Low); item view (High|Mid|Low)").all()
    weights = found.interactions.set_index(["user", "item"])["weight"]
    assert (weights.loc[pd.MultiIndex.from_frame(judged[["user", "item"]])] == 0.25).all()


def test_recbole_reads_its_headers(home: Home, data: Dataset, tmp_path: Path) -> None:
    exporting.export(home, NAME, tmp_path / "out", ExportSettings(format="recbole"), "v1")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *(f"{NAME}.{part}" for part in ("train.inter", "valid.inter", "test.inter", "item", "user", "yaml")),
        *("changes.csv", "export.json"),
    }
    parts = {
        word: pd.read_csv(tmp_path / "out" / f"{NAME}.{word}.inter", sep="\t", dtype=str) for word in ("train", "valid", "test")
    }
    for rows in parts.values():
        assert list(rows) == ["user_id:token", "item_id:token", "rating:float", "timestamp:float", "weight:float"]
    assert len(parts["test"]) == len(data.test)
    assert not parts["train"].isna().any(axis=None)
    lines = (tmp_path / "out" / f"{NAME}.item").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "item_id:token\ttitle:token_seq\tcategories:token_seq\ttext:token_seq"
    assert len(lines) == data.n_items + 1
    items = pd.read_csv(tmp_path / "out" / f"{NAME}.item", sep="\t", dtype=str)
    assert set(items["categories:token_seq"]) == {"Science_fiction Crime"}
    assert "benchmark_filename: [train, valid, test]" in (tmp_path / "out" / f"{NAME}.yaml").read_text()
    info, _ = datasets.import_path(home, tmp_path / "out" / f"{NAME}.train.inter", name="inter")
    assert info.interactions == len(parts["train"])


def test_a_folder_that_is_there_stays_as_it_is(home: Home, data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(DatasetError, match="already there"):
        exporting.export(home, NAME, tmp_path / "out", ExportSettings())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    exporting.export(home, NAME, tmp_path / "out", ExportSettings(), replace=True)
    assert (tmp_path / "out" / "interactions.csv").exists()


@pytest.mark.parametrize("form", ["csv", "parquet", "recbole"])
def test_a_full_disk_leaves_nothing(
    home: Home, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exporting, "write_json", full)  # the last file
    (tmp_path / "there").mkdir()
    with pytest.raises(DatasetError, match="No space left"):
        exporting.export(home, NAME, tmp_path / "there" / "out", ExportSettings(format=form), "v1")
    assert list((tmp_path / "there").iterdir()) == []


def test_the_command_line_exports(home: Home, data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert run(["export-dataset", "--dataset", NAME, "--labels", "v1", "--format", "parquet", "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == {"dropped": 1, "weighed down": 0, "added": 1}
    assert run(["export-dataset", "--dataset", NAME, "--labels", "v9", "--out", str(tmp_path / "no")]) == 1
    assert not (tmp_path / "no").exists()
    for what in exchange.KINDS:
        assert run(["labels", "export", str(tmp_path / f"{what}.csv"), "--dataset", NAME, "--what", what]) == 0
    labels = pd.read_csv(tmp_path / "labels.csv")
    assert sorted(labels["label"]) == ["missed positive", "noisy positive", "noisy positive"]
    assert len(pd.read_csv(tmp_path / "judgments.csv")) == 0
    with contextlib.suppress(SystemExit):
        assert run(["labels", "export", str(tmp_path / "x.csv"), "--dataset", NAME, "--what", "dreams"]) == 2
    with pytest.raises(SettingsError):
        exchange.file_of(Store.open(home), data, "dreams")
