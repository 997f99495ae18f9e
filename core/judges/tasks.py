"""What the engine carries out: a question, a further answer or probe, a profile; and how their answers are kept."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from core.judges.base import Cost, Judge, Rater, Request
from core.judges.engine import Trial
from core.judges.questions import Questions
from core.judges.stages import Stage
from core.records import VIEWS, Dataset, Judgment
from core.store import PROBE, Store

KEEP_S, UNKEPT = 0.002, 64
"""An answer is written down so much later, and so many at most wait for it: the next question is with the server by then, and
no slot waits for the disk."""


class Desk:
    """What the tasks of a run share: whom they ask, about what, and where answers go."""

    def __init__(self, store: Store, dataset: Dataset, judge: Judge) -> None:
        self.store, self.dataset, self.judge = store, dataset, judge
        self.answered = np.zeros(0, bool)  # (m,) by key of the questions
        self.fault: Exception | None = None  # why an answer could not be kept
        self._waiting: deque[Callable[[], None]] = deque()

    def keep_soon(self, keep: Callable[[], None]) -> None:
        """Write an answer down when the next question is on its way; what has no server waits for nothing."""
        if not self.judge.is_llm:
            return keep()
        if len(self._waiting) >= UNKEPT:
            self._waiting.popleft()()
        self._waiting.append(keep)
        asyncio.get_running_loop().call_later(KEEP_S, self._keep_next)
        return None

    def _keep_next(self) -> None:
        if self._waiting and self.fault is None:
            try:
                self._waiting.popleft()()
            except Exception as error:  # noqa: BLE001 - raised by the run
                self.fault = error

    def keep_all(self) -> None:
        """Write down what still waits."""
        while self._waiting:
            self._waiting.popleft()()


class Question:
    """One view of one pair; `timed` is told how many seconds a good answer took."""

    def __init__(
        self,
        desk: Desk,
        questions: Questions,
        number: int,
        stage: Stage,
        timed: Callable[[int, float], None] = lambda number, taken_s: None,
    ) -> None:
        self._desk, self._stage, self._number, self._timed = desk, stage, number, timed
        pair, view = divmod(int(number), len(VIEWS))
        self.user, self.item, self.view = int(questions.user[pair]), int(questions.item[pair]), VIEWS[view]
        self._place = questions.place[pair, view]
        self._views = int(questions.views[self._place])
        self.key = questions.key(self._place)

    def request(self, trial: Trial, sample: int = 0) -> Request:
        prompt = self._desk.judge.prompt(self.user, self.item, self.view, trial.short)
        return Request(self.key, self.user, self.item, self.view, prompt, trial.lane, trial.bad_answers, trial.room, sample)

    async def attempt(self, trial: Trial) -> Cost:
        judge, dataset = self._desk.judge, self._desk.dataset
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
            self._desk.store.record(judgment, request.prompt.messages, reply.raw, how=reply.how, truncated=truncated)
            self._desk.answered[self._place] = True
            self._stage.done += self._views

        self._desk.keep_soon(keep)
        return reply.cost

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        self._desk.store.fail(self.key, kind, detail, trial.number)

    def give_up(self) -> None:
        self._stage.failed += self._views


class Further:
    """The probe of one question, or a further answer to it; one that fails is left out, the next run tries again."""

    def __init__(self, desk: Desk, questions: Questions, place: int, number: int, stage: Stage) -> None:
        self._desk, self._number, self._stage = desk, number, stage
        self._question = Question(desk, questions, place, stage)

    async def attempt(self, trial: Trial) -> Cost:
        judge = self._desk.judge
        request = self._question.request(trial, self._number)
        reply = await (judge.probe(request) if self._number == PROBE else judge.judge(request))
        self._desk.store.add_further(
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


class Profile:
    """The profile of one user."""

    def __init__(self, desk: Desk, stage: Stage, user: int, key: str) -> None:
        self._desk, self._stage, self._user, self._key = desk, stage, user, key

    async def attempt(self, trial: Trial) -> Cost:
        judge, began = self._desk.judge, time.monotonic()
        prompt = judge.profile_prompt(self._user)
        request = Request(self._key, self._user, -1, "profile", prompt, trial.lane, trial.bad_answers, trial.room)
        written = await judge.write(request)
        self._desk.store.add_profile(
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
        self._desk.store.fail(self._key, kind, detail, trial.number)

    def give_up(self) -> None:
        """The made profile stays."""
