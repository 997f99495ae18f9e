"""Carries out calls to servers: as many at once as they serve, five budgets for five classes of error, pause and wake.

A worker takes one user's group and works through it in order, because a language model's server then re-uses what it has
read about that user: one worker more than the server has slots loses that. So the number of workers is found from the
share of its time that the server says a call waited for a slot. A lane is one server; users are assigned to lanes by
rendezvous hashing, whole groups go to another lane when theirs sleeps or has nothing left. At the end groups are split.
"""

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import BadAnswer, Busy, JudgeError, Refused, Transient
from core.judges.base import Cost, CutOff, NoAnswer, Unreachable
from core.judges.lanes import Lane, Meter, Policy, lane_of

log = logging.getLogger(__name__)

SPLIT = 6
"""When nothing else is left, a worker takes half of a group that has so many open questions or more: reading about that user
once more costs less than idle slots."""


@dataclass
class Trial:
    """One attempt at a question, and what earlier ones have taught."""

    lane: str
    number: int = 1
    bad_answers: int = 0
    room: int = 1
    short: bool = False


class Task(Protocol):
    """One question to the engine: asks, and keeps what it is answered."""

    async def attempt(self, trial: Trial) -> Cost:
        """Ask once and keep the answer; raises the five classes."""

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        """Keep what went wrong."""

    def give_up(self) -> None:
        """Its budget is used up."""


