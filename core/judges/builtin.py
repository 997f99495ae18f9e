"""The built-in rater: arithmetic on texts, not a language model. It needs no server and says what its verdict rests on.

User view: how much of the item's attributes (weighted by rarity) the user's other items have, and how close its text is
to theirs. Item view: the three most similar of the user's other items. Both are leave-one-out. What counts as much is
read off the data (`Cutoffs`): from random pairs and from observed ones, never from known noise.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import rng, semantic
from core.errors import Fatal
from core.judges.attributes import Attributes
from core.judges.base import Health, Reply, Request
from core.judges.likeness import NEAREST, SATURATED, Likeness
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset, Interactions, Rating, fingerprint
from core.settings import JudgeSettings

SAMPLE = 4000  # pairs that the cut-offs are read off, of each kind
RANDOM_HIGH, RANDOM_LOW, OBSERVED_HIGH = 95.0, 75.0, 50.0  # percentiles


@dataclass(frozen=True)
class Cutoffs:
    """From which score on a pair is High, and below which it is Low."""

    high: float
    low: float

    def rate(self, score: float) -> Rating:
        return Rating.HIGH if score >= self.high else Rating.LOW if score < self.low else Rating.MID


class BuiltinJudge:
    """Rates by counting; all evidence about a pair is in its prompt, so that the rating is a function of the prompt."""

    name = "builtin"
    is_llm = False
    model = "built-in rater, not a language model"
    version = "1"

    def __init__(self, settings: JudgeSettings, cache: Path) -> None:
        self._settings, self._cache = settings, cache
        self.digest = fingerprint(SAMPLE, RANDOM_HIGH, RANDOM_LOW, OBSERVED_HIGH, NEAREST, SATURATED)
        self._encoder = ""

    def identity(self) -> dict[str, Any]:
        return {"judge": self.name, "digest": self.digest, "encoder": self._encoder}

    def check(self) -> Health:
        return Health(True, "The built-in rater is always there. It compares texts; it is not a language model.")

    def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        encoded = semantic.encode_items(dataset, self._settings, self._cache)
        self._encoder = encoded.name
        self._dataset = dataset
        attributes = Attributes(dataset)
        if not len(attributes.names) and not encoded.vectors.any():
            hint = "Import the items with titles, categories or descriptions."
            raise Fatal(f"Dataset {dataset.name!r} has no texts that a judge could read.", hint)
        self._likeness = Likeness(dataset, attributes, encoded.vectors)
        random = self._likeness.scores(*_random_pairs(dataset))
        observed = self._likeness.scores(*_observed_pairs(dataset))
        self._random = {view: np.sort(random[view]) for view in VIEWS}
        self._cutoffs = {view: _cutoffs(random[view], observed[view]) for view in VIEWS}
        self._scores = self._likeness.scores(pairs.user, pairs.item)
        codes = Interactions(pairs.user, pairs.item).codes(dataset.n_items)
        self._place = {code: place for place, code in enumerate(codes.tolist())}

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        """The evidence as one JSON message."""
        score = float(self._scores[view][self._place[user * self._dataset.n_items + item]])
        evidence = {
            "view": view,
            "item": self._dataset.item_title[item],
            "score": round(score, 4),
            "cutoffs": {name: round(value, 4) for name, value in asdict(self._cutoffs[view]).items()},
            "above_random": round(float(np.searchsorted(self._random[view], score) / max(len(self._random[view]), 1)), 3),
        }
        told = self._likeness.shared(user, item) if view == "user" else self._likeness.nearest(user, item)
        content = json.dumps(evidence | told, ensure_ascii=False, sort_keys=True)
        return Prompt(({"role": "evidence", "content": content},), truncated=False)

    def judge(self, request: Request) -> Reply:
        evidence = json.loads(request.prompt.messages[0]["content"])
        rating = Cutoffs(**evidence["cutoffs"]).rate(evidence["score"])
        analysis = _by_profile(evidence) if request.view == "user" else _by_items(evidence)
        likeness = f"Likeness {evidence['score']:.2f}, above {evidence['above_random']:.0%} of random pairs."
        return Reply(rating.value, f"{analysis} {likeness}", raw=json.dumps({"rating": rating.value, "score": evidence["score"]}))

    def close(self) -> None:
        """Nothing is open."""


def _by_profile(evidence: dict[str, Any]) -> str:
    if not evidence["chosen"]:
        return "The user chose nothing else."
    if not evidence["shared"]:
        return f"Shares no attribute with the {evidence['chosen']} other chosen items."
    words, examples = ", ".join(evidence["shared"]), "; ".join(evidence["examples"])
    return f"Shares {words} with {evidence['with']} of {evidence['chosen']} other chosen items ({examples})."


def _by_items(evidence: dict[str, Any]) -> str:
    if not evidence["nearest"]:
        return "The user chose nothing else."
    parts = [f"{title} ({', '.join(shared) or 'no shared attribute'})" for title, shared in evidence["nearest"]]
    return f"Most like {'; '.join(parts)}."


def _cutoffs(random: np.ndarray, observed: np.ndarray) -> Cutoffs:
    if not len(random) or not len(observed):
        return Cutoffs(high=np.inf, low=-np.inf)
    low, high = np.percentile(random, [RANDOM_LOW, RANDOM_HIGH])
    return Cutoffs(high=max(float(high), float(np.percentile(observed, OBSERVED_HIGH))), low=float(low))


def _random_pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Users of train with any items that they did not choose."""
    draw = rng.stream(0, "builtin", "random")
    n = min(SAMPLE, 20 * len(dataset.train))
    user = dataset.train.user[draw.integers(0, max(len(dataset.train), 1), n)]
    item = draw.integers(0, dataset.n_items, n).astype(np.int32)
    unseen = ~np.isin(Interactions(user, item).codes(dataset.n_items), dataset.train.codes(dataset.n_items))
    return user[unseen], item[unseen]


def _observed_pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    chosen = rng.stream(0, "builtin", "observed").permutation(len(dataset.train))[:SAMPLE]
    return dataset.train.user[chosen], dataset.train.item[chosen]
