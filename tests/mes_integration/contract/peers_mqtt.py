"""Mosquitto as it is installed, and an MES behind it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import fastjsonschema
from pydantic import SecretStr

from config.settings.environment import ROOT, MesTarget
from mes_integration.inbound import Said
from tests.mes_integration.contract import mqtt_mes
from tests.mes_integration.contract.peer import TARGET, Effect, Peer, Received, wait_until
from tests.ports import OwnPort

USER, SECRET = "loupe", "known-to-both"
CLIENT = "loupe-peer"
MISSING = "mosquitto is not on the PATH: apt install mosquitto, dnf or brew install mosquitto"
_SCHEMA = Path(ROOT, "mes_integration/schemas/disposition.v1.schema.json")
_VALID = fastjsonschema.compile(json.loads(_SCHEMA.read_text()))


def mosquitto() -> str | None:
    """Where the broker lies, if it is installed."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=places)


class Mosquitto:
    """A broker of this test's own, with a password and a memory that outlives it."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        self._folder = folder
        self._port = OwnPort()
        self.port = self._port.number
        passwords = folder / "passwords"
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", str(passwords), USER, SECRET],
            check=True,
            capture_output=True,
        )
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
            f"autosave_on_changes true\nuser root\nmax_queued_messages 100000\n"
            f"log_dest file {folder}/log\n{settings}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For a target's settings."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Up, and listening."""
        program = mosquitto()
        assert program, MISSING
        self._process = subprocess.Popen(
            [program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, what="mosquitto did not come up")

    def _listens(self) -> bool:
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stopped, with its connections open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Going on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """In order; everything it keeps is on disk."""
        self._end(signal.SIGTERM)
        self._port.free()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None


def broker(folder: Path, settings: str) -> Mosquitto:
    """One more broker, with settings of its own, running."""
    made = Mosquitto(folder, settings=settings)
    made.start()
    return made


class MqttPeer(Peer):
    """An MES process behind a broker of its own."""

    kind = "mqtt"
    threads = True
    cannot: ClassVar[dict[str, str]] = {
        "reconciliation_finds_what_the_peer_has_lost": "A subscriber cannot be asked.",
        "reconciliation_agrees_with_what_was_delivered": "A subscriber cannot be asked.",
    }

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="loupe-mqtt-"))
        self.broker = Mosquitto(self._folder)
        self._path = self._folder / "mes.sqlite"
        self._db = mqtt_mes.opened(self._path)
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.broker.start()
        self.launch()

    def launch(self) -> None:
        """The MES alone."""
        if self._process is None:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.mes_integration.contract.mqtt_mes"),
                    *("--port", str(self.broker.port), "--path", str(self._path)),
                    *("--user", USER, "--secret", SECRET),
                ],
                cwd=ROOT,
            )

    def stop(self) -> None:
        self.away()
        self.broker.stop()
        self._db.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def target(self) -> MesTarget:
        return MesTarget(
            name=TARGET,
            adapter="mqtt",
            url=self.broker.url,
            user=USER,
            secret=SecretStr(SECRET),
            timeout_s=30,
        )

    def effects(self) -> list[Effect]:
        rows = self._rows("SELECT key, unit, verdict, revision FROM effects ORDER BY n")
        return [Effect(key, unit, json.loads(verdict), n) for key, unit, verdict, n in rows]

    def received(self) -> list[Received]:
        return [Received(*row) for row in self._rows("SELECT key, body FROM received ORDER BY n")]

    def properties(self, key: str) -> tuple[str, dict[str, Any]]:
        """Topic and properties a key came with first."""
        query = "SELECT topic, properties FROM received WHERE key = ? ORDER BY n"
        topic, said = self._db.execute(query, [key]).fetchone()
        return topic, json.loads(said)

    def check(self, body: bytes) -> None:
        _VALID(json.loads(body))

    def acknowledge(self, key: str, state: Said, *, reference: str = "", reason: str = "") -> None:
        said = {
            "disposition_id": key,
            "status": state,
            "peer_ref": reference,
            "reason": reason,
        }
        self.says(key, json.dumps(said).encode())

    def says(self, key: str, body: bytes, *, topic: str = f"loupe/v1/plant-1/ack/{CLIENT}") -> None:
        """Publish this on the topic for acknowledgements."""
        self._db.execute("INSERT INTO acks (topic, key, body) VALUES (?, ?, ?)", [topic, key, body])

    def sent_all(self) -> bool:
        """Whether everything it was told to say is on its way."""
        return not self._rows("SELECT 1 FROM acks WHERE NOT sent")

    def back(self) -> None:
        self.launch()
        self.mode("ok")

    def away(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
            self._process = None

    def slow(self, seconds: float) -> None:
        self.mode("slow", seconds)

    def hang(self) -> None:
        self.mode("hang")

    def apply_late(self, seconds: float) -> None:
        self.mode("late", seconds)

    def lose_answers(self) -> None:
        self.mode("lose")

    def refuse(self, sentence: str) -> None:
        self.mode("refuse", sentence)

    def busy(self) -> None:
        # Its way of saying that it takes nothing: the broker says it for it.
        self.mode("unsubscribed")

    def without_reference(self) -> None:
        self.mode("nameless")

    def restart(self) -> None:
        self.away()
        self.back()

    def mode(self, name: str, argument: object = "") -> None:
        """Set a mode; returns when the MES is connected and has taken it up."""
        number = next(self._numbers)
        self._db.execute(
            "INSERT OR REPLACE INTO mode VALUES (1, ?, ?, ?)", [number, name, str(argument)]
        )
        wait_until(
            lambda: self._rows("SELECT number FROM taken_up") == [(number,)],
            what=f"the MES has not taken up {name}",
        )

    def _rows(self, query: str) -> list[Any]:
        return self._db.execute(query).fetchall()
