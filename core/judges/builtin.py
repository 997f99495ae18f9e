"""The built-in rater: arithmetic on texts, not a language model. It needs no server and says what its verdict rests on.

It asks whether a pair looks more like chosen pairs or like random ones (`Scale`): by what the user's other items and
own words have in common with the item (user view), and by the most similar other items (item view). All is leave-one-out
and read off the click log and the texts, never off known noise.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import rng, semantic
from core.errors import Fatal
from core.judges.attributes import PRIOR_PAIRS, Attributes
from core.judges.base import Changed, Health, Reply, Request
from core.judges.likeness import NEAREST, SATURATED, Likeness
from core.judges.scale import LEAST_SEPARATION, Scale
from core.prompts import Prompt
from core.records import Candidates, Dataset, Interactions, Rating, fingerprint
from core.settings import JudgeSettings
from core.store.counterfactuals import Change

SAMPLE = 4000
"""Pairs of each kind that the scale is read off."""


@dataclass(frozen=True)
class _Ready:
    """What `prepare` found out."""

    dataset: Dataset
    likeness: Likeness
    scale: Scale
    scores: dict[str, np.ndarray]
    place: dict[int, int]  # pair code -> place in scores


class BuiltinJudge:
    """Rates by counting; all evidence about a pair is in its prompt, so that the rating is a function of the prompt."""

    name = "builtin"
    is_llm = False
    pointless = {
        Change.REVERSED: "it reads no order",
        Change.SEED: "it gives one text one answer",
        Change.TITLE: "its vector of an item is of title, categories and description together",
    }
    lanes = ("",)
    hosted = False
    model = "built-in rater, not a language model"
    version = "1"

    def __init__(self, settings: JudgeSettings, cache: Path) -> None:
        self._settings, self._cache = settings, cache
        self.digest = ""
        self._ready: _Ready | None = None

    def identity(self) -> dict[str, Any]:
        return {"judge": self.name, "digest": self.digest}

    async def check(self) -> Health:
        return Health(True, "The built-in rater is always there. It compares texts; it is not a language model.")

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        """Fatal when the items have no texts, or texts that do not tell chosen items from random ones."""
        encoded = semantic.encode_items(dataset, self._settings, self._cache)
        self.digest = fingerprint(encoded.name, SAMPLE, NEAREST, SATURATED, PRIOR_PAIRS, LEAST_SEPARATION)
        attributes = Attributes(dataset)
        if not len(attributes.names) and not encoded.vectors.any():
            hint = "Import the items with titles, categories or descriptions."
            raise Fatal(f"Dataset {dataset.name!r} has no texts that a judge could read.", hint)
        likeness = Likeness(dataset, attributes, encoded.vectors)
        scale = Scale(likeness.measures(*_random_pairs(dataset)), likeness.measures(*_observed_pairs(dataset)))
        if scale.separation < LEAST_SEPARATION:
            message = (
                f"By the texts of {dataset.name!r}, chosen items look like random ones; the built-in rater would only guess."
            )
            raise Fatal(message, "Import richer texts, or ask a language model.")
        codes = Interactions(pairs.user, pairs.item).codes(dataset.n_items)
        place = {code: place for place, code in enumerate(codes.tolist())}
        scores = scale.scores(likeness.measures(pairs.user, pairs.item))
        self._ready = _Ready(dataset, likeness, scale, scores, place)

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        """The evidence as one JSON message."""
        ready = self._prepared()
        score = float(ready.scores[view][ready.place[user * ready.dataset.n_items + item]])
        return _evidence(ready, ready.likeness, user, item, view, score)

    def changed(self, user: int, item: int, view: str, change: Changed, short: bool = False) -> Prompt:
        """What is left out is no evidence; what it weighs, and the cut-offs, stay those of all clicks."""
        ready = self._prepared()
        if not change.items:
            return self.prompt(user, item, view)
        likeness = ready.likeness.without(user, np.array(change.items))
        scores = ready.scale.scores(likeness.measures(np.array([user]), np.array([item])))
        return _evidence(ready, likeness, user, item, view, float(scores[view][0]))

    async def judge(self, request: Request) -> Reply:
        evidence = json.loads(request.prompt.messages[0]["content"])
        score = evidence["score"]
        rating = Rating.HIGH if score >= evidence["high"] else Rating.LOW if score < evidence["low"] else Rating.MID
        if not evidence["chosen"] and not evidence.get("said"):
            rating = Rating.MID  # nothing is known of the user: too thin to tell, as the rubric has it
        found = _by_profile(evidence) if request.view == "user" else _by_items(evidence)
        likeness = (
            f"Likeness {score:.2f}, above {evidence['above_random']:.0%} of random pairs; High from {evidence['high']:.2f}."
        )
        return Reply(rating.value, f"{found} {likeness}", raw=json.dumps({"rating": rating.value, "score": score}))

    async def alive(self, lane: str) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is open."""

    def _prepared(self) -> _Ready:
        if self._ready is None:
            raise RuntimeError("prepare() comes first")
        return self._ready


def _evidence(ready: _Ready, likeness: Likeness, user: int, item: int, view: str, score: float) -> Prompt:
    evidence = {
        "view": view,
        "item": ready.dataset.item_title[item],
        "score": round(score, 4),
        "high": round(ready.scale.high, 4),
        "low": round(ready.scale.low[view], 4),
        "above_random": round(ready.scale.above_random(view, score), 3),
    }
    told = likeness.shared(user, item) if view == "user" else likeness.nearest(user, item)
    content = json.dumps(evidence | told, ensure_ascii=False, sort_keys=True)
    return Prompt(({"role": "evidence", "content": content},), truncated=False)


def _by_profile(evidence: dict[str, Any]) -> str:
    said = f"The user speaks of {', '.join(evidence['said'])}. " if evidence["said"] else ""
    if not evidence["chosen"]:
        return f"{said}The user chose nothing else."
    if not evidence["shared"]:
        return f"{said}Shares no telling attribute with the {evidence['chosen']} other chosen items."
    words, examples = ", ".join(evidence["shared"]), "; ".join(evidence["examples"])
    return f"{said}Shares {words} with {evidence['with']} of {evidence['chosen']} other chosen items ({examples})."


def _by_items(evidence: dict[str, Any]) -> str:
    if not evidence["nearest"]:
        return "The user chose nothing else."
    parts = [f"{title} ({', '.join(shared) or 'no telling attribute shared'})" for title, shared in evidence["nearest"]]
    return f"Most like {'; '.join(parts)}."


def _random_pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Users of train, by their activity, with any items that they did not choose."""
    draw = rng.stream(0, "builtin", "random")
    user = dataset.train.user[draw.integers(0, max(len(dataset.train), 1), SAMPLE if len(dataset.train) else 0)]
    item = draw.integers(0, dataset.n_items, len(user)).astype(np.int32)
    unseen = ~np.isin(Interactions(user, item).codes(dataset.n_items), dataset.train.codes(dataset.n_items))
    return user[unseen], item[unseen]


def _observed_pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    chosen = rng.stream(0, "builtin", "observed").permutation(len(dataset.train))[:SAMPLE]
    return dataset.train.user[chosen], dataset.train.item[chosen]
