"""Judges say how relevant an item is to a user, in two views. One registry, one runner; JUDGES lists who can be asked."""

from pathlib import Path

from core.errors import JudgeError
from core.judges.base import Health, Judge, Reply, Request
from core.judges.builtin import BuiltinJudge
from core.judges.ollama import OllamaJudge
from core.judges.runner import Policy, Summary, run
from core.judges.simulated import SimulatedJudge
from core.registry import Registry
from core.settings import JudgeSettings

__all__ = ["JUDGES", "Health", "Judge", "Policy", "Reply", "Request", "Summary", "health", "make", "run"]

JUDGES: Registry[type[Judge]] = Registry("judge")
JUDGES.register("builtin")(BuiltinJudge)
JUDGES.register("ollama")(OllamaJudge)
JUDGES.register("simulated")(SimulatedJudge)


def make(settings: JudgeSettings, cache: Path) -> Judge:
    """The judge that the settings name; SettingsError when there is none of that name."""
    return JUDGES[settings.judge](settings, cache)


def health(settings: JudgeSettings) -> Health:
    """Whether that judge could work now: for the settings page and the doctor. Never raises for a missing server."""
    try:
        judge = JUDGES[settings.judge](settings, Path())
        try:
            return judge.check()
        finally:
            judge.close()
    except JudgeError as error:
        return Health(False, error.message, error.hint)
