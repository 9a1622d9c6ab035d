"""A queue at its worst, in front of an SQS endpoint: `python -m benchmarks.ledger_queue`.

Everything it does a standard queue may do: a message comes twice or three times, out of order, a
delete is lost on its way there or back, a receipt has run out. Before a delete goes through it
looks, with a connection of its own, whether what the message leads to is committed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import socket
import struct
import threading
from collections import Counter, OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

import psycopg

Message = dict[str, Any]
MOST: Final = 10
REMEMBERED: Final = 400
AGAIN: Final = "again:"
SHARES: Final = {"twice": 0.15, "held": 0.2, "lost": 0.08, "refused": 0.05, "expired": 0.05}
_COMMITTED: Final = """
    SELECT event_id FROM traceability_prediction WHERE event_id = ANY(%(events)s)
    UNION ALL SELECT split_part(message_id, '#', 1) FROM inference_bridge_deadletter
    WHERE split_part(message_id, '#', 1) = ANY(%(messages)s)
"""
_SIDECAR: Final = re.compile(r"sidecars/([^/\"]+)\.prediction\.json")


class Ledger:
    """What was given out and deleted, and whether it was written before."""

    def __init__(self, url: str, book: Path) -> None:
        self._url = url
        self._book = book
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self.bodies: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self.counts: Counter[str] = Counter()
        self.receives: Counter[str] = Counter()

    def given(self, message: Message) -> None:
        """Remember which message a receipt stands for."""
        with self._lock:
            self.bodies[message["ReceiptHandle"]] = (message["MessageId"], message["Body"])
            self.receives[message["MessageId"]] += 1
            self.counts["given"] += 1

    def are_committed(self, receipts: list[str]) -> bool | None:
        """Whether each message's consequence is in the tables; None when nobody can tell now."""
        with self._lock:
            known = [self.bodies[receipt] for receipt in receipts if receipt in self.bodies]
            try:
                written = self._written(known)
            except psycopg.Error:
                self._connection = None
                return None
            early = [m for m, body in known if not ({m, _event_of(body)} & written)]
            self.counts["checked"] += len(known)
            if early:
                self.counts["too_early"] += len(early)
                with self._book.open("a") as book:
                    book.writelines(f"deleted before commit: {m}\n" for m in early)
            return not early

    def _written(self, known: list[tuple[str, str]]) -> set[str]:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=3)
        values = {
            "events": [_event_of(body) for _message, body in known],
            "messages": [message for message, _body in known],
        }
        return {row[0] for row in self._connection.execute(_COMMITTED.encode(), values)}


def _event_of(body: str) -> str:
    """The id of the event in a message, as far as there is one."""
    if found := _SIDECAR.search(body):
        return found[1]
    try:
        event = json.loads(body)
        return str(event.get("id", ""))
    except (ValueError, AttributeError):
        return ""


