"""The judge behind OpenAI's API against a server process that speaks it: optional parts, keys, limits, refusals, odd servers."""

import asyncio
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core import candidates as saved
from core import datasets, jobs, judges, prompts
from core.artifacts import ROOT, Home
from core.datasets.demo import import_demo
from core.errors import Fatal, JudgeError
from core.judges import Policy, Request, Summary, openai
from core.judges.base import Reply
from core.judges.texts import PairTexts
from core.records import VIEWS
from core.settings import CandidateSettings, DemoSettings, JudgeSettings
from core.store import Store
from tests.judging_fixtures import candidates, catalogue
from tests.model_server.model import LABELS, Model, count, prompt
from tests.model_server.process import ModelServer as Server

QUICK = Policy(pause_s=0.002, busy_s=5, poll_s=0.02)
SHOP = catalogue()
ASKED = candidates(SHOP, *[(user, item) for user in range(4) for item in (0, 3, 12, 17)])
VIEWS_ASKED = 2 * len(ASKED)
KEY = "sk-test-do-not-tell-4711"
OPTIONAL = ["response_format", "logprobs", "chat_template_kwargs", "seed", "temperature", "max_tokens"]


@pytest.fixture(autouse=True)
def no_key_and_no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(openai, "PAUSE_S", 0.01)


def settings(url: str, **changes: object) -> JudgeSettings:
    return JudgeSettings(**{"judge": "openai", "url": url, "timeout_s": 5, "workers": 2, **changes})


def run(store: Store, server: Server, **changes: object) -> Summary:
    chosen = settings(server.url, **changes)
    return judges.run(store, SHOP, ASKED, judges.make(chosen, Path()), chosen, policy=QUICK)


def asked(server: Server) -> list[dict[str, Any]]:
    """The requests about pairs, without the one that settles what a request may hold."""
    return [call["request"] for call in server.calls() if len(call["request"]["messages"]) > 1]


def right(store: Store) -> bool:
    rows = store.judgments("shop")
    return len(rows) == VIEWS_ASKED and all(Model().rate(json.loads(row.prompt))[0] == row.rating for row in rows.itertuples())


def test_all_pairs_in_both_views_and_what_is_sent(store: Store, serve: Callable[..., Server]) -> None:
    server = serve("", "--strict-schema")
    summary = run(store, server)
    assert (summary.asked, summary.failed, summary.unjudged) == (VIEWS_ASKED, 0, 0)
    assert right(store)
    first = asked(server)[0]
    assert (first["stream"], first["temperature"], first["max_tokens"]) == (False, 0, 256)
    assert first["response_format"]["json_schema"]["strict"]
    assert first["chat_template_kwargs"] == {"enable_thinking": False}
    assert set(store.judgments("shop")["server"]) == {server.url}
    again = run(store, server)
    assert (again.asked, again.cached) == (0, VIEWS_ASKED)


@pytest.mark.parametrize("part", OPTIONAL)
def test_a_part_that_is_refused_is_left_out(store: Store, serve: Callable[..., Server], part: str) -> None:
    server = serve("", "--unsupported", part)
    summary = run(store, server)
    assert (summary.failed, summary.unjudged) == (0, 0)
    assert right(store)
    for request in asked(server):
        assert part not in request
        assert all(other in request for other in OPTIONAL if other != part)
        assert ("max_completion_tokens" in request) == (part == "max_tokens")
    assert store.judgments("shop")["confidence"].isna().all() == (part == "logprobs")


def test_all_parts_refused_and_two_servers_that_refuse_different_ones(store: Store, serve: Callable[..., Server]) -> None:
    bare, other = serve("", "--unsupported", ",".join(OPTIONAL)), serve("", "--unsupported", "seed")
    chosen = settings(f"{bare.url}, {other.url}")
    summary = judges.run(store, SHOP, ASKED, judges.make(chosen, Path()), chosen, policy=QUICK)
    assert summary.unjudged == 0
    assert right(store)
    parts = {name for server in (bare, other) for request in asked(server) for name in request}
    assert parts == {"model", "messages", "stream", "max_completion_tokens"}


