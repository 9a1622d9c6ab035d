"""A real Tryton: installed once, its database made once, started and stopped as a process."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

from config.settings.environment import ROOT

PACKAGES: Final = ("trytond==8.2.*", "trytond_quality==8.2.*")
KEY: Final = "0123456789abcdef" * 8
_HOME: Final = ROOT / "var" / "peers" / "tryton-8.2"
_MAKE: Final = Path(__file__).with_name("make_database.py")
_MODEL: Final = "/rest/model/quality.inspection"
COMES_UP_S: Final = 60


class NotInstalled(Exception):
    """Tryton could not be put into its environment; the sentence says what pip said."""


class Tryton:
    """One server over one database; restarting it keeps what it holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/plant"
        self.options = self._database()
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30)

    def _database(self) -> dict[str, int]:
        """A copy of the database that was made after the installation."""
        made = _installed()
        shutil.copy(made / "plant.sqlite", self._folder / "plant.sqlite")
        settings = self._folder / "trytond.conf"
        settings.write_text(
            f"[database]\nuri = sqlite://\npath = {self._folder}\n"
            f"[web]\nlisten = 127.0.0.1:{self.port}\n"
        )
        numbers: dict[str, int] = json.loads((made / "numbers.json").read_text())
        return numbers

    def start(self) -> None:
        """Answers when this returns."""
        settings = str(self._folder / "trytond.conf")
        command = [str(_HOME / "bin" / "trytond"), "-c", settings, "-d", "plant"]
        with (self._folder / "trytond.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        ends = time.monotonic() + COMES_UP_S
        while not self._answers():
            assert time.monotonic() < ends, "Tryton did not come up"
            assert self._process.poll() is None, (self._folder / "trytond.log").read_text()[-2000:]
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self.http.get(self.url + _MODEL, params={"s": 1}).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Without a chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)
            self._process = None

    def inspections(self) -> list[dict[str, Any]]:
        """Every inspection it holds, in the order they were made."""
        found = self.http.get(self.url + _MODEL, params={"f": ["reference", "state"]})
        found.raise_for_status()
        rows: list[dict[str, Any]] = found.json()
        return sorted(rows, key=lambda row: row["id"])

    def delete(self, number: int) -> None:
        """Remove an inspection as a person there would: back to pending first."""
        self.http.post(f"{self.url}{_MODEL}/{number}/pending")
        self.http.delete(f"{self.url}{_MODEL}/{number}").raise_for_status()


def _installed() -> Path:
    """Where the made database lies; installs Tryton and makes it the first time."""
    made = _HOME / "database"
    if (made / "numbers.json").exists():
        return made
    shutil.rmtree(_HOME, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(_HOME)])
    _run([str(_HOME / "bin" / "pip"), "install", "--quiet", *PACKAGES])
    made.mkdir()
    said = _run([str(_HOME / "bin" / "python"), str(_MAKE), str(made), KEY])
    (made / "numbers.json").write_text(said.strip().splitlines()[-1])
    return made


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise NotInstalled(
            f"Tryton could not be installed ({' '.join(command[:4])}): {done.stderr[-1500:]}"
        )
    return done.stdout
