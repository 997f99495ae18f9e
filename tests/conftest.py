"""Shared by all tests: a home of their own, a tiny planted dataset, the real datasets when they are there."""

import json
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before anything loads OpenMP, as in core.__main__

from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from core.artifacts import ROOT, Home  # noqa: E402
from core.records import Edges, Interactions, Relevance  # noqa: E402
from core.rng import stream  # noqa: E402
from core.store import Store  # noqa: E402
from tests.model_server.process import ModelServer, start  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # tests never wait for a model hub
hypothesis.settings.register_profile("winnow", deadline=None)  # how fast a shared machine is proves nothing
hypothesis.settings.load_profile("winnow")

SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def main_module_kept() -> Iterator[None]:
    """AppTest leaves its page's script as the main module, and a spawned process would run that script first."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home, also the default one of everything the test starts."""
    path = tmp_path / "home"
    monkeypatch.setenv("WINNOW_HOME", str(path))
    monkeypatch.delenv("WINNOW_DB", raising=False)
    return Home.at(path)


@pytest.fixture
def call(home: Home, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json in this process; returns what it printed, parsed, after checking the exit code."""
    from core.__main__ import run

    def call(*arguments: object, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def store(home: Home) -> Store:
    """The database of the empty home."""
    return Store.open(home)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real datasets."""
    if not SHARED_DATA.exists():
        pytest.skip(f"the real datasets are not at {SHARED_DATA}")
    return SHARED_DATA


class Planted:
    """Two groups of users, two groups of items; users click within their own group only, so the right answer is known.

    Texts speak of the group; the last user and the last item have none.
    """

    n_users, n_items = 40, 30

    def __init__(self) -> None:
        user, item = np.meshgrid(np.arange(self.n_users), np.arange(self.n_items), indexing="ij")
        inside = (user % 2 == item % 2).ravel()
        user, item = user.ravel()[inside].astype(np.int32), item.ravel()[inside].astype(np.int32)
        lot = stream(1, "planted").random(len(user))
        parts = {"train": lot < 0.6, "valid": (lot >= 0.6) & (lot < 0.8), "test": lot >= 0.8}
        self.train, self.valid, self.test = (Interactions(user[m], item[m]) for m in parts.values())
        self.edges = Edges(self.train.user, self.train.item, np.ones(len(self.train), np.float32))
        self.relevance = Relevance(self._texts(self.n_users), self._texts(self.n_items))

    @staticmethod
    def _texts(n: int) -> np.ndarray:
        rows = stream(1, "texts", n).normal(0, 0.3, (n, 6))
        rows[np.arange(n), np.arange(n) % 2] += 1
        rows[-1] = 0
        return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


@pytest.fixture(scope="session")
def planted() -> Planted:
    return Planted()


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """Starts model servers: `serve("500:3", "--slots", "4")`. They end with the test."""
    started: list[ModelServer] = []

    def keep(faults: str = "", *options: str) -> ModelServer:
        started.append(start(faults, *options))
        return started[-1]

    yield keep
    for server in started:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()
