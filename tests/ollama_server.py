"""A server that speaks Ollama's API (v0.33) with an obedient model inside, for tests: a process of its own.

    python tests/ollama_server.py --port 0 --faults 500:3,hang:1

It prints its port. A fault `kind:n` strikes every n-th chat call (`kind:n:m`: the first m of them only). The model rates
by the words that candidate and person share. It is obedient: an order "rate this High" (or Mid, Low) that stands outside
the data's tags is followed, one inside is not. What was asked is at /_test/calls.
"""

import argparse
import json
import re
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERSION = "0.33.0"
FAULTS = (
    "400long", "404", "429", "500", "502page", "503", "chatter", "drop", "empty", "fenced", "hang", "length", "longrating",
    "lowercase", "malformed", "norating", "null", "page", "partial", "prose", "slow", "unfinished", "wrong",
)  # fmt: skip
WORDS = re.compile(r"[a-z]{4,}")
ORDER = re.compile(r"rate (?:this|the candidate|it)?\s*(?:as )?(high|mid|low)\b", re.IGNORECASE)
DATA = re.compile(r"<(user_profile|history|candidate)\b[^>]*>(.*?)</\1>", re.DOTALL)


class Model:
    """A deterministic rater of the prompts that core.prompts writes."""

    def rate(self, messages: list[dict[str, str]]) -> tuple[str, str]:
        text = messages[-1]["content"]
        order = ORDER.search(DATA.sub(" ", text))
        if order:
            return order[1].capitalize(), "I was told so."
        parts = {name: set(WORDS.findall(body.lower())) for name, body in DATA.findall(text)}
        person = parts.get("user_profile", set()) | parts.get("history", set())
        shared = sorted((person & parts.get("candidate", set())) - {"title", "category", "description", "past", "chose", "items"})
        rating = "High" if len(shared) >= 2 else "Mid" if shared else "Low"
        return rating, f"Both name {', '.join(shared[:3])}." if shared else "Nothing is shared."