class Engine:
    """Works off groups of questions on the lanes of a judge."""

    def __init__(self, lanes: Sequence[Lane], alive: Callable[[str], Awaitable[bool]], policy: Policy) -> None:
        self.meter = Meter()
        self.lanes = {lane.name: lane for lane in lanes}
        self._alive, self._policy = alive, policy
        self._task: Callable[[int], Task]
        self._groups: dict[str, deque[Sequence[int]]] = {}
        self._begun: list[deque[int]] = []  # what is open of the groups at work
        self._at_work: Counter[str] = Counter()
        self._changed = asyncio.Event()

    @property
    def asleep(self) -> bool:
        return all(lane.asleep for lane in self.lanes.values())

    @property
    def workers(self) -> int:
        return sum(lane.workers for lane in self.lanes.values() if not lane.asleep)

    async def work(self, groups: Iterable[tuple[str, Sequence[int]]], task: Callable[[int], Task]) -> None:
        """Until every question of the groups (user id, numbers that `task` makes questions of) is answered or given up.

        Raises what ends the run.
        """
        names = list(self.lanes)
        self._task = task
        self._groups = {name: deque() for name in names}
        for user, numbers in groups:
            self._groups[lane_of(user, names)].append(numbers)
        try:
            async with asyncio.TaskGroup() as running:
                watchers = [running.create_task(self._watch(lane)) for lane in self.lanes.values()]
                while True:
                    self._changed.clear()
                    for lane in self.lanes.values():
                        while not lane.asleep and self._at_work[lane.name] < lane.workers:
                            if not (open_ := deque(self._next(lane))):
                                break
                            self._begun.append(open_)
                            self._at_work[lane.name] += 1
                            running.create_task(self._carry_out(lane, open_))
                    if not any(self._groups.values()) and not self._at_work.total():
                        break
                    await self._changed.wait()
                for watcher in watchers:
                    watcher.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from None

    def _next(self, lane: Lane) -> Sequence[int]:
        """The lane's next group; else one from the end of the longest queue, whose lane may sleep; else half of a begun one."""
        own = self._groups[lane.name]
        if own:
            return own.popleft()
        longest = max(self._groups.values(), key=len)
        if longest:
            return longest.pop()
        begun = max(self._begun, key=len, default=())
        return [begun.pop() for _ in range(len(begun) // 2)][::-1] if len(begun) >= SPLIT else ()

    async def _carry_out(self, lane: Lane, open_: deque[int]) -> None:
        """The questions in order; a lane that falls asleep, or has too many workers now, gives the rest back."""
        try:
            while open_:
                number = open_.popleft()
                full = lane.asleep or self._at_work[lane.name] > lane.workers
                if full or not await self._answer(self._task(number), lane):
                    self._groups[lane.name].appendleft([number, *open_])
                    return
        finally:
            self._begun = [other for other in self._begun if other is not open_]
            self._at_work[lane.name] -= 1
            self._changed.set()

    async def _answer(self, task: Task, lane: Lane) -> bool:
        """One task until it is answered or out of budget; False when the lane fell asleep before that."""
        trial, transient = Trial(lane.name), 0
        while True:
            self.meter.calls += 1
            try:
                cost = await task.attempt(trial)
            except Busy as error:
                self._heard(error)
                try:
                    lane.was_busy()
                except JudgeError as too_long:
                    self._lose(lane, too_long)
                    return False
                await self._pause(2, error)
            except Unreachable as error:
                self._heard(error)
                self._send_to_sleep(lane, error)
                return False
            except Transient as error:
                self._heard(error)
                task.note("transient", error.message, trial)
                transient += 1
                tired = lane.failed(error)
                if tired:
                    self._send_to_sleep(lane, error)
                if transient >= self._policy.transient_attempts:
                    return self._give_up(task)
                if tired:
                    return False
                await self._pause(transient, error)
                trial.number += 1
            except BadAnswer as error:
                self._heard(error)
                lane.works()
                task.note("bad answer", error.message, trial)
                trial.bad_answers += 1
                trial.room = 2 if isinstance(error, CutOff) else trial.room
                if trial.bad_answers >= self._policy.bad_answers or isinstance(error, NoAnswer):
                    return self._give_up(task)
                trial.number += 1
            except Refused as error:
                self._heard(error)
                lane.works()
                task.note("refused", error.message, trial)
                if trial.short:
                    return self._give_up(task)
                trial.short = True
                trial.number += 1
            else:
                self.meter.took(cost)
                before = lane.workers
                lane.answered(cost, self._at_work[lane.name])
                if lane.workers != before:
                    self._changed.set()
                return True

    def _give_up(self, task: Task) -> bool:
        self.meter.failed += 1
        task.give_up()
        return True

    def _heard(self, error: JudgeError) -> None:
        self.meter.last_error = error.message

    def _send_to_sleep(self, lane: Lane, error: Transient) -> None:
        if lane.asleep:
            return
        try:
            lane.sleep(error)
        except JudgeError as useless:
            self._lose(lane, useless)
        else:
            log.warning("waiting for %s: %s", lane.name, error.message)
            self._changed.set()

    def _lose(self, lane: Lane, error: JudgeError) -> None:
        """Go on without a lane; its error ends the run when it was the last one."""
        lane.lose()
        if all(other.lost for other in self.lanes.values()):
            raise error
        log.warning("going on without %s: %s", lane.name, error.message)
        self._changed.set()

    async def _watch(self, lane: Lane) -> None:
        """Wake the lane when its server answers again; end the run when none does for too long."""
        while True:
            await asyncio.sleep(self._policy.poll_s)
            if lane.lost or not lane.asleep:
                continue
            if await self._alive(lane.name):
                log.info("%s answers again", lane.name)
                lane.wake()
                self._changed.set()
            elif min(other.slept() for other in self.lanes.values() if not other.lost) > self._policy.wait_s:
                hint = "What was answered is kept: start the judging again when the server is back."
                raise JudgeError(f"{lane.name} has not answered for {lane.slept():.0f} s: {self.meter.last_error}", hint)

    async def _pause(self, failures: int, error: JudgeError) -> None:
        """Jittered, growing; at least as long as the server asked for."""
        longest = min(self._policy.longest_pause_s, self._policy.pause_s * 2**failures)
        asked = error.wait_s if isinstance(error, Busy) and error.wait_s else 0.0
        await asyncio.sleep(max(min(asked, self._policy.busy_s), random.uniform(0, longest)))


def _first(group: BaseExceptionGroup) -> BaseException:
    """The error that ended a task group: its others were cancelled by it."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
