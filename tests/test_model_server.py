"""The model server itself: against the ollama package's client, an implementation of its own, and plain HTTP for /v1."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import ollama
import pytest

from core import prompts
from core.artifacts import ROOT
from core.prompts import Item
from tests.model_server.faults import parse
from tests.model_server.model import Model
from tests.model_server.openai_api import batch_answers
from tests.model_server.process import ModelServer

Serve = Callable[..., ModelServer]

JAZZ = "Played the trumpet in a swing band and listens to bebop and jazz every evening."
MATCH = list(prompts.user_view(JAZZ, Item("Swing", "jazz", "A trumpet session of bebop")).messages)
RATING = {"type": "object", "additionalProperties": False, "required": ["rating"]} | {
    "properties": {"rating": prompts.SCHEMA["properties"]["rating"]}
}
BACKWARD = {"type": "object", "required": ["why", "label"]} | {
    "properties": {"why": {"type": "string", "maxLength": 9}, "label": {"type": "string", "enum": ["Low", "Mid", "High"]}}
}


def client(server: ModelServer) -> ollama.Client:
    return ollama.Client(host=server.url, trust_env=False, timeout=20)


def post(server: ModelServer, path: str, body: dict[str, Any], **more: Any) -> httpx.Response:
    return httpx.post(server.url + path, json=body, trust_env=False, timeout=20, **more)


def question(**more: Any) -> dict[str, Any]:
    """A question to the native route."""
    return {"model": "llama3.1:8b", "messages": MATCH, "stream": False, "format": prompts.SCHEMA, **more}


def v1(**more: Any) -> dict[str, Any]:
    """The same question to OpenAI's route."""
    form = {"type": "json_schema", "json_schema": {"name": "judgment", "strict": True, "schema": prompts.SCHEMA}}
    return {"model": "llama3.1:8b", "messages": MATCH, "response_format": form, **more}


def of_user(name: str, item: str) -> list[dict[str, str]]:
    text = f"<history>{name} {'chose this and that ' * 40}</history><candidate>{item}</candidate>"
    return [{"role": "system", "content": "Rate. JSON only."}, {"role": "user", "content": text}]


