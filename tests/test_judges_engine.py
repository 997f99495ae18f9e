"""The engine on a virtual clock: budgets, lanes, sleep, the number of workers, and that no question is lost or done twice."""

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadAnswer, Busy, Fatal, JudgeError, Refused, Transient
from core.judges.base import Cost, CutOff, Unreachable
from core.judges.engine import Engine, Trial
from core.judges.lanes import HOSTED_CEILING, HOSTED_START, LOCAL_CEILING, Lane, Policy, lane_of
from tests.virtual_time import run

POLICY = Policy()


class Farm:
    """Servers with slots on the loop's clock; `script` says what happens to the n-th call to a lane instead of an answer."""

    def __init__(self, slots: int = 1, answer_s: float = 1.0) -> None:
        self.answer_s = answer_s
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(slots))
        self.script: dict[str, Callable[[int], Exception | None]] = {}
        self.calls: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()
        self.given_up: Counter[int] = Counter()
        self.by: dict[int, str] = {}
        self.noted: list[str] = []
        self.down: set[str] = set()
        self.at_once = self.most = 0

    def task(self, number: int) -> "Question":
        return Question(self, number)

    async def alive(self, lane: str) -> bool:
        return lane not in self.down

    def work(
        self, groups: list[tuple[str, list[int]]], lanes: tuple[str, ...] = ("a",), policy: Policy = POLICY, **lane: object
    ) -> tuple[Engine, float]:
        """Work the groups off on a virtual clock; returns the engine and the seconds."""
        options = {"fixed": None, "hosted": False} | lane

        async def main() -> Engine:
            engine = Engine([Lane(name, policy=policy, **options) for name in lanes], self.alive, policy)
            await engine.work(groups, self.task)
            return engine

        return run(main())


class Question:
    def __init__(self, farm: Farm, number: int) -> None:
        self._farm, self._number = farm, number

    async def attempt(self, trial: Trial) -> Cost:
        farm, loop = self._farm, asyncio.get_running_loop()
        farm.calls[trial.lane] += 1
        if trial.lane in farm.down:
            raise Unreachable(f"nobody at {trial.lane}")
        error = farm.script.get(trial.lane, lambda n: None)(farm.calls[trial.lane])
        if error is not None:
            await asyncio.sleep(0.01)
            raise error
        farm.at_once += 1
        farm.most = max(farm.most, farm.at_once)
        came = loop.time()
        try:
            async with farm._slots[trial.lane]:
                began = loop.time()
                await asyncio.sleep(farm.answer_s)
        finally:
            farm.at_once -= 1
        farm.answered[self._number] += 1
        farm.by[self._number] = trial.lane
        return Cost(wait_s=began - came, prefill_s=0.0, decode_s=farm.answer_s)

    def note(self, kind: str, detail: str, trial: Trial) -> None:
        self._farm.noted.append(kind)

    def give_up(self) -> None:
        self._farm.given_up[self._number] += 1


def groups(users: int, each: int) -> list[tuple[str, list[int]]]:
    numbers = itertools.count()
    return [(f"u{user}", [next(numbers) for _ in range(each)]) for user in range(users)]


def once(count: Counter[int], total: int) -> bool:
    return count == Counter(range(total))


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 7, 8])
def test_the_workers_of_a_server_are_its_slots(slots: int) -> None:
    farm = Farm(slots)
    engine, taken_s = farm.work(groups(100, 10))
    assert engine.workers == slots
    assert once(farm.answered, 1000)
    assert 0.95 < 1000 / slots / taken_s <= 1 or slots > 4  # finding out costs a few answers
    assert farm.most <= slots + 1


def test_no_more_workers_than_the_ceiling() -> None:
    engine, _ = (farm := Farm(20)).work(groups(100, 10))
    assert (engine.workers, farm.most) == (LOCAL_CEILING, LOCAL_CEILING)


def test_with_too_little_to_do_nothing_is_learned() -> None:
    """Ten questions one after the other: that nobody waited says nothing about a second worker's wait."""
    engine, _ = Farm(1).work([(f"u{number}", [number]) for number in range(6)])
    assert engine.workers <= 2
    engine, _ = Farm(8).work(groups(1, 5))  # too few to split
    assert engine.workers <= 2


