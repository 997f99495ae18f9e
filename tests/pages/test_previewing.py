"""The Preview page, the files beside it, and what Compare shows beneath the means."""

import time
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, jobs, runs
from core import preview as previews
from core.artifacts import Home
from core.records import Dataset, Source
from core.runs import State
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, TRAIN, carry_out, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


def plain_run(home: Home) -> str:
    return next(run.id for run in runs.listing(home, NAME, "train") if not run.settings["labels"])


def shown(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_the_figures_are_those_of_the_engine_and_follow_the_what_if(ready: Home, data: Dataset, open_page: Open) -> None:
    run_id = plain_run(ready)
    page = open_page("preview", run=run_id)
    store, base = Store.open(ready), previews.load(ready, run_id)
    found = previews.preview(base, store.labels(data))
    assert shown(page)["Recall@20"] == f"{found.metrics['recall@20'].b:.4f}"
    assert shown(page)["Edges changed"] == f"{len(found.changes):,}"
    sound(page.slider(key="preview_noisy_weight").set_value(0.5).run())
    half = previews.preview(base, store.labels(data), noisy_weight=0.5)
    assert shown(page)["Recall@20"] == f"{half.metrics['recall@20'].b:.4f}"
    sound(page.slider(key="preview_noisy_weight").set_value(1.0).run())
    assert "These labels leave every list as it is" in said(page)
    sound(page.button(key="preview_reset").click().run())
    assert page.slider(key="preview_noisy_weight").value == 0.0
    assert shown(page)["Edges changed"] == f"{len(found.changes):,}"


def test_only_what_people_decided(ready: Home, data: Dataset, open_page: Open) -> None:
    pair = str(data.user_ids[data.train.user[0]]), str(data.item_ids[data.train.item[0]])
    Store.open(ready).decide(NAME, [pair], "no", annotator="ada")
    page = open_page("preview", run=plain_run(ready))
    sound(page.get("button_group")[0].set_value([Source.HUMAN]).run())
    assert shown(page)["Edges changed"] == "1"
    [edges] = [frame.value for frame in page.dataframe if "by" in frame.value]
    assert edges.to_dict("records") == [{"by": "a person", "what": "dropped", "edges": 1}]
    sound(page.button(key="preview_freeze").click().run())
    store = Store.open(ready)
    newest = store.versions(NAME)["version"].iloc[0]
    rows = store.version(NAME, newest)
    assert rows[["user_id", "item_id", "source"]].to_numpy().tolist() == [[*pair, "human"]]


def test_retraining_takes_everything_but_the_labels_from_the_training(ready: Home, data: Dataset, open_page: Open) -> None:
    run_id = plain_run(ready)
    page = open_page("preview", run=run_id)
    sound(page.slider(key="preview_noisy_weight").set_value(0.25).run())
    sound(page.button(key="preview_retrain").click().run())
    newest = runs.listing(ready, NAME, "train")[0]
    base = runs.folder(ready, run_id).read()
    wanted = {"labels": "v1", "noisy_weight": 0.25, "infer_on": "refined", "add_missed": "people"}
    assert newest.settings == base.settings | wanted
    for _ in range(600):
        if not runs.folder(ready, newest.id).read().state.active:
            break
        time.sleep(0.1)
    assert runs.folder(ready, newest.id).read().state is State.DONE
    sound(page.run())
    assert "Retrained on v1" in said(page)


def test_older_trainings_say_that_they_cannot(ready: Home, open_page: Open) -> None:
    run_id = plain_run(ready)
    (runs.folder(ready, run_id).path / "learned.safetensors").unlink()
    page = open_page("preview", run=run_id)
    assert "older than previews" in page.error[0].value.replace("\\", "")
    assert not page.metric


def test_without_labels_the_page_says_how_to_get_some(ready: Home, open_page: Open) -> None:
    datasets.import_demo(ready, DemoSettings(users=60, items=50, interactions=1000), "bare")
    run_id = jobs.work(ready, jobs.create(ready, "train", "bare", TRAIN).id).id
    assert "No labels yet" in said(open_page("preview", dataset="bare", run=run_id))


def test_a_damaged_report_is_said_once(ready: Home, open_page: Open) -> None:
    run = runs.listing(ready, NAME, "train")[0]
    (ready.path / "runs" / run.id / "report_test.npz").write_bytes(b"cut off")
    page = open_page("compare")
    assert len(page.error) == 1
    assert "is damaged" in page.error[0].value
    assert "Next" in said(page)


def test_compare_goes_beneath_the_means(ready: Home, open_page: Open) -> None:
    page = open_page("compare")
    words = said(page)
    assert "One seed: whether the difference holds is open" in words
    assert "Winners" in words
    assert "groups of users" in words
    for seed in (1, 2):
        for labels in (None, "v1"):
            carry_out(ready, "train", **TRAIN, seed=seed, labels=labels)
    words = said(sound(open_page("compare")))
    assert "Over 3 seeds Recall@20 changes by" in words
    assert "95 % interval" in words
