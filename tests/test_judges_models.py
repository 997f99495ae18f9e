"""Kinds of models and what a run asks of them beside the ratings: thinking, weights, windows, probes, profiles, estimates."""

import json
import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import judges
from core.errors import Fatal
from core.judges import Policy, Summary
from core.judges import ollama as ollama_judge
from core.judges.confidence import Token, of_rating
from core.judges.texts import PairTexts
from core.prompts import PROBE_SCHEMA, PROFILE_SCHEMA
from core.records import VIEWS
from core.store import PROBE, Store
from tests.judging_fixtures import candidates, catalogue, ollama
from tests.model_server.model import LABELS, Model, count, prompt
from tests.model_server.process import ModelServer as Server

QUICK = Policy(pause_s=0.002, busy_s=20, poll_s=0.02)
SHOP = catalogue()
ASKED = candidates(SHOP, *[(user, item) for user in range(4) for item in (0, 3, 12, 17)])
VIEWS_ASKED = 2 * len(ASKED)


def run(store: Store, *servers: Server, watch: judges.stages.Watch = lambda state: None, **changes: object) -> Summary:
    chosen = ollama(*servers, **{"workers": 2, **changes})
    return judges.run(store, SHOP, ASKED, judges.make(chosen, Path()), chosen, policy=QUICK, watch=watch)


def requests(server: Server) -> list[dict[str, Any]]:
    return [call["request"] for call in server.calls()]


def pull(server: Server, model: str = "llama3.1:8b") -> None:
    httpx.post(f"{server.url}/api/pull", json={"model": model, "stream": False}, timeout=30, trust_env=False).raise_for_status()