def test_one_long_group_does_not_leave_slots_idle() -> None:
    farm = Farm(4)
    engine, taken_s = farm.work(groups(1, 400))
    assert once(farm.answered, 400)
    assert engine.workers == 4
    assert taken_s < 1.1 * 400 / 4
    _, taken_s = (farm := Farm(1)).work(groups(1, 400), ("a", "b", "c"), fixed=1)
    assert once(farm.answered, 400)
    assert taken_s < 1.05 * 400 / 3


def test_wished_workers_stay() -> None:
    engine, taken_s = (farm := Farm(1)).work(groups(8, 5), fixed=3)
    assert (engine.workers, farm.most, taken_s) == (3, 3, pytest.approx(40))


def test_a_hosted_server_is_pressed_until_it_says_no_and_then_half_as_much() -> None:
    farm = Farm(100)
    engine, _ = farm.work(groups(400, 5), hosted=True)
    assert engine.workers == HOSTED_CEILING
    farm, seen = Farm(100), []

    def limit(call: int) -> Exception | None:
        """More than eight at once are too many."""
        seen.append(farm.at_once)
        return Busy("too many", wait_s=3.0) if farm.at_once >= 8 else None

    farm.script["a"] = limit
    engine, taken_s = farm.work(groups(400, 5), hosted=True)
    assert once(farm.answered, 2000)
    assert farm.most == 8
    assert 4 <= engine.workers <= 12
    assert taken_s < 2000 / 8 * 1.6
    assert not farm.noted  # busy costs no attempt


def test_storms_halve_once_in_two_seconds_and_wait_as_long_as_told() -> None:
    farm = Farm(100)
    farm.script["a"] = lambda call: Busy("later", wait_s=30.0) if call <= HOSTED_START else None
    engine, taken_s = farm.work(groups(4, 1), hosted=True)
    assert engine.workers == HOSTED_START // 2  # four refusals in one moment are one sign
    assert 30 <= taken_s < 40


def test_a_bad_hour_long_ago_is_no_reason_to_give_up() -> None:
    """Busy, then away for longer than the limit of being busy, then busy once more."""
    farm = Farm()

    def script(call: int) -> Exception | None:
        if call == 2:
            farm.down.add("a")
            asyncio.get_running_loop().call_later(1000, farm.down.clear)
            return Unreachable("gone")
        return Busy("later") if call in (1, 3) else None

    farm.script["a"] = script
    _, taken_s = farm.work(groups(1, 3))
    assert once(farm.answered, 3)
    assert taken_s > 1000


def test_a_refused_question_shows_that_the_server_works() -> None:
    """Ten failures in a row put a lane to sleep; answers between them, also refusals, are no such row."""
    farm, looks = Farm(), []

    async def alive(lane: str) -> bool:
        looks.append(lane)
        return True

    farm.alive = alive
    farm.script["a"] = lambda call: None if call > 36 else Refused("long") if call % 4 == 0 else Transient("x")
    farm.work(groups(1, 20), fixed=1)
    assert not looks


class TestLanes:
    def test_users_stay_with_their_lane_and_whole_groups_move_at_the_end(self) -> None:
        farm = Farm()
        asked = groups(40, 5)
        farm.work(asked, ("a", "b"), fixed=1)
        own = sum(farm.by[number] == lane_of(user, "ab") for user, numbers in asked for number in numbers)
        assert own >= 180
        torn = sum(len({farm.by[number] for number in numbers}) > 1 for _, numbers in asked)
        assert torn <= 1

    def test_a_lane_that_comes_moves_only_users_to_itself(self) -> None:
        users = [f"user {number}" for number in range(3000)]
        before = {user: lane_of(user, ("a", "b", "c")) for user in users}
        after = {user: lane_of(user, ("a", "b", "c", "d")) for user in users}
        moved = [user for user in users if before[user] != after[user]]
        assert {after[user] for user in moved} == {"d"}
        assert len(moved) / len(users) == pytest.approx(1 / 4, abs=0.03)
        assert min(Counter(before.values()).values()) > 900

    def test_a_lane_that_dies_hands_over_and_takes_part_again(self) -> None:
        farm = Farm()

        def script(call: int) -> Exception | None:
            if call == 10:
                farm.down.add("b")
                asyncio.get_running_loop().call_later(60, farm.down.clear)
                return Unreachable("gone")
            return None

        farm.script["b"] = script
        engine, taken_s = farm.work(groups(60, 5), ("a", "b"), fixed=1)
        assert once(farm.answered, 300)
        assert not farm.given_up
        assert engine.meter.failed == 0
        by_b = sum(lane == "b" for lane in farm.by.values())
        assert 60 < by_b < 150
        assert taken_s < 60 + (300 - 60) / 2 + 20

    @pytest.mark.parametrize(
        "error", [Transient("out of memory"), Busy("later", wait_s=100.0)], ids=["always broken", "always busy"]
    )
    def test_a_lane_that_never_works_does_not_end_the_run_of_the_others(self, error: JudgeError) -> None:
        farm = Farm()
        farm.script["b"] = lambda call: error
        farm.work(groups(40, 5), ("a", "b"), fixed=1, policy=Policy(transient_attempts=100))
        assert once(farm.answered, 200)
        assert set(farm.by.values()) == {"a"}

    def test_the_last_one_lost_ends_the_run_with_its_reason(self) -> None:
        farm = Farm()
        farm.script = {"a": lambda call: Transient("no memory"), "b": lambda call: Busy("later")}
        with pytest.raises(JudgeError, match=r"busy|no memory") as caught:
            farm.work(groups(400, 5), ("a", "b"), fixed=1)
        assert "kept" in caught.value.hint

    def test_all_away_for_too_long_ends_the_run(self) -> None:
        farm = Farm()
        farm.down = {"a", "b"}
        with pytest.raises(JudgeError, match="has not answered for 3"):
            farm.work(groups(4, 5), ("a", "b"))

    def test_what_cannot_work_ends_the_run_at_once_and_hangs_up(self) -> None:
        farm = Farm(answer_s=1000.0)
        farm.script["a"] = lambda call: Fatal("model is gone") if call == 3 else None
        with pytest.raises(Fatal, match="gone"):
            farm.work(groups(5, 1), fixed=3)
        assert farm.at_once == 0


