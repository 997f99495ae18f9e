"""Carries out calls to servers: as many at once as they serve, five budgets for five classes of error, pause and wake.

A worker takes one user's group and works through it in order, because a language model's server then re-uses what it has
read about that user: one worker more than the server has slots loses that. So the number of workers is found from the
share of its time that the server says a call waited for a slot. A lane is one server; users are assigned to lanes by
rendezvous hashing, whole groups go to another lane when theirs sleeps or has nothing left. At the end groups are split.
"""

import asyncio
import hashlib
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import BadAnswer, Busy, JudgeError, Refused, Transient
from core.judges.base import Cost, CutOff, NoAnswer, Unreachable

log = logging.getLogger(__name__)

LOCAL_CEILING, HOSTED_START, HOSTED_CEILING = 8, 4, 32
WINDOW = 4
"""Answers of each worker after which a lane looks at the share of waiting."""
SPLIT = 6
"""When nothing else is left, a worker takes half of a group that has so many open questions or more: reading about that user
once more costs less than idle slots."""
HALVE_S = 2.0
"""A hosted lane that is told "too many requests" halves its workers at most this often."""
RATE_S = 120.0
"""The rate is that of the last two minutes."""


@dataclass(frozen=True)
class Policy:
    """Budgets of the error classes, and how long an absent server is waited for."""

    transient_attempts: int = 5  # per question
    bad_answers: int = 3  # per question
    streak: int = 10  # transient errors in a row on one lane, after which it sleeps
    naps: int = 3  # sleeps in a row without an answer between them, after which the run ends
    busy_s: float = 600.0  # a lane that only says "busy" for so long ends the run
    pause_s: float = 0.5  # the first pause is up to this long, each further one up to twice the one before
    longest_pause_s: float = 30.0
    poll_s: float = 5.0  # a sleeping lane is looked at this often
    wait_s: float = 3600.0  # all lanes asleep for so long end the run


def _now() -> float:
    return asyncio.get_running_loop().time()


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


@dataclass
class Meter:
    """What has been done, for progress and estimates."""

    calls: int = 0
    answered: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    waited_s: float = 0.0
    served_s: float = 0.0
    last_error: str = ""
    recent: deque[list[int]] = field(default_factory=deque)  # [second, answers in it] of the last RATE_S

    def took(self, cost: Cost) -> None:
        second = int(_now())
        self.answered += 1
        if not self.recent or self.recent[-1][0] != second:
            self.recent.append([second, 0])
        self.recent[-1][1] += 1
        while second - self.recent[0][0] > RATE_S:
            self.recent.popleft()
        self.tokens_in += cost.prompt_tokens or 0
        self.tokens_cached += cost.cached_tokens or 0
        self.tokens_out += cost.answer_tokens or 0
        if cost.wait_s is not None:
            self.waited_s += cost.wait_s
            self.served_s += (cost.prefill_s or 0) + (cost.decode_s or 0)

    def per_second(self, began: float) -> float:
        """Answers a second over the last two minutes (or since `began`, when that is later); 0.0 before the first."""
        span = min(_now() - began, RATE_S)
        return sum(answers for _, answers in self.recent) / span if span > 0 else 0.0

    @property
    def waiting(self) -> float | None:
        """Share of the servers' time that calls waited for a slot; None where they do not tell."""
        total = self.waited_s + self.served_s
        return self.waited_s / total if total else None


class Lane:
    """One server: its workers, its sleep, and how many workers it can take."""

    def __init__(self, name: str, fixed: int | None, hosted: bool, policy: Policy) -> None:
        self.name, self._hosted, self._policy = name, hosted, policy
        self._fixed = fixed
        self.workers = fixed or (HOSTED_START if hosted else 1)
        self.asleep = False
        self.lost = False  # asleep for good
        self._settled = fixed is not None
        self._waits: deque[tuple[float, float]] = deque()
        self._good = 0
        self._halved = float("-inf")
        self._streak = 0
        self._naps = 0
        self._busy_since: float | None = None
        self._slept_since = 0.0

    def answered(self, cost: Cost, at_work: int) -> None:
        """Learn from a good call how many workers the server can take; `at_work` are the calls now, this one too."""
        self.works()
        if self._fixed is not None or at_work < self.workers:
            return
        if self._hosted:
            self._good += 1
            if self._good >= 10:
                self.workers, self._good = min(self.workers + 1, HOSTED_CEILING), 0
        elif cost.wait_s is not None and not self._settled:
            self._waits.append((cost.wait_s, (cost.prefill_s or 0) + (cost.decode_s or 0)))
            if len(self._waits) >= WINDOW * self.workers:
                self._adapt()

    def _adapt(self) -> None:
        """One worker more than there are slots waits 1/workers of its time: half of that tells it from none too many."""
        waited, served = (sum(column) for column in zip(*self._waits, strict=True))
        share = waited / (waited + served) if waited + served else 0.0
        self._waits.clear()
        if self.workers > 1 and share > 0.5 / self.workers:
            self.workers, self._settled = self.workers - 1, True
        elif share <= 0.05 and self.workers < LOCAL_CEILING:
            self.workers += 1
        else:
            self._settled = True

    def works(self) -> None:
        """A call came back, however bad its answer."""
        self._streak, self._naps, self._busy_since = 0, 0, None

    def was_busy(self) -> None:
        """Raises JudgeError when it has been busy for too long."""
        now = _now()
        self._busy_since = now if self._busy_since is None else self._busy_since
        if now - self._busy_since > self._policy.busy_s:
            hint = "What was answered is kept: start the judging again later, or with fewer requests at once."
            raise JudgeError(f"{self.name} has been busy for {(now - self._busy_since) / 60:.0f} minutes.", hint)
        if self._hosted and self._fixed is None and now - self._halved > HALVE_S:
            self.workers, self._good, self._halved = max(1, self.workers // 2), 0, now

    def failed(self, error: Transient) -> bool:
        """Count a failed call; True when the lane should sleep."""
        self._streak += 1
        return isinstance(error, Unreachable) or self._streak >= self._policy.streak

    def sleep(self, error: Transient) -> None:
        """Raises JudgeError when sleeping did not help before."""
        if not isinstance(error, Unreachable):
            self._naps += 1
        if self._naps > self._policy.naps:
            hint = f"{error.hint} What was answered is kept: start the judging again when the server works.".strip()
            raise JudgeError(f"{self._streak} calls in a row failed, the last one so: {error.message}", hint)
        self.asleep, self._streak, self._slept_since = True, 0, _now()

    def lose(self) -> None:
        """It is not looked at any more."""
        self.asleep = self.lost = True

    def wake(self) -> None:
        self.asleep, self._busy_since = False, None
        self._waits.clear()
        if self._fixed is None:  # who came back may have other slots
            self._settled, self.workers = False, HOSTED_START if self._hosted else 1

    def slept(self) -> float:
        return _now() - self._slept_since if self.asleep else 0.0


def lane_of(user: str, lanes: Sequence[str]) -> str:
    """The lane of a user by rendezvous hashing: the others keep their users when one lane comes or goes."""
    return max(lanes, key=lambda lane: hashlib.blake2b(f"{lane}\x00{user}".encode(), digest_size=8).digest())


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
