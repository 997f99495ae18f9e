"""A small home that the real importer, trainer, candidates and judge have filled, and the app on it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, pipeline
from core.artifacts import ROOT, Home
from core.settings import DemoSettings
from tests.pages.helpers import NAME, TRAIN, carry_out, sound


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Demo data, two trainings (the second on frozen labels), candidates, judgments. Never written to by a test."""
    home = Home.at(tmp_path_factory.mktemp("filled"))
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), NAME)
    carry_out(home, "train", **TRAIN)
    carry_out(home, "candidates", budget=60, encoder="tfidf")
    carry_out(home, "judge", encoder="tfidf")
    pipeline.freeze(home, NAME, annotator="first")
    carry_out(home, "train", **TRAIN, labels="v1")
    return home


@pytest.fixture
def ready(filled: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of the filled home that a test may change."""
    path = tmp_path / "home"
    shutil.copytree(filled.path, path)
    monkeypatch.setenv("WINNOW_HOME", str(path))
    monkeypatch.delenv("WINNOW_DB", raising=False)
    return Home.at(path)


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open a page of the app with these address parameters; nothing may have gone wrong."""

    def start(name: str = "home", **params: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60).run()
        for key, value in params.items():
            app.query_params[key] = value
        return sound(app.switch_page(f"../pages/{name}.py").run())

    return start
