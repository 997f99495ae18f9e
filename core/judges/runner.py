"""Asks a judge about candidates: what the store knows is not asked again, and every answer is kept the moment it comes.

A worker takes one user's questions and works through them in order, because a language model's server then re-uses what
it has read about that user. Each class of error has a budget of its own (`Policy`). Killed at any moment, a run loses
at most the calls in flight.
"""

import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.errors import BadAnswer, Busy, Fatal, JudgeError, Refused, Transient
from core.judges.base import CutOff, Judge, Reply, Request, question_key
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset, Judgment
from core.settings import JudgeSettings
from core.store import Store, Want

log = logging.getLogger(__name__)

ProgressCall = Callable[[int, int, str], None]
LOOK_S = 0.05
LOOK_PAIRS = 100
"""While the questions are written, a stop is looked for this often."""
KEPT_CHARS = 50_000_000
"""Prompts up to this length in all are kept until they are asked; those of a huge run are written again."""
LAST_CALLS_S = 2.0
"""After a stop the calls in flight get this long before the judge hangs up."""


@dataclass(frozen=True)
class Policy:
    """Budgets of the error classes."""

    transient_attempts: int = 5  # per question
    bad_answers: int = 3  # per question
    streak: int = 10  # transient errors in a row, over all workers, that end the run
    busy_s: float = 600.0  # a server that only says "busy" for so long ends the run
    pause_s: float = 0.5  # the first pause is up to this long, each further one up to twice the one before
    longest_pause_s: float = 30.0


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    asked: int  # calls made now, repeated ones too
    cached: int  # views that the store knew
    failed: int  # views that ran out of their budget now
    unjudged: int  # pairs without both views
    seconds: float


@dataclass(frozen=True)
class _Question:
    user: int
    item: int
    view: str
    key: str
    prompt: Prompt | None  # None: there were too many to keep


class _Stop(Exception):
    """The run is over; leave what you do."""


def run(
    store: Store,
    dataset: Dataset,
    candidates: Candidates,
    judge: Judge,
    settings: JudgeSettings,
    *,
    progress: ProgressCall = lambda done, total, message: None,
    should_stop: Callable[[], bool] = lambda: False,
    policy: Policy = Policy(),
) -> Summary:
    """Judge the candidates in both views, in their order, up to `settings.limit` pairs; done and total count views.

    Stopped before the first question, it has asked and noted nothing, and counts every pair as unjudged. Raises Fatal or
    another JudgeError, with what to do about it, when no further question can work; everything answered until then is
    kept, and the next run asks only for the rest.
    """
    began = time.monotonic()
    try:
        health = judge.check()
        if not health.ok:
            raise Fatal(health.message, health.hint)
        progress(0, 0, "reading the texts")
        judge.prepare(dataset, candidates)
        pairs = candidates.where(slice(settings.limit))
        questions = _questions(judge, pairs, progress, should_stop)
        if questions is None:
            return Summary(0, 0, 0, len(pairs), time.monotonic() - began)
        work = _Work(store, dataset, questions, judge, policy)
        work.carry_out(settings.workers if judge.is_llm else 1, progress, should_stop)
    finally:
        judge.close()
    return Summary(work.calls, work.cached, work.failed, work.unjudged(), time.monotonic() - began)


def _questions(
    judge: Judge, pairs: Candidates, progress: ProgressCall, should_stop: Callable[[], bool]
) -> list[_Question] | None:
    """Both views of every pair; None when somebody stopped it."""
    questions, room, total = [], KEPT_CHARS, len(pairs) * len(VIEWS)
    for number, (user, item) in enumerate(zip(pairs.user.tolist(), pairs.item.tolist(), strict=True)):
        if number % LOOK_PAIRS == 0:
            if should_stop():
                return None
            progress(0, total, f"writing the questions: {number:,} of {len(pairs):,} pairs")
        for view in VIEWS:
            prompt = judge.prompt(user, item, view)
            room -= len(prompt.messages[-1]["content"])  # the system part is one string for all
            questions.append(_Question(user, item, view, question_key(judge, prompt), prompt if room >= 0 else None))
    return None if should_stop() else questions


