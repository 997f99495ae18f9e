"""Asks a judge about candidates: what the store knows is not asked again, and every answer is kept the moment it comes.

A run goes through up to four stages: profiles (where the model writes them), the questions, probes of the ratings, and
further answers. Killed at any moment, it loses at most the calls in flight; the next run goes on where this one was.
"""

import asyncio
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import Fatal
from core.judges.base import Cost, Judge, Rater, Request
from core.judges.engine import Engine, Task, Trial
from core.judges.lanes import Lane, Meter, Policy
from core.judges.questions import Questions, Stopped, profile_keys, wanted, write
from core.records import VIEWS, Candidates, Dataset, Judgment
from core.settings import JudgeSettings
from core.store import PROBE, Store

LOOK_S = 0.05
KEEP_S, UNKEPT = 0.002, 64
"""An answer is written down so much later, and so many at most wait for it: the next question is with the server by then, and
no slot waits for the disk."""
PROBED_USERS = 6
"""An estimate judges two pairs of so many users: the first shows what reading a user costs, the second what re-using it saves."""


@dataclass(frozen=True)
class State:
    """How far a run is."""

    stage: str
    done: int = 0
    total: int = 0
    message: str = ""
    eta_s: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)


Watch = Callable[[State], None]


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
        self.store, self.dataset, self.judge = store, dataset, judge
        self._candidates, self._settings = candidates, settings
        self._watch, self._should_stop, self._policy = watch, should_stop, policy
        self._began = time.monotonic()
        self._summary = Summary()
        self._unkept: deque[Callable[[], None]] = deque()
        self._fault: Exception | None = None
        self._lanes = self._new_lanes(settings.workers if judge.is_llm else 1)
        self.answered = np.zeros(0, bool)  # (m,) by key of the questions

    async def carry_out(self) -> Summary:
        try:
            work = asyncio.ensure_future(self._stages())
            while not work.done():
                await asyncio.wait([work], timeout=LOOK_S)
                if not work.done() and self._should_stop():
                    work.cancel()  # which hangs up: the server stops generating
                    await asyncio.wait([work])
            if not work.cancelled():
                work.result()
        finally:
            await self.judge.close()
        return replace(self._summary, seconds=time.monotonic() - self._began, cost=self._cost())

    async def _stages(self) -> None:
        pairs = wanted(self.dataset, self._candidates, self._settings)
        self._summary = replace(self._summary, unjudged=len(pairs))
        await self._prepare()
        if self._settings.profiles == "written" and self.judge.is_llm:
            await self._write_profiles(pairs)
        try:
            questions = write(self.judge, pairs, self._look("writing the questions", len(pairs)))
            wants = questions.wants(self.dataset, self.judge, self._look("noting the questions", len(pairs)))
            self.store.ask(self.dataset.name, wants)
        except Stopped:
            return
        await self._ask(questions)

    async def _prepare(self) -> None:
        health = await self.judge.check()
        if not health.ok:
            raise Fatal(health.message, health.hint)
        self._watch(State("reading the texts"))
        await self.judge.prepare(self.dataset, self._candidates)

    def _look(self, stage: str, pairs: int) -> Callable[[int], bool]:
        def look(done: int) -> bool:
            self._watch(State(stage, message=f"{done:,} of {pairs:,} pairs", total=pairs * len(VIEWS)))
            return not self._should_stop()

        return look

    async def _write_profiles(self, pairs: Candidates) -> None:
        """One call for each user who has no profile yet; users whose call fails keep the made one."""
        keys = profile_keys(self.judge, pairs)
        known = self.store.profiles(keys.values())
        open_ = [user for user, key in keys.items() if key not in known]
        stage = _Stage("writing profiles", len(keys), len(keys) - len(open_))
        groups = ((self.dataset.user_ids[user], [user]) for user in open_)
        await self._work(stage, groups, lambda user: _Profile(self, stage, user, keys[user]))
        self._summary = replace(self._summary, profiles=stage.engine.meter.answered)
        known |= self.store.profiles(keys[user] for user in open_)
        self.judge.use_profiles({user: known[key] for user, key in keys.items() if key in known})

    async def _ask(self, questions: Questions) -> None:
        self.answered = questions.which(self.store.answered)
        cached = int(questions.views[self.answered].sum())
        self._summary = replace(self._summary, cached=cached)
        groups = self._groups(questions, ~self.answered)
        stage = _Stage("judging", questions.place.size, cached)
        try:
            if self._settings.estimate:
                await self._estimate(questions, groups, stage)
            else:
                await self._work(stage, groups, lambda number: _Question(self, questions, number, stage))
        finally:
            unjudged = int((~self.answered[questions.place].all(axis=1)).sum())
            self._summary = replace(self._summary, failed=stage.failed, unjudged=unjudged)
        if not self._settings.estimate:
            await self._ask_again(questions)

    def _groups(self, questions: Questions, open_: np.ndarray) -> list["_Group"]:
        return [(self.dataset.user_ids[user], numbers) for user, numbers in questions.groups(open_)]

    async def _ask_again(self, questions: Questions) -> None:
        """Probes and further answers to the questions that have an answer, as the settings want them."""
        numbers = [PROBE] if self._settings.confidence == "probe" and hasattr(self.judge, "probe") else []
        numbers += range(1, self._settings.samples + 1) if self.judge.is_llm else []
        for number in numbers:
            got = questions.which(lambda keys, n=number: self.store.has_further(keys, n), among=self.answered)
            name = "probing the ratings" if number == PROBE else f"asking again ({number} of {self._settings.samples})"
            stage = _Stage(name, int(self.answered.sum()), int(got.sum()))
            groups = self._groups(questions, self.answered & ~got)
            await self._work(stage, groups, lambda place, n=number, at=stage: _Further(self, questions, place, n, at))
            self._summary = replace(self._summary, further=self._summary.further + stage.engine.meter.answered)

    async def _estimate(self, questions: Questions, groups: Sequence["_Group"], stage: "_Stage") -> None:
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
        await self._work(stage, chosen, lambda number: _Question(self, questions, int(number), stage, timed), lanes)
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
        stage: "_Stage",
        groups: Iterable["_Group"],
        task: Callable[[int], Task],
        lanes: Sequence[Lane] | None = None,
    ) -> None:
        """One stage, with progress; a stop is noticed by `carry_out`."""
        stage.engine = engine = Engine(lanes or self._lanes, self.judge.alive, self._policy)
        working = asyncio.ensure_future(engine.work(groups, task))
        try:
            while not working.done() and self._fault is None:
                self._watch(stage.state(self))
                await asyncio.wait([working], timeout=LOOK_S)
            if self._fault is not None:
                raise self._fault
            working.result()
        finally:
            working.cancel()
            await asyncio.wait([working])  # what is in flight hangs up before the connections close
            while self._unkept:
                self._unkept.popleft()()
            meter, so_far = engine.meter, self._summary
            self._summary = replace(
                so_far,
                asked=so_far.asked + meter.calls,
                tokens_in=so_far.tokens_in + meter.tokens_in,
                tokens_out=so_far.tokens_out + meter.tokens_out,
            )
            self._watch(stage.state(self))

    def keep_soon(self, keep: Callable[[], None]) -> None:
        """Write an answer down when the next question is on its way; what has no server waits for nothing."""
        if not self.judge.is_llm:
            return keep()
        if len(self._unkept) >= UNKEPT:
            self._unkept.popleft()()
        self._unkept.append(keep)
        asyncio.get_running_loop().call_later(KEEP_S, self._keep_next)
        return None

    def _keep_next(self) -> None:
        if self._unkept and self._fault is None:
            try:
                self._unkept.popleft()()
            except Exception as error:  # noqa: BLE001 - raised again by _work
                self._fault = error

    def _new_lanes(self, workers: int | None) -> list[Lane]:
        """They live as long as the run: what is learned about a server in one stage holds in the next."""
        return [Lane(name, workers, self.judge.hosted, self._policy) for name in self.judge.lanes]

    def _cost(self) -> float | None:
        return self._priced(self._summary.tokens_in, self._summary.tokens_out)

    def _priced(self, tokens_in: float, tokens_out: float) -> float | None:
        """By the prices that the person typed; None without any."""
        prices = (self._settings.price_in, self._settings.price_out)
        if prices == (None, None):
            return None
        return ((prices[0] or 0) * tokens_in + (prices[1] or 0) * tokens_out) / 1e6

    def spent(self, meter: Meter) -> float | None:
        """The cost up to now, the stage at work included."""
        return self._priced(self._summary.tokens_in + meter.tokens_in, self._summary.tokens_out + meter.tokens_out)


