"""Asks a judge again about one judged pair with one thing changed at a time: does its rating rest on what it says it does?

Questions go the way of all others (same prompts, engine, budgets, error classes). The answers are kept for good, are
never judgments, and no question is asked twice.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core import browse, labels
from core.errors import Fatal, NotFoundError, SettingsError
from core.judges.base import Changed, Cost, Judge, Request, question_key
from core.judges.engine import Engine, Lane, Policy, Trial
from core.judges.questions import profile_keys
from core.judges.stages import State, Watch, until_stopped
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset
from core.settings import AgainSettings
from core.store import Store
from core.store.counterfactuals import Change, Counterfactual


@dataclass(frozen=True)
class Summary:
    """What became of the questions, one a view and change."""

    answered: int = 0  # now
    known: int = 0  # from before
    failed: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list)  # (view, change): the view does not read what is changed
    last_error: str = ""


def first(
    store: Store, dataset: str, user_id: str, item_id: str, judge: str | None = None, model: str | None = None
) -> pd.DataFrame:
    """What a judge answered about a pair, rows of Store.judgments; of the one whose answer counts when none is named."""
    rows = store.judgments(dataset, user_id, item_id)
    for name, wanted in (("judge", judge), ("model", model)):
        rows = rows[rows[name] == wanted] if wanted else rows
    if not len(rows):
        who = f"{model or judge} has not" if model or judge else "Nobody has"
        hint = f"Ask first: python -m core judge -d {dataset} --user {user_id} --item {item_id}."
        raise NotFoundError(f"{who} judged {user_id} and {item_id}, so there is nothing to compare with.", hint)
    counts = browse.ratings(rows).iloc[0]["rater"]
    return rows[np.where(rows["is_llm"], rows["model"], rows["judge"]) == counts]


def changes(settings: AgainSettings, judge: Judge, dataset: Dataset) -> list[Changed]:
    """What the settings want changed, each by itself; SettingsError for what this judge cannot be asked or what is unknown."""
    wanted = [Changed(Change.REVERSED)] if settings.reverse else []
    wanted += [Changed(Change.TITLE)] if settings.title_only else []
    wanted += [Changed(Change.SEED, number=number) for number in range(1, settings.seeds + 1)]
    if settings.without:
        items = [labels.known_pair(dataset, settings.user, item)[1] for item in settings.without]
        wanted.insert(0, Changed(Change.WITHOUT, tuple(sorted(set(items)))))
    if not wanted:
        raise SettingsError(
            "Nothing is to be changed.", "Choose what: items to leave out, the order, other seeds, the title alone."
        )
    for change in wanted:
        if why := judge.pointless.get(change.kind):
            raise SettingsError(f"The judge {judge.name} cannot be asked about a change of that kind ({change.kind}): {why}.")
    return wanted


def run(
    store: Store,
    dataset: Dataset,
    candidates: Candidates,
    judge: Judge,
    settings: AgainSettings,
    *,
    watch: Watch = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Ask about the pair in the views that have an answer of this judge; raises like judging (core.judges.runner.run)."""
    return asyncio.run(_Again(store, dataset, candidates, judge, settings, watch).carry_out(should_stop))


def with_pair(dataset: Dataset, pairs: Candidates, user: int, item: int) -> Candidates:
    """The pairs and this one, whose own numbers nobody knows: an earlier search may have found it."""
    own = pairs.where(pairs.user == user)
    if item in own.item:
        return pairs
    observed = bool(((dataset.train.user == user) & (dataset.train.item == item)).any())
    n = len(pairs) + 1
    unknown = np.full(n, np.nan, np.float32)
    columns = (np.append(pairs.user, np.int32(user)), np.append(pairs.item, np.int32(item)), np.append(pairs.observed, observed))
    return Candidates(*columns, unknown, unknown, unknown, unknown)


@dataclass(frozen=True)
class _Plan:
    """One question that is to be asked; its key and before are as in Counterfactual."""

    view: str
    change: Changed
    of_key: str
    base_key: str
    key: str
    number: int
    before: str

    @property
    def place(self) -> tuple[str, str, int, str]:
        return self.view, self.key, self.number, self.change.kind