def test_cancelled_it_hangs_up_and_nothing_goes_on() -> None:
    farm = Farm(4, answer_s=100.0)

    async def main() -> int:
        engine = Engine([Lane("a", 4, False, POLICY)], farm.alive, POLICY)
        work = asyncio.ensure_future(engine.work(groups(10, 10), farm.task))
        await asyncio.sleep(150)
        assert farm.at_once == 4
        work.cancel()
        await asyncio.wait([work])
        assert work.cancelled()
        assert farm.at_once == 0
        await asyncio.sleep(1000)
        return engine.meter.calls

    calls, _ = run(main())
    assert calls == sum(farm.calls.values()) == 8
    assert sum(farm.answered.values()) == 4


def test_the_rate_is_that_of_the_last_two_minutes() -> None:
    engine, taken_s = Farm(answer_s=0.25).work(groups(1, 4000), fixed=1)
    assert taken_s == pytest.approx(1000)

    async def rate() -> float:
        await asyncio.sleep(taken_s)
        return engine.meter.per_second(0.0)

    assert run(rate())[0] == pytest.approx(4, rel=0.02)
    assert len(engine.meter.recent) <= 122  # seconds, however many answers


OUTCOMES = {
    "ok": None,
    "busy": Busy("later"),
    "wait": Busy("later", wait_s=7.0),
    "broken": Transient("x"),
    "bad": BadAnswer("y"),
    "cut": CutOff("z"),
    "refused": Refused("long"),
    "gone": Unreachable("nobody"),
}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=60), min_size=1, max_size=3),
    st.lists(st.integers(1, 6), max_size=12),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
    st.integers(0, 3),
)
def test_every_question_ends_once(
    scripts: list[list[str]], sizes: list[int], workers: int | None, hosted: bool, seed: int
) -> None:
    """Whatever happens on the lanes, each question is answered or given up, one of both and once, or the run says why not."""
    random.seed(seed)
    farm, numbers = Farm(slots=2), itertools.count()
    asked = [(f"u{user}", [next(numbers) for _ in range(size)]) for user, size in enumerate(sizes)]
    total = sum(sizes)
    names = tuple("abc"[: len(scripts)])
    for name, script in zip(names, scripts, strict=True):
        farm.script[name] = lambda call, script=script: OUTCOMES[script[call - 1]] if call <= len(script) else None
    try:
        engine, _ = farm.work(asked, names, fixed=workers, hosted=hosted)
    except JudgeError as error:
        assert "kept" in error.hint
        assert max((farm.answered + farm.given_up).values(), default=0) <= 1
        return
    assert once(farm.answered + farm.given_up, total)
    assert engine.meter.answered == sum(farm.answered.values())
    assert engine.meter.failed == sum(farm.given_up.values())
    assert engine.meter.calls == sum(farm.calls.values())
    assert farm.at_once == 0
