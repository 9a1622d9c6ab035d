"""A server in this process that takes dispositions over HTTP and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
from abc import abstractmethod
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.mes_integration.contract.peer import Effect, Peer, Received
from tests.ports import OwnPort

Mode = Literal["", "slow", "hang", "late", "lose", "refuse", "busy", "nameless"]
LONGEST_HANG_S = 30


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object of the body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


Reply = tuple[int, Any]


class HttpPeer(Peer):
    """The server, its faults and what it holds; subclasses know the shapes.

    The faults hit what creates a disposition (`key_of` names its key); all else is answered as
    ever.
    """

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._received: list[Received] = []
        self._lock = threading.Lock()
        self._mode: Mode = ""
        self._seconds = 0.0
        self._sentence = ""
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread = threading.Thread()
        self._port: OwnPort | None = None
        self.port = 0

    # What a subclass knows

    @abstractmethod
    def key_of(self, request: Request) -> str | None:
        """The key of the disposition it creates; None for every other request."""

    @abstractmethod
    def let_in(self, request: Request) -> bool:
        """Whether it shows the secret."""

    @abstractmethod
    def take(self, request: Request, *, named: bool) -> Reply:
        """Apply what is new and answer; without a reference unless `named`. Holds the lock."""

    @abstractmethod
    def refusal(self, sentence: str) -> Reply:
        """As it refuses."""

    # The server

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.handle(self, Request(self.command, self.path, dict(self.headers), body))

            do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815  # http.server's names

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        if self._port is None:
            self._port = OwnPort()
            self.port = self._port.number
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self.away()
        if self._port is not None:
            self._port.free()
            self._port = None

    def away(self) -> None:
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def handle(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        """Answer one request, or not."""
        handler.close_connection = True
        if not self.let_in(request):
            self._say(handler, (401, {"detail": "Who are you?"}))
            return
        key = self.key_of(request)
        with self._lock:
            mode, seconds, sentence = self._mode, self._seconds, self._sentence
            if key is not None:
                self._received.append(Received(key, request.body))
        if key is None:
            mode = ""
        if mode == "hang":
            self._released.wait(LONGEST_HANG_S)
            return
        if mode in {"slow", "late"}:
            time.sleep(seconds)
        if mode in {"refuse", "busy"}:
            self._say(handler, self.refusal(sentence) if mode == "refuse" else (429, {}))
            return
        with self._lock:
            reply = self.take(request, named=mode != "nameless")
        if mode not in {"late", "lose"}:
            self._say(handler, reply)

    @staticmethod
    def _say(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        status, value = reply
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            """The client has gone away, as it should after its time-out."""

    # What it holds

    def effects(self) -> list[Effect]:
        with self._lock:
            return list(self._effects)

    def received(self) -> list[Received]:
        with self._lock:
            return list(self._received)

    # How it misbehaves

    def _set(self, mode: Mode, seconds: float = 0, sentence: str = "") -> None:
        with self._lock:
            self._mode, self._seconds, self._sentence = mode, seconds, sentence
            self._released.set()
            self._released = threading.Event()
        if self._server is None:
            self.start()

    def back(self) -> None:
        self._set("")

    def slow(self, seconds: float) -> None:
        self._set("slow", seconds)

    def hang(self) -> None:
        self._set("hang")

    def apply_late(self, seconds: float) -> None:
        self._set("late", seconds)

    def lose_answers(self) -> None:
        self._set("lose")

    def refuse(self, sentence: str) -> None:
        self._set("refuse", sentence=sentence)

    def busy(self) -> None:
        self._set("busy")

    def without_reference(self) -> None:
        self._set("nameless")

    def restart(self) -> None:
        self.away()
        self.start()
