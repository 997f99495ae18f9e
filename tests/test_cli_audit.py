"""Audits on the command line: draw, hand the queue to a person, take the answers back, report."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_fixtures import Opinion, judged

from core import datasets
from core.__main__ import run
from core.artifacts import Home
from core.records import Dataset, Label
from core.settings import DemoSettings
from core.store import Store

Call = Callable[..., str]


@pytest.fixture
def shop(home: Home) -> Dataset:
    """A demo whose clicks are judged: rightly, but for every tenth."""
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), "shop")
    data = datasets.load(home, "shop")
    opinions = []
    for n, (user, item, truth) in enumerate(zip(data.train.user, data.train.item, data.train.truth, strict=True)):
        relevant = (truth != Label.NOISY_POSITIVE) != (n % 10 == 0)
        opinions.append(Opinion(int(user), int(item), ("High", "High") if relevant else ("Low", "Mid")))
    judged(Store.open(home), data, opinions)
    return data


@pytest.fixture
def call(home: Home, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command; returns what it printed on stdout."""

    def call(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        assert run([*map(str, arguments)]) == code
        return capsys.readouterr().out

    return call


def told(call: Call, *arguments: object, code: int = 0) -> Any:
    return json.loads(call(*arguments, "--json", code=code))


def test_from_the_draw_to_the_verdict(call: Call, shop: Dataset, tmp_path: Path) -> None:
    sample = told(call, "audit", "draw", "--size", 200, "--annotator", "ann")
    assert (sample["id"], sample["dataset"], sample["size"], sample["judge"]) == (1, "shop", 200, "ollama")
    assert sample["population"] == len(shop.train)
    queue = call("audit", "pairs")
    rows = list(csv.DictReader(io.StringIO(queue)))
    assert len(rows) == 200
    assert set(rows[0]) == {"user_id", "item_id", "title", "relevant", "saw_judge"}  # nothing of what the judge said
    clicks = zip(shop.user_ids[shop.train.user], shop.item_ids[shop.train.item], shop.train.truth, strict=True)
    truth = {(user, item): "no" if label == Label.NOISY_POSITIVE else "yes" for user, item, label in clicks}
    path = tmp_path / "audited.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"relevant": truth[row["user_id"], row["item_id"]]} for row in rows[:150])
    assert told(call, "labels", "import", path)["new"] == 150
    assert len(told(call, "audit", "pairs")["pairs"]) == 50
    every = told(call, "audit", "pairs", "--all")["pairs"]
    assert [row["relevant"] for row in every[:150]] == [truth[row["user_id"], row["item_id"]] for row in every[:150]]
    report = told(call, "audit", "report")
    assert (report["audited"], report["blind"], report["blind_only"]) == (150, 150, True)
    error = report["quality"]["error"]
    assert error["low"] < 0.1 < error["high"]
    assert error["n"] == 150
    assert sum(map(sum, report["views"])) == report["kappa"]["n"] == len(shop.train)
    assert sum(map(sum, report["confusion"])) == 150
    assert report["prune"]["good"] is True
    assert report["add"]["good"] is None
    shown = call("audit", "report", "--sample", 1)
    assert "Clicks judged wrongly" in shown


def test_several_samples(call: Call, shop: Dataset) -> None:
    for size in (20, 30):
        told(call, "audit", "draw", "--size", size)
    assert told(call, "audit", "report")["sample"]["size"] == 30
    assert told(call, "audit", "report", "--sample", 1)["sample"]["size"] == 20
    assert len(told(call, "audit", "pairs", "--sample", 1)["pairs"]) == 20


def test_what_cannot_be_done_is_explained(call: Call, shop: Dataset) -> None:
    assert "audit draw" in told(call, "audit", "report", code=1)["hint"]
    assert "audit draw" in told(call, "audit", "pairs", code=1)["hint"]
    assert "simulated" in told(call, "audit", "draw", "--judge", "simulated", code=1)["error"]
    assert "at least 8" in told(call, "audit", "draw", "--size", 3, code=2)["hint"]
    told(call, "audit", "draw")
    assert "no audit sample 7" in told(call, "audit", "report", "--sample", 7, code=1)["error"]


def test_every_command_explains_itself(call: Call) -> None:
    for command in ("draw", "pairs", "report"):
        assert f" {command} " in call("audit", "--help")
        assert "Example" in call("audit", command, "--help")


def test_a_sample_of_what_nobody_judged_is_refused_in_plain_words(home: Home, call: Call) -> None:
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), "bare")
    assert "Nobody has judged a pair of 'bare' in both views." in call("audit", "draw", "-d", "bare", "--json", code=1)
    told = call("audit", "draw", "-d", "bare", "--judge", "ollama", "--json", code=1)
    assert "ollama has judged no pair of 'bare' in both views." in told