_Group = tuple[str, Sequence[int]]
"""A user's id, and numbers of questions that begin alike."""


@dataclass
class _Stage:
    """Progress of one stage."""

    name: str
    total: int
    done: int  # in the store, when it began and since
    failed: int = 0
    began: float = field(default_factory=time.monotonic)
    engine: Engine | None = None

    def __post_init__(self) -> None:
        self._known = self.done

    def state(self, run: _Run) -> State:
        engine = self.engine
        meter, rate = engine.meter, engine.meter.per_second(self.began)
        left = max(self.total - self.done - self.failed, 0)
        told = [f"{self._known:,} known", f"{self.failed:,} failed", f"{60 * rate:.0f} a minute"]
        told.append(f"{engine.workers} at once" if not engine.asleep else f"waiting for the server: {meter.last_error}")
        detail = {
            "known": self._known,
            "failed": self.failed,
            "a minute": 60 * rate,
            "requests at once": engine.workers,
            "waiting for a slot": meter.waiting,
            "tokens read": meter.tokens_in,
            "of those re-used": meter.tokens_cached,
            "tokens written": meter.tokens_out,
            "cost": run.spent(meter),
            "last error": meter.last_error,
            "asleep": engine.asleep,
        }
        eta = left / rate if rate and not engine.asleep else None
        return State(self.name, self.done, self.total, ", ".join(told), eta, detail)


