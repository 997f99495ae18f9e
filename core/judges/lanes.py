"""A server as the runner sees it: how many workers it can take, when it sleeps, and what has been done."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import JudgeError, Transient
from core.judges.base import Cost, Unreachable

LOCAL_CEILING, HOSTED_START, HOSTED_CEILING = 8, 4, 32
WINDOW = 4
"""Answers of each worker after which a lane looks at the share of waiting."""
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


def now() -> float:
    return asyncio.get_running_loop().time()


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
        second = int(now())
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
        span = min(now() - began, RATE_S)
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
        moment = now()
        self._busy_since = moment if self._busy_since is None else self._busy_since
        if moment - self._busy_since > self._policy.busy_s:
            hint = "What was answered is kept: start the judging again later, or with fewer requests at once."
            raise JudgeError(f"{self.name} has been busy for {(moment - self._busy_since) / 60:.0f} minutes.", hint)
        if self._hosted and self._fixed is None and moment - self._halved > HALVE_S:
            self.workers, self._good, self._halved = max(1, self.workers // 2), 0, moment

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
        self.asleep, self._streak, self._slept_since = True, 0, now()

    def lose(self) -> None:
        """It is not looked at any more."""
        self.asleep = self.lost = True

    def wake(self) -> None:
        self.asleep, self._busy_since = False, None
        self._waits.clear()
        if self._fixed is None:  # who came back may have other slots
            self._settled, self.workers = False, HOSTED_START if self._hosted else 1

    def slept(self) -> float:
        return now() - self._slept_since if self.asleep else 0.0


def lane_of(user: str, lanes: Sequence[str]) -> str:
    """The lane of a user by rendezvous hashing: the others keep their users when one lane comes or goes."""
    return max(lanes, key=lambda lane: hashlib.blake2b(f"{lane}\x00{user}".encode(), digest_size=8).digest())
