"""Asks a judge about candidates: what the store knows is not asked again, and every answer is kept the moment it comes.

A run goes through up to four stages: profiles (where the model writes them), the questions, probes of the ratings, and
further answers. Killed at any moment, it loses at most the calls in flight; the next run goes on where this one was.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import Fatal
from core.judges.base import Judge
from core.judges.engine import Engine, Task
from core.judges.lanes import Lane, Meter, Policy
from core.judges.questions import Questions, Stopped, profile_keys, wanted, write
from core.judges.stages import LOOK_S, Stage, State, Watch, until_stopped
from core.judges.tasks import Desk, Further, Profile, Question
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings
from core.store import PROBE, Store

_Group = tuple[str, Sequence[int]]
"""A user's id, and numbers of questions that begin alike."""

PROBED_USERS = 6
"""An estimate judges two pairs of so many users: the first shows what reading a user costs, the second what re-using it saves."""


@dataclass(frozen=True)
class Estimate:
    """How long the open questions of the candidates take with one request at a time, and what they use up."""

    questions: int
    low_s: float
    high_s: float  # a 90 % interval by the calls that were measured
    tokens_in: float
    tokens_out: float
    cost: float | None  # in the currency of the prices; None without prices


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    asked: int = 0  # calls made now, repeated ones too
    cached: int = 0  # views that the store knew
    failed: int = 0  # views that ran out of their budget now
    unjudged: int = 0  # pairs without both views
    seconds: float = 0.0
    profiles: int = 0  # written now
    further: int = 0  # probes and further answers got now
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    estimate: Estimate | None = None


def run(
    store: Store,
    dataset: Dataset,
    candidates: Candidates,
    judge: Judge,
    settings: JudgeSettings,
    *,
    watch: Watch = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
    policy: Policy | None = None,
) -> Summary:
    """Judge the candidates in both views, in their order, as the settings choose them; done and total count views.

    Stopped before the first question, it has asked and noted nothing, and counts every pair as unjudged. Raises Fatal or
    another JudgeError, with what to do about it, when no further question can work; everything answered until then is
    kept, and the next run asks only for the rest.
    """
    work = _Run(store, dataset, candidates, judge, settings, watch, should_stop, policy or Policy(wait_s=settings.wait_s))
    return asyncio.run(work.carry_out())


