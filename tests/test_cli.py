"""The command line: one JSON value on stdout, exit codes 0, 1 and 2, and the whole loop on real data."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from movielens_folder import write_movielens

from core import datasets
from core.__main__ import run
from core.artifacts import ROOT, Home
from core.records import Label
from core.settings import DemoSettings, TrainSettings
from core.store import Store

QUICK = ["--dim", "8", "--layers", "1", "--epochs", "10", "--min-epochs", "10", "--batch-size", "1024"]
Call = Callable[..., Any]


def demo(call: Call) -> None:
    call("demo", "--users", 80, "--items", 200, "--interactions", 1200)


def test_the_loop(call: Call) -> None:
    demo(call)
    [dataset] = call("datasets")
    assert (dataset["name"], dataset["users"], dataset["items"]) == ("demo", 80, 200)
    plain = call("train", "--dataset", "demo", *QUICK)
    assert plain["state"] == "done"
    assert plain["epochs"] == 10
    assert set(plain["metrics"]) == {"valid", "test"}
    assert 0 <= plain["metrics"]["test"]["recall@20"] <= 1
    found = call("candidates", "--dataset", "demo", "--budget", 100)
    assert found["n"] == 100 == found["observed"] + found["unobserved"]
    first = call("judge", "--dataset", "demo", "--judge", "builtin")
    assert {name: first[name] for name in ("cached", "failed", "unjudged")} == {"cached": 0, "failed": 0, "unjudged": 0}
    again = call("judge", "--dataset", "demo", "--judge", "builtin")
    assert again["asked"] == 0
    assert again["cached"] == 200
    shown = call("labels", "show", "--dataset", "demo")
    assert sum(shown["counts"].values()) == len(shown["labels"]) == 100
    assert len(call("labels", "show", "--limit", 7)["labels"]) == 7
    clicks = call("labels", "show", "--filter", "clicked=train&status=undecided")["labels"]
    assert clicks == [row for row in shown["labels"] if row["observed"]] != []
    row = next(row for row in shown["labels"] if row["observed"])
    answer = "yes" if row["label"] == "noisy positive" else "no"
    call("labels", "set", row["user_id"], row["item_id"], answer, "--note", "I know her", "--annotator", "ann")
    [mine] = call("labels", "show", "--user", row["user_id"], "--item", row["item_id"])["labels"]
    assert (mine["source"], mine["label"] == "hard positive") == ("human", answer == "yes")
    frozen = call("labels", "freeze", "--annotator", "ann")
    assert frozen["version"] == "v1"
    refined = call("train", "--dataset", "demo", "--labels", "v1", *QUICK)
    compared = call("compare", plain["run"], refined["run"])
    assert (compared["a"], compared["b"]) == (plain["run"], refined["run"])
    delta = compared["metrics"]["recall@20"]
    assert set(delta) == {"a", "b", "delta", "low", "high"}
    assert delta["a"] == pytest.approx(plain["metrics"]["test"]["recall@20"])
    assert delta["b"] - delta["a"] == pytest.approx(delta["delta"])
    assert delta["low"] <= delta["delta"] <= delta["high"]
    assert {row["setting"] for row in compared["differences"]} == {"labels", "label content"}
    assert [one["kind"] for one in call("runs")] == ["train", "judge", "judge", "candidates", "train"]


def a_pair(call: Call, home: Home) -> tuple[str, str]:
    """Raw ids of one click of the demo dataset."""
    data = datasets.load(home, "demo")
    return data.user_ids[data.train.user[0]], data.item_ids[data.train.item[0]]


def test_decisions_go_out_and_come_back_unchanged(call: Call, home: Home, tmp_path: Path) -> None:
    demo(call)
    user, item = a_pair(call, home)
    call("labels", "set", user, item, "no", "--note", "=1+1, really", "--annotator", "ann")
    call("labels", "set", user, item, "yes", "--annotator", "bob")
    assert len(call("labels", "undo", "--annotator", "bob")["undone"]) == 1
    path = tmp_path / "decisions.csv"
    assert call("labels", "export", path)["decisions"] == 3
    assert "'=1+1" in path.read_text()
    assert call("labels", "import", path) == {
        **{"dataset": "demo", "kind": "decisions", "dry_run": False},
        **{"new": 0, "same": 3, "conflicting": 0, "problems": []},
    }
    other = Home.at(tmp_path / "other")
    datasets.import_demo(other, DemoSettings(users=80, items=200, interactions=1200))
    assert call("labels", "import", path, "--dry-run", "--home", other.path)["new"] == 3
    assert call("labels", "show", "--home", other.path)["labels"] == []
    call("labels", "import", path, "--home", other.path)
    [label] = call("labels", "show", "--home", other.path)["labels"]
    assert (label["label"], label["source"]) == ("noisy positive", "human")
    before, after = (Store.open(place).decisions("demo") for place in (home, other))
    assert [(d.note, d.annotator, d.at, d.undoes) for d in before] == [(d.note, d.annotator, d.at, d.undoes) for d in after]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["train"], 1, "no dataset yet"),
        (["train", "--dataset", "nothing"], 1, "nothing"),
        (["train", "--dim", "0"], 2, "dim"),
        (["train", "--dim", "many"], 2, "dim"),
        (["train", "--no-such-option"], 2, "no-such-option"),
        (["nonsense"], 2, "nonsense"),
        (["import", "no/such/file.csv"], 1, "no/such/file.csv"),
        (["import", "x.csv", "--mapping", "user"], 2, "user"),
        (["import", "x.csv", "--mapping", "usr=uid"], 2, "usr"),
        (["compare", "a", "b"], 1, "no run"),
        (["resume", "a"], 1, "no run"),
        (["labels", "set", "u", "i", "maybe"], 2, "maybe"),
        (["labels", "show", "--filter", "label=purple"], 2, "purple"),
    ],
)
def test_errors_are_one_json_object_with_a_hint(call: Call, arguments: list[str], code: int, says: str) -> None:
    told = call(*arguments, code=code)
    assert set(told) == {"error", "hint"}
    assert says in told["error"]


def test_a_judge_that_cannot_answer_leaves_no_run_behind(call: Call) -> None:
    demo(call)
    call("train", *QUICK)
    call("candidates", "--budget", 10)
    before = call("runs")
    assert "builtin" in call("judge", "--judge", "nope", code=2)["hint"]
    assert "ollama serve" in call("judge", "--judge", "ollama", "--url", "http://127.0.0.1:9", code=1)["hint"]
    assert call("runs") == before


def test_a_noisy_copy_of_a_dataset(call: Call) -> None:
    demo(call)
    [clean] = call("datasets")
    told = call("inject", "--kind", "uniform", "--share", ".1")
    assert (told["name"], told["source"], told["kind"]) == ("demo-uniform", "demo", "uniform")
    assert (told["users"], told["items"]) == (80, 200)
    assert told["injected"] == told["train"] - clean["train"] == told["interactions"] - clean["interactions"] > 0
    assert set(told) == {*clean, "kind", "injected", "report"}
    assert told["report"]["problems"][0]["count"] == told["injected"]
    assert [one["name"] for one in call("datasets")] == ["demo", "demo-uniform"]
    assert "uniform or popular" in call("inject", "-d", "demo", code=2)["hint"]
    assert "share" in call("inject", "-d", "demo", "--kind", "popular", "--share", ".9", code=2)["error"].lower()


def test_fewer_epochs_than_the_usual_minimum_are_simply_fewer(call: Call) -> None:
    demo(call)
    assert call("train", "--dim", "4", "--epochs", "7")["epochs"] == 7


def test_an_unusable_home_is_explained(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for command in (["demo"], ["train"], ["doctor"]):
        told = call(*command, "--home", tmp_path / "file" / "home", code=1)
        assert "hint" in told or not told["ok"]


def test_a_broken_file_leaves_no_dataset(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("user,item,rating\n1,2,great\n1,3,bad\n")
    told = call("import", path, "--threshold", 4, code=1)
    assert told["hint"].endswith("choose none as its column (on the command line: --mapping rating=).")
    assert "rating" in told["error"] + told["hint"]
    assert call("datasets") == []


def test_every_command_explains_itself_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    listed = capsys.readouterr().out
    commands = ("demo", "import", "inject", "datasets", "train", "runs", "candidates", "judge", "labels", "compare", "doctor")
    for command in commands:
        assert f" {command} " in listed
        assert run([command, "--help"]) == 0
        assert len(capsys.readouterr().out) > 200


def test_every_example_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    run(["labels", "show", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("labels show --") for line in lines if "labels show --" in line] == [1, 1]


def test_settings_are_options_with_their_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    run(["train", "--help"])
    told = "".join(capsys.readouterr().out.split())  # a line may break after a hyphen too
    for name, field in TrainSettings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in told
        assert "".join(field.description.split())[:34] in told
    assert "Forthedenoiserdnsorllmhni." in told


def test_doctor_knows_that_ollama_is_optional(call: Call) -> None:
    told = call("doctor", "--url", "http://127.0.0.1:9")
    checks = {check["name"]: check for check in told["checks"]}
    assert told["ok"]
    assert not checks["Ollama"]["ok"]
    assert checks["Ollama"]["hint"]
    assert checks["database"]["ok"]


def test_as_a_process_stdout_holds_json_and_nothing_else(home: Home) -> None:
    arguments = ["demo", "--users", "80", "--items", "200", "--interactions", "1200", "--json"]
    done = subprocess.run([sys.executable, "-m", "core", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["name"] == "demo"
    assert done.stderr == ""


@pytest.mark.real
def test_plain_lightgcn_on_movielens_100k(call: Call, shared_data: Path, tmp_path: Path) -> None:
    """The original folder, ratings of 4 and 5 as positives, 60/20/20: test recall@20 of at least .33."""
    imported = call("import", write_movielens(shared_data, tmp_path / "ml-100k"))
    assert (imported["users"], imported["items"], imported["interactions"]) == (943, 1682, 55375)
    assert (imported["train"], imported["valid"], imported["test"]) == (33316, 11018, 11041)
    assert call("train")["metrics"]["test"]["recall@20"] >= 0.33


def test_a_table_of_known_noise_comes_in_with_its_clicks(home: Home, call: Call, tmp_path: Path) -> None:
    clicks, known = tmp_path / "clicks.csv", tmp_path / "known.csv"
    clicks.write_text("user,item,split\na,x,train\na,y,train\na,z,test\n")
    known.write_text("user,item,truth\na,y,noisy\n")
    assert call("import", clicks, "--truth", known)["has_truth"]
    train = datasets.load(home, "clicks").train
    assert train.truth.tolist() == [Label.CLEAN, Label.NOISY_POSITIVE]
