"""judge export, import and record on the command line; the record's figures."""

import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import candidates, datasets, incoming
from core.__main__ import run
from core.artifacts import Home
from core.judges import trail
from core.settings import CandidateSettings
from core.store import PROBE, Store
from tests.judging_fixtures import candidates as chosen
from tests.model_server.openai_api import batch_answers

Call = Callable[..., Any]
ITEMS = (1, 17)


@pytest.fixture
def ready(home: Home, call: Call) -> Home:
    """A home with a dataset and six candidates."""
    call("demo", "--users", 50, "--items", 60, "--interactions", 600)
    data = datasets.load(home, "demo")
    picked = chosen(data, *[(user, item) for user in (0, 1, 2) for item in ITEMS])
    candidates.save(home, data, picked, CandidateSettings(), "a-run")
    return home


def test_away_and_back(ready: Home, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    made = call("judge", "export", "--judge", "openai", "--model", "gpt-4o-mini", "--url", "http://127.0.0.1:9", "--out", out)
    assert (made["open"], made["answered"], made["files"][0]["lines"]) == (12, 0, 12)
    assert "127.0.0.1:9" in made["server_not_asked"]
    answers = tmp_path / "answers.jsonl"
    lines = batch_answers((out / made["files"][0]["name"]).read_text().splitlines(), "malformed:6")
    answers.write_text("\n".join(["nonsense", *lines]))
    dry = call("judge", "import", answers, "--dry-run")
    told = call("judge", "import", answers, "--dataset", "demo")
    assert told == dry | {"dry_run": False}
    assert {name: told[name] for name in ("lines", "new", "invalid", "broken")} == {
        "lines": 13,
        "new": 10,
        "invalid": 2,
        "broken": 1,
    }
    assert (told["troubles"][0]["line"], told["troubles"][0]["outcome"]) == (1, "broken")
    assert run(["judge", "import", str(answers)]) == 0
    said = capsys.readouterr()
    assert "Read 13 lines: 10 known, 2 invalid, 1 broken." in said.out
    assert "line 1: broken" in said.err


def test_the_app_reads_the_same_answers_in_once(ready: Home, call: Call, tmp_path: Path) -> None:
    settings = ("--judge", "openai", "--model", "gpt-4o-mini", "--url", "http://127.0.0.1:9")
    made = call("judge", "export", *settings, "--out", tmp_path / "out")
    questions = (tmp_path / "out" / made["files"][0]["name"]).read_text().splitlines()
    answers = tmp_path / "answers.jsonl"
    answers.write_text("\n".join([*batch_answers(questions, "malformed:6"), '{"half": ']))
    store, data = Store.open(ready), datasets.load(ready, "demo")
    found = incoming.examine(ready, store, data, answers, annotator="ann")
    assert (found.kind, found.new, found.same) == ("judgments", 10, 0)
    assert sorted(line for problem in found.problems for line in problem.lines)[-1] == 13
    assert sum(problem.count for problem in found.problems) == 3
    assert not len(store.judgments("demo"))
    receipt = found.take()
    assert (receipt.n, receipt.undo, len(store.judgments("demo"))) == (10, (), 10)
    again = incoming.examine(ready, store, data, answers, annotator="ann")
    assert (again.new, again.same) == (0, 10)


def test_answers_for_another_machine(ready: Home, call: Call, tmp_path: Path) -> None:
    call("judge", "--judge", "builtin", "--encoder", "tfidf", "--limit", 4)
    settings = ("--judge", "builtin", "--encoder", "tfidf", "--format", "winnow")
    made = call("judge", "export", *settings, "--out", tmp_path / "out", "--shards", 2)
    assert (made["answered"], made["open"]) == (8, 4)
    files = [tmp_path / "out" / part["name"] for part in made["files"]]
    assert call("judge", "import", *files)["known"] == 8
    replayed = call("judge", "--judge", "replay", "--file", files[0])
    assert replayed["failed"] == 12 - made["files"][0]["lines"]
    assert Store.open(ready).judgments("demo")["origin"].tolist().count("replayed") == made["files"][0]["lines"]


def test_what_was_asked_wrongly(ready: Home, call: Call, tmp_path: Path) -> None:
    assert "openai" in call("judge", "export", "--judge", "builtin", "--out", tmp_path / "out", code=2)["hint"]
    assert "no file" in call("judge", "import", tmp_path / "none.jsonl", code=2)["error"]
    assert ".csv" in call("judge", "record", "--out", tmp_path / "record.xls", code=2)["hint"]
    ollama = ("--judge", "ollama", "--url", "http://127.0.0.1:9", "--format", "winnow")
    assert "ollama serve" in call("judge", "export", *ollama, "--out", tmp_path / "out", code=1)["hint"]


@pytest.fixture
def judged(ready: Home, call: Call) -> tuple[Home, tuple[str, str]]:
    """All judged; a pair that people said much about, and a probe and a further answer to its first question."""
    call("judge", "--judge", "builtin", "--encoder", "tfidf")
    store = Store.open(ready)
    first = store.judgments("demo").iloc[0]
    pair = (first["user_id"], first["item_id"])
    store.add_further(first["key"], PROBE, "Mid", confidence=0.4)
    store.add_further(first["key"], 1, "Low", analysis="on second thoughts")
    store.decide("demo", [pair], "no", annotator="ann", note="=cmd()", reason="misclick")
    store.undo("demo", annotator="ann")
    store.decide("demo", [pair], "yes", annotator="bob")
    return ready, pair


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_record(judged: tuple[Home, tuple[str, str]], call: Call, tmp_path: Path, suffix: str) -> None:
    home, pair = judged
    path = tmp_path / f"record{suffix}"
    assert call("judge", "record", "--out", path)["judgments"] == 12
    readers = {
        ".csv": lambda: pd.read_csv(path, dtype={"prompt_version": str}),
        ".jsonl": lambda: pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]),
        ".parquet": lambda: pd.read_parquet(path),
    }
    rows = readers[suffix]()
    assert list(rows.columns) == list(trail.COLUMNS)
    store = Store.open(home)
    kept = store.judgments("demo").set_index("key")
    for one in rows.itertuples():
        answer = kept.loc[one.key]
        told = ("rating", "analysis", "raw", "prompt", "digest", "prompt_version", "origin", "how")
        assert [getattr(one, name) for name in told] == [answer[name] for name in told]
        assert datetime.fromisoformat(one.at_iso).timestamp() == pytest.approx(answer["at"], abs=1e-5)
    mine = rows[(rows["user_id"] == pair[0]) & (rows["item_id"] == pair[1])]
    assert set(mine["label_source"]) == {"human"}
    assert set(zip(mine["decision"], mine["decided_by"], strict=True)) == {("yes", "bob")}
    log = json.loads(mine["decisions"].iloc[0])
    assert [(one["annotator"], one["relevant"], one["undone"], one.get("undone_by")) for one in log] == [
        ("ann", "no", True, "ann"),
        ("bob", "yes", False, None),
    ]
    assert (log[0]["note"], log[0]["reason"]) == ("=cmd()", "misclick")
    probed = rows.dropna(subset="probe_rating")
    assert (probed["probe_rating"].tolist(), probed["probe_confidence"].tolist()) == (["Mid"], [0.4])
    assert json.loads(probed["further_answers"].iloc[0])[0]["analysis"] == "on second thoughts"
    others = rows[~rows.index.isin(mine.index)]
    assert others["decision"].isna().all()
    assert set(others["label_source"].dropna()) <= {"builtin"}


