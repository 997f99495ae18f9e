"""The quality benchmark on the demo: rows are kept and not measured twice, labels are what their names say, tables show all."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import detection, measuring, report
from benchmarks.quality.measuring import Job
from benchmarks.quality.tables import CURVES, TABLES, Curve, Table
from benchmarks.quality.variants import BOTTOM, EASE, AsMany, Judge, Unseen, Variant, preset
from core import datasets
from core.artifacts import Home
from core.records import Label
from core.settings import DemoSettings, TrainSettings

SHORT = {"epochs": 4, "min_epochs": 4, "eval_every": 2, "dim": 8}


@pytest.fixture
def demo(home: Home) -> str:
    return datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500))[0].name


def test_a_row_is_measured_once_and_a_blended_one_gives_both(home: Home, demo: str) -> None:
    blended = preset("default", "blended", **SHORT)
    alone = preset("default", "alone", blend="none", **SHORT)
    jobs = [Job(demo, row, 0) for row in (blended, EASE)]
    assert [left for _, left in measuring.measure_all(home, jobs, 1)] == [1, 0]
    kept = measuring.known(home, jobs[0])
    assert kept.best_epoch in (2, 4)
    by_itself = measuring.measure(home.path, Job(demo, alone, 1))
    assert measuring.known(home, Job(demo, alone, 0)) is not None  # kept beside the blended row
    assert by_itself.report.users.tolist() == kept.report.users.tolist()
    assert not list(measuring.measure_all(home, jobs, 1))
    table, case = Table("Demo", demo, [EASE, blended, Variant("never measured")]), measuring.case(home.path, demo)
    lines, records = report.table(home, table, case, range(1), {})
    assert [record["row"] for record in records] == ["EASE (closed form)", "blended"]
    assert records[0]["difference"] is None
    low, high = (records[1]["difference"][end] for end in ("low", "high"))
    assert low <= records[1]["difference"]["recall@20"] <= high
    assert "| never measured | not measured |" in "\n".join(lines)
    curve = Curve("Noise", {0: demo, 20: "nothing"}, [EASE])
    _, points = report.curve(home, curve, range(1), {})
    assert [len(point["recall@20"]) for point in points] == [1, 0]

    # another home, which knows nothing, keeps what was written; rows of other settings are not these
    past = report.earlier([{"about": {}}, *records, *points, {"detection": demo, "by_seed": []}])
    elsewhere = Home.at(home.path / "another")
    assert report.table(elsewhere, table, case, range(1), past) == (lines, records)
    assert report.curve(elsewhere, curve, range(1), past)[1] == points
    other = Table("Demo", demo, [EASE, preset("default", "blended", dim=16)])
    assert [record["row"] for record in report.table(elsewhere, other, case, range(1), past)[1]] == ["EASE (closed form)"]
    # what this home measured with as many seeds counts
    records[1] = records[1] | {"seconds": [10**6]}
    assert report.table(home, table, case, range(1), report.earlier(records))[1][1]["seconds"] != [10**6]


def test_labels_of_judges_and_controls(home: Home, demo: str) -> None:
    dataset = measuring.case(home.path, demo).dataset
    doubt = np.random.default_rng(0).random(len(dataset.train))
    noisy = dataset.train.truth == Label.NOISY_POSITIVE
    perfect = Judge(0.0)(dataset, doubt, 0)
    truth = dataset.train.where(noisy).codes(dataset.n_items)
    assert set(perfect.codes(dataset.n_items)) == set(truth)
    erring = Judge(0.2)(dataset, doubt, 0).codes(dataset.n_items)
    assert np.isin(truth, erring).mean() == pytest.approx(0.8, abs=0.1)
    bottom = set(Unseen()(dataset, doubt, 0).codes(dataset.n_items))
    assert len(bottom) == round(BOTTOM * len(dataset.train))
    asked = Judge(0.2, BOTTOM)(dataset, doubt, 0)
    assert set(asked.codes(dataset.n_items)) <= bottom
    for order in ("doubt", "rarity", "random"):
        assert len(AsMany(0.2, order)(dataset, doubt, 0)) == len(asked)
    rare = AsMany(0.2, "rarity")(dataset, doubt, 0).item
    clicks = np.bincount(dataset.train.item, minlength=dataset.n_items)
    assert clicks[rare].max() <= np.sort(clicks[dataset.train.item])[len(rare)]


def test_every_row_of_every_table_has_valid_settings_and_a_name_of_its_own() -> None:
    for table in (*TABLES, *CURVES):
        assert len({row.name for row in table.rows}) == len(table.rows)
        for row in table.rows:
            TrainSettings.checked(**row.settings)


@pytest.mark.real
def test_the_cases_are_what_their_protocol_says(home: Home, shared_data: Path) -> None:
    noisy = measuring.case(home.path, "ml-100k-dislikes-100")
    assert (noisy.dataset.train.truth == Label.NOISY_POSITIVE).sum() == 17_480
    assert len(noisy.hidden) == 17_480
    assert len(measuring.case(home.path, "ml-100k").dataset.train) == len(noisy.dataset.train) - 17_480
    joined = measuring.case(home.path, "amazon-book+valid")
    assert len(joined.dataset.train) == 120_464 + 40_290
    assert not len(joined.dataset.valid)


def test_detection_tells_every_signal_and_is_kept(home: Home, demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = measuring.case(home.path, demo)
    detection.measure(home, case, 0)
    monkeypatch.setattr(detection.train, "fit", None)  # a second training would fail
    detection.measure(home, case, 0)
    told = detection.known(home, demo, 0)
    assert {"final", "averaged", "rarity", "rank", "combined"} <= told.keys()
    assert all(0 <= value <= 1 for figures in told.values() for value in figures.values())
    assert detection.known(home, demo, 1) is None
    text = "\n".join(detection.lines(case, [told]))
    assert "| combined |" in text
    assert f"{(case.dataset.train.truth == Label.NOISY_POSITIVE).mean():.1%} are noise" in text
