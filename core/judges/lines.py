"""Answered questions as JSON lines: what goes from one machine's database into another's, and how a line is trusted.

A line holds all that its key is a hash of, so whoever reads it can see that this answer belongs to this question.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from core import prompts
from core.errors import BadAnswer
from core.judges.base import Judge, key_of
from core.records import Dataset, Judgment
from core.store import Answer, Noted, Want

FORMAT = "judgment/1"
REPLAY, REPLAYED, MERGED = "replay", "replayed", "merged"
"""The judge that passes on recorded judgments, and the origins of what it passed on and of what came from another machine."""

Count = Annotated[int | None, Field(ge=0, lt=2**31)]
Seconds = Annotated[float, Field(ge=0)]
Moment = Annotated[float, Field(ge=0, lt=1e11)]
Messages = list[dict[str, str]]
COUNTS = ("prompt_tokens", "cached_tokens", "answer_tokens")


class Line(BaseModel):
    """One answer about one pair in one view."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    winnow: Literal["judgment/1"]
    dataset: str
    fingerprint: str  # of the dataset's content
    user_id: str
    item_id: str
    view: Literal["user", "item"]
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    version: str  # of the prompts or rules of the judge that was asked; like
    identity: dict[str, JsonValue]  # its identity, part of the key
    prompt: Messages  # as it was sent
    question: Messages | None  # in full, where a shortened one was sent
    raw: str
    rating: str
    analysis: str
    how: Literal["strict", "repaired"]
    confidence: Annotated[float | None, Field(ge=0, le=1)]
    judge: str
    is_llm: bool
    model: str
    digest: str
    prompt_version: str
    profile: Annotated[str, Field(max_length=10)]
    truncated: bool
    prompt_tokens: Count
    cached_tokens: Count
    answer_tokens: Count
    seconds: Seconds
    wait_s: Seconds | None
    at: Moment
    asked_at: Moment
    server: str
    origin: str

    def check(self) -> None:
        """BadAnswer when the line does not hold what it claims: another question, another rater, another rating."""
        if key_of(self.version, self.identity, self.question or self.prompt) != self.key:
            raise BadAnswer("Its key is not that of its question.")
        asked = {"prompt_version": self.version} | self.identity
        claimed = {name: getattr(self, name) for name in ("judge", "model", "digest", "prompt_version")}
        for name, value in ({"judge": REPLAY} if self.origin == REPLAYED else claimed).items():
            if asked.get(name, value) != value:
                raise BadAnswer(f"Its {name} is {value!r}, but {asked[name]!r} was asked.")
        answer = prompts.parse(self.raw)  # a rater that is no language model has no analysis in it
        if answer.rating.value != self.rating:
            raise BadAnswer(f"Its rating is {self.rating[:20]!r}, but the answer says {answer.rating.value}.")
        if answer.analysis not in ("", self.analysis):
            raise BadAnswer("Its analysis is not that of the answer.")

    def answer(self, now: float) -> Answer:
        """What the store keeps of it; no time is later than `now`."""
        told = {name: getattr(self, name) for name in Judgment.__dataclass_fields__}
        told |= {"at": min(self.at, now), "origin": REPLAYED if self.origin == REPLAYED else MERGED}
        return Answer(Judgment(**told), self.prompt, self.raw, self.how, self.truncated)

    def noted(self, now: float) -> Noted:
        want = Want(self.user_id, self.item_id, self.view, self.judge, self.model, self.key)
        return Noted(self.dataset, want, min(self.asked_at, now))


def line_of(row: Mapping[str, Any], dataset: Dataset, judge: Judge, question: Messages) -> Line:
    """A row of Store.judgments, as an answer of this judge to this question in full."""
    told = {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
    told |= {name: int(told[name]) for name in COUNTS if told[name] is not None}  # pandas holds them as floats beside gaps
    sent = json.loads(told["prompt"])
    told |= {"winnow": FORMAT, "dataset": dataset.name, "fingerprint": dataset.fingerprint, "version": judge.version}
    return Line(**told | {"identity": judge.identity(), "prompt": sent, "question": None if sent == question else question})
