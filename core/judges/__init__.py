"""Judges say how relevant an item is to a user, in two views. One registry, one runner; JUDGES lists who can be asked."""

import asyncio
from pathlib import Path

from core.errors import JudgeError
from core.judges.base import Health, Judge, Reply, Request
from core.judges.builtin import BuiltinJudge
from core.judges.lanes import Policy
from core.judges.ollama import OllamaJudge
from core.judges.openai import OpenAIJudge
from core.judges.replay import ReplayJudge
from core.judges.runner import State, Summary, run
from core.judges.simulated import SimulatedJudge
from core.prompts import RUBRIC, Rubric
from core.registry import Registry
from core.settings import JudgeSettings

__all__ = ["JUDGES", "Health", "Judge", "Policy", "Reply", "Request", "State", "Summary", "health", "make", "run"]

JUDGES: Registry[type[Judge]] = Registry("judge")
JUDGES.register("builtin")(BuiltinJudge)
JUDGES.register("ollama")(OllamaJudge)
JUDGES.register("openai")(OpenAIJudge)
JUDGES.register("replay")(ReplayJudge)
JUDGES.register("simulated")(SimulatedJudge)


def make(settings: JudgeSettings, cache: Path, rubric: Rubric = RUBRIC) -> Judge:
    """The judge that the settings name; SettingsError when there is none of that name. Only a language model reads the rubric."""
    kind = JUDGES[settings.judge]
    return kind(settings, cache, rubric) if kind.is_llm else kind(settings, cache)


def health(settings: JudgeSettings) -> Health:
    """Whether that judge could work now: for the settings page and the doctor. Never raises for a missing server."""
    try:
        return asyncio.run(_health(make(settings, Path())))
    except JudgeError as error:
        return Health(False, error.message, error.hint)


async def _health(judge: Judge) -> Health:
    try:
        return await judge.check()
    finally:
        await judge.close()
