"""HTTP: one thread per connection, kept alive; bodies as both APIs write them; a port that can go away for a while."""

import contextlib
import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.model_server.machine import Gone
from tests.model_server.state import State

Route = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """`routes` are {(method, path): function(handler, body)}."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other's acknowledgement
    disable_nagle_algorithm = True
    state: State
    routes: dict[tuple[str, str], Route]
    asked: dict[str, Any]
    server: "Server"

    def do_GET(self) -> None:
        self._dispatch({})

    def do_HEAD(self) -> None:
        self._dispatch({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            asked = json.loads(body or b"{}")
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return self.fail(400, str(error))
        if not isinstance(asked, dict):
            return self.fail(400, "json: cannot unmarshal into Go value of type api.ChatRequest")
        return self._dispatch(asked)

    @property
    def speaks_openai(self) -> bool:
        return self.path.startswith("/v1/")

    def _dispatch(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        method = "GET" if self.command == "HEAD" else self.command
        path = self.path.split("?")[0]
        route = self.routes.get((method, path))
        if route is None:
            return self.text(405 if any(path == known for _, known in self.routes) else 404, "404 page not found")
        if (
            self.speaks_openai
            and self.state.options.key
            and self.headers.get("Authorization") != f"Bearer {self.state.options.key}"
        ):
            return self.fail(401, "Incorrect API key provided.", code="invalid_api_key")
        try:
            return route(self, asked)
        except (Gone, ConnectionError):
            self.close_connection = True
            with self.state.lock:
                self.state.cancelled += 1

    def pause(self, seconds: float) -> None:
        """Wait; Gone when the client hangs up."""
        until = time.monotonic() + seconds
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable:
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise Gone
            time.sleep(max(0.0, until - time.monotonic()))  # the next request is here already

    def json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._body(status, "application/json; charset=utf-8", json.dumps(value).encode(), headers or {})

    def text(self, status: int, text: str) -> None:
        self._body(status, "text/plain; charset=utf-8", text.encode(), {})

    def fail(
        self, status: int, message: str, code: str | None = None, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """An error in the shape of the API that was asked."""
        if not self.speaks_openai:
            return self.json(status, {"error": message}, headers)
        kinds = {404: "not_found_error", 429: "requests"}
        kind = kinds.get(status, "invalid_request_error" if status < 500 else "api_error")
        return self.json(status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, headers)

    def stream(self, kind: str, parts: Iterable[str]) -> None:
        """The parts as they come, in chunks."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            data = part.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def partial(self) -> None:
        """Begin an answer and hang up."""
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b'{"model": "x", "mess')
        self.close_connection = True

    def drop(self) -> None:
        """Hang up."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self, status: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        self.down_s = 0.0
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.down_s:  # accepted in the moment of the end
            return self.shutdown_request(request)
        self._open.add(request)
        return super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def go_down(self, seconds: float) -> None:
        """Seem to die: nothing listens, all connections break, no model is loaded."""
        self.down_s = seconds
        for request in (self.socket, *self._open):  # the listening one first: nobody new comes in
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        threading.Thread(target=self.shutdown).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are part of the play; anything else is a fault of this server and shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(state: State, routes: dict[tuple[str, str], Route], port: int, started: Callable[[int], None]) -> None:
    """Serve for ever; `started` is told the port."""
    Handler.state, Handler.routes = state, routes
    server = Server(port)
    started(server.server_port)
    while True:
        server.serve_forever(poll_interval=0.02)
        server.server_close()
        state.machine.unload()
        time.sleep(server.down_s)
        server = Server(server.server_port)