class _Again:
    def __init__(
        self, store: Store, dataset: Dataset, candidates: Candidates, judge: Judge, settings: AgainSettings, watch: Watch
    ) -> None:
        self.store, self.dataset, self.judge, self.settings = store, dataset, judge, settings
        self.user, self.item = labels.known_pair(dataset, settings.user, settings.item)
        self._candidates, self._watch = candidates, watch
        self._policy = Policy(wait_s=settings.wait_s)
        self._lanes = [Lane(name, settings.workers, judge.hosted, self._policy) for name in judge.lanes]
        self._engine: Engine | None = None
        self._unread: list[tuple[str, str]] = []
        self.answered = self.known = self.failed = self._total = 0

    async def carry_out(self, should_stop: Callable[[], bool]) -> Summary:
        try:
            await until_stopped(self._stages(), should_stop, self._tell)
        finally:
            await self.judge.close()
        error = self._engine.meter.last_error if self._engine else ""
        return Summary(self.answered, self.known, self.failed, self._unread, error)

    def _tell(self) -> None:
        meter = self._engine.meter if self._engine else None
        error = f"last error: {meter.last_error}" if meter and meter.last_error else ""
        self._watch(State("asking again", self.known + self.answered, self._total, error))

    async def _stages(self) -> None:
        wanted = changes(self.settings, self.judge, self.dataset)
        given = first(self.store, self.dataset.name, self.settings.user, self.settings.item, self.judge.name, self.judge.model)
        of_key = {row.view: row.key for row in given.itertuples()}
        health = await self.judge.check()
        if not health.ok:
            raise Fatal(health.message, health.hint)
        pairs = with_pair(self.dataset, self._candidates, self.user, self.item)
        await self.judge.prepare(self.dataset, pairs)
        self._read_profile(pairs)
        bases = {view: question_key(self.judge, self.prompt(view, Changed())) for view in VIEWS if view in of_key}
        self._total = len(bases) * len(wanted)
        before = await self._before(given, of_key, bases)
        plans = []
        for view in before:
            for change in wanted:
                drawn = change.kind is Change.SEED and self.judge.is_llm  # by the server: the question itself is the same
                key = bases[view] if drawn else question_key(self.judge, self.prompt(view, change))
                if key == bases[view] and not drawn:
                    self._unread.append((view, str(change.kind)))
                    self._total -= 1
                else:
                    number = change.number if drawn else 0
                    plans.append(_Plan(view, change, of_key[view], bases[view], key, number, before[view]))
        await self._ask(plans)

    def _read_profile(self, pairs: Candidates) -> None:
        """The user's profile, where the model has written one."""
        if self.settings.profiles == "written" and self.judge.is_llm:
            keys = profile_keys(self.judge, pairs.where(pairs.user == self.user))
            found = self.store.profiles(keys.values())
            self.judge.use_profiles({user: found[key] for user, key in keys.items() if key in found})

    async def _before(self, given: pd.DataFrame, of_key: dict[str, str], bases: dict[str, str]) -> dict[str, str]:
        """The rating of the unchanged question by view; asked anew where nobody has an answer to it as it is now."""
        known = self.store.judgments_of(self.dataset.name, list(bases.values()))
        rated = dict(zip(known["key"], known["rating"], strict=True))
        said = dict(zip(given["view"], given["rating"], strict=True))
        missing = [view for view, key in bases.items() if key not in rated]
        self._total += len(missing)
        await self._ask([_Plan(view, Changed(), of_key[view], bases[view], bases[view], 0, said[view]) for view in missing])
        anew = self._rows()
        anew = anew[anew["change"] == Change.NOTHING]
        rated |= dict(zip(anew["key"], anew["rating"], strict=True))
        return {view: rated[key] for view, key in bases.items() if key in rated}

    async def _ask(self, plans: list[_Plan]) -> None:
        rows = self._rows()
        done = set(zip(rows["view"], rows["key"], rows["number"], rows["change"], strict=True))
        open_ = [plan for plan in plans if plan.place not in done and not self._reuse(plan)]
        self.known += len(plans) - len(open_)
        self._engine = Engine(self._lanes, self.judge.alive, self._policy)
        groups = [
            (self.settings.user, [place for place, plan in enumerate(open_) if plan.view == view])
            for view in dict.fromkeys(plan.view for plan in open_)
        ]
        await self._engine.work(groups, lambda place: _Question(self, open_[place]))

    def _reuse(self, plan: _Plan) -> bool:
        """Keep a further answer that a judging has got already."""
        further = self.store.further([plan.key]) if plan.number else pd.DataFrame({"number": []})
        found = further[further["number"] == plan.number]
        for row in found.itertuples():
            prompt = self.prompt(plan.view, plan.change)
            self.keep(plan, prompt, row.rating, row.analysis, row.confidence, row.raw, at=row.at)
        return len(found) > 0

    def _rows(self) -> pd.DataFrame:
        return self.store.counterfactuals(self.dataset.name, self.settings.user, self.settings.item)

    def prompt(self, view: str, change: Changed, short: bool = False) -> Prompt:
        if change.kind is Change.NOTHING or (change.kind is Change.SEED and self.judge.is_llm):
            return self.judge.prompt(self.user, self.item, view, short)
        return self.judge.changed(self.user, self.item, view, change, short)

    def keep(
        self,
        plan: _Plan,
        prompt: Prompt,
        rating: str,
        analysis: str,
        confidence: float | None,
        raw: str,
        *,
        cost: Cost = Cost(),
        seconds: float = 0.0,
        server: str = "",
        at: float | None = None,
    ) -> None:
        answer = Counterfactual(
            user_id=self.settings.user,
            item_id=self.settings.item,
            view=plan.view,
            of_key=plan.of_key,
            base_key=plan.base_key,
            key=plan.key,
            number=plan.number,
            change=plan.change.kind,
            items=self.dataset.item_ids[list(plan.change.items)].tolist(),
            before=plan.before,
            rating=rating,
            analysis=analysis,
            confidence=confidence,
            judge=self.judge.name,
            is_llm=self.judge.is_llm,
            model=self.judge.model,
            digest=self.judge.digest,
            prompt_version=self.judge.version,
            prompt=prompt.messages,
            raw=raw,
            prompt_tokens=cost.prompt_tokens,
            answer_tokens=cost.answer_tokens,
            seconds=seconds,
            server=server,
            annotator=self.settings.annotator,
            at=at or time.time(),
        )
        self.store.add_counterfactual(self.dataset.name, answer)