class TestThinking:
    @pytest.mark.parametrize(
        ("model", "sent"), [("qwen3:4b", False), ("deepseek-r1:7b", False), ("gpt-oss:20b", "low"), ("gemma3:4b", None)]
    )
    def test_is_switched_off_or_kept_low(self, store: Store, serve: Callable[..., Server], model: str, sent: object) -> None:
        server = serve("", "--models", model)
        summary = run(store, server, model=model)
        assert (summary.asked, summary.unjudged) == (VIEWS_ASKED, 0)
        assert {request.get("think") for request in requests(server)} == {sent}
        assert ("thinking" in judges.health(ollama(server, workers=2, model=model)).facts) == (sent is not None)

    def test_that_uses_up_the_answer_is_given_more_room_then_given_up(self, store: Store, serve: Callable[..., Server]) -> None:
        """gpt-oss thinks whatever it is told: with 32 tokens it may not get to an answer, with twice as many it does."""
        server = serve("", "--models", "gpt-oss:20b")
        summary = run(store, server, model="gpt-oss:20b", num_predict=32)
        limits = Counter(request["options"]["num_predict"] for request in requests(server))
        assert set(limits) == {32, 64}
        assert summary.failed == VIEWS_ASKED - len(store.judgments("shop"))
        assert set(store.unanswered("shop")["kind"]) <= {"bad answer"}

    def test_without_an_answer_is_no_answer(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("empty:2", "--models", "gpt-oss:20b")
        summary = run(store, server, model="gpt-oss:20b", workers=1)
        assert (summary.failed, summary.asked) == (0, VIEWS_ASKED + server.told()["faults"]["empty"])
        with store.reading() as connection:
            details = [row.detail for row in connection.exec_driver_sql("SELECT detail FROM failure")]
        assert set(details) == {"The model thought and did not answer."}


@pytest.mark.parametrize("order", ["sorted", "schema"])
@pytest.mark.parametrize("confidence", ["answer", "probe"])
def test_whatever_the_order_of_the_keys(store: Store, serve: Callable[..., Server], order: str, confidence: str) -> None:
    summary = run(store, serve("", "--order", order), confidence=confidence)
    assert summary.unjudged == 0
    rows = store.judgments("shop")
    assert all(Model().rate(json.loads(row.prompt)) == (row.rating, row.analysis) for row in rows.itertuples())
    assert all(list(json.loads(row.raw)) == ["analysis", "rating"] for row in rows.itertuples())


class TestWeights:
    @pytest.mark.parametrize("how", ["fault", "pull"])
    def test_that_change_stop_the_run_and_are_asked_anew(
        self, store: Store, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        monkeypatch.setattr(ollama_judge, "VERIFY_S", 0.0)
        server = serve("wrong-digest:9:1" if how == "fault" else "", "--pull-changes", "--pull", "0", "--delay", "0.02")

        def watch(state: judges.State) -> None:
            if how == "pull" and state.done >= 9 and server.told()["count"] < 30 and not pulled:
                pulled.append(pull(server))

        pulled: list[None] = []
        with pytest.raises(Fatal, match=r"weights of 'llama3.1:8b' at .* have changed") as caught:
            run(store, server, watch=watch)
        assert "anew" in caught.value.hint
        before = store.judgments("shop")
        assert 0 < len(before) < VIEWS_ASKED
        again = run(store, server)
        assert (again.cached, again.unjudged) == (0, 0)
        after = store.judgments("shop")
        assert len(after) == VIEWS_ASKED
        assert after["digest"].nunique() == before["digest"].nunique() == 1
        assert after["digest"][0] != before["digest"][0]

    def test_that_vanish_stop_the_run(self, store: Store, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ollama_judge, "VERIFY_S", 0.0)
        server = serve("down:9:0.2", "--delay", "0.02", "--pull-changes", "--pull", "0")
        pulled: list[None] = []

        def watch(state: judges.State) -> None:
            if state.detail.get("asleep") and not pulled:
                pulled.append(None)
                time.sleep(0.5)
                pull(server)

        with pytest.raises(Fatal, match="changed"):  # while it was away somebody updated the model
            run(store, server, watch=watch)

    def test_that_differ_between_servers_refuse_to_start(self, store: Store, serve: Callable[..., Server]) -> None:
        one, other = serve(), serve("", "--pull-changes", "--pull", "0")
        assert run(store, one, other, limit=1).unjudged == 0
        pull(other)
        with pytest.raises(Fatal, match="different weights") as caught:
            run(store, one, other)
        assert one.url in caught.value.message
        assert other.url in caught.value.message
        assert len(other.calls()) + len(one.calls()) == 2

    def test_a_server_without_the_model_refuses_to_start(self, store: Store, serve: Callable[..., Server]) -> None:
        one, other = serve(), serve("", "--models", "qwen3:4b")
        with pytest.raises(Fatal, match=f"{other.url} has no model") as caught:
            run(store, one, other)
        assert "ollama pull" in caught.value.hint


class TestWindows:
    def test_what_overflows_is_shortened_and_never_cut_by_the_server(self, store: Store, serve: Callable[..., Server]) -> None:
        """A model whose window the longest questions do not fit, and a few others leave no room for an answer in it."""
        texts = PairTexts(SHOP, ASKED, 8)

        def tokens(short: bool) -> list[int]:
            pairs = zip(ASKED.user.tolist(), ASKED.item.tolist(), strict=True)
            return [count(prompt(texts.prompt(*pair, view, short).messages)) for pair in pairs for view in VIEWS]

        full = tokens(short=False)
        window = sorted(full)[-3]
        too_long, tight = sum(n >= window for n in full), sum(window - 10 < n < window for n in full)
        assert min(too_long, tight) > 1
        assert max(tokens(short=True)) + 60 < window
        server = serve("", "--context", str(window))
        summary = run(store, server, history_items=8)
        cut = store.judgments("shop")["truncated"].sum()
        assert (summary.failed, summary.unjudged, summary.asked) == (0, 0, VIEWS_ASKED + cut)
        assert cut >= too_long + tight
        assert (store.judgments("shop")["prompt_tokens"] <= window - 10).all()
        assert all(request["truncate"] is False and request["shift"] is False for request in requests(server))

    def test_one_window_for_the_whole_run(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("length:5")
        run(store, server, confidence="probe", samples=1, profiles="written")
        assert len({request["options"]["num_ctx"] for request in requests(server)}) == 1
        assert (server.told()["loads"], server.told()["reloads"]) == (1, 0)

    def test_a_server_that_loads_is_waited_for(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("loading:1:3", "--load", "3")
        summary = run(store, server, timeout_s=2)
        assert (summary.failed, summary.unjudged, summary.asked) == (0, 0, VIEWS_ASKED + 3)


class TestConfidence:
    def test_is_the_share_of_the_label_among_the_labels(self, store: Store, serve: Callable[..., Server]) -> None:
        run(store, serve())
        for row in store.judgments("shop").itertuples():
            assert row.confidence == pytest.approx(share(json.loads(row.prompt), row.rating, reasoned=True), rel=1e-9)

    def test_none_is_asked_for_where_none_is_wanted(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve()
        run(store, server, confidence="none")
        assert not [request for request in requests(server) if "logprobs" in request]
        assert store.judgments("shop")["confidence"].isna().all()
        assert run(store, server, confidence="answer").cached == VIEWS_ASKED  # it is no part of the question

    def test_a_probe_asks_for_the_rating_alone_and_is_kept_beside_the_answer(
        self, store: Store, serve: Callable[..., Server]
    ) -> None:
        server = serve()
        summary = run(store, server, confidence="probe")
        assert (summary.asked, summary.further, summary.unjudged) == (2 * VIEWS_ASKED, VIEWS_ASKED, 0)
        probes = [request for request in requests(server) if request["format"] == PROBE_SCHEMA]
        assert len(probes) == VIEWS_ASKED
        assert {probe["options"]["num_predict"] for probe in probes} == {16}
        rows = store.judgments("shop").set_index("key")
        further = store.further(rows.index)
        assert set(further["number"]) == {PROBE}
        for row in further.itertuples():
            messages = json.loads(rows.loc[row.key, "prompt"])
            assert row.rating == Model().rate(messages)[0]
            assert row.confidence == pytest.approx(share(messages, row.rating, reasoned=False), rel=1e-9)
        assert (further.set_index("key").loc[rows.index, "confidence"] < rows["confidence"]).all()  # reasons make sure
        assert run(store, server, confidence="probe").asked == 0

    @pytest.mark.parametrize(
        ("pieces", "expected"),
        [
            ([('{"rating": "', []), ("High", [("High", 0.6), ("Low", 0.2), ("Mid", 0.1), ("x", 0.1)])], 0.6 / 0.9),
            ([('{"rating":"', []), ("H", [("H", 0.5), ("L", 0.3), ("M", 0.2)]), ("igh", [("igh", 1.0)])], 0.5),
            ([('{"rating": ', []), ('"High', [('"High', 0.7), ('"Low', 0.3)])], 0.7),
            ([('{"rating": ', []), ('"', [('"', 1.0)]), (" High", [(" High", 0.5), ("High", 0.3), (" Mid", 0.2)])], 0.8),
            ([('{"rating": "', []), ("High", [("High", 0.3), ("Un", 0.7)])], None),  # not about the labels
            ([('{"analysis": "rating: High"}', [("High", 1.0)])], None),
            ([('{"rating": "', []), ("Low", [("Low", 1.0)]), ('", "rating": "', []), ("High", [("High", 0.9)])], 1.0),
            ([('{"rating": "', []), ("High", [("High", math.exp(5.0))])], 1.0),  # a logarithm above 0
            ([('{"rating": "', []), ("High", [])], None),
            ([], None),
        ],
    )  # fmt: skip
    def test_of_answers_cut_into_tokens_in_other_ways(
        self, pieces: list[tuple[str, list[tuple[str, float]]]], expected: float | None
    ) -> None:
        tokens = [Token(text, tuple((other, math.log(p)) for other, p in likely)) for text, likely in pieces]
        assert of_rating("High", tokens) == (None if expected is None else pytest.approx(expected))


def share(messages: list[dict[str, str]], rating: str, *, reasoned: bool) -> float:
    """The probability of the rating among the labels, by what the server's model thinks, of what it tells: the ten likeliest."""
    told = sorted(Model()._verdicts(messages, reasoned).items(), key=lambda pair: -pair[1])[:10]
    mass = {label: math.fsum(p for text, p in told if text.strip() and label.startswith(text.strip())) for label in LABELS}
    return mass[rating] / math.fsum(mass.values())


def test_further_answers_are_numbered_drawn_otherwise_and_asked_once(store: Store, serve: Callable[..., Server]) -> None:
    server = serve()
    summary = run(store, server, samples=3)
    assert (summary.asked, summary.further) == (4 * VIEWS_ASKED, 3 * VIEWS_ASKED)
    further = store.further(store.judgments("shop")["key"])
    assert Counter(further["number"]) == dict.fromkeys((1, 2, 3), VIEWS_ASKED)
    options = Counter((request["options"]["temperature"], request["options"]["seed"]) for request in requests(server))
    assert sorted(options.values()) == [VIEWS_ASKED] * 4
    assert sorted(temperature for temperature, _ in options) == [0, 0.7, 0.7, 0.7]
    more = run(store, server, samples=5, confidence="probe")
    assert (more.cached, more.asked) == (VIEWS_ASKED, 3 * VIEWS_ASKED)  # two more, and the probe
    assert run(store, server, samples=2).asked == 0


class TestProfiles:
    def test_are_written_once_a_user_and_read_by_the_user_view(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve()
        summary = run(store, server, profiles="written")
        asked = [request for request in requests(server) if request["format"] == PROFILE_SCHEMA]
        assert (summary.profiles, len(asked), summary.unjudged) == (4, 4, 0)
        rows = store.judgments("shop")
        assert set(rows.loc[rows["view"] == "user", "profile"]) == {"written"}
        written = {Model().profile(request["messages"]) for request in asked}
        prompts = [json.loads(row.prompt)[1]["content"] for row in rows.itertuples() if row.view == "user"]
        assert all(any(text[:40] in content for text in written) for content in prompts)
        again = run(store, server, profiles="written")
        assert (again.profiles, again.asked, again.cached) == (0, 0, VIEWS_ASKED)

    def test_one_that_fails_leaves_the_made_one_and_is_tried_again(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("prose:1:3")  # the first user's three tries
        summary = run(store, server, profiles="written", workers=1)
        assert (summary.profiles, summary.unjudged) == (3, 0)
        rows = store.judgments("shop")
        assert rows[rows["view"] == "user"].groupby("user_id")["profile"].first().value_counts().to_dict() == {
            "written": 3,
            "made": 1,
        }
        again = run(store, server, profiles="written")
        assert (again.profiles, again.asked, again.cached) == (1, 1 + 4, VIEWS_ASKED - 4)


class TestEstimate:
    """A server with constant costs, whose first answer has to load the model."""

    asked = candidates(SHOP, *[(user, item) for user in range(8) for item in range(20)])

    def run(self, store: Store, server: Server, **changes: object) -> Summary:
        chosen = ollama(server, workers=1, confidence="none", **changes)
        return judges.run(store, SHOP, self.asked, judges.make(chosen, Path()), chosen, policy=QUICK)

    def test_asks_few_holds_and_loses_nothing(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("", "--load", "1.5", "--delay", "0.02")
        first = self.run(store, server, estimate=True, price_in=2.0, price_out=8.0)
        told, made = server.told(), first.estimate
        assert first.asked == told["count"] == 24  # two pairs of six users in both views
        assert 24 < made.questions <= 320  # users with one history share questions
        assert made.low_s <= made.high_s
        assert made.cost == pytest.approx((2 * made.tokens_in + 8 * made.tokens_out) / 1e6)
        rest = self.run(store, server)
        assert (rest.asked, rest.unjudged) == (made.questions - 24, 0)
        assert server.told()["answered_twice"] == 0
        rows = store.judgments("shop").drop_duplicates("key")
        answers_s = rows["seconds"].sum() - 1.5  # without the loading
        assert made.low_s * 0.6 < answers_s < made.high_s * 1.6
        assert rows["prompt_tokens"].sum() == pytest.approx(made.tokens_in, rel=0.1)

    def test_of_what_is_all_known_is_nothing(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve()
        self.run(store, server, limit=4)
        made = self.run(store, server, limit=4, estimate=True, price_in=1.0).estimate
        assert (made.questions, made.low_s, made.high_s, made.cost) == (0, 0, 0, 0)

    def test_of_a_server_that_answers_nothing_says_why(self, store: Store, serve: Callable[..., Server]) -> None:
        with pytest.raises(Fatal, match="nothing to estimate from"):
            self.run(store, serve("prose:1"), estimate=True)