class _Work:
    """The state that workers share; every change of it happens under one lock."""

    def __init__(self, store: Store, dataset: Dataset, questions: list[_Question], judge: Judge, policy: Policy) -> None:
        self._store, self._dataset, self._judge, self._policy = store, dataset, judge, policy
        self._questions = questions
        self._note()
        self._views = Counter(question.key for question in self._questions)
        answered = store.answered(self._views)
        self.cached = self._done = sum(self._views[key] for key in answered)
        self.calls = self.failed = 0
        self._answered = answered
        self._groups: queue.SimpleQueue[list[_Question]] = queue.SimpleQueue()
        for group in self._left():
            self._groups.put(group)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self._streak = 0
        self._busy_since: float | None = None

    def carry_out(self, workers: int, progress: ProgressCall, should_stop: Callable[[], bool]) -> None:
        """Work until all is answered or failed, somebody stops it, or an error ends it, which is raised."""
        # Daemons: a process that ends does not wait for calls in flight; the server stops working when it hangs up.
        threads = [threading.Thread(target=self._worker, name=f"judge-{n}", daemon=True) for n in range(workers)]
        began, done_before = time.monotonic(), self._done
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self._stopped.is_set():
                time.sleep(LOOK_S)
                if should_stop():
                    self._stopped.set()
                rate = (self._done - done_before) / (time.monotonic() - began) * 60
                progress(self._done, len(self._questions), f"{self.cached} known, {self.failed} failed, {rate:.0f} a minute")
            deadline = time.monotonic() + LAST_CALLS_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        finally:
            self._stopped.set()
        progress(self._done, len(self._questions), f"{self.cached} known, {self.failed} failed")
        if self._error is not None:
            raise self._error

    def unjudged(self) -> int:
        """Pairs of this run that lack a view."""
        answered = self._store.answered(self._views)
        return len({(question.user, question.item) for question in self._questions if question.key not in answered})

    def _note(self) -> None:
        """Tell the store what is wanted, all at one moment."""
        judge, users, items = self._judge, self._dataset.user_ids, self._dataset.item_ids
        wants = [
            Want(users[each.user], items[each.item], each.view, judge.name, judge.model, each.key) for each in self._questions
        ]
        self._store.ask(self._dataset.name, wants)

    def _left(self) -> list[list[_Question]]:
        """Open questions by user, each key once, users in the order of their first pair; one view after the other."""
        groups: dict[int, list[_Question]] = {}
        seen = set(self._answered)
        for question in self._questions:
            if question.key not in seen:
                seen.add(question.key)
                groups.setdefault(question.user, []).append(question)
        return [sorted(group, key=lambda each: VIEWS.index(each.view)) for group in groups.values()]

    def _worker(self) -> None:
        try:
            while not self._stopped.is_set():
                for question in self._groups.get_nowait():
                    self._answer(question)
        except queue.Empty:
            return
        except _Stop:
            return
        except Exception as error:  # noqa: BLE001 - raised again by carry_out, in the caller's thread
            with self._lock:
                if not self._stopped.is_set():
                    self._error = error
            self._stopped.set()

    def _answer(self, question: _Question) -> None:
        """One question until it is answered or out of budget."""
        prompt = question.prompt or self._judge.prompt(question.user, question.item, question.view)
        request = Request(question.key, question.user, question.item, question.view, prompt)
        transient, attempt, short = 0, 0, False
        while True:
            attempt += 1
            began = time.monotonic()
            try:
                reply = self._call(request)
            except Busy:
                self._wait_while_busy()
                attempt -= 1
                continue
            except Transient as error:
                transient += 1
                self._store.fail(question.key, "transient", error.message, attempt)
                self._count_streak(error)
                if transient >= self._policy.transient_attempts:
                    return self._give_up(question)
                self._pause(transient)
                continue
            except BadAnswer as error:
                self._store.fail(question.key, "bad answer", error.message, attempt)
                request = replace(
                    request, bad_answers=request.bad_answers + 1, room=2 if isinstance(error, CutOff) else request.room
                )
                if request.bad_answers >= self._policy.bad_answers:
                    return self._give_up(question)
                continue
            except Refused as error:
                self._store.fail(question.key, "refused", error.message, attempt)
                if short:
                    return self._give_up(question)
                short = True
                request = replace(request, prompt=self._judge.prompt(question.user, question.item, question.view, short=True))
                continue
            return self._keep(request, reply, time.monotonic() - began, short)

    def _call(self, request: Request) -> Reply:
        if self._stopped.is_set():
            raise _Stop
        with self._lock:
            self.calls += 1
        try:
            reply = self._judge.judge(request)
        except BadAnswer:
            self._server_works()
            raise
        except JudgeError:
            if self._stopped.is_set():
                raise _Stop from None
            raise
        self._server_works()
        return reply

    def _keep(self, request: Request, reply: Reply, seconds: float, short: bool) -> None:
        judge = self._judge
        judgment = Judgment(
            key=request.key,
            user_id=self._dataset.user_ids[request.user],
            item_id=self._dataset.item_ids[request.item],
            view=request.view,
            rating=reply.rating,
            analysis=reply.analysis,
            confidence=reply.confidence,
            judge=judge.name,
            is_llm=judge.is_llm,
            model=judge.model,
            digest=judge.digest,
            prompt_version=judge.version,
            prompt_tokens=reply.prompt_tokens,
            answer_tokens=reply.answer_tokens,
            seconds=seconds,
            at=time.time(),
        )
        truncated = short or request.prompt.truncated
        self._store.record(judgment, request.prompt.messages, reply.raw, how=reply.how, truncated=truncated)
        with self._lock:
            self._done += self._views[request.key]

    def _give_up(self, question: _Question) -> None:
        with self._lock:
            self.failed += self._views[question.key]

    def _server_works(self) -> None:
        with self._lock:
            self._streak, self._busy_since = 0, None

    def _count_streak(self, error: Transient) -> None:
        with self._lock:
            self._streak += 1
            ended = self._streak >= self._policy.streak
        if ended:
            hint = f"{error.hint} What was answered is kept: start the judging again when the server works.".strip()
            raise JudgeError(f"{self._streak} calls in a row failed, the last one so: {error.message}", hint)

    def _wait_while_busy(self) -> None:
        with self._lock:
            self._busy_since = self._busy_since or time.monotonic()
            waited = time.monotonic() - self._busy_since
        if waited > self._policy.busy_s:
            hint = "What was answered is kept: start the judging again later, or with fewer workers."
            raise JudgeError(f"The server has been busy for {waited / 60:.0f} minutes.", hint)
        self._pause(2)

    def _pause(self, failures: int) -> None:
        longest = min(self._policy.longest_pause_s, self._policy.pause_s * 2**failures)
        if self._stopped.wait(random.uniform(0, longest)):
            raise _Stop