class TestOllama:
    def test_it_says_what_it_has(self, serve: Serve) -> None:
        server = serve("", "--models", "llama3.1:8b,qwen3:4b,nomic-embed-text")
        assert httpx.head(server.url, trust_env=False).status_code == 200
        assert httpx.get(server.url, trust_env=False).text == "Ollama is running"
        assert httpx.get(f"{server.url}/api/version", trust_env=False).json()["version"].startswith("0.33")
        listed = client(server).list().models
        assert [model.model for model in listed] == ["llama3.1:8b", "qwen3:4b", "nomic-embed-text:latest"]
        assert len({model.digest for model in listed}) == 3
        assert all(len(model.digest) == 64 for model in listed)
        assert client(server).show("qwen3:4b").capabilities == ["completion", "tools", "thinking"]
        shown = client(server).show("nomic-embed-text")
        assert shown.capabilities == ["embedding"]
        assert shown.modelinfo["nomic-bert.context_length"] == 8192
        with pytest.raises(ollama.ResponseError, match="not found") as missing:
            client(server).show("none")
        assert missing.value.status_code == 404

    def test_a_chat_streams_unless_it_shall_not(self, serve: Serve) -> None:
        ollama_client = client(serve())
        whole = ollama_client.chat("llama3.1:8b", MATCH, format=prompts.SCHEMA)
        assert prompts.parse(whole.message.content).rating == "High"
        assert prompts.parse(whole.message.content).how == "strict"
        parts = list(ollama_client.chat("llama3.1:8b", MATCH, format=prompts.SCHEMA, stream=True))
        assert "".join(part.message.content for part in parts) == whole.message.content
        assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
        assert parts[-1].done_reason == whole.done_reason == "stop"
        assert parts[-1].eval_count == whole.eval_count == len(parts)

    def test_it_streams_when_nothing_is_said(self, serve: Serve) -> None:
        lines = post(serve(), "/api/chat", {"model": "llama3.1:8b", "messages": MATCH}).text.splitlines()
        assert [json.loads(line)["done"] for line in lines][-2:] == [False, True]

    def test_the_same_question_has_the_same_answer_and_no_schema_no_json(self, serve: Serve) -> None:
        server = serve()
        first, second = (post(server, "/api/chat", question()).json()["message"] for _ in range(2))
        assert first == second
        bare = [{"role": "user", "content": "Hello"}]
        assert post(server, "/api/chat", question(messages=bare, format=None)).json()["message"]["content"].startswith("Nothing")

    @pytest.mark.parametrize(("order", "keys"), [("sorted", ["label", "why"]), ("schema", ["why", "label"])])
    def test_both_orders_of_keys(self, serve: Serve, order: str, keys: list[str]) -> None:
        content = post(serve("", "--order", order), "/api/chat", question(format=BACKWARD)).json()["message"]["content"]
        assert list(json.loads(content)) == keys
        assert len(json.loads(content)["why"]) <= 9

    def test_a_profile_is_made_of_the_history(self, serve: Serve) -> None:
        history = "<history><past>trumpet trumpet swing</past></history><candidate>gardens gardens gardens</candidate>"
        schema = {"type": "object", "required": ["profile"], "properties": {"profile": {"type": "string"}}}
        body = question(messages=[{"role": "user", "content": history}], format=schema)
        said = json.loads(post(serve(), "/api/chat", body).json()["message"]["content"])
        assert said == {"profile": "Likes trumpet, swing."}

    def test_thinking(self, serve: Serve) -> None:
        server = serve("", "--models", "llama3.1:8b,qwen3:4b,gpt-oss:20b")
        think = {
            value: post(server, "/api/chat", question(model="qwen3:4b", think=value)).json()["message"]
            for value in (None, True, False, "high")
        }
        assert think[None] == think[True]
        assert "thinking" not in think[False]
        assert think[False]["content"] == think[True]["content"]
        assert len(think["high"]["thinking"]) > len(think[True]["thinking"])
        assert post(server, "/api/chat", question(model="gpt-oss:20b", think=False)).json()["message"]["thinking"]
        with pytest.raises(ollama.ResponseError, match='"llama3.1:8b" does not support thinking') as refused:
            client(server).chat("llama3.1:8b", MATCH, think=True)
        assert refused.value.status_code == 400
        trapped = client(server).generate("qwen3:4b", MATCH[1]["content"], format=prompts.SCHEMA)
        assert trapped.response == ""
        assert prompts.parse(trapped.thinking).rating == "High"
        cut = post(server, "/api/chat", question(model="qwen3:4b", options={"num_predict": 5})).json()
        assert (cut["message"]["content"], cut["done_reason"], cut["eval_count"]) == ("", "length", 5)

    def test_a_prompt_too_long_is_refused_or_halved_in_silence(self, serve: Serve) -> None:
        server = serve()
        long = question(messages=[{"role": "user", "content": "word " * 2000}], options={"num_ctx": 2048})
        silent = post(server, "/api/chat", long).json()
        assert silent["prompt_eval_count"] == 2048 // 2 + 2
        refused = post(server, "/api/chat", long | {"truncate": False, "shift": False})
        assert refused.status_code == 400
        assert json.loads(refused.json()["error"])["error"]["type"] == "exceed_context_size_error"
        assert post(server, "/api/chat", long | {"shift": False}).status_code == 400

    def test_too_few_tokens_cut_the_answer(self, serve: Serve) -> None:
        cut = post(serve(), "/api/chat", question(options={"num_predict": 4})).json()
        assert (cut["done_reason"], cut["eval_count"]) == ("length", 4)
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut["message"]["content"])

    def test_wrong_requests(self, serve: Serve) -> None:
        server = serve("", "--models", "llama3.1:8b,nomic-embed-text")
        cases = [
            ({"options": {"num_ctx": "big"}}, 500, 'option "num_ctx" must be of type integer'),
            ({"options": {"temperature": "hot"}}, 500, 'option "temperature" must be of type float32'),
            ({"options": {"nonsense": "ignored"}}, 200, None),
            ({"options": [1]}, 400, "cannot unmarshal"),
            ({"messages": "hello"}, 400, "cannot unmarshal"),
            ({"messages": [{"role": "user", "content": 5}]}, 400, "cannot unmarshal"),
            ({"think": "hard"}, 400, "invalid think value"),
            ({"format": "yaml"}, 500, "invalid format"),
            ({"top_logprobs": 21}, 400, "between 0 and 20"),
            ({"model": "nomic-embed-text"}, 400, "does not support chat"),
            ({"model": ""}, 400, "model is required"),
            ({"model": "none"}, 404, "model 'none' not found"),
        ]
        for changes, status, message in cases:
            got = post(server, "/api/chat", question(**changes))
            assert got.status_code == status, changes
            assert message is None or message in got.json()["error"]
        assert httpx.post(f"{server.url}/api/chat", content=b"{", trust_env=False).status_code == 400
        assert httpx.post(f"{server.url}/api/none", content=b"{}", trust_env=False).status_code == 404

    def test_logprobs_tell_how_sure_the_label_is(self, serve: Serve) -> None:
        server = serve()

        def doubt(item: Item, schema: dict[str, Any]) -> dict[str, float]:
            body = question(messages=list(prompts.user_view(JAZZ, item).messages), format=schema, logprobs=True, top_logprobs=10)
            reply = post(server, "/api/chat", body | {"options": {"num_predict": 60}}).json()
            assert "".join(entry["token"] for entry in reply["logprobs"]) == reply["message"]["content"]
            label = json.loads(reply["message"]["content"])["rating"]
            entry = [entry for entry in reply["logprobs"] if entry["token"] == label][-1]
            shares = {top["token"]: math.exp(top["logprob"]) for top in entry["top_logprobs"]}
            assert max(shares, key=shares.get) == label
            assert sum(shares.values()) == pytest.approx(1, abs=0.05)
            assert len(entry["top_logprobs"]) == 10
            return shares

        sure, unsure = Item("Swing", "jazz", "A trumpet session of bebop, every evening"), Item("Swing")
        assert doubt(sure, RATING)["High"] > doubt(unsure, RATING)["Mid"]
        assert doubt(unsure, prompts.SCHEMA)["Mid"] > doubt(unsure, RATING)["Mid"]  # its own reasons make it certain
        plain = client(server).chat("llama3.1:8b", MATCH, logprobs=True)
        assert all(entry.top_logprobs is None for entry in plain.logprobs)
        streamed = client(server).chat("llama3.1:8b", MATCH, logprobs=True, top_logprobs=2, stream=True)
        assert [len(part.logprobs[0].top_logprobs) for part in streamed if not part.done][:1] == [2]

    def test_vectors(self, serve: Serve) -> None:
        ollama_client = client(serve("", "--models", "nomic-embed-text"))
        one, two, other = ollama_client.embed("nomic-embed-text", ["blue trumpet", "a blue trumpet", "garden roses"]).embeddings
        assert ollama_client.embed("nomic-embed-text", "blue trumpet").embeddings == [one]
        assert math.hypot(*one) == pytest.approx(1)
        assert sum(map(math.prod, zip(one, two, strict=True))) > 0.7 > sum(map(math.prod, zip(one, other, strict=True)))
        assert ollama_client.embed("nomic-embed-text", "").embeddings == []
        assert len(ollama_client.embed("nomic-embed-text", "x", dimensions=8).embeddings[0]) == 8
        with pytest.raises(ollama.ResponseError, match='model "none" not found, try pulling it first'):
            ollama_client.embed("none", "x")

    def test_a_pull_tells_how_far_it_is(self, serve: Serve) -> None:
        server = serve("", "--models", "llama3.1:8b", "--pull", "0.1")
        lines = list(client(server).pull("qwen3", stream=True))
        assert (lines[0].status, lines[-1].status) == ("pulling manifest", "success")
        of_weights = [line for line in lines if line.digest == lines[1].digest]
        done = [line.completed for line in of_weights]
        assert done[0] is None
        assert done[1:] == sorted(done[1:])
        assert done[-1] == of_weights[0].total
        assert of_weights[0].status == f"pulling {of_weights[0].digest.removeprefix('sha256:')[:12]}"
        assert "qwen3:latest" in [model.model for model in client(server).list().models]
        assert client(server).pull("gemma3").status == "success"

    def test_an_unknown_model_fails_after_the_first_line(self, serve: Serve) -> None:
        server = serve()
        got = post(server, "/api/pull", {"model": "no-such-model"})
        assert (got.status_code, len(got.text.splitlines())) == (200, 2)
        with pytest.raises(ollama.ResponseError, match="pull model manifest: file does not exist"):
            list(client(server).pull("no-such-model", stream=True))
        assert post(server, "/api/pull", {"model": "no-such-model", "stream": False}).status_code == 500

    @pytest.mark.parametrize(("options", "same"), [([], True), (["--pull-changes"], False)])
    def test_a_pull_may_bring_another_version(self, serve: Serve, options: list[str], same: bool) -> None:
        server = serve("", "--pull", "0", *options)
        before = client(server).list().models[0].digest
        client(server).pull("llama3.1:8b")
        assert (client(server).list().models[0].digest == before) == same

    def test_loading_unloading_and_reloading(self, serve: Serve) -> None:
        server = serve("", "--context", "4096")
        assert client(server).ps().models == []
        assert post(server, "/api/chat", question(messages=[])).json()["done_reason"] == "load"
        post(server, "/api/chat", question(options={"num_ctx": 2048}))
        assert client(server).ps().models[0].context_length == 2048
        post(server, "/api/chat", question(options={"num_ctx": 2048, "temperature": 1}))
        assert (server.told()["loads"], server.told()["reloads"]) == (2, 1)
        post(server, "/api/chat", question(options={"num_ctx": 2048}, shift=False))
        post(server, "/v1/chat/completions", v1())  # /v1 cannot name a window
        assert server.told()["reloads"] == 3
        post(server, "/api/chat", question(options={"num_ctx": 100_000}))
        assert client(server).ps().models[0].context_length == 4096
        assert post(server, "/api/chat", question(messages=[], keep_alive=0)).json()["done_reason"] == "unload"
        assert client(server).ps().models == []


