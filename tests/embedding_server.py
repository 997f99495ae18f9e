"""A server that gives text vectors by Ollama's API and by OpenAI's, for tests: a process of its own.

    python tests/embedding_server.py --faults 500:3,hang:1:1

It prints its port. A fault `kind:n` strikes every n-th request for vectors (`kind:n:m`: the first m of them only). A text
longer than `--window` characters is refused. What was asked is at /_test/calls.
"""

import argparse
import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("429", "500", "count", "dimension", "drop", "dribble", "empty", "hang", "lengths", "nan", "page", "shuffled", "zero")


def vector(text: str, dim: int) -> list[float]:
    """The same for the same text; like for texts that share words."""
    values = [0.0] * dim
    for word in text.lower().split():
        seed = hashlib.sha256(word.encode()).digest()
        values = [value + seed[place % 32] - 127.5 for place, value in enumerate(values)]
    return values


class State:
    """What one server process remembers, and how it is set up."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.faults = [(kind, int(every), int((*most, 1 << 30)[0])) for kind, every, *most in options.faults]
        self.lock = threading.Lock()
        self.calls: list[dict[str, Any]] = []
        self.struck: Counter[str] = Counter()

    def note(self, path: str, asked: dict[str, Any]) -> str | None:
        """Writes the call down; the fault that strikes it."""
        with self.lock:
            number = len(self.calls) + 1
            due = (kind for kind, every, most in self.faults if number % every == 0 and self.struck[kind] < most)
            fault = next(due, None)
            self.struck[fault or ""] += 1
            self.calls.append({"at": time.monotonic(), "path": path, "fault": fault, "asked": asked})
            return fault


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    state: State

    def do_GET(self) -> None:
        options = self.state.options
        if self.path == "/api/tags":
            models = [{"name": name, "model": name, "digest": options.digest} for name in options.models]
            self._json(200, {"models": models})
        elif self.path == "/_test/calls":
            with self.state.lock:
                self._json(200, self.state.calls)
        else:
            self._text(404, "404 page not found")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        options, openai = self.state.options, self.path == "/v1/embeddings"
        if not openai and self.path != "/api/embed":
            return self._text(404, "404 page not found")
        given = self.headers.get("Authorization", "")
        if options.key and given != f"Bearer {options.key}":
            return self._json(401, {"error": {"message": f"Incorrect API key provided: {given.removeprefix('Bearer ')}."}})
        if not {asked["model"], f"{asked['model']}:latest"} & set(options.models):
            error = f'model "{asked["model"]}" not found, try pulling it first'
            return self._json(404, {"error": {"message": error, "code": "model_not_found"} if openai else error})
        fault = self.state.note(self.path, asked)
        time.sleep(options.delay)
        if fault is None or not self._strike(fault):
            self._answer(asked, fault, openai)
        return None

    def _strike(self, fault: str) -> bool:
        """A fault that replaces the answer; False for those that only change it."""
        if fault == "500":
            self._json(500, {"error": "llama runner process has terminated: signal: killed"})
        elif fault == "429":
            self._json(429, {"error": {"message": "Rate limit reached"}}, {"Retry-After": self.state.options.retry_after})
        elif fault == "drop":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"embeddings": [[0.1, ')
            self.close_connection = True
        elif fault == "hang":
            time.sleep(60)
        elif fault == "dribble":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            for _ in range(600):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)
        elif fault == "page":
            self._text(200, "<html>Sign in to the hotel's network</html>")
        else:
            return False
        return True

    def _answer(self, asked: dict[str, Any], fault: str | None, openai: bool) -> None:
        options, texts = self.state.options, asked["input"]
        if any(len(text) > options.window for text in texts):
            if openai:
                return self._json(400, {"error": {"message": "This model's maximum context length is 512 tokens."}})
            if options.stubborn or not asked["truncate"]:
                return self._json(400, {"error": "the input length exceeds the context length"})
        dim = options.dim + 1 if fault == "dimension" else options.dim
        rows = [vector(text[: options.window], dim) for text in texts]
        if fault == "count":
            rows.pop()
        elif fault == "empty":
            rows.clear()
        elif fault == "nan":
            rows[0][0] = float("nan")
        elif fault == "zero":
            rows[-1] = [0.0] * dim
        elif fault == "lengths":
            rows[0] = rows[0] + [1.0]
        data = [{"index": place, "embedding": row} for place, row in enumerate(rows)]
        if fault == "shuffled":
            data.reverse()
        return self._json(200, {"object": "list", "data": data} if openai else {"model": asked["model"], "embeddings": rows})

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._text(status, json.dumps(value), headers)

    def _text(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=lambda text: [part.split(":") for part in text.split(",") if part], default=[])
    parser.add_argument(
        "--models", type=lambda text: text.split(","), default=["nomic-embed-text:latest", "text-embedding-3-small"]
    )
    parser.add_argument("--digest", default="d1")
    parser.add_argument("--key", default="")
    parser.add_argument("--dim", type=int, default=8)
    parser.add_argument("--window", type=int, default=2000)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--retry-after", default="0")
    parser.add_argument("--stubborn", action="store_true", help="refuse a long text even when asked to cut it")
    options = parser.parse_args()
    unknown = {kind for kind, *_ in options.faults} - set(FAULTS)
    if unknown:
        parser.error(f"no such fault: {unknown}")
    Handler.state = State(options)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
