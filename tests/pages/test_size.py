"""What keeps pages quick and small when there are many interactions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.testing.v1 import AppTest

from app import caching
from core import datasets, dynamics
from core.artifacts import Home
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, carry_out

Open = Callable[..., AppTest]
SHORT = {"epochs": 2, "min_epochs": 1, "eval_every": 1, "dim": 8, "layers": 1, "batch_size": 8192, "device": "cpu"}
MOST = 1_500_000
"""Bytes of one run of a page. The 30 000 training clicks alone take ten times as much as rows of a table."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """50 000 interactions, a training, and judged pairs."""
    home = Home.at(tmp_path_factory.mktemp("large"))
    datasets.import_demo(home, DemoSettings(users=1500, items=600, interactions=50_000), NAME)
    carry_out(home, "train", **SHORT)
    carry_out(home, "candidates", budget=2000, encoder="tfidf")
    carry_out(home, "judge", judge="simulated")
    return home


@pytest.fixture
def at_large(large: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("WINNOW_HOME", str(large.path))
    monkeypatch.delenv("WINNOW_DB", raising=False)
    return large


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reads or looks up everything, each time that it is called."""
    noted: list[str] = []

    def watch(owner: object, name: str, heavy: Callable[..., bool] = lambda *given, **named: True) -> None:
        original = getattr(owner, name)

        def watched(*given: object, **named: object) -> object:
            if heavy(*given, **named):
                noted.append(name)
            return original(*given, **named)

        monkeypatch.setattr(owner, name, watched)

    def whole(store: Store, dataset: str, user: str | None = None, item: str | None = None, **named: object) -> bool:
        return user is None and item is None

    watch(Store, "judgments", whole)
    watch(Store, "unanswered", whole)
    watch(Store, "coverage")
    watch(dynamics, "precision_recall")
    return noted


def first_click(home: Home) -> tuple[str, str]:
    data = datasets.load(home, NAME)
    return str(data.user_ids[data.train.user[0]]), str(data.item_ids[data.train.item[0]])


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("home", {}),
        ("explore", {}),
        ("explore", {"part": "Users"}),
        ("explore", {"part": "Interactions"}),
        ("pair", {}),
        ("train", {}),
        ("losses", {}),
        ("losses", {"tab": "Data map"}),
        ("board", {}),
        ("review", {}),
        ("preview", {}),
    ],
)
def test_a_page_sends_no_more_than_a_person_can_look_at(
    at_large: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch, name: str, address: dict[str, str]
) -> None:
    sizes: list[int] = []
    enqueue = ForwardMsgQueue.enqueue

    def counted(queue: ForwardMsgQueue, message: object) -> None:
        sizes.append(message.ByteSize())
        enqueue(queue, message)

    monkeypatch.setattr(ForwardMsgQueue, "enqueue", counted)
    pair = dict(zip(("user", "item"), first_click(at_large), strict=True)) if name == "pair" else {}
    open_page(name, dataset=NAME, **address, **pair)
    assert 10_000 < sum(sizes) < MOST


@pytest.mark.parametrize("name", ["home", "losses", "board", "review", "pair"])
def test_a_decision_makes_nobody_read_all_judgments_again(at_large: Home, open_page: Open, calls: list[str], name: str) -> None:
    user, item = first_click(at_large)
    address = {"dataset": NAME} | ({"user": user, "item": item} if name == "pair" else {})
    open_page(name, **address)
    calls.clear()
    open_page(name, **address)
    assert not calls, "a page that nothing has changed for"
    store = Store.open(at_large)
    before = store.revision(NAME)
    store.decide(NAME, [(user, item)], "no", annotator="ada")
    assert store.revision(NAME) > before
    open_page(name, **address)
    assert not calls, "a page after one decision"


def test_an_answer_of_a_judge_is_seen_at_once(at_large: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept between decisions is not kept beyond an answer."""
    store = Store.open(at_large)
    before = store.asked(NAME)
    store.decide(NAME, [first_click(at_large)], "yes", annotator="ben")
    assert store.asked(NAME) == before
    carry_out(at_large, "judge", judge="simulated", error_seed=1, limit=5)
    assert store.asked(NAME) != before


def test_cached_functions_do_not_crowd_each_other_out(at_large: Home) -> None:
    data, made = datasets.load(at_large, NAME), []

    def cached(number: int) -> Callable[..., np.ndarray]:
        def function(data: object) -> np.ndarray:
            made.append(number)
            return np.full(1, number)

        function.__qualname__ = f"function_{number}"
        return caching.per_dataset(function)

    functions = [cached(number) for number in range(30)]
    for _ in range(2):
        assert [int(function(data)[0]) for function in functions] == list(range(30))
    assert made == list(range(30))