class _Run:
    def __init__(
        self,
        store: Store,
        dataset: Dataset,
        candidates: Candidates,
        judge: Judge,
        settings: JudgeSettings,
        watch: Watch,
        should_stop: Callable[[], bool],
        policy: Policy,
    ) -> None:
        self._store, self._dataset, self._judge = store, dataset, judge
        self._candidates, self._settings = candidates, settings
        self._watch, self._should_stop, self._policy = watch, should_stop, policy
        self._began = time.monotonic()
        self._summary = Summary()
        self._lanes = self._new_lanes(settings.workers if judge.is_llm else 1)
        self._desk = Desk(store, dataset, judge)

    async def carry_out(self) -> Summary:
        try:
            await until_stopped(self._stages(), self._should_stop)
        finally:
            await self._judge.close()
        return replace(self._summary, seconds=time.monotonic() - self._began, cost=self._cost())

    async def _stages(self) -> None:
        pairs = wanted(self._dataset, self._candidates, self._settings)
        self._summary = replace(self._summary, unjudged=len(pairs))
        await self._prepare()
        if self._settings.profiles == "written" and self._judge.is_llm:
            await self._write_profiles(pairs)
        try:
            questions = write(self._judge, pairs, self._look("writing the questions", len(pairs)))
            wants = questions.wants(self._dataset, self._judge, self._look("noting the questions", len(pairs)))
            self._store.ask(self._dataset.name, wants)
        except Stopped:
            return
        await self._ask(questions)

    async def _prepare(self) -> None:
        health = await self._judge.check()
        if not health.ok:
            raise Fatal(health.message, health.hint)
        self._watch(State("reading the texts"))
        await self._judge.prepare(self._dataset, self._candidates)

    def _look(self, stage: str, pairs: int) -> Callable[[int], bool]:
        def look(done: int) -> bool:
            self._watch(State(stage, message=f"{done:,} of {pairs:,} pairs", total=pairs * len(VIEWS)))
            return not self._should_stop()

        return look

    async def _write_profiles(self, pairs: Candidates) -> None:
        """One call for each user who has no profile yet; users whose call fails keep the made one."""
        keys = profile_keys(self._judge, pairs)
        known = self._store.profiles(keys.values())
        open_ = [user for user, key in keys.items() if key not in known]
        stage = Stage("writing profiles", len(keys), len(keys) - len(open_))
        groups = ((self._dataset.user_ids[user], [user]) for user in open_)
        await self._work(stage, groups, lambda user: Profile(self._desk, stage, user, keys[user]))
        self._summary = replace(self._summary, profiles=stage.engine.meter.answered)
        known |= self._store.profiles(keys[user] for user in open_)
        self._judge.use_profiles({user: known[key] for user, key in keys.items() if key in known})

    async def _ask(self, questions: Questions) -> None:
        self._desk.answered = questions.which(self._store.answered)
        cached = int(questions.views[self._desk.answered].sum())
        self._summary = replace(self._summary, cached=cached)
        groups = self._groups(questions, ~self._desk.answered)
        stage = Stage("judging", questions.place.size, cached)
        try:
            if self._settings.estimate:
                await self._estimate(questions, groups, stage)
            else:
                await self._work(stage, groups, lambda number: Question(self._desk, questions, number, stage))
        finally:
            unjudged = int((~self._desk.answered[questions.place].all(axis=1)).sum())
            self._summary = replace(self._summary, failed=stage.failed, unjudged=unjudged)
        if not self._settings.estimate:
            await self._ask_again(questions)

    def _groups(self, questions: Questions, open_: np.ndarray) -> list[_Group]:
        return [(self._dataset.user_ids[user], numbers) for user, numbers in questions.groups(open_)]

    async def _ask_again(self, questions: Questions) -> None:
        """Probes and further answers to the questions that have an answer, as the settings want them."""
        numbers = [PROBE] if self._settings.confidence == "probe" and hasattr(self._judge, "probe") else []
        numbers += range(1, self._settings.samples + 1) if self._judge.is_llm else []
        for number in numbers:
            got = questions.which(lambda keys, n=number: self._store.has_further(keys, n), among=self._desk.answered)
            name = "probing the ratings" if number == PROBE else f"asking again ({number} of {self._settings.samples})"
            stage = Stage(name, int(self._desk.answered.sum()), int(got.sum()))
            groups = self._groups(questions, self._desk.answered & ~got)
            await self._work(stage, groups, lambda place, n=number, at=stage: Further(self._desk, questions, place, n, at))
            self._summary = replace(self._summary, further=self._summary.further + stage.engine.meter.answered)

    async def _estimate(self, questions: Questions, groups: Sequence[_Group], stage: Stage) -> None:
        """Two pairs of each of a few users, one call at a time: what a first and a following question cost."""
        if not groups:
            self._summary = replace(self._summary, estimate=Estimate(0, 0.0, 0.0, 0.0, 0.0, self._priced(0, 0)))
            return
        longer = [group for group in groups if len(group[1]) > 1] or groups
        length = {user: questions.chars.ravel()[numbers[0]] for user, numbers in longer}
        users = sorted(length, key=length.__getitem__)
        probed = {users[round(place)] for place in np.linspace(0, len(users) - 1, min(PROBED_USERS, len(users)))}
        chosen = [(user, numbers[:2]) for user, numbers in groups if user in probed]
        firsts = {int(numbers[0]) for _, numbers in chosen}
        seconds: list[tuple[bool, float]] = []  # whether it is the first of its group, and the time

        def timed(number: int, taken_s: float) -> None:
            seconds.append((number in firsts, taken_s))

        stage.total, stage.done = sum(len(numbers) for _, numbers in chosen), 0
        lanes = self._new_lanes(1)
        await self._work(stage, chosen, lambda number: Question(self._desk, questions, int(number), stage, timed), lanes)
        meter = stage.engine.meter
        if not meter.answered:
            raise Fatal("Not one of the questions got an answer, so there is nothing to estimate from.", meter.last_error)
        counted = seconds[1:] or seconds  # the very first call may have loaded the model
        first, following = ([taken for is_first, taken in counted if is_first is kind] for kind in (True, False))
        n_open = sum(len(numbers) for _, numbers in groups)
        low, high = _interval(first or following, following or first, len(groups), n_open - len(groups))
        tokens = [n_open * total / meter.answered for total in (meter.tokens_in, meter.tokens_out)]
        self._summary = replace(self._summary, estimate=Estimate(n_open, low, high, *tokens, self._priced(*tokens)))

    async def _work(
        self,
        stage: Stage,
        groups: Iterable[_Group],
        task: Callable[[int], Task],
        lanes: Sequence[Lane] | None = None,
    ) -> None:
        """One stage, with progress; a stop is noticed by `carry_out`."""
        stage.engine = engine = Engine(lanes or self._lanes, self._judge.alive, self._policy)
        working = asyncio.ensure_future(engine.work(groups, task))
        try:
            while not working.done() and self._desk.fault is None:
                self._watch(stage.state(self._spent))
                await asyncio.wait([working], timeout=LOOK_S)
            if self._desk.fault is not None:
                raise self._desk.fault
            working.result()
        finally:
            working.cancel()
            await asyncio.wait([working])  # what is in flight hangs up before the connections close
            self._desk.keep_all()
            meter, so_far = engine.meter, self._summary
            self._summary = replace(
                so_far,
                asked=so_far.asked + meter.calls,
                tokens_in=so_far.tokens_in + meter.tokens_in,
                tokens_out=so_far.tokens_out + meter.tokens_out,
            )
            self._watch(stage.state(self._spent))

    def _new_lanes(self, workers: int | None) -> list[Lane]:
        """They live as long as the run: what is learned about a server in one stage holds in the next."""
        return [Lane(name, workers, self._judge.hosted, self._policy) for name in self._judge.lanes]

    def _cost(self) -> float | None:
        return self._priced(self._summary.tokens_in, self._summary.tokens_out)

    def _priced(self, tokens_in: float, tokens_out: float) -> float | None:
        """By the prices that the person typed; None without any."""
        prices = (self._settings.price_in, self._settings.price_out)
        if prices == (None, None):
            return None
        return ((prices[0] or 0) * tokens_in + (prices[1] or 0) * tokens_out) / 1e6

    def _spent(self, meter: Meter) -> float | None:
        """The cost up to now, the stage at work included."""
        return self._priced(self._summary.tokens_in + meter.tokens_in, self._summary.tokens_out + meter.tokens_out)


def _interval(first: Sequence[float], following: Sequence[float], n_first: int, n_following: int) -> tuple[float, float]:
    """5th and 95th percentile of the seconds that all calls take one after the other, by bootstrap over those measured."""
    draw = random.Random(0)

    def mean(sample: Sequence[float]) -> float:
        return statistics.fmean(draw.choices(sample, k=len(sample)))

    totals = sorted(n_first * mean(first) + n_following * mean(following) for _ in range(1000))
    return totals[50], totals[949]
