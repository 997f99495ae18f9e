"""The runner against server processes: killed under all faults, stopped, two servers, found workers; and its memory."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import judges
from core.artifacts import ROOT, Home
from core.judges import Policy, Summary
from core.judges.base import Cost, Health, Reply, Request
from core.judges.ollama import OllamaJudge
from core.judges.questions import write
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings
from core.store import Store
from tests.judging_fixtures import WORDS, candidates, catalogue, ollama, texts
from tests.model_server.model import Model
from tests.model_server.process import ModelServer as Server

QUICK = Policy(pause_s=0.002, busy_s=20, poll_s=0.02, transient_attempts=20, bad_answers=8)
FAULTS = (
    "500:41,502page:43,503:31,429:37,loading:97,drop:47,partial:53,page:59,null:61,empty:67,fenced:29,chatter:23,lowercase:17,"
    "malformed:71,norating:73,wrong:79,longrating:83,prose:89,unfinished:101,length:103,streamerror:107,400long:109,down:150:0.2"
)
"""All that a run can survive, often enough that each strikes."""


def large_shop() -> Dataset:
    """The catalogue with forty items more, all of whose texts differ."""
    shop = catalogue()
    more = [f"{'A jazz trumpet session' if n % 2 else 'Roses and soil'} by {WORDS[n % 20]}, volume {n}" for n in range(40)]
    new = {
        "item_ids": texts(*shop.item_ids, *(f"more{n}" for n in range(40))),
        "item_title": texts(*shop.item_title, *(f"Volume {n}" for n in range(40))),
        "item_category": texts(*shop.item_category, *("Jazz" if n % 2 else "Garden" for n in range(40))),
        "item_text": texts(*shop.item_text, *more),
    }
    return dataclasses.replace(shop, **new)


SHOP = large_shop()
ASKED = candidates(SHOP, *[(user, item) for user in range(8) for item in range(38)])
VIEWS_ASKED = 2 * len(ASKED)


def run(store: Store, chosen: JudgeSettings, asked: Candidates = ASKED, **how: object) -> Summary:
    return judges.run(store, SHOP, asked, judges.make(chosen, Path()), chosen, policy=QUICK, **how)


JOB = """
import sys
from core.artifacts import Home
from core.settings import JudgeSettings
from core.store import Store
from tests.test_judges_runner import run
run(Store.open(Home.at(sys.argv[1])), JudgeSettings.model_validate_json(sys.argv[2]))
"""


def killed(home: Home, store: Store, chosen: JudgeSettings, after: int) -> None:
    """A job in a process of its own, killed -9 when so many answers are in the store."""
    job = subprocess.Popen([sys.executable, "-c", JOB, str(home.path), chosen.model_dump_json()], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(store.judgments("shop", texts=False)) < after:
        assert time.monotonic() < deadline
        assert job.poll() is None
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()


def test_killed_twice_under_all_faults_nothing_is_lost_wrong_or_asked_twice(
    home: Home, store: Store, serve: Callable[..., Server]
) -> None:
    server = serve(FAULTS)
    chosen = ollama(server, workers=4)
    killed(home, store, chosen, 150)
    killed(home, store, chosen, 350)
    last = run(store, chosen)
    told = server.told()
    assert (last.failed, last.unjudged) == (0, 0)
    rows = store.judgments("shop")
    assert len(rows) == VIEWS_ASKED
    assert all(Model().rate(json.loads(row.prompt))[0] == row.rating for row in rows.itertuples())
    assert all(told["faults"].get(part.split(":")[0]) for part in FAULTS.split(","))
    in_flight = 2 * 4
    assert told["answered_twice"] <= in_flight  # at most what a kill took away
    assert run(store, chosen).asked == 0
    assert server.told()["count"] == told["count"]


def test_a_stop_hangs_up_and_frees_the_slots(store: Store, serve: Callable[..., Server]) -> None:
    """An answer takes a minute, so that only hanging up can free a slot."""
    server = serve("", "--delay", "60", "--slots", "2")
    chosen = ollama(server, workers=2, timeout_s=300)
    began = time.monotonic()
    summary = run(store, chosen, should_stop=lambda: server.told()["most_at_once"] == 2)
    assert (summary.unjudged, summary.failed) == (len(ASKED), 0)
    assert time.monotonic() - began < 30
    deadline = time.monotonic() + 30
    while server.told()["cancelled"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not len(store.judgments("shop"))


@pytest.mark.parametrize("stage", ["reading the texts", "writing the questions", "noting the questions"])
def test_a_stop_before_the_first_question_notes_none(store: Store, serve: Callable[..., Server], stage: str) -> None:
    server, seen = serve(), []
    summary = run(
        store, ollama(server, workers=4), watch=lambda state: seen.append(state.stage), should_stop=lambda: stage in seen
    )
    assert summary.unjudged == len(ASKED)
    assert server.calls() == []
    assert not len(store.unanswered("shop"))


def test_the_slots_of_a_server_are_found_without_a_reload(store: Store, serve: Callable[..., Server]) -> None:
    server, seen = serve("", "--delay", "0.15", "--slots", "4"), []
    chosen = ollama(server, workers=None, confidence="none", limit=90)
    run(store, chosen, watch=lambda state: seen.append(state.detail.get("requests at once")))
    told = server.told()
    assert (told["reloads"], told["loads"]) == (0, 1)
    assert 4 <= told["most_at_once"] <= 5
    assert seen[-1] == 4
    assert told["prefix_reuse"] > 0.7


def test_two_servers_one_of_which_goes_away_and_comes_back(store: Store, serve: Callable[..., Server]) -> None:
    """Users keep to their server as long as it is there; the rest of the work finds the other one."""
    steady, shaky = serve("", "--delay", "0.02"), serve("down:40:0.5", "--delay", "0.02")
    chosen = ollama(steady, shaky, workers=2)
    summary = run(store, chosen)
    assert (summary.failed, summary.unjudged) == (0, 0)
    rows = store.judgments("shop", texts=False)
    assert len(rows) == VIEWS_ASKED
    torn = rows.drop_duplicates("key").groupby(["user_id", "view"])["server"].nunique() > 1
    assert torn.sum() < len(torn) / 2  # what was begun when it went, and at the end; else a user's questions stay together
    told = shaky.told()
    assert told["faults"] == {"down": 1}
    assert told["count"] > 40  # it took part again
    assert told["answered_twice"] + steady.told()["answered_twice"] == 0


def test_a_server_that_comes_back_gets_time_to_load_its_model(store: Store, serve: Callable[..., Server]) -> None:
    """Loading takes longer than an answer may: the limit for it holds for every first answer, not for the run's first alone."""
    server = serve("down:20:0.1", "--load", "1.5")
    summary = run(store, ollama(server, workers=4, timeout_s=0.75, limit=60))
    assert (summary.failed, summary.unjudged) == (0, 0)
    assert server.told()["loads"] == 2  # none was given up half-way


