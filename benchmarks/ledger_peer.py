"""An MES that misbehaves: `python -m benchmarks.ledger_peer --port 9000 --book effects.sqlite`.

What it applies it writes into its book, one row an effect; it never forgets and never refuses a
second one by itself. `POST /orders` with a part of ORDERS changes how it behaves.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sqlite3
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

BOOK: Final = """
CREATE TABLE IF NOT EXISTS effect (
    n INTEGER PRIMARY KEY, at REAL, key TEXT, serial TEXT, revision INTEGER, disposition TEXT,
    how TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS effect_key ON effect (key);
CREATE TABLE IF NOT EXISTS call (n INTEGER PRIMARY KEY, at REAL, key TEXT, what TEXT);
"""
FAULTS: Final = (
    *("500_before", "500_after", "reset_before", "reset_after", "slow", "late", "429"),
    *("no_reference", "half_answer", "gateway", "forgets"),
)
ORDERS: Final[dict[str, Any]] = {
    # The share of calls that meet a fault, each kind as often as the others.
    "share": 0.0,
    "faults": FAULTS,
    # Whether a key that was applied is known again, or applied a second time.
    "knows_keys": False,
    # Seconds the slow and the late ones take: longer than the time-out, and those applied late
    # at most the second, which is the longest processing time that the plant was told.
    "slow_s": 1.0,
    "late_s": [0.8, 3.0],
}


class Book:
    """What was applied, in the order in which it was."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(BOOK)

    def held(self, key: str) -> str:
        """The reference of what was applied under the key; empty when nothing was."""
        found = self._ask("SELECT min(n) FROM effect WHERE key = ?", key)
        return f"MES-{found}" if found else ""

    def apply(self, key: str, body: bytes, how: str, *, knows_keys: bool) -> str:
        """The reference; a key that is held has another effect only where it is not known."""
        event = json.loads(body)
        data = event["data"]
        with self._lock:
            if knows_keys:
                found = self._connection.execute(
                    "SELECT min(n) FROM effect WHERE key = ?", [key]
                ).fetchone()[0]
                if found:
                    return f"MES-{found}"
            row = self._connection.execute(
                "INSERT INTO effect (at, key, serial, revision, disposition, how, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    time.time(),
                    key,
                    data["unit"]["serial"],
                    data["revision"],
                    data["disposition"],
                    how,
                    body.decode(),
                ),
            )
            return f"MES-{row.lastrowid}"

    def note(self, key: str, what: str) -> None:
        """A call that met a fault."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO call (at, key, what) VALUES (?, ?, ?)", (time.time(), key, what)
            )

    def _ask(self, query: str, *values: object) -> Any:
        with self._lock:
            return self._connection.execute(query, values).fetchone()[0]


class Server(ThreadingHTTPServer):
    """A thread for each call; as many may wait as come."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, book: Book, seed: int) -> None:
        self.book = book
        self.dice = random.Random(seed)
        self.orders = dict(ORDERS)
        super().__init__(("127.0.0.1", port), Peer)

    def think(self) -> None:
        """As long as it may take."""
        time.sleep(self.dice.uniform(*self.orders["late_s"]))


class Peer(BaseHTTPRequestHandler):
    """The MES's interface, as far as an adapter uses it."""

    protocol_version = "HTTP/1.1"

    @property
    def _mes(self) -> Server:
        return cast(Server, self.server)

    def log_message(self, *_arguments: object) -> None:
        """Nothing: the book says what happened."""

    def do_GET(self) -> None:
        """Read back, or whether it is there at all."""
        if self.path == "/health":
            self._say(200, {"status": "ok"})
            return
        key = self.path.rpartition("/")[2]
        if self._meets_a_fault():
            self._mes.book.note(key, "reading")
            self._say(503, {"detail": "Ask again."})
            return
        reference = self._mes.book.held(key)
        if reference:
            self._say(200, {"reference": reference})
        else:
            self._say(404, {"detail": "Not held."})

    def do_POST(self) -> None:
        """A disposition, or how to behave."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/orders":
            self._mes.orders |= json.loads(body)
            self._say(200, self._mes.orders)
            return
        key = self.headers.get("Idempotency-Key", "")
        if not self._meets_a_fault():
            self._say(201, {"reference": self._apply(key, body, "well")})
            return
        fault = self._mes.dice.choice(self._mes.orders["faults"])
        self._mes.book.note(key, fault)
        self._misbehave(fault, key, body)

    def _misbehave(self, fault: str, key: str, body: bytes) -> None:
        orders = self._mes.orders
        if fault in {"500_after", "reset_after", "slow", "no_reference", "half_answer"}:
            reference = self._apply(key, body, fault)
        if fault.startswith("reset"):
            self._cut()
        elif fault.startswith("500"):
            self._say(500, {"detail": "Something broke."})
        elif fault == "gateway":
            # It has given up on the system behind it, which has not.
            self._say(504, {"detail": "No answer from the system behind."})
            self._mes.think()
            self._apply(key, body, fault)
        elif fault == "429":
            self._say(429, {"detail": "Too many."}, ("Retry-After", "1"))
        elif fault in {"no_reference", "forgets"}:
            self._say(202, {"detail": "Taken."})
        elif fault == "half_answer":
            self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{")
            self._cut()
        elif fault == "slow":
            time.sleep(orders["slow_s"])
            self._say(201, {"reference": reference})
        else:
            self._mes.think()
            self._say(201, {"reference": self._apply(key, body, "late")})

    def _meets_a_fault(self) -> bool:
        share: float = self._mes.orders["share"]
        return self._mes.dice.random() < share

    def _apply(self, key: str, body: bytes, how: str) -> str:
        return self._mes.book.apply(key, body, how, knows_keys=self._mes.orders["knows_keys"])

    def _cut(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _say(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        body = json.dumps(value).encode()
        try:
            self.send_response(status)
            for name, text in (("Content-Type", "application/json"), *headers):
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            # Whoever asked has not waited.
            self.close_connection = True


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_peer")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    Server(given.port, Book(given.book), given.seed).serve_forever()


if __name__ == "__main__":
    main()