class State:
    """What one server process remembers."""

    def __init__(self, faults: list[tuple[str, int, int]], models: list[str], delay_s: float, slots: int) -> None:
        self.faults, self.models, self.delay_s = faults, models, delay_s
        self.slots = threading.Semaphore(slots)
        self.lock = threading.Lock()
        self.calls: list[dict[str, Any]] = []
        self.struck: Counter[str] = Counter()
        self.contexts: list[int] = []
        self.at_once = self.most_at_once = 0

    def next_fault(self, n: int) -> str | None:
        for kind, every, most in self.faults:
            if n % every == 0 and self.struck[kind] < most:
                self.struck[kind] += 1
                return kind
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other's acknowledgement
    state: State

    def do_HEAD(self) -> None:
        self._text(200, "")

    def do_GET(self) -> None:
        models = [{"name": name, "model": name, **about(name)} for name in self.state.models]
        if self.path == "/":
            self._text(200, "Ollama is running")
        elif self.path == "/api/version":
            self._json(200, {"version": VERSION})
        elif self.path == "/api/tags":
            self._json(200, {"models": models})
        elif self.path == "/api/ps":
            loaded = self.state.contexts[-1:]
            self._json(
                200, {"models": [model | {"size_vram": 0, "context_length": size} for size in loaded for model in models[:1]]}
            )
        elif self.path == "/_test/calls":
            with self.state.lock:
                reloads = sum(1 for a, b in zip(self.state.contexts, self.state.contexts[1:], strict=False) if a != b)
                told = {"calls": self.state.calls, "faults": self.state.struck, "reloads": reloads}
                self._json(200, told | {"most_at_once": self.state.most_at_once})
        else:
            self._text(404, "404 page not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            asked = json.loads(body)
        except json.JSONDecodeError as error:
            return self._json(400, {"error": str(error)})
        if self.path not in ("/api/show", "/api/chat"):
            return self._text(404, "404 page not found")
        model = asked.get("model", "")
        if not model:
            return self._json(400, {"error": "model is required"})
        if model not in self.state.models and f"{model}:latest" not in self.state.models:
            return self._json(404, {"error": f"model '{model}' not found"})
        if self.path == "/api/show":
            known = {"llama.context_length": 8192, "general.architecture": "llama"}
            capabilities = ["embedding"] if "embed" in model else ["completion"]
            return self._json(200, {**about(model), "model_info": known, "capabilities": capabilities, "modelfile": ""})
        return self._chat(asked)

    def _chat(self, asked: dict[str, Any]) -> None:
        state = self.state
        with state.lock:
            number = len(state.calls) + 1
            fault = state.next_fault(number)
            call = {"n": number, "at": time.time(), "fault": fault, "request": asked, "answered": False}
            state.calls.append(call)
            state.contexts.append(asked.get("options", {}).get("num_ctx", 4096))
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            with state.slots:
                began = time.monotonic_ns()
                time.sleep(state.delay_s)
                if fault is None or not self._strike(fault, asked):
                    self._answer(asked, fault, began)
                    call["answered"] = True
        finally:
            with state.lock:
                state.at_once -= 1

    def _strike(self, fault: str, asked: dict[str, Any]) -> bool:
        """A fault that replaces the answer; False for those that only change it."""
        if fault == "500":
            self._json(500, {"error": "llama runner process has terminated: signal: killed"})
        elif fault == "502page":
            self._text(502, "<html><h1>Bad Gateway</h1></html>")
        elif fault in ("503", "429"):
            self._json(int(fault), {"error": "server busy, please try again.  maximum pending requests exceeded"})
        elif fault == "404":
            self._json(404, {"error": f"model '{asked['model']}' not found"})
        elif fault == "400long":
            detail = {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size",
                    "type": "exceed_context_size_error",
                }
            }
            self._json(400, {"error": json.dumps(detail)})
        elif fault == "drop":
            self.close_connection = True
            self.connection.close()
        elif fault == "partial":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"model": "x", "mess')
            self.close_connection = True
        elif fault == "hang":
            time.sleep(60)
        elif fault == "slow":
            self._dribble()
        elif fault == "page":
            self._text(200, "<html>Sign in to the hotel's network</html>")
        elif fault == "null":
            self._text(200, "null")
        else:
            return False
        return True

    def _dribble(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(600):
            self.wfile.write(b"1\r\n \r\n")
            self.wfile.flush()
            time.sleep(0.1)

    def _answer(self, asked: dict[str, Any], fault: str | None, began: int) -> None:
        rating, analysis = Model().rate(asked["messages"])
        content = json.dumps({"analysis": analysis, "rating": rating})
        content = {
            "fenced": f"```json\n{content}\n```",
            "chatter": f"Sure! Here is my judgment: {content} I hope it helps.",
            "lowercase": json.dumps({"analysis": analysis, "rating": f" {rating.lower()}. "}),
            "wrong": json.dumps({"analysis": analysis, "rating": "Excellent"}),
            "longrating": json.dumps({"analysis": analysis, "rating": f"not {rating}"}),
            "norating": json.dumps({"analysis": analysis}),
            "malformed": content[:-3],
            "prose": f"I would say the rating is {rating}, and surely not High.",
            "length": content[:-12],
            "empty": "",
        }.get(fault or "", content)
        words = sum(len(message["content"]) for message in asked["messages"]) // 4
        spent = time.monotonic_ns() - began
        reply: dict[str, Any] = {
            "model": asked["model"],
            "created_at": datetime.now(UTC).isoformat(),
            "message": {"role": "assistant", "content": content},
            "done": True,
            "done_reason": "length" if fault == "length" else "stop",
            "total_duration": spent,
            "load_duration": 1,
            "prompt_eval_count": words,
            "prompt_eval_duration": spent // 2,
            "eval_count": len(content) // 4,
            "eval_duration": spent // 2,
        }
        if fault == "unfinished":
            reply = {key: reply[key] for key in ("model", "created_at", "message")} | {"done": False}
        if asked.get("stream", True):
            first = reply | {"done": False, "message": {"role": "assistant", "content": content}}
            lines = [{key: first[key] for key in ("model", "created_at", "message", "done")}]
            lines.append(reply | {"message": {"role": "assistant", "content": ""}})
            self._body(200, "application/x-ndjson", "".join(json.dumps(line) + "\n" for line in lines))
        else:
            self._json(200, reply)

    def _json(self, status: int, value: Any) -> None:
        self._body(status, "application/json; charset=utf-8", json.dumps(value))

    def _text(self, status: int, text: str) -> None:
        self._body(status, "text/plain; charset=utf-8", text)

    def _body(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def about(name: str) -> dict[str, Any]:
    details = {
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "8.0B",
        "quantization_level": "Q4_K_M",
    }
    digest = f"{sum(name.encode()):064x}"
    return {"digest": digest, "size": 1, "modified_at": "2026-08-21T00:00:00Z", "details": details}


def parse_faults(text: str) -> list[tuple[str, int, int]]:
    """ "500:3,hang:5:1" -> [("500", 3, 10**9), ("hang", 5, 1)]"""
    faults = []
    for part in filter(None, text.split(",")):
        kind, every, *most = part.split(":")
        if kind not in FAULTS:
            raise SystemExit(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
        faults.append((kind, int(every), int(most[0]) if most else 10**9))
    return faults


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--faults", default="", type=parse_faults)
    parser.add_argument("--models", default="llama3.1:8b")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds an answer takes")
    parser.add_argument("--slots", type=int, default=4)
    options = parser.parse_args()
    Handler.state = State(options.faults, [name for name in options.models.split(",") if name], options.delay, options.slots)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)  # noqa: T201 - how the test learns the port
    server.serve_forever()


if __name__ == "__main__":
    main()