NOWHERE = JudgeSettings(judge="ollama", workers=4, confidence="none", url="http://127.0.0.1:9")


class Instant(OllamaJudge):
    """The Ollama judge with a server that needs no time, no network and no memory."""

    async def check(self) -> Health:
        return Health(True, "here")

    async def _get_ready(self, window: int) -> None:
        self.digest = "d"

    async def judge(self, request: Request) -> Reply:
        return Reply("High", "because", "{}", cost=Cost(500, 400, 50, 0.0, 0.01, 0.01))

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        return Prompt(({"role": "user", "content": f"{user} {item} {view}"},), False)


def memory(home: Home, n: int) -> int:
    """Bytes at most while n pairs are judged, beyond those at the beginning."""
    place = np.arange(n)
    user, item = (place % 8).astype(np.int32), (place // 8).astype(np.int32)
    zero = np.zeros(n, np.float32)
    asked = Candidates(user, item, np.zeros(n, bool), zero, zero, zero, zero)
    wide = dataclasses.replace(SHOP, item_ids=np.array([f"i{item}" for item in range(n // 8 + 1)], object))
    empty = np.full(len(wide.item_ids), "", object)
    wide = dataclasses.replace(wide, item_title=empty, item_category=empty, item_text=empty)
    store = Store.open(Home(home.path / str(n)))
    chosen = NOWHERE
    judge = Instant(chosen, Path())
    tracemalloc.start()
    try:
        assert judges.run(store, wide, asked, judge, chosen).asked == 2 * n
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        store.close()


def test_memory_hardly_grows_with_the_number_of_pairs(home: Home) -> None:
    memory(home, 200)  # what is made once
    few, many = memory(home, 300), memory(home, 1800)
    assert many - few < 1500 * 800  # bytes a pair; with keys as Python objects it was 2000


def test_keys_are_whole_and_questions_with_one_text_share_one() -> None:
    """Digests that end with zeros, which NumPy drops."""
    judge = Instant(NOWHERE, Path())
    asked = candidates(SHOP, *[(user, item) for user in range(8) for item in range(60)])
    asked = asked.where(np.concatenate([np.arange(len(asked)), [0, 5]]))
    asyncio.run(judge.prepare(SHOP, ASKED))
    found = write(judge, asked)
    keys = [
        judges.base.question_key(judge, judge.prompt(user, item, view))
        for user, item in zip(asked.user.tolist(), asked.item.tolist(), strict=True)
        for view in VIEWS
    ]
    assert [found.key(place) for place in found.place.ravel()] == keys
    assert sum(key.endswith("00") for key in keys) > 0
    assert found.views.sum() == len(keys)
    assert len(found.keys) == len(set(keys)) == len(keys) - 4
    assert found.which(lambda some: {key for key in some if key.endswith("00")}).sum() == sum(
        key.endswith("00") for key in set(keys)
    )
    asked_once = np.concatenate([numbers for _, numbers in found.groups(np.ones(len(found.keys), bool))])
    assert sorted(keys[number] for number in asked_once) == sorted(set(keys))
    asyncio.run(judge.close())
