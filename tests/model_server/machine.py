"""What an answer costs: models that have to be loaded, slots with a cached prompt each, and time really spent.

After Ollama's scheduler (`needsReload`) and llama-server's choice of a slot: the free one whose cache is most like the
prompt, else the one unused for longest.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.model_server.model import count

LOOK_S = 0.02
LIKE_ENOUGH = 0.1  # llama-server's --slot-prompt-similarity

Pause = Callable[[float], None]
"""Waits so many seconds for the client's sake; raises Gone when it hung up."""


class Gone(Exception):  # noqa: N818 - an event, no error
    """The client hung up, and with it ends the work for it."""


@dataclass
class Slot:
    text: str = ""
    busy: bool = False
    used: int = 0


@dataclass
class Runner:
    """A loaded model."""

    key: Any
    slots: list[Slot]
    ready: bool = False
    users: int = 0
    queue: list[object] = field(default_factory=list)


class Machine:
    """Rates are tokens per second; 0 is infinitely fast. `load_s` seconds to load a model, `delay_s` more for each answer."""

    def __init__(self, slots: int, load_s: float, prefill_rate: float, decode_rate: float, delay_s: float) -> None:
        self.n_slots, self.load_s, self.delay_s = slots, load_s, delay_s
        self.prefill_rate, self.decode_rate = prefill_rate, decode_rate
        self.changed = threading.Condition()
        self.reset()

    def reset(self) -> None:
        """Nothing is loaded, nothing was counted."""
        with self.changed:
            self.runners: dict[str, Runner] = {}
            self.loads = self.reloads = self.prompt_tokens = self.cached_tokens = self._clock = 0

    def unload(self, model: str | None = None) -> None:
        """Unload one model, or all."""
        with self.changed:
            self.runners = {name: runner for name, runner in self.runners.items() if model not in (None, name)}

    @contextmanager
    def slot(self, model: str, key: Any, prompt: str, pause: Pause) -> Iterator["Work"]:
        """A slot with `model` loaded as `key` says; waits for both."""
        began = time.perf_counter_ns()
        runner = self._runner(model, key, pause)
        loaded = time.perf_counter_ns()
        try:
            slot = self._free(runner, prompt, pause)
            try:
                yield Work(self, slot, prompt, pause, loaded - began, loaded)
            finally:
                with self.changed:
                    slot.busy = False
        finally:
            with self.changed:
                runner.users -= 1
                self.changed.notify_all()

    def _runner(self, model: str, key: Any, pause: Pause) -> Runner:
        with self.changed:
            while True:
                runner = self.runners.get(model)
                if runner and runner.key == key and runner.ready:
                    runner.users += 1
                    return runner
                if runner is None or (runner.ready and not runner.users):
                    break
                self._wait(pause)
            self.loads += 1
            self.reloads += runner is not None
            runner = self.runners[model] = Runner(key, [Slot() for _ in range(self.n_slots)], users=1)
        try:
            pause(self.load_s)
        except Gone:
            self.unload(model)
            raise
        finally:
            with self.changed:
                runner.ready = True
                self.changed.notify_all()
        return runner

    def _free(self, runner: Runner, prompt: str, pause: Pause) -> Slot:
        ticket = object()
        with self.changed:
            runner.queue.append(ticket)
            try:
                while runner.queue[0] is not ticket or all(slot.busy for slot in runner.slots):
                    self._wait(pause)
            finally:
                runner.queue.remove(ticket)
                self.changed.notify_all()
            free = [slot for slot in runner.slots if not slot.busy]
            best = max(free, key=lambda slot: common(slot.text, prompt))
            if common(best.text, prompt) <= LIKE_ENOUGH * len(prompt):
                best = min(free, key=lambda slot: slot.used)
            self._clock += 1
            best.busy, best.used = True, self._clock
            return best

    def _wait(self, pause: Pause) -> None:
        self.changed.wait(LOOK_S)
        pause(0)


class Work:
    """One call's time in a slot. The durations are measured, in nanoseconds: loading, waiting, reading, writing."""

    def __init__(self, machine: Machine, slot: Slot, prompt: str, pause: Pause, load_ns: int, loaded: int) -> None:
        self._machine, self._slot, self._prompt, self._pause = machine, slot, prompt, pause
        self._began = time.perf_counter_ns()
        self.load_ns, self.wait_ns = max(load_ns, 1), self._began - loaded
        self.prompt_tokens, self.cached_tokens = count(prompt), 0
        self._read = self._began

    def read(self) -> None:
        """Take in what of the prompt is not in the slot's cache."""
        machine = self._machine
        cached = min(common(self._slot.text, self._prompt) // 4, self.prompt_tokens - 1)  # the last token is always read
        self.cached_tokens, self._slot.text = max(cached, 0), self._prompt
        with machine.changed:
            machine.prompt_tokens += self.prompt_tokens
            machine.cached_tokens += self.cached_tokens
        fresh = self.prompt_tokens - self.cached_tokens
        self._pause((fresh / machine.prefill_rate if machine.prefill_rate else 0) + machine.delay_s / 2)
        self._read = time.perf_counter_ns()

    def write(self, text: str, n: int, of: int) -> None:
        """Say `n` of `of` tokens."""
        machine = self._machine
        self._slot.text += text
        self._pause((n / machine.decode_rate if machine.decode_rate else 0) + machine.delay_s / 2 * n / max(of, 1))

    def durations(self) -> dict[str, int]:
        """As Ollama tells them: what is missing in the total is the time spent waiting for a slot."""
        now = time.perf_counter_ns()
        read, write = max(self._read - self._began, 1), max(now - self._read, 1)
        total = self.load_ns + self.wait_ns + read + write
        return {
            "total_duration": total,
            "load_duration": self.load_ns,
            "prompt_eval_duration": read,
            "eval_duration": write,
        }


def common(one: str, two: str) -> int:
    """Characters at the beginning that both have."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
