"""What can go wrong. A fault `kind:n` strikes every n-th call for an answer, `kind:n:m` the first m of them only.

`down:n:seconds` strikes once: the process seems to die at the n-th call and is back after so many seconds.
"""

import json
from collections import Counter
from typing import NamedTuple

REFUSED = ("429", "503", "loading", "retry-after")
"""Answered before the question is taken in."""

REPLACED = ("400long", "404", "500", "502page", "down", "drop", "hang", "null", "page", "partial", "slow")
"""Come instead of an answer."""

READABLE = ("chatter", "fenced", "lowercase", "wrong-digest")
"""Leave an answer that a tolerant client can use."""

SPOILED = (
    "empty", "filter", "length", "longrating", "malformed", "norating", "prose", "refusal", "streamerror", "unfinished",
    "wrong",
)  # fmt: skip
"""Leave an answer that nobody can use."""

BATCH = ("doubled", "expired", "missing")
"""Of a batch's output file."""

FAULTS = tuple(sorted(REFUSED + REPLACED + READABLE + SPOILED))


class Fault(NamedTuple):
    kind: str
    every: int
    most: int = 10**9
    seconds: float = 0.0


class Faults:
    """Which fault strikes next."""

    def __init__(self, faults: list[Fault]) -> None:
        self.change(faults)

    def change(self, faults: list[Fault]) -> None:
        self.faults, self.struck, self._calls = faults, Counter[str](), 0

    def next(self) -> Fault | None:
        """The fault of the next call; calls are counted from the last change on."""
        self._calls += 1
        for fault in self.faults:
            if self._calls % fault.every == 0 and self.struck[fault.kind] < fault.most:
                self.struck[fault.kind] += 1
                return fault
        return None


def parse(text: str, known: tuple[str, ...] = FAULTS) -> list[Fault]:
    """ "500:3,hang:5:1" -> [Fault("500", 3), Fault("hang", 5, 1)]"""
    faults = []
    for part in filter(None, text.split(",")):
        kind, every, *most = part.split(":")
        if kind not in known:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(known)}")
        if kind == "down":
            faults.append(Fault(kind, int(every), 1, float(most[0]) if most else 1.0))
        else:
            faults.append(Fault(kind, int(every), *map(int, most)))
    return faults


def spoil(kind: str, content: str) -> str:
    """The content as this fault leaves it."""
    try:
        value = json.loads(content)
    except json.JSONDecodeError:
        value = {}
    value = value if isinstance(value, dict) else {}
    rating = str(value.get("rating", ""))
    if kind == "fenced":
        return f"```json\n{content}\n```"
    if kind == "chatter":
        return f"Sure! Here is my judgment: {content} I hope it helps."
    if kind in ("lowercase", "wrong", "longrating"):
        other = {"lowercase": f" {rating.lower()}. ", "wrong": "Excellent", "longrating": f"not {rating}"}[kind]
        return json.dumps(value | {"rating": other})
    if kind == "norating":
        return json.dumps({key: each for key, each in value.items() if key != "rating"})
    if kind == "prose":
        return f"I would say the rating is {rating}, and surely not High."
    if kind in ("malformed", "length", "filter"):
        return content[: {"malformed": -3}.get(kind, -12)]
    return {"empty": "", "refusal": "I'm sorry, but I can't help with that."}.get(kind, content)