class TestTime:
    def test_durations_add_up_and_what_is_missing_is_the_wait(self, serve: Serve) -> None:
        server = serve("", "--slots", "1", "--delay", "0.1", "--load", "0.05")
        got: list[dict[str, Any]] = []
        ask = [threading.Thread(target=lambda: got.append(post(server, "/api/chat", question()).json())) for _ in range(2)]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join()

        def waited(reply: dict[str, Any]) -> int:
            names = ("load_duration", "prompt_eval_duration", "eval_duration")
            return reply["total_duration"] - sum(reply[name] for name in names)

        first, second = sorted(got, key=lambda reply: reply["total_duration"])
        assert 0 <= waited(first) < waited(second)
        assert waited(second) >= 0.09e9
        assert first["load_duration"] >= 0.05e9
        assert post(server, "/api/chat", question()).json()["load_duration"] < first["load_duration"]

    def test_rates_make_time_of_tokens(self, serve: Serve) -> None:
        server = serve("", "--prefill-rate", "5000", "--decode-rate", "400")
        first, again = (post(server, "/api/chat", question()).json() for _ in range(2))
        assert first["prompt_eval_duration"] >= first["prompt_eval_count"] / 5000 * 1e9
        assert first["eval_duration"] >= 0.99 * first["eval_count"] / 400 * 1e9
        assert again["prompt_eval_count"] == first["prompt_eval_count"]
        assert again["prompt_eval_cached_count"] == again["prompt_eval_count"] - 1  # the last token is always read
        assert "prompt_eval_cached_count" not in first

    def test_a_slot_keeps_its_prompt_and_the_most_like_one_is_taken(self, serve: Serve) -> None:
        server = serve("", "--slots", "2")
        for user in ("anna", "berta"):
            post(server, "/api/chat", question(messages=of_user(user, "one")))
        for user in ("berta", "anna", "berta"):
            reply = post(server, "/api/chat", question(messages=of_user(user, "two"))).json()
            assert reply["prompt_eval_cached_count"] > 0.8 * reply["prompt_eval_count"]

    def test_more_users_than_slots_share_nothing_but_the_beginning(self, serve: Serve) -> None:
        server = serve("", "--slots", "1")
        for n in range(6):
            post(server, "/api/chat", question(messages=of_user("anna" if n % 2 else "berta", str(n))))
        assert server.told()["prefix_reuse"] < 0.1
        server.reset()
        for n in range(6):
            post(server, "/api/chat", question(messages=of_user("anna", str(n))))
        assert server.told()["prefix_reuse"] > 0.7

    def test_hanging_up_frees_the_slot(self, serve: Serve) -> None:
        server = serve("hang:1:1", "--slots", "1")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/api/chat", json=question(), trust_env=False, timeout=0.2)
        assert post(server, "/api/chat", question()).status_code == 200
        deadline = time.monotonic() + 10
        while server.told()["cancelled"] != 1:  # counted just after the slot is free
            assert time.monotonic() < deadline
            time.sleep(0.01)


