"""What is installed, reachable and writable here, each with what to do when it is not."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from core import encoders, judges
from core.artifacts import Home
from core.errors import WinnowError
from core.settings import EncoderSettings, JudgeSettings
from core.store import Store

NEEDED = ("streamlit", "torch", "torch-geometric", "sentence-transformers", "ollama", "plotly", "umap-learn", "pandas")
LITTLE_SPACE = 2 * 1024**3


@dataclass(frozen=True)
class Check:
    """One finding. `needed`: Winnow cannot work without it; the rest only limits what it can do."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    needed: bool = True


def examine(home: Home, settings: JudgeSettings) -> list[Check]:
    """All checks, those that Winnow cannot do without first."""
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("packages", _packages),
        ("home", lambda: _home(home)),
        ("database", lambda: _database(home)),
        ("device", _device),
        ("text encoder", lambda: _encoder(home, settings)),
        ("Ollama", lambda: _ollama(settings)),
        ("browser for tests", _browser),
    ]
    return [_guarded(name, check) for name, check in checks]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except WinnowError as error:
        return Check(name, False, error.message, error.hint)


def _packages() -> Check:
    found, missing = [f"Python {platform.python_version()}"], []
    for name in NEEDED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", False, f"missing: {', '.join(missing)}", "Run: pip install -r requirements.txt")
    return Check("packages", True, ", ".join(found))


def _home(home: Home) -> Check:
    free = home.free_bytes()
    enough = free > LITTLE_SPACE
    hint = "" if enough else "Free some disk space, or choose another --home."
    return Check("home", enough, f"{home.path}, {free / 1024**3:.1f} GiB free", hint)


def _database(home: Home) -> Check:
    store = Store.open(home)
    return Check("database", True, store.engine.url.render_as_string(hide_password=True))


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("device", True, f"cuda: {torch.cuda.get_device_name()}", needed=False)
    return Check("device", True, f"cpu, {torch.get_num_threads()} threads", needed=False)


def _encoder(home: Home, settings: EncoderSettings) -> Check:
    encoded = encoders.encode(["a first text", "and a second"], settings, home.cache)
    return Check("text encoder", True, f"{encoded.name}: {encoded.why}", needed=False)


def _ollama(settings: JudgeSettings) -> Check:
    health = judges.health(settings.model_copy(update={"judge": "ollama"}))
    return Check("Ollama", health.ok, health.message, health.hint, needed=False)


def _browser() -> Check:
    path = shutil.which("chromium")
    hint = "" if path else "Only the browser tests need it: apt-get install chromium"
    return Check("browser for tests", bool(path), path or "no chromium", hint, needed=False)