class _Question:
    """One question to the engine."""

    def __init__(self, again: _Again, plan: _Plan) -> None:
        self._again, self._plan = again, plan

    async def attempt(self, trial: Trial) -> Cost:
        again, plan, began = self._again, self._plan, time.monotonic()
        prompt = again.prompt(plan.view, plan.change, trial.short)
        pair = (again.user, again.item, plan.view)
        request = Request(plan.key, *pair, prompt, trial.lane, trial.bad_answers, trial.room, plan.number)
        reply = await again.judge.judge(request)
        if plan.number:  # a judging that wants further answers finds it, too
            more = {"analysis": reply.analysis, "confidence": reply.confidence, "raw": reply.raw}
            tokens = {"prompt_tokens": reply.cost.prompt_tokens, "answer_tokens": reply.cost.answer_tokens}
            again.store.add_further(plan.key, plan.number, reply.rating, **more, **tokens)
        told = (reply.rating, reply.analysis, reply.confidence, reply.raw)
        again.keep(plan, prompt, *told, cost=reply.cost, seconds=time.monotonic() - began, server=trial.lane)
        again.answered += 1
        return reply.cost

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        self._again.store.fail(self._plan.key, kind, detail, trial.number)

    def give_up(self) -> None:
        self._again.failed += 1