def test_no_cell_of_the_record_is_a_formula(judged: tuple[Home, tuple[str, str]], call: Call, tmp_path: Path) -> None:
    home, pair = judged
    Store.open(home).decide("demo", [pair], "no", annotator="@mallory", note="=HYPERLINK(1)", reason="+1")
    call("judge", "record", "--out", tmp_path / "record.csv")
    with (tmp_path / "record.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t")]


def test_asked_again(
    judged: tuple[Home, tuple[str, str]], call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rater whose answer counts, as it was asked; what is kept is in the record, beside its judgment."""
    home, (user, item) = judged
    told = call("judge", "again", user, item, "--annotator", "ann")
    assert (told["answered"], told["known"], told["failed"]) == (2, 0, 0)
    assert [one["change"] for one in told["counterfactuals"]] == ["without", "without"]
    assert len(told["findings"]) == 1
    data = datasets.load(home, "demo")
    other = told["counterfactuals"][0]["items"][0]
    past = data.train.item[data.train.user == list(data.user_ids).index(user)]
    more = [one for one in data.item_ids[past] if one not in (other, item)][:2]
    assert call("judge", "again", user, item, "--without", more[0], "--without", more[1])["answered"] == 2
    assert run(["judge", "again", user, item, "--without", other, "--judge", "builtin"]) == 0
    assert f"without {dict(zip(data.item_ids, data.item_title, strict=True))[other]}" in capsys.readouterr().out
    path = tmp_path / "record.parquet"
    assert call("judge", "record", "--out", path)["judgments"] == 12
    rows = pd.read_parquet(path).dropna(subset="counterfactuals")
    assert set(zip(rows["user_id"], rows["item_id"], strict=True)) == {(user, item)}
    for row in rows.itertuples():
        kept = json.loads(row.counterfactuals)
        assert [one["before"] for one in kept] == [row.rating] * 2
        assert [one["items"] for one in kept] == [[other], sorted(more, key=data.item_ids.tolist().index)]
        assert {one["base_key"] for one in kept} == {row.key}
        assert kept[0]["annotator"] == "ann"
        assert datetime.fromisoformat(kept[0]["at_iso"]).timestamp() == pytest.approx(kept[0]["at"], abs=1e-5)


def test_what_cannot_be_asked_again(judged: tuple[Home, tuple[str, str]], call: Call) -> None:
    _, (user, item) = judged
    assert "it reads no order" in call("judge", "again", user, item, "--reverse", code=2)["error"]
    assert "python -m core judge" in call("judge", "again", user, item, "--judge", "ollama", code=1)["hint"]
    assert "no item" in call("judge", "again", user, item, "--without", "nothing", code=1)["error"]


def test_the_record_of_nothing(ready: Home, call: Call, tmp_path: Path) -> None:
    assert call("judge", "record", "--out", tmp_path / "record.parquet")["judgments"] == 0
    assert list(pd.read_parquet(tmp_path / "record.parquet").columns) == list(trail.COLUMNS)


def test_a_pair_that_no_judge_is_asked_about_is_refused(ready: Home, call: Call) -> None:
    data = datasets.load(ready, "demo")
    asked, other = [(data.user_ids[0], data.item_ids[item]) for item in (ITEMS[0], 2)]
    one = ("judge", "--encoder", "tfidf", "--user")
    assert "has no user 'nobody'" in call(*one, "nobody", "--item", asked[1], code=1)["error"]
    assert f"{other[0]} and {other[1]} are no candidate of" in call(*one, other[0], "--item", other[1], code=1)["error"]
    assert call("judge", "again", *asked, code=1)["error"].startswith(f"Nobody has judged {asked[0]} and {asked[1]}, so")
    assert call("runs") == []
    assert call(*one, asked[0], "--item", asked[1])["asked"] == 2


def test_runs_of_a_dataset_that_is_not_there_are_not_none(ready: Home, call: Call) -> None:
    assert call("runs", "-d", "demo") == []
    assert "no dataset named 'nope'" in call("runs", "-d", "nope", code=1)["error"]
