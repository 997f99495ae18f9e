"""The layers of core (README, "How it is built"): imports go down only, and the engine knows nothing of the app."""

import ast
from pathlib import Path

import pytest

from core.artifacts import ROOT

LAYERS = [
    {"errors", "records", "rng", "losses", "metrics", "untrusted", "wording"},
    {"registry", "settings", "http", "graph", "sampling", "splits", "labels", "agreement", "prompts", "artifacts", "migrations"},
    {"datasets", "store", "runs", "encoders", "evaluate", "backbones", "references", "dynamics", "verdict", "guidelines"},
    {"denoisers"},
    {
        "semantic",
        "exchange",
        "train",
        "browse",
        "noise",
        "assessment",
        "evidence",
        "projection",
        "regions",
        "mixture",
        "counterfactuals",
        "neighbours",
    },
    {"alignment", "doubt", "queue", "rivals", "scrutiny", "phrases"},
    {"candidates", "judges", "known"},
    {"pipeline", "compare", "doctor", "incoming", "filters"},
    {"jobs", "preview"},
    {"cli"},
    {"__main__"},
]
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}


def modules() -> list[tuple[str, Path]]:
    """(name of the module or package directly under core, file)."""
    files = [path for path in (ROOT / "core").rglob("*.py") if path.name != "__init__.py" or path.parent.name != "core"]
    return [(path.relative_to(ROOT / "core").parts[0].removesuffix(".py"), path) for path in files]


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: value.name if isinstance(value, Path) else value)
def test_imports_go_down_only(name: str, path: Path) -> None:
    assert name in DEPTH, f"say in LAYERS where core.{name} belongs"
    below = {other for other, depth in DEPTH.items() if depth < DEPTH[name]} | {name}
    peers = {"runs", "store", "datasets"} if name in {"runs", "store", "datasets", "encoders", "evaluate"} else set()
    inner = {full.split(".")[1] for full in imported(path) if full.startswith("core.")}
    assert inner <= below | peers, f"core.{name} imports {inner - below} from its own layer or above"


@pytest.mark.parametrize("path", sorted((ROOT / "core").rglob("*.py")), ids=str)
def test_the_engine_knows_nothing_of_the_app(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"streamlit", "app", "pages", "pickle"}


def test_no_module_shadows_the_standard_library() -> None:
    """app/ comes first on sys.path under `streamlit run`, so its names would win."""
    import sys

    names = {path.stem for path in (ROOT / "app").glob("*") if path.suffix in ("", ".py")}
    assert not names & (sys.stdlib_module_names | {"core", "pages", "streamlit", "torch"})
