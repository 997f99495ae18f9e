"""A simulation of a judge, for research: it reads the known truth and is wrong on purpose, on a share of pairs that is asked for.

It shows what a judge of a given quality would be worth. It judges nothing: it works only where the truth is known, and
says so in every answer. All other judges never see the truth.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import Fatal
from core.judges.base import Changed, Health, Reply, Request
from core.labels import SIMULATED
from core.prompts import Prompt
from core.records import Candidates, Dataset, Interactions, Label, Rating, fingerprint
from core.settings import JudgeSettings
from core.store.counterfactuals import Change


def relevant(dataset: Dataset, user: np.ndarray, item: np.ndarray, error: float, seed: int) -> np.ndarray:
    """What a judge with this error rate says about pairs (n,) by position: bool (n,), wrong with probability `error`.

    In truth an observed pair is relevant unless it is noisy, an unobserved one only when it is a known missed positive.
    Whether the answer to a pair is wrong depends on its raw ids and the seed alone, not on other pairs or their order; a
    pair that is answered wrongly at one error rate is so at every higher one. Fatal when the dataset has no truth.
    """
    return _known(dataset, user, item) ^ _mistaken(dataset, user, item, error, seed)


def _known(dataset: Dataset, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Whether pairs (n,) are relevant in truth: bool (n,)."""
    if dataset.train.truth is None:
        message = f"Nobody knows which clicks of {dataset.name!r} are noisy, and a simulated judge answers from such truth."
        raise Fatal(message, "Take the demo dataset, inject noise (python -m core inject), or import a truth table.")
    meant = [
        part if part.truth is None else part.where(part.truth != Label.NOISY_POSITIVE)
        for part in (dataset.train, dataset.valid, dataset.test, dataset.missed)
        if part is not None
    ]
    codes = np.concatenate([part.codes(dataset.n_items) for part in meant])
    return pd.Series(Interactions(user, item).codes(dataset.n_items)).isin(codes).to_numpy()


def _mistaken(dataset: Dataset, user: np.ndarray, item: np.ndarray, error: float, seed: int) -> np.ndarray:
    """Which pairs (n,) are answered wrongly: bool (n,), by a hash of seed and ids that is uniform in [0, 1)."""
    pairs = zip(dataset.user_ids[user].tolist(), dataset.item_ids[item].tolist(), strict=True)
    hashes = b"".join(hashlib.blake2b(repr((seed, *pair)).encode(), digest_size=8).digest() for pair in pairs)
    return (np.frombuffer(hashes, ">u8") >> 11) * 2.0**-53 < error


class SimulatedJudge:
    """Answers both views alike, High or Low; all that an answer rests on is in its prompt."""

    name = SIMULATED
    is_llm = False
    pointless = dict.fromkeys((Change.WITHOUT, Change.REVERSED, Change.TITLE), "it reads the truth, and no texts")
    lanes = ("",)
    hosted = False
    version = "1"

    def __init__(self, settings: JudgeSettings, cache: Path) -> None:
        self._error, self._seed = settings.error, settings.error_seed
        self.model = f"simulation, not a judge: reads the truth, wrong on {100 * self._error:g} % of pairs, seed {self._seed}"
        self.digest = fingerprint(self._error, self._seed)
        self._dataset: Dataset | None = None
        self._answers: dict[tuple[int, int], tuple[bool, bool]] = {}  # pair: relevant in truth, and as answered

    def identity(self) -> dict[str, Any]:
        return {"judge": self.name, "digest": self.digest}

    async def check(self) -> Health:
        return Health(True, f"A simulation for research: it reads the known truth, and errs on {100 * self._error:g} % of pairs.")

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        """Fatal when the dataset has no known truth."""
        known = _known(dataset, pairs.user, pairs.item)
        said = relevant(dataset, pairs.user, pairs.item, self._error, self._seed)
        codes = zip(pairs.user.tolist(), pairs.item.tolist(), strict=True)
        self._answers = dict(zip(codes, zip(known.tolist(), said.tolist(), strict=True), strict=True))
        self._dataset = dataset

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        """The pair, its truth and the answer as one JSON message: another truth is another question."""
        known, said = self._answers[user, item]
        return self._prompt(user, item, {"view": view, "relevant": known, "answer": said})

    def changed(self, user: int, item: int, view: str, change: Changed, short: bool = False) -> Prompt:
        """Another seed is wrong about other pairs."""
        if not change.number:
            return self.prompt(user, item, view)
        seed, (known, _) = self._seed + change.number, self._answers[user, item]
        [said] = relevant(self._dataset, np.array([user]), np.array([item]), self._error, seed).tolist()
        return self._prompt(user, item, {"view": view, "relevant": known, "answer": said, "seed": seed})

    def _prompt(self, user: int, item: int, told: dict[str, Any]) -> Prompt:
        if self._dataset is None:
            raise RuntimeError("prepare() comes first")
        pair = {"user": self._dataset.user_ids[user], "item": self._dataset.item_ids[item]}
        content = json.dumps(pair | told, ensure_ascii=False, sort_keys=True)
        return Prompt(({"role": "simulation", "content": content},), truncated=False)

    async def judge(self, request: Request) -> Reply:
        asked = json.loads(request.prompt.messages[0]["content"])
        rating = Rating.HIGH if asked["answer"] else Rating.LOW
        analysis = (
            f"Simulated, not judged: an answer from the known truth by a judge that is wrong on {100 * self._error:g} % of pairs."
        )
        return Reply(rating.value, analysis, raw=json.dumps({"rating": rating.value}))

    async def alive(self, lane: str) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is open."""
