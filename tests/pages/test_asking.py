"""Judge, step 2 with a language model: can it work, pull what it lacks, try one pair, estimate; against a server process."""

import time
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app import results
from core import jobs, runs
from core.artifacts import Home
from core.errors import JudgeError
from core.runs import Run
from core.store import Store
from tests.model_server.process import ModelServer
from tests.pages.helpers import NAME, said, sound

Open = Callable[..., AppTest]
Serve = Callable[..., ModelServer]


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """What one test has learnt of a server's health is not another's."""
    results.judge_health.clear()
    results.pulls().clear()


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done at once, here."""

    def start(home: Home, kind: str, dataset: str, settings: dict) -> Run:
        return jobs.work(home, jobs.create(home, kind, dataset, settings).id)

    monkeypatch.setattr(jobs, "start", start)


def asking(open_page: Open, server: ModelServer, model: str = "llama3.1:8b") -> AppTest:
    page = open_page("board")
    page.selectbox(key="judge_judge").set_value("ollama").run()
    page.text_input(key="judge_url").set_value(server.url)
    return sound(page.text_input(key="judge_model").set_value(model).run())


def newest(home: Home) -> Run:
    return runs.listing(home, NAME, "judge")[0]


def test_what_is_known_of_a_model_that_is_there(ready: Home, open_page: Open, serve: Serve) -> None:
    page = asking(open_page, serve())
    told = said(page).replace("\\", "")
    assert "Ollama 0.33.0" in told
    assert "context window: " in told
    assert "loaded: not yet" in told
    assert not page.button(key="judge_candidates").disabled


def test_a_missing_model_is_pulled_from_here(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve("", "--pull", "0.1")
    page = asking(open_page, server, "mistral:7b")
    assert page.button(key="judge_candidates").disabled
    assert page.button(key="judge_one").disabled
    page.button(key="pull_model").click().run()
    pulling = results.pulls()[server.url, "mistral:7b"]
    while pulling.active:
        time.sleep(0.02)
    assert pulling.error is None
    results.forget_judge_health()  # as the progress does when it sees the end
    assert not sound(page.run()).button(key="judge_candidates").disabled


def test_a_model_that_nobody_has_says_so(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve()
    page = asking(open_page, server, "nosuch:1b")
    page.button(key="pull_model").click().run()
    pulling = results.pulls()[server.url, "nosuch:1b"]
    while pulling.active:
        time.sleep(0.02)
    assert "could not pull" in " ".join(error.value for error in page.run().error).replace("\\", "")
    assert page.button(key="pull_model")


@pytest.mark.usefixtures("in_this_process")
def test_one_pair_is_tried_and_kept(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve()
    page = asking(open_page, server)
    sound(page.button(key="judge_one").click().run())
    run = newest(ready)
    assert (run.result["asked"], run.result["unjudged"]) == (2, 0)
    assert len(run.settings["pairs"]) == 1
    assert "user view" in said(page).split("Tried")[1]
    assert len(server.calls()) == 2
    judged = Store.open(ready).judgments(NAME)
    assert (judged["judge"] == "ollama").sum() == 2


@pytest.mark.usefixtures("in_this_process")
def test_an_estimate_asks_a_few_and_tells_time_and_cost(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve("", "--delay", "0.02")
    page = asking(open_page, server)
    page.number_input(key="judge_price_in").set_value(2.0)
    sound(page.button(key="judge_estimate").click().run())
    run = newest(ready)
    made = run.result["estimate"]
    assert made["questions"] == 2 * 60
    assert 0 < len(server.calls()) <= 24
    assert 0.9 * 120 * 0.02 < made["low_s"] <= made["high_s"]
    assert made["cost"] == pytest.approx(2 * made["tokens_in"] / 1e6)
    told = said(page).replace("\\", "")
    assert "120 open questions take" in told
    assert "and cost" in told
    sound(page.button(key="judge_candidates").click().run())
    assert newest(ready).result["asked"] == 120 - run.result["asked"]


@pytest.mark.usefixtures("in_this_process")
def test_what_was_tried_is_of_the_chosen_model(ready: Home, open_page: Open, serve: Serve) -> None:
    page = asking(open_page, serve("", "--models", "llama3.1:8b,mistral:7b"))
    page.button(key="judge_one").click().run()
    assert "Tried" in said(sound(page))
    page.text_input(key="judge_model").set_value("mistral:7b").run()
    assert "Tried" not in said(sound(page))


@pytest.mark.usefixtures("in_this_process")
def test_a_try_without_a_valid_answer_says_why(ready: Home, open_page: Open, serve: Serve) -> None:
    page = asking(open_page, serve("empty:1"))
    page.button(key="judge_one").click().run()
    told = said(sound(page)).split("Tried")[1]
    assert "no valid answer in both views" in told
    [why] = set(Store.open(ready).unanswered(NAME)["detail"])
    assert why in told.replace("\\", "")


def test_a_server_that_has_gone_away_is_not_said_to_be_there(ready: Home, open_page: Open, serve: Serve) -> None:
    server = serve()
    page = asking(open_page, server)
    run = jobs.create(ready, "judge", NAME, {"judge": "ollama", "url": server.url})
    assert page.run().success
    server.process.kill()
    server.process.wait()
    with pytest.raises(JudgeError):
        jobs.work(ready, run.id)
    assert not sound(page.run()).success


@pytest.mark.usefixtures("in_this_process")
def test_what_has_no_answer_is_told_why(ready: Home, open_page: Open, serve: Serve) -> None:
    page = asking(open_page, serve("empty:1"))
    assert not [frame for frame in page.dataframe if "what went wrong" in frame.value]
    page.button(key="judge_one").click().run()
    assert "1 failed, see Coverage by judge for why" in said(sound(page))
    [told] = [frame.value for frame in page.dataframe if "what went wrong" in frame.value]
    [row] = told.to_dict("records")
    assert (row["judge"], row["model"], row["questions"]) == ("ollama", "llama3.1:8b", 2)
    assert row["the newest in full"] in set(Store.open(ready).unanswered(NAME)["detail"])
