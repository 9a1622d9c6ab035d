"""An MES on MQTT 5 as a process: applies each key once, keeps it in SQLite, acknowledges.

Its faults are rows of the same file: whoever tests it writes the mode, and it says which one it
has taken up.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TOPIC = "loupe/v1/+/+/+/disposition"
SCHEMA = """
CREATE TABLE IF NOT EXISTS held (n INTEGER PRIMARY KEY, key TEXT UNIQUE, unit TEXT, verdict TEXT,
    revision INTEGER, reference TEXT);
CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY, key TEXT, unit TEXT, verdict TEXT,
    revision INTEGER);
CREATE TABLE IF NOT EXISTS received (n INTEGER PRIMARY KEY, key TEXT, body BLOB, topic TEXT,
    properties TEXT, at REAL);
CREATE TABLE IF NOT EXISTS mode (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER,
    name TEXT, argument TEXT);
CREATE TABLE IF NOT EXISTS taken_up (number INTEGER);
CREATE TABLE IF NOT EXISTS acks (n INTEGER PRIMARY KEY, topic TEXT, key TEXT, body BLOB,
    sent INTEGER DEFAULT 0);
"""


def opened(path: Path) -> sqlite3.Connection:
    """The peer's memory; autocommit, and synchronous enough to outlive a kill."""
    made = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
    made.execute("PRAGMA journal_mode = WAL")
    made.execute("PRAGMA synchronous = NORMAL")
    made.executescript(SCHEMA)
    return made


class MqttMes:
    """The peer; everything it does happens in one thread, but what is applied late."""

    def __init__(self, *, port: int, path: Path, user: str, secret: str, client: str) -> None:
        self._db = opened(path)
        self._lock = threading.Lock()
        self._secret = secret
        self._mode, self._argument = "ok", ""
        self._number = -1
        self._subscribed = False
        self._suback = 0
        self._mqtt = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        self._mqtt.username_pw_set(user, secret)
        self._mqtt.reconnect_delay_set(1, 1)
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_subscribe = self._on_subscribe
        self._mqtt.on_message = self._on_message
        session: Any = _properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self._look()
        self._mqtt.connect_async("127.0.0.1", port, 10, clean_start=False, properties=session)

    def run(self) -> None:
        """Serve until killed."""
        self._mqtt.loop_start()
        while True:
            time.sleep(0.01)
            self._look()
            for n, topic, key, body in self._db.execute(
                "SELECT n, topic, key, body FROM acks WHERE NOT sent"
            ).fetchall():
                self._say(topic, key, body)
                self._db.execute("UPDATE acks SET sent = 1 WHERE n = ?", [n])

    def _look(self) -> None:
        """Take up the mode that is set; it counts once the broker has been told, too."""
        row = self._db.execute("SELECT number, name, argument FROM mode").fetchone()
        number, self._mode, self._argument = row or (0, "ok", "")
        wants = self._mode != "unsubscribed"
        if self._mqtt.is_connected() and wants != self._subscribed:
            self._subscribed = wants
            if wants:
                self._mqtt.subscribe(TOPIC, qos=1)
            else:
                self._mqtt.unsubscribe(TOPIC)
        ready = self._mqtt.is_connected() and (self._suback > 0 or not wants)
        if ready and number != self._number:
            self._number = number
            self._db.execute("DELETE FROM taken_up")
            self._db.execute("INSERT INTO taken_up VALUES (?)", [number])

    def _on_connect(self, *_: Any) -> None:
        self._subscribed, self._suback = False, 0
        self._number = -1

    def _on_subscribe(self, *_: Any) -> None:
        self._suback += 1

    def _on_message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        properties: Any = message.properties
        named = dict(properties.UserProperty)
        key = properties.CorrelationData.decode()
        said = {
            "content_type": properties.ContentType,
            "response_topic": properties.ResponseTopic,
            "expiry": getattr(properties, "MessageExpiryInterval", None),
            "correlation": key,
            "idempotency-key": named.get("idempotency-key"),
        }
        self._db.execute(
            "INSERT INTO received (key, body, topic, properties, at) VALUES (?, ?, ?, ?, ?)",
            [key, bytes(message.payload), message.topic, json.dumps(said), time.time()],
        )
        if self._is_signed(named.get("signature", ""), bytes(message.payload)):
            self._act(key, json.loads(message.payload), properties.ResponseTopic)
        client.ack(message.mid, message.qos)

    def _is_signed(self, signature: str, body: bytes) -> bool:
        at, _, digest = signature.partition(",v1=")
        signed = at.removeprefix("t=").encode() + b"." + body
        wanted = hmac.new(self._secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, digest)

    def _act(self, key: str, event: dict[str, Any], topic: str) -> None:
        mode, argument = self._mode, self._argument
        if mode == "hang":
            return
        if mode == "refuse":
            self._say(topic, key, _body(key, "rejected", reason=argument))
            return
        if mode == "late":
            threading.Timer(float(argument), self._apply, args=(key, event)).start()
            return
        if mode == "slow":
            time.sleep(float(argument))
        reference, is_new = self._apply(key, event)
        if mode == "lose":
            return
        if mode == "nameless":
            reference = ""
        answer = _body(key, "applied" if is_new else "duplicate", peer_ref=reference)
        self._say(topic, key, b'{"disposition_id": 1' if mode == "malformed" else answer)
        if mode == "twice":
            self._say(topic, key, answer)

    def _apply(self, key: str, event: dict[str, Any]) -> tuple[str, bool]:
        """Reference, and whether it was new; one transaction."""
        data = event["data"]
        values = [key, data["unit"]["serial"], json.dumps(data["disposition"]), data["revision"]]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = self._db.execute("SELECT reference FROM held WHERE key = ?", [key]).fetchone()
                if row is not None:
                    return row[0], False
                self._db.execute(
                    "INSERT INTO effects (key, unit, verdict, revision) VALUES (?, ?, ?, ?)", values
                )
                (n,) = self._db.execute("SELECT max(n) FROM effects").fetchone()
                self._db.execute(
                    "INSERT INTO held (key, unit, verdict, revision, reference)"
                    " VALUES (?, ?, ?, ?, ?)",
                    [*values, f"MES-{n}"],
                )
                return f"MES-{n}", True
            finally:
                self._db.execute("COMMIT")

    def _say(self, topic: str, key: str, body: bytes) -> None:
        properties: Any = _properties(PacketTypes.PUBLISH)
        properties.CorrelationData = key.encode()
        self._mqtt.publish(topic, body, qos=1, properties=properties)


def _properties(packet: int) -> Any:
    return Properties(packet)  # type: ignore[no-untyped-call]  # so the library has it


def _body(key: str, status: str, *, peer_ref: str = "", reason: str = "") -> bytes:
    said = {"disposition_id": key, "status": status, "peer_ref": peer_ref, "reason": reason}
    return json.dumps({name: value for name, value in said.items() if value}).encode()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--client", default="mes")
    given = parser.parse_args()
    MqttMes(**vars(given)).run()


if __name__ == "__main__":
    main()