class Server(ThreadingHTTPServer):
    """The endpoint that the plant is told."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, behind: int, ledger: Ledger, seed: int) -> None:
        self.behind = behind
        self.ledger = ledger
        self.dice = random.Random(seed)
        self.is_evil = True
        self.held: list[Message] = []
        self.recent: list[Message] = []
        self.lock = threading.Lock()
        # The emulator rebuilds its list at each delete and loses what is sent meanwhile.
        self.one_change = threading.Lock()
        self.number = 0
        super().__init__(("127.0.0.1", port), Evil)


class Evil(BaseHTTPRequestHandler):
    """Passes calls on, and does to some of them what queues do."""

    protocol_version = "HTTP/1.1"
    _there: http.client.HTTPConnection | None = None

    @property
    def _queue(self) -> Server:
        return cast(Server, self.server)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """What was seen so far, or how often a message was given out."""
        ledger = self._queue.ledger
        if self.path.startswith("/receives/"):
            count = ledger.receives[self.path.rpartition("/")[2]]
            self._send(200, str(count).encode(), {"Content-Type": "text/plain"})
            return
        found = {**ledger.counts, "most_receives": max(ledger.receives.values(), default=0)}
        self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def do_POST(self) -> None:
        """A call of the SQS protocol, or an order to behave."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/orders":
            self._queue.is_evil = bool(json.loads(body)["evil"])
            self._send(200, b"{}", {"Content-Type": "application/json"})
            return
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if target == "ReceiveMessage":
            self._receive(body)
        elif target == "DeleteMessageBatch":
            self._delete(body)
        elif target == "SendMessageBatch":
            with self._queue.one_change:
                answer = self._ask(body)
            self._send(*answer)
        else:
            self._send(*self._ask(body))

    def _receive(self, body: bytes) -> None:
        status, answer, headers = self._ask(body)
        asked = json.loads(body)
        if status != 200 or "dead" in asked["QueueUrl"]:
            self._send(status, answer, headers)
            return
        messages = json.loads(answer or b"{}").get("Messages", [])
        queue = self._queue
        with queue.lock:
            messages = self._muddled(messages)
        for message in messages:
            queue.ledger.given(message)
        self._send(status, json.dumps({"Messages": messages} if messages else {}).encode(), headers)

    def _muddled(self, messages: list[Message]) -> list[Message]:
        queue = self._queue
        given = [*queue.held, *messages]
        queue.held = []
        if not queue.is_evil:
            queue.held = given[MOST:]
            return given[:MOST]
        copies = []
        for message in [*messages, *queue.recent[-MOST:]]:
            if queue.dice.random() < SHARES["twice"]:
                queue.number += 1
                receipt = f"{AGAIN}{queue.number}:{_original(message['ReceiptHandle'])}"
                copies.append({**message, "ReceiptHandle": receipt})
        queue.ledger.counts["twice"] += len(copies)
        queue.recent = [*queue.recent, *messages][-REMEMBERED:]
        given += copies
        queue.dice.shuffle(given)
        late = sum(queue.dice.random() < SHARES["held"] for _message in given)
        keep = max(1, min(MOST, len(given) - late)) if given else 0
        queue.held = given[keep:]
        return given[:keep]

    def _delete(self, body: bytes) -> None:
        asked = json.loads(body)
        entries = asked["Entries"]
        receipts = [entry["ReceiptHandle"] for entry in entries]
        queue = self._queue
        dice = queue.dice.random() if queue.is_evil else 1.0
        if dice < SHARES["refused"]:
            queue.ledger.counts["refused"] += 1
            self._send(500, b"{}", {"Content-Type": "application/x-amz-json-1.0"})
            return
        if dice < SHARES["refused"] + SHARES["expired"]:
            queue.ledger.counts["expired"] += 1
            self._say_expired(entries)
            return
        if queue.ledger.are_committed(receipts) is None:
            # Nobody can tell whether it is written: the delete is lost on its way here.
            self._cut()
            return
        originals = list(dict.fromkeys(_original(receipt) for receipt in receipts))
        asked["Entries"] = [{"Id": str(n), "ReceiptHandle": r} for n, r in enumerate(originals)]
        with queue.one_change:
            self._ask(json.dumps(asked).encode())
        queue.ledger.counts["deleted"] += len(entries)
        if queue.is_evil and queue.dice.random() < SHARES["lost"]:
            queue.ledger.counts["lost"] += 1
            self._cut()
            return
        done = {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        self._send(200, json.dumps(done).encode(), headers)

    def _say_expired(self, entries: list[Message]) -> None:
        failed = [
            {
                "Id": entry["Id"],
                "SenderFault": True,
                "Code": "ReceiptHandleIsInvalid",
                "Message": "The receipt handle has expired.",
            }
            for entry in entries
        ]
        answer = json.dumps({"Successful": [], "Failed": failed}).encode()
        self._send(200, answer, {"Content-Type": "application/x-amz-json-1.0"})

    def _ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """The endpoint's own answer."""
        if self._there is None:
            self._there = http.client.HTTPConnection("127.0.0.1", self._queue.behind, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "content-length"}
        headers["Content-Length"] = str(len(body))
        try:
            self._there.request("POST", self.path, body, headers)
            response = self._there.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._there = None
            return 503, b"{}", {"Content-Type": "application/x-amz-json-1.0"}
        kept = {"Content-Type": response.getheader("Content-Type", "application/x-amz-json-1.0")}
        return response.status, text, kept

    def _cut(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


def _original(receipt: str) -> str:
    """The receipt that the endpoint itself gave."""
    return receipt.split(":", 2)[2] if receipt.startswith(AGAIN) else receipt


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_queue")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--behind", type=int, required=True, help="port of the SQS endpoint")
    parser.add_argument("--database", required=True)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    ledger = Ledger(given.database, given.book)
    Server(given.port, given.behind, ledger, given.seed).serve_forever()


if __name__ == "__main__":
    main()
