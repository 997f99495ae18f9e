"""What holds for every judge, the questions' keys, and the built-in rater."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import datasets, judges, labels, semantic
from core.artifacts import Home
from core.datasets.demo import import_demo
from core.errors import BadAnswer, Busy, Fatal, JudgeError, Refused, SettingsError, Transient
from core.judges import JUDGES, Policy, State, questions
from core.judges.base import CutOff, Health, Reply, Request, Unreachable, question_key
from core.judges.builtin import BuiltinJudge
from core.judges.scale import Scale
from core.judges.simulated import SimulatedJudge, relevant
from core.judges.texts import PairTexts
from core.prompts import Prompt
from core.records import VIEWS, Candidates, Dataset, Interactions, Label
from core.settings import DemoSettings, JudgeSettings
from core.store import Store
from tests.judging_fixtures import candidates, catalogue, pairs, texts

QUICK = Policy(pause_s=0.001, busy_s=0.2, poll_s=0.005)
SETTINGS = JudgeSettings(encoder="tfidf")


class Scripted:
    """A judge that does what a list says, then answers; it counts who asks at once."""

    name, is_llm, model, digest, version = "scripted", True, "m", "d", "1"
    lanes, hosted = ("here",), False

    def __init__(self, script: list[object] | None = None) -> None:
        self.script: Iterator[object] = iter(script or [])
        self.requests: list[Request] = []
        self.written = 0
        self.closed = False

    def identity(self) -> dict[str, object]:
        return {"judge": self.name}

    async def check(self) -> Health:
        return Health(True, "here")

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        self.texts = PairTexts(dataset, pairs, 20)

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Prompt:
        self.written += 1
        return self.texts.prompt(user, item, view, short)

    async def judge(self, request: Request) -> Reply:
        self.requests.append(request)
        step = next(self.script, None)
        if isinstance(step, Exception):
            raise step
        return Reply("High", "because", raw="{}")

    async def alive(self, lane: str) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True


class TestRunner:
    shop = catalogue()
    asked = candidates(shop, (0, 0), (0, 10), (1, 11))

    def test_every_view_is_asked_once_and_never_again(self, store: Store) -> None:
        seen: list[State] = []
        summary = judges.run(store, self.shop, self.asked, first := Scripted(), SETTINGS, watch=seen.append)
        assert (summary.asked, summary.cached, summary.failed, summary.unjudged) == (6, 0, 0, 0)
        assert [(request.user, request.view) for request in first.requests] == [(0, "user")] * 2 + [(0, "item")] * 2 + [
            (1, "user"),
            (1, "item"),
        ]
        assert (seen[-1].done, seen[-1].total) == (6, 6)
        assert [state.done for state in seen] == sorted(state.done for state in seen)
        assert first.closed
        again = judges.run(store, self.shop, self.asked, Scripted([Fatal("nobody may ask")]), SETTINGS)
        assert (again.asked, again.cached, again.unjudged) == (0, 6, 0)
        assert set(store.labels(self.shop).label) == {Label.HARD_POSITIVE, Label.HARD_POSITIVE}

    @pytest.mark.parametrize("looks", [1, 2])
    def test_a_stop_while_the_questions_are_written(self, store: Store, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
        monkeypatch.setattr(questions, "LOOK_PAIRS", 1)
        judge, seen = Scripted(), []
        summary = judges.run(
            store,
            self.shop,
            self.asked,
            judge,
            SETTINGS,
            watch=seen.append,
            should_stop=lambda: len(seen) > looks,
        )
        assert (summary.asked, summary.cached, summary.failed, summary.unjudged) == (0, 0, 0, 3)
        assert (judge.written, judge.requests, judge.closed) == ((looks - 1) * 2, [], True)
        assert (seen[-1].done, seen[-1].total) == (0, 6)
        assert len(store.unanswered("shop")) == 0

    def test_what_is_asked_is_what_the_key_is_of(self, store: Store) -> None:
        judge = Scripted()
        judges.run(store, self.shop, self.asked, judge, SETTINGS)
        for request in judge.requests:
            assert request.key == question_key(judge, request.prompt)

    def test_the_limit_takes_the_first_pairs(self, store: Store) -> None:
        judges.run(store, self.shop, self.asked, Scripted(), SETTINGS.model_copy(update={"limit": 1}))
        assert set(store.judgments("shop")["item_id"]) == {"i0"}
        assert len(store.judgments("shop")) == 2

    @pytest.mark.parametrize(
        ("script", "calls", "failed", "kinds"),
        [
            ([Transient("x")] * 4, 10, 0, {"transient": 4}),
            ([Transient("x")] * 5, 10, 1, {"transient": 5}),
            ([BadAnswer("x")] * 2, 8, 0, {"bad answer": 2}),
            ([BadAnswer("x")] * 3, 8, 1, {"bad answer": 3}),
            ([Refused("long")], 7, 0, {"refused": 1}),
            ([Refused("long")] * 2, 7, 1, {"refused": 2}),
            ([Busy("later")] * 3, 9, 0, {}),
            (
                [Transient("x"), BadAnswer("y"), Transient("z"), Refused("long")],
                10,
                0,
                {"transient": 2, "bad answer": 1, "refused": 1},
            ),
        ],
    )
    def test_budgets_by_class(self, store: Store, script: list, calls: int, failed: int, kinds: dict[str, int]) -> None:
        summary = judges.run(store, self.shop, self.asked, Scripted(script), SETTINGS, policy=QUICK)
        assert (summary.asked, summary.failed, summary.unjudged) == (calls, failed, failed)
        with store.reading() as connection:
            noted = [row.kind for row in connection.exec_driver_sql("SELECT kind FROM failure")]
        assert pd.Series(noted, dtype=object).value_counts().to_dict() == kinds
        assert len(store.judgments("shop")) == 6 - failed
        if failed:
            assert labels.to_frame(self.shop, store.labels(self.shop))["label"].tolist().count("unjudged") == 1
            retried = judges.run(store, self.shop, self.asked, Scripted(), SETTINGS)
            assert (retried.asked, retried.cached, retried.unjudged) == (1, 5, 0)

    def test_a_bad_answer_changes_how_it_is_asked_again(self, store: Store) -> None:
        judge = Scripted([CutOff("too long"), BadAnswer("x"), Refused("long")])
        judges.run(store, self.shop, candidates(self.shop, (0, 0)), judge, SETTINGS, policy=QUICK)
        first, second, third, fourth = judge.requests[:4]
        assert [(each.bad_answers, each.room) for each in (first, second, third)] == [(0, 1), (1, 2), (2, 2)]
        assert len(str(fourth.prompt.messages)) <= len(str(first.prompt.messages))
        assert fourth.key == first.key
        assert store.judgments("shop").set_index("view")["truncated"].to_dict() == {"user": True, "item": False}

    def test_fatal_stops_and_keeps_what_was_answered(self, store: Store) -> None:
        with pytest.raises(Fatal, match="model is gone"):
            judges.run(store, self.shop, self.asked, Scripted([None, None, Fatal("model is gone")]), SETTINGS)
        assert len(store.judgments("shop")) == 2
        assert judges.run(store, self.shop, self.asked, Scripted(), SETTINGS).asked == 4

    def test_a_server_that_lives_and_never_answers_ends_the_run_with_a_way_on(self, store: Store) -> None:
        judge = Scripted([None] + [Transient("out of memory")] * 100)
        policy = dataclasses.replace(QUICK, naps=1)
        with pytest.raises(JudgeError, match="10 calls in a row failed.*out of memory.*start the judging again"):
            judges.run(store, self.shop, self.asked, judge, SETTINGS, policy=policy)
        assert len(judge.requests) == 21
        assert len(store.judgments("shop")) == 1

    def test_a_server_that_went_away_is_waited_for_and_costs_no_attempt(self, store: Store) -> None:
        judge = Scripted([None] + [Unreachable("nobody there")] * 7)
        looks = iter([False, True] * 7)

        async def alive(lane: str) -> bool:
            return next(looks)

        judge.alive = alive
        summary = judges.run(store, self.shop, self.asked, judge, SETTINGS, policy=QUICK)
        assert (summary.asked, summary.failed, summary.unjudged) == (13, 0, 0)
        assert next(looks, None) is None

    def test_a_server_that_stays_away_ends_the_run(self, store: Store) -> None:
        judge = Scripted([None] + [Unreachable("nobody there")] * 7)

        async def alive(lane: str) -> bool:
            return False

        judge.alive = alive
        with pytest.raises(JudgeError, match="has not answered for.*nobody there.*kept"):
            judges.run(store, self.shop, self.asked, judge, SETTINGS, policy=dataclasses.replace(QUICK, wait_s=0.05))
        assert len(store.judgments("shop")) == 1

    def test_a_server_that_stays_busy_ends_the_run(self, store: Store) -> None:
        with pytest.raises(JudgeError, match="busy"):
            judges.run(store, self.shop, self.asked, Scripted([Busy("later")] * 100_000), SETTINGS, policy=QUICK)

    def test_a_judge_that_cannot_work_is_not_asked(self, store: Store) -> None:
        judge = Scripted()

        async def check() -> Health:
            return Health(False, "no server", "start it")

        judge.check = check
        with pytest.raises(Fatal, match="no server start it"):
            judges.run(store, self.shop, self.asked, judge, SETTINGS)
        assert not judge.requests
        assert judge.closed

    def test_stop_keeps_what_is_done(self, store: Store) -> None:
        judge = Scripted()
        summary = judges.run(store, self.shop, self.asked, judge, SETTINGS, should_stop=lambda: len(judge.requests) >= 0)
        assert summary.unjudged == 3 - len(
            set(store.judgments("shop").groupby("item_id").filter(lambda rows: len(rows) == 2)["item_id"])
        )

    def test_a_fault_of_the_program_is_not_swallowed(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            judges.run(store, self.shop, self.asked, Scripted([ZeroDivisionError()]), SETTINGS)

    def test_pairs_with_one_text_are_asked_once(self, store: Store) -> None:
        twins = dataclasses.replace(self.shop, item_title=texts(*["Same"] * 20), item_text=texts(*["Same"] * 20))
        summary = judges.run(store, twins, candidates(twins, (0, 12), (0, 13)), judge := Scripted(), SETTINGS)
        assert (summary.asked, len(judge.requests), summary.unjudged) == (2, 2, 0)
        assert len(store.labels(twins)) == 2


class TestKeys:
    shop = catalogue()
    asked = candidates(shop, (0, 0), (0, 10), (0, 12))

    def key(self, dataset: Dataset | None = None, asked: Candidates | None = None, **changes: object) -> str:
        judge = Scripted()
        asyncio.run(judge.prepare(dataset or self.shop, asked or self.asked))
        for name, value in changes.items():
            setattr(judge, name, value)
        return question_key(judge, judge.prompt(0, 12, "user"))

    def test_the_key_is_the_content(self) -> None:
        assert self.key() == self.key()
        assert len(self.key()) == 64
        changed = dataclasses.replace(self.shop, item_title=np.where(np.arange(20) == 12, "New title", self.shop.item_title))
        others = [self.key(changed), self.key(version="2"), self.key(identity=lambda: {"judge": "scripted", "digest": "new"})]
        assert len({self.key(), *others}) == 4

    def test_other_users_and_the_place_in_the_list_change_nothing(self) -> None:
        assert self.key(asked=candidates(self.shop, (3, 15), (0, 12), (0, 10), (0, 0))) == self.key()


class TestBuiltin:
    shop = catalogue()
    stray, own, alien = (0, 10), (0, 0), (2, 12)

    def judged(self, home: Home, store: Store, dataset: Dataset | None = None) -> pd.DataFrame:
        data = dataset or self.shop
        asked = candidates(data, self.stray, self.own, self.alien)
        judges.run(store, data, asked, judges.make(SETTINGS, home.cache), SETTINGS)
        return store.judgments("shop")

    def test_a_stray_click_is_noisy_and_a_taste_is_kept(self, home: Home, store: Store) -> None:
        rows = self.judged(home, store).pivot(index=["user_id", "item_id"], columns="view", values="rating")
        assert rows.loc[("u0", "i0")].tolist() == ["High", "High"]
        assert "High" not in rows.loc[("u0", "i10")].tolist()
        found = labels.to_frame(self.shop, store.labels(self.shop)).set_index(["user_id", "item_id"])
        assert found["label"].to_dict() == {
            ("u0", "i0"): "hard positive",
            ("u0", "i10"): "noisy positive",
            ("u2", "i12"): "hard negative",
        }
        assert set(found["source"]) == {"builtin"}

    def test_the_analysis_names_its_evidence(self, home: Home, store: Store) -> None:
        rows = self.judged(home, store).set_index(["user_id", "item_id", "view"])
        user, item = rows.loc[("u0", "i0", "user"), "analysis"], rows.loc[("u0", "i0", "item"), "analysis"]
        assert "of 8 other chosen items (Swing" in user
        assert any(word in user for word in ("Jazz", "jazz", "Trumpet"))
        assert item.startswith("Most like Swing")
        assert "of random pairs" in item
        assert not rows["is_llm"].any()
        assert set(rows["model"]) == {"built-in rater, not a language model"}

    def test_another_encoder_is_another_rater(self, home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        first, encode = set(self.judged(home, store)["digest"]), semantic.encode_items
        monkeypatch.setattr(semantic, "encode_items", lambda *given: dataclasses.replace(encode(*given), name="another"))
        second = set(self.judged(home, store)["digest"])
        assert len(first) == len(second) == 1
        assert first != second

    def test_the_rating_is_a_function_of_the_prompt(self, home: Home, store: Store) -> None:
        rows = self.judged(home, store)
        judge = BuiltinJudge(SETTINGS, home.cache)
        for row in rows.itertuples():
            prompt = Prompt(tuple(json.loads(row.prompt)), False)
            assert asyncio.run(judge.judge(Request(row.key, 0, 0, row.view, prompt))).rating == row.rating

    def test_the_users_own_words_count(self, home: Home) -> None:
        says = dataclasses.replace(self.shop, user_text=texts("Loves a garden.", *[""] * 7))
        scores = []
        for data in (self.shop, says):
            judge = BuiltinJudge(SETTINGS, home.cache)
            asyncio.run(judge.prepare(data, asked := candidates(data, self.stray)))
            scores.append(json.loads(judge.prompt(0, 10, "user").messages[0]["content"]))
            assert len(asked) == 1
        assert scores[1]["score"] > scores[0]["score"]
        assert scores[1]["said"] == ["Garden"]

    def test_known_noise_is_no_input(self, home: Home) -> None:
        told = dataclasses.replace(self.shop.train, truth=np.full(len(self.shop.train), Label.NOISY_POSITIVE, np.int8))
        keys = set()
        for train in (self.shop.train, told):
            judge = BuiltinJudge(SETTINGS, home.cache)
            asyncio.run(judge.prepare(dataclasses.replace(self.shop, train=train), candidates(self.shop, self.stray)))
            keys.add(question_key(judge, judge.prompt(0, 10, "item")))
        assert len(keys) == 1

    def test_without_texts_it_says_that_it_cannot(self, home: Home, store: Store) -> None:
        bare = {"item_title": self.shop.item_ids, "item_category": texts(*[""] * 20), "item_text": texts(*[""] * 20)}
        with pytest.raises(Fatal, match="no texts"):
            self.judged(home, store, dataclasses.replace(self.shop, **bare))

    def test_texts_that_tell_nothing_are_no_ground(self, home: Home, store: Store) -> None:
        same = dataclasses.replace(self.shop, item_title=texts(*["A thing"] * 20), item_category=texts(*["Thing"] * 20))
        with pytest.raises(Fatal, match="only guess"):
            self.judged(home, store, dataclasses.replace(same, item_text=texts(*["A thing"] * 20)))

    def test_a_user_with_a_single_click(self, home: Home, store: Store) -> None:
        train = pairs(*zip(self.shop.train.user[8:].tolist(), self.shop.train.item[8:].tolist(), strict=True), (0, 0))
        kept = train.where((train.user != 0) | (train.item == 0))
        data = dataclasses.replace(self.shop, train=kept)
        judges.run(store, data, candidates(data, (0, 0)), judges.make(SETTINGS, home.cache), SETTINGS)
        assert store.judgments("shop")["rating"].tolist() == ["Mid", "Mid"]
        assert "nothing else" in store.judgments("shop")["analysis"][0]


def told_shop() -> Dataset:
    """The catalogue with truth: the stray click of reader 0 is noisy, and reader 1 missed item 3."""
    shop = catalogue()
    noisy = (shop.train.user == 0) & (shop.train.item == 10)
    truth = np.where(noisy, Label.NOISY_POSITIVE, Label.CLEAN).astype(np.int8)
    return dataclasses.replace(shop, train=dataclasses.replace(shop.train, truth=truth), missed=pairs((1, 3)))


class TestSimulated:
    shop = told_shop()
    everything = candidates(shop, *[(user, item) for user in range(8) for item in range(20)])

    def judged(self, home: Home, store: Store, asked: Candidates, dataset: Dataset = shop, **given: object) -> pd.DataFrame:
        chosen = JudgeSettings(judge="simulated", **given)
        judges.run(store, dataset, asked, judges.make(chosen, home.cache), chosen)
        return store.judgments(dataset.name)

    def test_without_errors_it_says_the_truth(self, home: Home, store: Store) -> None:
        asked = candidates(self.shop, (0, 10), (0, 0), (1, 3), (1, 4))
        rows = self.judged(home, store, asked, error=0)
        found = labels.to_frame(self.shop, store.labels(self.shop)).set_index(["user_id", "item_id"])
        assert found["label"].to_dict() == {
            ("u0", "i10"): "noisy positive",
            ("u0", "i0"): "hard positive",
            ("u1", "i3"): "missed positive",
            ("u1", "i4"): "hard negative",
        }
        assert set(found["source"]) == {"simulated"}
        assert not rows["is_llm"].any()
        assert rows["model"].str.startswith("simulation, not a judge").all()
        assert rows["analysis"].str.contains("Simulated, not judged.* wrong on 0 % of pairs").all()

    def test_held_out_pairs_are_relevant(self) -> None:
        assert relevant(self.shop, self.shop.test.user, self.shop.test.item, 0, 0).all()
        assert relevant(self.shop, self.shop.valid.user, self.shop.valid.item, 0, 0).all()

    def test_both_views_say_the_same(self, home: Home, store: Store) -> None:
        rows = self.judged(home, store, self.everything, error=0.4)
        wide = rows.pivot(index=["user_id", "item_id"], columns="view", values="rating")
        assert (wide["user"] == wide["item"]).all()
        assert set(wide["user"]) == {"High", "Low"}

    def test_another_order_changes_no_answer(self, home: Home, store: Store) -> None:
        self.judged(home, store, self.everything, error=0.3)
        chosen = JudgeSettings(judge="simulated", error=0.3)
        for order in (slice(None, None, -1), slice(3, 90, 7)):
            summary = judges.run(store, self.shop, self.everything.where(order), judges.make(chosen, home.cache), chosen)
            assert (summary.asked, summary.unjudged) == (0, 0)

    @settings(max_examples=40, deadline=None)
    @given(st.permutations(range(160)), st.integers(1, 160), st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
    def test_an_answer_depends_on_its_pair_alone(self, order: list[int], n: int, one: float, other: float, seed: int) -> None:
        some = self.everything.where(np.array(order[:n]))
        said = relevant(self.shop, self.everything.user, self.everything.item, one, seed)
        assert (relevant(self.shop, some.user, some.item, one, seed) == said[order[:n]]).all()
        truth = relevant(self.shop, some.user, some.item, 0, seed)
        few, many = (relevant(self.shop, some.user, some.item, error, seed) != truth for error in sorted((one, other)))
        assert not (few & ~many).any()
        assert (relevant(self.shop, some.user, some.item, 1, seed) != truth).all()

    def test_nothing_asked_is_nothing_answered(self) -> None:
        none = self.everything.where(slice(0))
        assert relevant(self.shop, none.user, none.item, 0.5, 0).shape == (0,)

    def test_identity_depends_on_error_and_seed_and_the_question_on_the_truth(self, home: Home, store: Store) -> None:
        clean = np.full(len(self.shop.train), Label.CLEAN, np.int8)
        other = dataclasses.replace(self.shop, train=dataclasses.replace(self.shop.train, truth=clean))
        keys, raters = set(), set()
        for dataset, error, seed in [(self.shop, 0.2, 0), (self.shop, 0.3, 0), (self.shop, 0.2, 1), (other, 0.2, 0)]:
            judge = SimulatedJudge(JudgeSettings(error=error, error_seed=seed), home.cache)
            asyncio.run(judge.prepare(dataset, candidates(dataset, (0, 10))))
            keys.add(question_key(judge, judge.prompt(0, 10, "user")))
            raters.add((judge.digest, judge.model))
        assert len(keys) == 4
        assert len(raters) == 3
        for error in (0.1, 0.4):
            self.judged(home, store, self.everything, error=error)
        assert store.coverage("shop")["judged"].tolist() == [160, 160]

    def test_a_pair_that_lacks_a_view_is_unjudged_never_noisy(self, home: Home, store: Store) -> None:
        class Torn(SimulatedJudge):
            async def judge(self, request: Request) -> Reply:
                if request.view == "item" and request.user % 2:
                    raise BadAnswer("no answer")
                return await super().judge(request)

        clicks = self.everything.where(self.everything.observed)
        chosen = JudgeSettings(judge="simulated", error=1)
        judges.run(store, self.shop, clicks, Torn(chosen, home.cache), chosen, policy=QUICK)
        found = store.labels(self.shop)
        assert set(found.label[found.user % 2 == 1]) == {Label.UNJUDGED}
        assert set(found.label[found.user % 2 == 0]) == {Label.NOISY_POSITIVE, Label.HARD_POSITIVE}

    def test_without_truth_nothing_is_asked(self, home: Home, store: Store) -> None:
        with pytest.raises(Fatal, match="Nobody knows which clicks of 'shop' are noisy.*inject noise"):
            self.judged(home, store, self.everything, catalogue())
        assert not len(store.judgments("shop"))
        assert not len(store.unanswered("shop"))

    def test_it_says_that_it_is_a_simulation(self) -> None:
        assert "simulation" in judges.health(JudgeSettings(judge="simulated", error=0.07)).message
        assert "errs on 7 %" in judges.health(JudgeSettings(judge="simulated", error=0.07)).message
        assert "no judge" in JudgeSettings.model_fields["judge"].description

    def test_the_error_is_the_one_asked_for(self, home: Home, store: Store) -> None:
        """Through runner and store on observed, missed and other pairs of the demo; then on many more without them."""
        import_demo(home, DemoSettings(users=200, items=300, interactions=6000))
        demo = datasets.load(home, "demo")
        draw = np.random.default_rng(0)
        clicks, missed = (part.where(draw.permutation(len(part))[:n]) for part, n in ((demo.train, 300), (demo.missed, 100)))
        user, item = (np.concatenate([getattr(clicks, name), getattr(missed, name)]) for name in ("user", "item"))
        zero = np.zeros(400, np.float32)
        self.judged(home, store, Candidates(user, item, np.arange(400) < 300, zero, zero, zero, zero), demo, error=0.25)
        found = store.labels(demo)
        assert len(found) == 400
        right = relevant(demo, found.user, found.item, 0, 0)
        said = np.isin(found.label, (Label.HARD_POSITIVE, Label.MISSED_POSITIVE))
        assert (said != right).mean() == pytest.approx(0.25, abs=0.065)  # three standard deviations
        assert right[~found.observed].all()
        user, item = draw.integers(0, 200, 100_000), draw.integers(0, 300, 100_000)
        code, first = np.unique(user * 300 + item, return_index=True)
        began = time.perf_counter()
        wrong = relevant(demo, user, item, 0.25, 0) != relevant(demo, user, item, 0, 0)
        assert time.perf_counter() - began < 5
        assert wrong[first].mean() == pytest.approx(0.25, abs=3 * np.sqrt(0.25 * 0.75 / len(code)))


def test_the_cut_does_not_move_with_the_share_of_noise() -> None:
    """Mixtures of the same two kinds: 10 % or 40 % strangers among the observed pairs, the cut stays between the kinds."""
    draw = np.random.default_rng(0)

    def sample(n: int, alike: float) -> dict[str, np.ndarray]:
        kind = draw.random(n) < alike
        return {view: np.stack([draw.normal(np.where(kind, 0.8, 0.2), 0.1), draw.random(n)], axis=1) for view in VIEWS}

    for noise in (0.1, 0.4):
        scale = Scale(random=sample(4000, 0.15), observed=sample(4000, 1 - noise))
        scores = scale.scores({view: np.array([[0.4, 0.5], [0.6, 0.5]]) for view in VIEWS})
        for view in VIEWS:
            assert scores[view][0] < scale.high <= scores[view][1]


@pytest.mark.parametrize("name", JUDGES.names())
def test_every_judge_keeps_the_contract(name: str, home: Home) -> None:
    judge = judges.make(JudgeSettings(judge=name, url="http://127.0.0.1:9", file="none.csv"), home.cache)
    assert judge.name == name
    assert isinstance(judge.is_llm, bool)
    assert judge.version
    assert judge.model
    json.dumps(judge.identity())
    health = asyncio.run(judge.check())
    assert health.message
    assert health.ok or health.hint
    asyncio.run(judge.close())


def test_an_unknown_judge_lists_the_choices(home: Home) -> None:
    with pytest.raises(SettingsError, match="builtin, ollama"):
        judges.make(JudgeSettings(judge="oracle"), home.cache)


def test_health_never_raises_for_a_missing_server() -> None:
    health = judges.health(JudgeSettings(judge="ollama", url="http://127.0.0.1:9"))
    assert not health.ok
    assert "ollama serve" in health.hint
    assert not judges.health(JudgeSettings(judge="ollama", url="ftp://x")).ok
    assert judges.health(JudgeSettings()).ok


def test_the_built_in_rater_against_planted_truth(home: Home, store: Store) -> None:
    """The demo's truth is no input of the rater. Bounds are far below what it reaches."""
    import_demo(home, DemoSettings(users=200, items=300, interactions=6000))
    shop = datasets.load(home, "demo")
    order = np.random.default_rng(0).permutation(len(shop.train))[:500]
    asked = shop.train.where(order)
    zero = np.zeros(len(order), np.float32)
    up = Candidates(asked.user, asked.item, np.ones(len(order), bool), zero, zero, zero, zero)
    judges.run(store, shop, up, judges.make(SETTINGS, home.cache), SETTINGS)
    found = store.labels(shop)
    label = dict(zip(Interactions(found.user, found.item).codes(shop.n_items), found.label, strict=True))
    kept = np.array([label[code] == Label.HARD_POSITIVE for code in asked.codes(shop.n_items)])
    assert kept[asked.truth == Label.CLEAN].mean() > 0.75
    assert kept[asked.truth == Label.HARD_POSITIVE].mean() > 0.55
    assert kept[asked.truth == Label.NOISY_POSITIVE].mean() < 0.3