class TestOpenAI:
    def test_models_and_an_answer(self, serve: Serve) -> None:
        server = serve()
        assert [m["id"] for m in httpx.get(f"{server.url}/v1/models", trust_env=False).json()["data"]] == ["llama3.1:8b"]
        whole = post(server, "/v1/chat/completions", v1(seed=7, max_completion_tokens=200)).json()
        choice = whole["choices"][0]
        assert prompts.parse(choice["message"]["content"]).rating == "High"
        assert (whole["object"], choice["finish_reason"], choice["logprobs"]) == ("chat.completion", "stop", None)
        usage = whole["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_length(self, serve: Serve, name: str) -> None:
        got = post(serve(), "/v1/chat/completions", v1(**{name: 5})).json()
        assert (got["choices"][0]["finish_reason"], got["usage"]["completion_tokens"]) == ("length", 5)

    def test_events(self, serve: Serve) -> None:
        server = serve()
        whole = post(server, "/v1/chat/completions", v1()).json()
        got = post(server, "/v1/chat/completions", v1(stream=True, stream_options={"include_usage": True}))
        assert got.headers["content-type"].startswith("text/event-stream")
        events = [line.removeprefix("data: ") for line in got.text.split("\n\n") if line]
        assert events[-1] == "[DONE]"
        chunks = [json.loads(event) for event in events[:-1]]
        said = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
        assert said == whole["choices"][0]["message"]["content"]
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
        assert chunks[-1]["usage"]["total_tokens"] == whole["usage"]["total_tokens"]

    def test_logprobs(self, serve: Serve) -> None:
        got = post(serve(), "/v1/chat/completions", v1(logprobs=True, top_logprobs=3)).json()["choices"][0]
        assert "".join(entry["token"] for entry in got["logprobs"]["content"]) == got["message"]["content"]
        assert {len(entry["top_logprobs"]) for entry in got["logprobs"]["content"]} == {3}

    def test_errors_have_openais_shape(self, serve: Serve) -> None:
        server = serve("", "--strict-schema", "--unsupported", "max_tokens")
        loose = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
        form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": loose}}
        cases = [
            (v1(), 400, "'maxLength' is not permitted", "response_format"),
            (v1(response_format=form), 400, "'additionalProperties' is required", "response_format"),
            (v1(response_format={"type": "json_object"}, messages=[{"role": "user", "content": "hi"}]), 400, "json", None),
            (v1(max_tokens=5), 400, "Unsupported parameter", "max_tokens"),
            (v1(model="none"), 404, "does not exist", None),
            (v1(response_format=None, messages=[{"role": "user", "content": "word " * 9000}]), 400, "maximum context", None),
            (v1(messages=[]), 400, "messages", "messages"),
            (v1(response_format=None, max_completion_tokens="x"), 400, "Invalid type", "max_completion_tokens"),
            (v1(response_format="json"), 400, "Invalid type", "response_format"),
            (v1(response_format=None, top_logprobs=3), 400, "logprobs", "top_logprobs"),
        ]
        for body, status, message, param in cases:
            got = post(server, "/v1/chat/completions", body)
            assert got.status_code == status, body
            error = got.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert message in error["message"]
            assert param is None or error["param"] == param
        form["json_schema"]["schema"] = RATING
        assert post(server, "/v1/chat/completions", v1(response_format=form)).status_code == 200

    def test_a_key(self, serve: Serve) -> None:
        server = serve("", "--key", "s3cret")
        assert post(server, "/v1/chat/completions", v1()).status_code == 401
        wrong = post(server, "/v1/chat/completions", v1(), headers={"Authorization": "Bearer wrong"})
        assert wrong.json()["error"]["code"] == "invalid_api_key"
        assert post(server, "/v1/chat/completions", v1(), headers={"Authorization": "Bearer s3cret"}).status_code == 200

    def test_thinking_can_be_switched_off(self, serve: Serve) -> None:
        server = serve("", "--models", "qwen3:4b")

        def message(**more: Any) -> dict[str, Any]:
            return post(server, "/v1/chat/completions", v1(model="qwen3:4b", **more)).json()["choices"][0]["message"]

        assert message()["reasoning"]
        assert "reasoning" not in message(chat_template_kwargs={"enable_thinking": False})
        assert "reasoning" not in message(reasoning_effort="none")

    def test_vectors(self, serve: Serve) -> None:
        server = serve("", "--models", "nomic-embed-text")
        got = post(server, "/v1/embeddings", {"model": "nomic-embed-text", "input": ["one", "two"]}).json()
        native = client(server).embed("nomic-embed-text", ["one", "two"]).embeddings
        assert [row["embedding"] for row in got["data"]] == [list(vector) for vector in native]
        assert post(server, "/v1/embeddings", {"model": "nomic-embed-text", "input": []}).status_code == 400


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "native", "hosted"),
        [
            ("500", 500, "terminated", "terminated"),
            ("503", 503, "server busy", "server busy"),
            ("loading", 503, "Loading model", "Loading model"),
            ("429", 429, "Rate limit", "Rate limit"),
            ("404", 404, "not found", "not found"),
            ("400long", 400, "exceed_context_size", "exceed_context_size"),
        ],
    )
    def test_refusals_in_both_shapes(self, serve: Serve, fault: str, status: int, native: str, hosted: str) -> None:
        server = serve(f"{fault}:1")
        ours, theirs = post(server, "/api/chat", question()), post(server, "/v1/chat/completions", v1())
        assert ours.status_code == theirs.status_code == status
        assert native in ours.json()["error"]
        assert hosted in theirs.json()["error"]["message"]

    @pytest.mark.parametrize("fault", ["drop", "partial"])
    def test_broken_connections(self, serve: Serve, fault: str) -> None:
        server = serve(f"{fault}:1:1")
        with pytest.raises(httpx.RemoteProtocolError):
            post(server, "/api/chat", question())
        assert post(server, "/api/chat", question()).status_code == 200

    def test_retry_after(self, serve: Serve) -> None:
        server = serve("retry-after:1", "--retry-after", "3")
        assert post(server, "/v1/chat/completions", v1()).headers["Retry-After"] == "3"

    def test_refusal_and_filter(self, serve: Serve) -> None:
        server = serve("refusal:2,filter:3")
        choices = [post(server, "/v1/chat/completions", v1()).json()["choices"][0] for _ in range(3)]
        assert choices[0]["message"]["refusal"] is None
        assert choices[1]["message"]["content"] is None
        assert "can't help" in choices[1]["message"]["refusal"]
        assert choices[2]["finish_reason"] == "content_filter"

    def test_an_error_in_the_middle_of_a_stream(self, serve: Serve) -> None:
        with pytest.raises(ollama.ResponseError, match="unexpected EOF") as broken:
            list(client(serve("streamerror:1")).chat("llama3.1:8b", MATCH, stream=True))
        assert broken.value.status_code == -1

    def test_another_digest_in_the_middle_of_a_run(self, serve: Serve) -> None:
        server = serve("wrong-digest:2:1")
        digests = []
        for _ in range(3):
            digests.append(client(server).list().models[0].digest)
            post(server, "/api/chat", question())
        assert digests[0] == digests[1] != digests[2]

    def test_away_for_a_while_and_back_at_the_same_port(self, serve: Serve) -> None:
        server = serve("down:2:0.5")
        with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as kept:
            kept.post("/api/chat", json=question())
            with pytest.raises(httpx.RemoteProtocolError):
                kept.post("/api/chat", json=question())
            deadline, refused = time.monotonic() + 20, False
            while True:
                assert time.monotonic() < deadline
                try:
                    assert kept.post("/api/chat", json=question()).status_code == 200
                    break
                except httpx.TransportError as error:
                    refused |= isinstance(error, httpx.ConnectError)
                    time.sleep(0.02)
        assert refused
        assert server.told()["loads"] == 2  # a new process has nothing loaded

    def test_faults_change_while_it_runs(self, serve: Serve) -> None:
        server = serve()
        assert post(server, "/api/chat", question()).status_code == 200
        server.change_faults("500:1:1")
        assert [post(server, "/api/chat", question()).status_code for _ in range(2)] == [500, 200]
        assert post(server, "/_test/faults", {"faults": "nonsense:1"}).status_code == 400
        server.reset()
        assert (server.calls(), server.told()["count"]) == ([], 0)

    def test_an_unknown_fault_is_named(self) -> None:
        with pytest.raises(ValueError, match="no fault 'nonsense'; there are 400long"):
            parse("nonsense:1")

    def test_a_full_queue_is_refused(self, serve: Serve) -> None:
        server = serve("", "--slots", "1", "--queue", "1", "--delay", "0.3")
        got: list[int] = []
        calls = [threading.Thread(target=lambda: got.append(post(server, "/api/chat", question()).status_code)) for _ in range(6)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        assert sorted(set(got)) == [200, 503]
        assert got.count(200) >= 2


class TestCounting:
    def test_answered_twice(self, serve: Serve) -> None:
        server = serve("malformed:2:1")
        post(server, "/api/chat", question(options={"seed": 1}))
        post(server, "/api/chat", question(format=RATING))  # another question, and a useless answer
        post(server, "/api/chat", question(format=RATING))
        assert (server.told()["asked"], server.told()["answered"], server.told()["answered_twice"]) == (2, 2, 0)
        post(server, "/api/chat", question(options={"seed": 2, "temperature": 0.3}))
        assert server.told()["answered_twice"] == 1
        assert sorted(server.told()["asks"].values()) == [[2, 1], [2, 2]]

    def test_forgetting_keeps_the_counts(self, serve: Serve) -> None:
        server = serve("500:3", "--forget")
        for _ in range(3):
            post(server, "/api/chat", question())
        told = server.told()
        assert (told["calls"], told["count"], told["faults"], told["answered_twice"]) == ([], 3, {"500": 1}, 1)

    def test_eight_kept_connections_at_once(self, serve: Serve) -> None:
        """All eight are in the server at the same time, and a call costs it little."""
        server = serve("", "--slots", "8", "--delay", "0.02", "--forget")

        def work(n: int) -> None:
            with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as kept:
                for at in range(25):
                    assert kept.post("/api/chat", json=question(messages=of_user(f"user{n}", str(at)))).status_code == 200

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = server.told()
        assert (told["count"], told["answered"], told["most_at_once"]) == (200, 200, 8)
        assert told["prefix_reuse"] > 0.7


class TestBatch:
    LINES = [
        json.dumps({"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": v1(model="gpt-x")})
        for n in range(6)
    ]

    def test_every_request_is_answered_in_another_order(self) -> None:
        answers = [json.loads(line) for line in batch_answers(self.LINES)]
        assert [answer["custom_id"] for answer in answers] == [f"c{n}" for n in reversed(range(6))]
        for answer in answers:
            assert (answer["response"]["status_code"], answer["error"]) == (200, None)
            content = answer["response"]["body"]["choices"][0]["message"]["content"]
            assert prompts.parse(content).rating == Model().rate(MATCH)[0]

    def test_its_faults(self) -> None:
        faults = "500:1:1,expired:2:1,missing:3:1,doubled:4:1,refusal:5"
        answers = [json.loads(line) for line in batch_answers(self.LINES, faults)]
        by_id = {answer["custom_id"]: answer for answer in answers}
        assert [answer["custom_id"] for answer in answers] == ["c5", "c4", "c3", "c3", "c1", "c0"]
        assert by_id["c0"]["response"]["status_code"] == 500
        assert by_id["c1"]["error"]["code"] == "batch_expired"
        assert by_id["c1"]["response"] is None
        assert by_id["c4"]["response"]["body"]["choices"][0]["message"]["content"] is None


def test_it_tells_its_port_and_how_to_use_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.model_server"],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(process.stdout.readline())
        assert f"http://127.0.0.1:{port}/v1" in process.stderr.readline() + process.stderr.readline()
    finally:
        process.kill()
        process.communicate()