def test_what_a_host_is_called_is_no_complaint(store: Store, serve: Callable[..., Server]) -> None:
    """An address that holds the name of a part, as seed.example.org would, must not cost that part."""
    server = serve("", "--unsupported", "logprobs")
    url = server.url.replace("127.0.0.1", "localhost")
    judge = judges.make(settings(url), Path())
    error = Fatal("http://seed.localhost:1 answered 400: 'logprobs' is not supported")
    judge._leave_out(error, "http://seed.localhost:1")
    assert judge._refused == {"logprobs"}


def test_an_error_that_names_no_part_ends_the_run(store: Store, serve: Callable[..., Server]) -> None:
    with pytest.raises(Fatal, match="frobnicate"):
        run(store, serve("", "--unsupported", "model,frobnicate", "--models", "llama3.1:8b"), model="frobnicate")


class TestKeys:
    @pytest.mark.parametrize("given", ["", "sk-another-wrong-one-0815"])
    def test_without_the_right_one_the_cure_names_the_variable(
        self, store: Store, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        monkeypatch.setenv("MY_KEY", given)
        server = serve("", "--key", KEY)
        health = judges.health(settings(server.url, api_key_env="MY_KEY"))
        assert not health.ok
        assert "MY_KEY" in health.hint
        with pytest.raises(Fatal, match="401") as caught:
            run(store, server, api_key_env="MY_KEY")
        assert "MY_KEY" in caught.value.hint
        assert not given or given not in str(caught.value)

    def test_the_right_one_is_used_and_kept_nowhere(
        self, home: Home, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A whole run in a process of its own; a file of secrets may leave a line's end behind the key."""
        monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
        server = serve("500:7,429:11", "--key", KEY)
        import_demo(home, DemoSettings(users=50, items=50, interactions=500))
        demo = datasets.load(home, "demo")
        own = candidates(demo, *zip(demo.train.user[:8].tolist(), demo.train.item[:8].tolist(), strict=True))
        saved.save(home, demo, own, CandidateSettings(), "a-run")
        folder = jobs.create(home, "judge", "demo", settings(server.url).model_dump(mode="json"))
        command = [sys.executable, "-m", "core", "--home", str(home.path), "work", folder.id]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert len(Store.open(home).judgments("demo")) == 16
        assert server.told()["count"] > 16
        everything = [path.read_bytes() for path in home.path.rglob("*") if path.is_file()]
        assert len(everything) > 5
        assert KEY not in done.stdout + done.stderr
        assert not [content for content in everything if KEY.encode() in content]

    @pytest.mark.parametrize("key", ["sk-\u2026", "sk-\x01", "sk-two\nlines"])
    def test_one_that_no_header_can_hold(self, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        health = judges.health(settings("http://127.0.0.1:9"))
        assert not health.ok
        assert "OPENAI_API_KEY" in health.message
        assert key not in health.message + health.hint

    def test_a_server_that_repeats_it_is_not_quoted(
        self, store: Store, stub: Callable[[int, str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        health = judges.health(settings(stub(401, json.dumps({"error": f"Invalid key {KEY} received"}))))
        assert not health.ok
        assert "Invalid key" in health.message
        assert KEY not in health.message

    def test_a_port_is_no_status(self, store: Store) -> None:
        """The hint about keys went by "401" anywhere in the message, and so by the port."""
        health = judges.health(settings("http://127.0.0.1:40199"))
        assert "OPENAI_API_KEY" not in health.hint


class TestLimits:
    def test_too_many_requests_wait_as_long_as_told(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("retry-after:6:2", "--retry-after", "1")
        summary = run(store, server, workers=1)
        assert (summary.failed, summary.unjudged) == (0, 0)
        calls = server.calls()
        refused = [n for n, call in enumerate(calls[:-1]) if call["fault"]]
        assert refused
        assert all(calls[n + 1]["at"] - calls[n]["at"] >= 0.95 for n in refused)
        assert len(store.unanswered("shop")) == 0

    def test_without_money_the_run_ends_at_once(self, store: Store, stub: Callable[[int, str], str]) -> None:
        body = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
        judge = judges.make(settings(stub(429, json.dumps(body))), Path())
        with pytest.raises(Fatal, match="no credit"):
            asyncio.run(judge.prepare(SHOP, ASKED))

    def test_a_server_that_still_loads_is_waited_for_before_the_first_question(
        self, store: Store, serve: Callable[..., Server]
    ) -> None:
        summary = run(store, serve("loading:1:2"))
        assert (summary.failed, summary.unjudged) == (0, 0)

    def test_a_broken_first_call_is_made_again_but_not_for_ever(self, store: Store, serve: Callable[..., Server]) -> None:
        with pytest.raises(Fatal, match="answered 500"):
            run(store, serve("500:1"))
        assert run(store, serve("drop:1:2")).unjudged == 0

    def test_a_question_that_is_too_long_is_shortened_once(self, store: Store, serve: Callable[..., Server]) -> None:
        """A window that shortened questions fit, and some full ones do not."""
        texts = PairTexts(SHOP, ASKED, 8)

        def tokens(short: bool) -> list[int]:
            pairs = zip(ASKED.user.tolist(), ASKED.item.tolist(), strict=True)
            return [count(prompt(texts.prompt(*pair, view, short).messages)) for pair in pairs for view in VIEWS]

        window = max(tokens(short=True)) + 1
        longer = sum(n >= window for n in tokens(short=False))
        assert 0 < longer < VIEWS_ASKED
        summary = run(store, serve("", "--num-ctx", str(window)), history_items=8)
        assert (summary.failed, summary.unjudged, summary.asked) == (0, 0, VIEWS_ASKED + longer)
        assert store.judgments("shop")["truncated"].sum() == longer

    def test_a_window_that_is_too_small_leaves_pairs_unjudged(self, store: Store, serve: Callable[..., Server]) -> None:
        server = serve("", "--num-ctx", "128")
        summary = run(store, server)
        assert (summary.failed, summary.unjudged) == (VIEWS_ASKED, len(ASKED))
        assert set(store.unanswered("shop")["kind"]) == {"refused"}
        assert summary.asked == 2 * VIEWS_ASKED


@pytest.mark.parametrize("fault", ["refusal", "filter"])
def test_a_model_that_does_not_want_to_leaves_the_pair_unjudged(store: Store, serve: Callable[..., Server], fault: str) -> None:
    """Asked once more in other words, then never again in this run; one refusal costs one call."""
    server = serve(f"{fault}:1")
    summary = run(store, server)
    assert (summary.failed, summary.unjudged, summary.asked) == (VIEWS_ASKED, len(ASKED), 2 * VIEWS_ASKED)
    assert set(store.unanswered("shop")["kind"]) == {"refused"}
    assert not len(store.judgments("shop"))
    server.change_faults(f"{fault}:5:2")
    assert run(store, server, workers=1).unjudged == 0


@pytest.mark.parametrize("fault", ["500:3", "429:4", "drop:5", "page:4", "empty:4", "fenced:2", "malformed:4", "length:4"])
def test_one_fault_at_a_time_changes_no_answer(store: Store, serve: Callable[..., Server], fault: str) -> None:
    summary = run(store, serve(fault), workers=1)
    assert (summary.failed, summary.unjudged) == (0, 0)
    assert right(store)


def test_confidence_is_the_share_of_the_label_among_the_labels(store: Store, serve: Callable[..., Server]) -> None:
    """Computed once more, in other words, from what the model inside the server thinks of each label."""
    run(store, serve())
    for row in store.judgments("shop").itertuples():
        told = sorted(Model()._verdicts(json.loads(row.prompt), reasoned=True).items(), key=lambda pair: -pair[1])[:10]
        mass = {label: math.fsum(p for text, p in told if label.startswith(text.strip() or "?")) for label in LABELS}
        assert row.confidence == pytest.approx(mass[row.rating] / math.fsum(mass.values()), rel=1e-9)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_addresses_with_and_without_v1(serve: Callable[..., Server], suffix: str) -> None:
    server = serve()
    assert judges.health(settings(server.url + suffix)).ok


def test_an_address_with_a_path(stub: Callable[[int, str], str]) -> None:
    url = stub(200, json.dumps({"data": [{"id": "llama3.1:8b"}]}))
    assert judges.health(settings(f"{url}/proxy/openai/v1")).ok
    assert Stub.paths[-1] == "/proxy/openai/v1/models"


class Stub(BaseHTTPRequestHandler):
    """Answers everything with one body."""

    status, body = 200, b"{}"
    paths: list[str] = []

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Stub.paths.append(self.path)
        self.send_response(Stub.status)
        self.send_header("Content-Length", str(len(Stub.body)))
        self.end_headers()
        self.wfile.write(Stub.body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def stub_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def stub(stub_server: str) -> Callable[[int, str], str]:
    """Its address, once it is told what to answer."""

    def answer(status: int, body: str) -> str:
        Stub.status, Stub.body = status, body.encode()
        return stub_server

    return answer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def nested(path: str, value: Any) -> Any:
    """{"a": [{"b": value}]} for "a.0.b"."""
    for name in reversed(path.split(".")):
        value = [value] if name == "0" else {name: value}
    return value


GOOD = {
    "openai": {"choices": [{"message": {"content": '{"analysis": "a", "rating": "High"}'}, "finish_reason": "stop"}]},
    "ollama": {
        "message": {"role": "assistant", "content": '{"analysis": "a", "rating": "High"}'},
        "done": True,
        "done_reason": "stop",
    },
}
PLACES = {
    "openai": ["choices", "choices.0", "choices.0.message", "choices.0.message.content", "choices.0.finish_reason", "usage"]
    + ["choices.0.logprobs", "choices.0.logprobs.content", "choices.0.logprobs.content.0", "usage.prompt_tokens", "error"]
    + ["usage.prompt_tokens_details", "choices.0.logprobs.content.0.top_logprobs.0", "choices.0.message.refusal"],
    "ollama": ["message", "message.content", "message.thinking", "done", "done_reason", "total_duration", "eval_count"]
    + ["prompt_eval_count", "prompt_eval_cached_count", "logprobs", "logprobs.0", "logprobs.0.top_logprobs.0", "error"],
}


def merged(one: Any, two: Any) -> Any:
    if isinstance(one, dict) and isinstance(two, dict):
        return one | {name: merged(one.get(name), value) for name, value in two.items()}
    if isinstance(one, list) and isinstance(two, list) and one and two:
        return [merged(one[0], two[0])]
    return two


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_a_server_answers_is_one_of_six_things(kind: str, stub_server: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(PLACES[kind]))
    Stub.status, body = 200, merged(GOOD[kind], nested(place, data.draw(JSON)))
    Stub.body = json.dumps(body).encode()
    judge = judges.make(settings(stub_server, judge=kind), Path())
    question = prompts.user_view("x", prompts.Item("y"))

    async def ask() -> Reply:
        try:
            if kind == "ollama":
                judge._verified[judge.lanes[0]] = asyncio.get_running_loop().time()
            return await judge.judge(Request("k", 0, 0, VIEWS[0], question))
        finally:
            await judge.close()

    try:
        reply = asyncio.run(ask())
    except JudgeError:
        return
    assert reply.rating == "High"
    assert reply.confidence is None or 0 <= reply.confidence <= 1
    json.dumps([reply.cost.prompt_tokens, reply.cost.cached_tokens, reply.cost.answer_tokens])
    assert all(n is None or isinstance(n, int) for n in (reply.cost.prompt_tokens, reply.cost.cached_tokens))


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
@example({"data": [1, {"id": 5}]})
@example({"models": [{"model": "llama3.1:8b", "digest": "d"}], "model_info": {"x.context_length": "many"}})
@example({"models": [{"model": "llama3.1:8b", "digest": None, "context_length": "x"}], "capabilities": "all"})
def test_whatever_a_server_says_of_itself_is_health(kind: str, stub_server: str, body: Any) -> None:
    Stub.status, Stub.body = 200, json.dumps(body).encode()
    health = judges.health(settings(stub_server, judge=kind))
    assert health.message
    judge = judges.make(settings(stub_server, judge=kind), Path())

    async def prepare() -> None:
        try:
            await judge.prepare(SHOP, ASKED)
        finally:
            await judge.close()

    try:
        asyncio.run(prepare())
    except JudgeError as error:
        assert error.message
