"""Every page on an empty and on a filled home, by links, and what its numbers say."""

import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import psutil
import pytest
from streamlit.proto.Metric_pb2 import Metric as MetricProto
from streamlit.testing.v1 import AppTest

from core import compare, datasets, jobs, runs
from core.artifacts import Home
from core.datasets.health import health
from core.judges import ollama
from core.records import Label
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, TRAIN, carry_out, said, sound

Open = Callable[..., AppTest]
PAGES = {
    "home": "Winnow",
    "explore": "Explore",
    "pair": "Pair",
    "train": "Train",
    "losses": "Losses",
    "embeddings": "Embeddings",
    "method": "Method",
    "board": "Judge",
    "review": "Review",
    "preview": "Preview",
    "compare": "Compare",
    "files": "Files",
}


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_home_says_what_to_do(name: str, home: Home, open_page: Open) -> None:
    page = open_page(name)
    assert page.title[0].value == PAGES[name]
    if name == "home":
        assert page.button(key="load_demo")
    elif name == "method":  # needs no data
        assert "The problem" in said(page)
    else:
        assert "No dataset yet" in said(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_filled_home_has_every_page_and_says_what_is_next(name: str, ready: Home, open_page: Open) -> None:
    page = open_page(name)
    assert page.title[0].value == PAGES[name]
    assert "**Next**" in said(page)
    assert not page.error


def test_the_demo_is_loaded_by_one_click(home: Home, open_page: Open) -> None:
    page = open_page()
    page.button(key="load_demo").click().run()
    [info] = datasets.listing(home)
    assert {metric.label: metric.value for metric in page.metric}["Training clicks"] == f"{info.train:,}"
    assert "train a plain model" in said(page)


def test_a_second_dataset_is_opened_when_it_is_ready(home: Home, open_page: Open) -> None:
    """The dataset's select box in the sidebar stands already when the import on the page ends."""
    datasets.import_demo(home, DemoSettings(users=60, items=50, interactions=600), "other")
    page = open_page()
    assert page.selectbox(key="ctx_dataset").value == "other"
    page.button(key="load_demo").click().run()
    sound(page)
    assert page.selectbox(key="ctx_dataset").value == "demo"


def test_stopped_work_is_offered_until_a_newer_one_is_done(ready: Home, open_page: Open) -> None:
    folder = jobs.create(ready, "train", NAME, {"epochs": 3, "seed": 9})
    folder.update(state=runs.State.CANCELLED)
    assert "To continue" in said(open_page())
    folder.update(state=runs.State.DONE)
    assert "To continue" not in said(open_page())


def test_tiles_on_home_count_labels(ready: Home, open_page: Open) -> None:
    data = datasets.load(ready, NAME)
    labels = Store.open(ready).labels(data)
    shown = {metric.label: metric.value for metric in open_page().metric}
    assert shown["Hard positives"] == f"{(labels.label == Label.HARD_POSITIVE).sum():,}"
    assert shown["Noisy positives"] == f"{(labels.label == Label.NOISY_POSITIVE).sum():,}"
    assert shown["Training clicks"] == f"{len(data.train):,}"


def test_links_choose_dataset_and_training(ready: Home, open_page: Open) -> None:
    datasets.import_demo(ready, DemoSettings(users=60, items=50, interactions=600), "other")
    older = runs.listing(ready, NAME, "train")[-1]
    page = open_page("losses", dataset=NAME, run=older.id)
    assert page.selectbox(key="ctx_dataset").value == NAME
    assert page.selectbox(key="ctx_run").value == older.id
    page = open_page("explore", dataset="other")
    assert page.selectbox(key="ctx_dataset").value == "other"
    page = open_page("explore", dataset="gone")
    assert "There is no dataset" in page.warning[0].value


def test_the_threshold_says_what_it_would_drop_and_how_right_that_is(ready: Home, open_page: Open) -> None:
    data = datasets.load(ready, NAME)
    run = runs.listing(ready, NAME, "train")[0]
    losses = runs.folder(ready, run.id).losses()
    truth = {(u, i): t for u, i, t in zip(data.train.user, data.train.item, data.train.truth, strict=True)}
    noisy = np.array([truth.get(pair, 0) == Label.NOISY_POSITIVE for pair in zip(losses["user"], losses["item"], strict=True)])
    page = open_page("losses")
    page.slider(key="drop").set_value(30.0).run()
    above = losses["mean"].astype(float) > np.quantile(losses["mean"], 0.7)
    assert f"would take {above.sum():,} of {len(above):,} clicks" in said(page)
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Precision"] == f"{noisy[above].mean():.0%}"
    assert shown["Recall"] == f"{above[noisy].mean():.0%}"


def test_without_truth_no_precision_is_claimed(home: Home, open_page: Open, tmp_path: object) -> None:
    table = pd.DataFrame({"user": np.repeat(np.arange(30), 8), "item": np.random.default_rng(0).integers(0, 25, 240)})
    path = home.path.parent / "clicks.csv"
    table.drop_duplicates().to_csv(path, index=False)
    datasets.import_path(home, path, name=NAME)
    carry_out(home, "train", **TRAIN)
    page = open_page("losses")
    assert "Nothing is known about the true noise" in said(page)
    assert "Precision" not in {metric.label for metric in page.metric}


def test_explore_finds_users_by_address(ready: Home, open_page: Open) -> None:
    data = datasets.load(ready, NAME)
    user = str(data.user_ids[data.train.user[0]])
    page = open_page("explore", part="Users", find_user=user)
    assert "1 users, the most active first" in said(page)


def test_explore_opens_a_user_and_an_item_by_their_address(ready: Home, open_page: Open) -> None:
    data = datasets.load(ready, NAME)
    user, item = int(data.train.user[0]), int(data.train.item[0])
    page = open_page("explore", user=str(data.user_ids[user]))
    assert f"User {data.user_ids[user]}" in said(page)
    assert str(data.user_text[user]) in said(page)
    counts = [int((part.user == user).sum()) for part in (data.train, data.valid, data.test)]
    assert f"clicks: {counts[0]} train, {counts[1]} valid, {counts[2]} test" in said(page)
    newest = np.argmax(np.where(data.test.user == user, data.test.time, -1))
    assert str(data.item_title[data.test.item[newest]]) in said(page)
    assert "By the training's vectors" in said(page)
    assert "By text" not in said(page)
    near = [button for button in page.button if (button.key or "").startswith("near_shared clicks")]
    assert near
    page = open_page("explore", item=str(data.item_ids[item]))
    assert str(data.item_title[item]) in said(page)
    assert "By text" in said(page)
    assert "has no item nothing" in open_page("explore", item="nothing").warning[0].value


def test_a_health_check_opens_the_rows_it_is_about(ready: Home, open_page: Open) -> None:
    data = datasets.load(ready, NAME)
    few = next(check for check in health(data) if check.of == "user")
    page = open_page("explore", part="Users", check=few.name)
    assert few.message in said(page)
    assert f"{len(few.rows):,} users, the most active first" in said(page)
    page = open_page("explore")
    assert page.button(key=f"check_{few.name}").label == f"Show the {len(few.rows):,} users"


def test_the_chart_and_the_check_of_popularity_say_the_same(home: Home, open_page: Open) -> None:
    datasets.import_demo(home, DemoSettings(users=80, items=160, interactions=1500), NAME)  # 1 % is 1.6 items
    (check,) = [check for check in health(datasets.load(home, NAME)) if check.name == "popularity"]
    page = said(open_page("explore"))
    assert check.message.replace("training clicks.", "clicks") in page
    assert check.message.startswith("The most popular 1 % of the items (2) take")


def test_comparison_shows_what_compare_computes(ready: Home, open_page: Open) -> None:
    b, a = (run.id for run in runs.listing(ready, NAME, "train"))
    expected = compare.compare(ready, a, b).metrics["recall@20"]
    page = open_page("compare")
    shown = {metric.label: (metric.value, metric.delta) for metric in page.metric}
    assert shown["Recall@20 of B"] == (f"{expected.b:.4f}", f"{expected.delta:+.4f}")
    assert f"{expected.low:+.4f} to {expected.high:+.4f}" in said(page)
    assert not page.warning  # only the labels differ
    assert open_page("compare", a=b, b=a).selectbox(key="compare_a").value == b
    coloured = {metric.label for metric in page.metric if metric.color != MetricProto.MetricColor.GRAY}
    assert coloured <= {"Recall@20 of B"}  # seven intervals: only the main one is a verdict


@pytest.mark.parametrize("bad", ["a", "b"])
def test_a_link_to_a_training_that_is_gone_is_said_and_compares_two_others(bad: str, ready: Home, open_page: Open) -> None:
    good = "b" if bad == "a" else "a"
    for run in runs.listing(ready, NAME, "train"):
        page = open_page("compare", **{bad: "zzz", good: run.id})
        assert f"no finished training zzz in this dataset; another one stands for {bad.upper()}" in page.warning[0].value
        assert page.selectbox(key=f"compare_{good}").value == run.id
        assert page.selectbox(key=f"compare_{bad}").value != run.id


def test_step_six_trains_as_the_training_in_the_sidebar_was(ready: Home, open_page: Open) -> None:
    page = open_page("train", labels="v1")
    values = {name: page.number_input(key=f"train_{name}").value for name in ("epochs", "min_epochs", "dim", "layers")}
    assert values == {name: TRAIN[name] for name in values}
    assert page.selectbox(key="train_labels").value == "v1"
    page.number_input(key="train_dim").set_value(12).run()
    assert page.number_input(key="train_dim").value == 12  # taken once


def test_only_a_training_at_work_is_best_so_far(ready: Home, open_page: Open) -> None:
    words = said(open_page("train"))
    assert "Best validation Recall@20: " in words
    assert "so far" not in words


def test_work_in_progress_is_what_comes_next(ready: Home, open_page: Open) -> None:
    started = psutil.Process().create_time()
    jobs.create(ready, "candidates", NAME, {}).update(state=runs.State.RUNNING, pid=os.getpid(), pid_started=started)
    assert "finding candidates is at work" in said(open_page())


def test_previous_and_next_reach_the_end_of_a_long_list(ready: Home, open_page: Open) -> None:
    data = datasets.load(ready, NAME)
    n = len(data.train) + len(data.valid) + len(data.test)
    assert n > 500
    shown = open_page("explore", part="Interactions").session_state["pair_lists"]
    name, _, pairs = shown["interactions"]
    last = str(data.user_ids[pairs.user[-1]]), str(data.item_ids[pairs.item[-1]])
    before = str(data.user_ids[pairs.user[-2]]), str(data.item_ids[pairs.item[-2]])
    page = open_page("pair", user=last[0], item=last[1], list="interactions")
    page.session_state["pair_lists"] = shown
    sound(page.run())
    assert f"{n:,} of {n:,} · {name}" in said(page)
    assert page.button(key="next_pair").disabled
    sound(page.button(key="previous_pair").click().run())
    assert (page.query_params["user"], page.query_params["item"]) == before


def test_comparison_warns_when_more_than_labels_differs(ready: Home, open_page: Open) -> None:
    carry_out(ready, "train", **TRAIN | {"dim": 4}, labels="v1")
    assert "dim" in open_page("compare").warning[0].value


def test_a_training_says_what_it_was_made_from(ready: Home, open_page: Open) -> None:
    [refined] = [run for run in runs.listing(ready, NAME, "train") if run.settings["labels"]]
    page = open_page("train", dataset=NAME, show=refined.id)
    table = next(frame.value for frame in page.dataframe if "which" in frame.value).set_index("what")["which"]
    assert table["labels"] == f"v1 {refined.label_fingerprint}"
    assert table["setting seed"] == str(refined.settings["seed"])
    assert table["version of torch"] == refined.versions["torch"]


def test_the_installation_is_looked_at_from_home(ready: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama, "URL", "http://127.0.0.1:9")  # where nobody listens, whatever runs on this machine
    page = open_page("home")
    assert not [frame for frame in page.dataframe if "found" in frame.value]
    sound(page.button(key="installation_check").click().run())
    found = next(frame.value for frame in page.dataframe if "found" in frame.value).set_index("what")
    assert str(ready.path) in found.loc["home", "found"]
    assert found.loc["Ollama", "state"] == "–"
    assert found.loc["database", "state"] == "✓"
