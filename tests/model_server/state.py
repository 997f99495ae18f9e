"""What one server process has and remembers: models, faults, and who asked what."""

import hashlib
import json
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.model_server.faults import READABLE, Fault, Faults
from tests.model_server.machine import Machine
from tests.model_server.model import Model

FAMILIES = {
    "llama3.1": ("llama", "8.0B", "completion,tools"),
    "llama3.2": ("llama", "3.2B", "completion,tools"),
    "gemma3": ("gemma3", "4.3B", "completion,vision"),
    "mistral": ("llama", "7.2B", "completion,tools"),
    "qwen3": ("qwen3", "4.0B", "completion,tools,thinking"),
    "deepseek-r1": ("qwen2", "7.6B", "completion,thinking"),
    "gpt-oss": ("gptoss", "20.9B", "completion,tools,thinking"),
    "nomic-embed-text": ("nomic-bert", "137M", "embedding"),
    "all-minilm": ("bert", "23M", "embedding"),
}
"""{name: (family, size, capabilities)} of the models that can be pulled."""

SAMPLING = ("seed", "temperature", "top_k")
"""Options that change when the same question is asked again."""


class State:
    """Made of the command line's options (`__main__`)."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.models = [full_name(name) for name in options.models.split(",") if name]
        self.faults = Faults(options.faults)
        self.machine = Machine(options.slots, options.load, options.prefill_rate, options.decode_rate, options.delay)
        self.model = Model()
        self.lock = threading.Lock()
        self.pulls: dict[str, int] = {}
        self.swaps = 0
        self.reset()

    def reset(self) -> None:
        """No call was ever made, nothing is loaded. Faults and models stay."""
        with self.lock:
            self.calls: list[dict[str, Any]] = []
            self.asks: dict[str, list[int]] = {}  # {key: [times asked, times answered]}
            self.count = self.at_once = self.most_at_once = self.cancelled = self.embedded = 0
            self.faults.change(self.faults.faults)
        self.machine.reset()

    def find(self, name: str) -> str | None:
        """The full name of a model that is there."""
        return full_name(name) if full_name(name) in self.models else None

    def pull(self, name: str) -> None:
        """The model is there now, under `--pull-changes` with another digest than before."""
        with self.lock:
            self.pulls[name] = self.pulls.get(name, 0) + self.options.pull_changes
            if name not in self.models:
                self.models.append(name)

    def about(self, name: str) -> dict[str, Any]:
        """What /api/tags says about a model."""
        family, size, capabilities = family_of(name)
        version = f"{name} {self.pulls.get(name, 0)} {self.swaps}"
        return {
            "name": name,
            "model": name,
            "modified_at": "2026-08-21T00:00:00Z",
            "size": 4_000_000_000,
            "digest": hashlib.sha256(version.encode()).hexdigest(),
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": family,
                "families": [family],
                "parameter_size": size,
                "quantization_level": "Q4_K_M",
            },
            "capabilities": capabilities,
        }

    @contextmanager
    def call(self, asked: dict[str, Any]) -> Iterator["Call"]:
        """Count a call for an answer while it lasts."""
        with self.lock:
            self.count += 1
            call = Call(self, asked, self.faults.next())
            self.swaps += call.kind == "wrong-digest"
            if not self.options.forget:
                self.calls.append(call.seen)
            self.asks.setdefault(call.key, [0, 0])[0] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            call.too_many = bool(self.options.queue) and self.at_once > self.options.slots + self.options.queue
        try:
            yield call
        finally:
            with self.lock:
                self.at_once -= 1

    def told(self) -> dict[str, Any]:
        """What /_test/calls says."""
        machine = self.machine
        with self.lock:
            answered = [times for _, times in self.asks.values()]
            return {
                "calls": self.calls,
                "count": self.count,
                "faults": self.faults.struck,
                "loads": machine.loads,
                "reloads": machine.reloads,
                "most_at_once": self.most_at_once,
                "cancelled": self.cancelled,
                "embedded": self.embedded,
                "prompt_tokens": machine.prompt_tokens,
                "cached_tokens": machine.cached_tokens,
                "prefix_reuse": machine.cached_tokens / machine.prompt_tokens if machine.prompt_tokens else 0.0,
                "asked": len(answered),
                "answered": sum(map(bool, answered)),
                "answered_twice": sum(times > 1 for times in answered),
                "asks": self.asks,
            }


class Call:
    """One call for an answer: `seen` is what /_test/calls tells of it."""

    def __init__(self, state: State, asked: dict[str, Any], fault: Fault | None) -> None:
        self._state, self.fault, self.too_many = state, fault, False
        self.kind = fault.kind if fault else None
        self.key = question_key(asked)
        self.seen = {
            "n": state.count, "at": time.time(), "fault": self.kind, "key": self.key, "request": asked, "answered": False,
        }  # fmt: skip

    def delivered(self, whole: bool) -> None:
        """The answer was sent; `whole`: it did not end for want of tokens."""
        self.seen["answered"] = True
        if whole and self.kind in (None, *READABLE):
            with self._state.lock:
                self._state.asks.setdefault(self.key, [1, 0])[1] += 1


def full_name(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def family_of(name: str) -> tuple[str, str, list[str]]:
    """(family, size, capabilities)"""
    guess = ("bert", "100M", "embedding") if "embed" in name else ("llama", "8.0B", "completion")
    family, size, capabilities = FAMILIES.get(name.split(":")[0], guess)
    return family, size, capabilities.split(",")


def question_key(asked: dict[str, Any]) -> str:
    """The same for a question that is asked again, with whatever sampling."""
    body = {name: value for name, value in asked.items() if name not in ("stream", "keep_alive", *SAMPLING)}
    if isinstance(body.get("options"), dict):
        body["options"] = {name: value for name, value in body["options"].items() if name not in SAMPLING}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
