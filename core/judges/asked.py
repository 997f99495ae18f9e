"""How a judge was asked about a pair, so that it can be asked again in the same way with something changed."""

from typing import Any

import pandas as pd

from core import labels, runs
from core.artifacts import Home
from core.errors import NotFoundError, SettingsError
from core.evidence import most_named
from core.judges import JUDGES, make
from core.judges.again import first, with_pair
from core.judges.texts import PairTexts
from core.records import Candidates, Dataset
from core.settings import AgainSettings, JudgeSettings
from core.store import Store
from core.store.counterfactuals import Change

APART = {"limit", "shard", "pairs", "estimate", "samples"}
"""Settings of a judging that say nothing about a single question."""


def settings_of(home: Home, dataset: str, answer: pd.Series) -> dict[str, Any]:
    """The settings that a judgment (a row of Store.judgments) was asked with: those of the newest judging of its judge and
    model, with the rubric and the profiles that its prompt version names. Of a judge without a judging here the defaults."""
    found = (run.settings for run in runs.listing(home, dataset, "judge"))
    like = next((values for values in found if _same(home, values, answer)), {"judge": answer["judge"]})
    values = {name: value for name, value in like.items() if name in JudgeSettings.model_fields and name not in APART}
    if answer["judge"] not in JUDGES.names() or not JUDGES[answer["judge"]].is_llm:
        return values
    _, rubric, profiles = f"{answer['prompt_version']}//".split("/")[:3]
    own = {"model": answer["model"], "rubric": rubric, "profiles": profiles}
    return {"url": answer["server"] or None} | values | {name: value for name, value in own.items() if value}


def _same(home: Home, values: dict[str, Any], answer: pd.Series) -> bool:
    if values["judge"] != answer["judge"]:
        return False
    if JUDGES[values["judge"]].is_llm:
        return values["model"] == answer["model"]
    try:
        return make(JudgeSettings.checked(**values), home.cache).model == answer["model"]
    except SettingsError:  # of an older Winnow
        return False


def history(dataset: Dataset, candidates: Candidates, settings: JudgeSettings, user: int, item: int) -> list[int]:
    """Positions of the items of a user's history that the questions about a pair rest on; [] for who reads none."""
    if Change.WITHOUT in JUDGES[settings.judge].pointless:
        return []
    if not JUDGES[settings.judge].is_llm:
        own = dataset.train.item[dataset.train.user == user]
        return own[own != item].tolist()
    pairs = with_pair(dataset, candidates.where(candidates.user == user), user, item)
    return PairTexts(dataset, pairs, settings.history_items).past(user, item)


def likeliest(dataset: Dataset, past: list[int], answers: pd.DataFrame) -> list[int]:
    """The item of a history that a rating seems to rest on: the one that its analyses name most, else the first."""
    place = most_named(answers["analysis"].tolist(), dataset.item_title[past].tolist())
    return past[place or 0 :][:1]


def everything(
    home: Home, store: Store, dataset: Dataset, candidates: Candidates, user_id: str, item_id: str, **given: Any
) -> AgainSettings:
    """The settings to ask about a pair again: as its judge was asked, with what is given instead; every change that this
    judge can be asked with, once, where none is given."""
    answers = first(store, dataset.name, user_id, item_id, given.get("judge"), given.get("model"))
    values = settings_of(home, dataset.name, answers.iloc[-1]) | {"user": user_id, "item": item_id} | given
    settings = AgainSettings.checked(**values)
    if settings.without or settings.reverse or settings.seeds or settings.title_only:
        return settings
    pointless = JUDGES[settings.judge].pointless
    if len(pointless) >= len(Change) - 1:
        raise NotFoundError(f"The judge {settings.judge} cannot be asked again: {next(iter(pointless.values()))}.")
    past = history(dataset, candidates, settings, *labels.known_pair(dataset, user_id, item_id))
    past = likeliest(dataset, past, answers)
    own = {"without": tuple(dataset.item_ids[past]), "reverse": Change.REVERSED not in pointless}
    own |= {"seeds": int(Change.SEED not in pointless), "title_only": Change.TITLE not in pointless}
    return AgainSettings.checked(**values | own)