class _Question:
    """One view of one pair; `timed` is told how many seconds a good answer took."""

    def __init__(
        self,
        run: _Run,
        questions: Questions,
        number: int,
        stage: _Stage,
        timed: Callable[[int, float], None] = lambda number, taken_s: None,
    ) -> None:
        self._run, self._stage, self._number, self._timed = run, stage, number, timed
        pair, view = divmod(int(number), len(VIEWS))
        self.user, self.item, self.view = int(questions.user[pair]), int(questions.item[pair]), VIEWS[view]
        self._place = questions.place[pair, view]
        self._views = int(questions.views[self._place])
        self.key = questions.key(self._place)

    def request(self, trial: Trial, sample: int = 0) -> Request:
        prompt = self._run.judge.prompt(self.user, self.item, self.view, trial.short)
        return Request(self.key, self.user, self.item, self.view, prompt, trial.lane, trial.bad_answers, trial.room, sample)

    async def attempt(self, trial: Trial) -> Cost:
        judge, dataset = self._run.judge, self._run.dataset
        request, began = self.request(trial), time.monotonic()
        reply = await judge.judge(request)
        taken_s = time.monotonic() - began
        rater = reply.rater or Rater(judge.name, judge.is_llm, judge.model, judge.digest, judge.version)
        judgment = Judgment(
            key=self.key,
            user_id=dataset.user_ids[self.user],
            item_id=dataset.item_ids[self.item],
            view=self.view,
            rating=reply.rating,
            analysis=reply.analysis,
            confidence=reply.confidence,
            **vars(rater),
            prompt_tokens=reply.cost.prompt_tokens,
            answer_tokens=reply.cost.answer_tokens,
            seconds=taken_s,
            at=time.time(),
            profile=request.prompt.profile,
            cached_tokens=reply.cost.cached_tokens,
            wait_s=reply.cost.wait_s,
            server=trial.lane,
            origin=reply.origin,
        )
        truncated = trial.short or request.prompt.truncated
        self._timed(self._number, taken_s)

        def keep() -> None:
            self._run.store.record(judgment, request.prompt.messages, reply.raw, how=reply.how, truncated=truncated)
            self._run.answered[self._place] = True
            self._stage.done += self._views

        self._run.keep_soon(keep)
        return reply.cost

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        self._run.store.fail(self.key, kind, detail, trial.number)

    def give_up(self) -> None:
        self._stage.failed += self._views


class _Further:
    """The probe of one question, or a further answer to it; one that fails is left out, the next run tries again."""

    def __init__(self, run: _Run, questions: Questions, place: int, number: int, stage: _Stage) -> None:
        self._run, self._number, self._stage = run, number, stage
        self._question = _Question(run, questions, place, stage)

    async def attempt(self, trial: Trial) -> Cost:
        judge = self._run.judge
        request = self._question.request(trial, self._number)
        reply = await (judge.probe(request) if self._number == PROBE else judge.judge(request))
        self._run.store.add_further(
            request.key,
            self._number,
            reply.rating,
            analysis=reply.analysis,
            confidence=reply.confidence,
            raw=reply.raw,
            prompt_tokens=reply.cost.prompt_tokens,
            answer_tokens=reply.cost.answer_tokens,
        )
        self._stage.done += 1
        return reply.cost

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        self._question.note(kind, detail, trial)

    def give_up(self) -> None:
        """The answer itself stands."""


class _Profile:
    """The profile of one user."""

    def __init__(self, run: _Run, stage: _Stage, user: int, key: str) -> None:
        self._run, self._stage, self._user, self._key = run, stage, user, key

    async def attempt(self, trial: Trial) -> Cost:
        judge, began = self._run.judge, time.monotonic()
        prompt = judge.profile_prompt(self._user)
        request = Request(self._key, self._user, -1, "profile", prompt, trial.lane, trial.bad_answers, trial.room)
        written = await judge.write(request)
        self._run.store.add_profile(
            self._key,
            written.text,
            judge=judge.name,
            model=judge.model,
            digest=judge.digest,
            prompt_version=judge.version,
            prompt=prompt.messages,
            raw=written.raw,
            truncated=prompt.truncated,
            prompt_tokens=written.cost.prompt_tokens,
            answer_tokens=written.cost.answer_tokens,
            seconds=time.monotonic() - began,
        )
        self._stage.done += 1
        return written.cost

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        self._run.store.fail(self._key, kind, detail, trial.number)

    def give_up(self) -> None:
        """The made profile stays."""


def _interval(first: Sequence[float], following: Sequence[float], n_first: int, n_following: int) -> tuple[float, float]:
    """5th and 95th percentile of the seconds that all calls take one after the other, by bootstrap over those measured."""
    draw = random.Random(0)

    def mean(sample: Sequence[float]) -> float:
        return statistics.fmean(draw.choices(sample, k=len(sample)))

    totals = sorted(n_first * mean(first) + n_following * mean(following) for _ in range(1000))
    return totals[50], totals[949]
