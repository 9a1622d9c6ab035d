"""The decoders as processes; installed by pip and npm the first time."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.settings.environment import ROOT

_HOME: Final = ROOT / "var" / "peers" / "sparkplug"
_HERE: Final = Path(__file__).parent
NAMES: Final = ("pysparkplug", "sparkplug-payload")


@dataclass(frozen=True)
class Said:
    """One message of the mirror, as it came off the broker."""

    topic: str
    payload: bytes
    qos: int
    retain: bool

    @property
    def kind(self) -> str:
        """NBIRTH, DDATA and so on."""
        return self.topic.split("/")[2]


def decode(name: str, said: Sequence[Said]) -> list[dict[str, Any]]:
    """What a decoder makes of them: `seq` and `metrics` of each."""
    command = _python() if name == "pysparkplug" else _node()
    lines = [
        json.dumps({"kind": one.kind, "payload": base64.b64encode(one.payload).decode()})
        for one in said
    ]
    done = _run(command, given="\n".join(lines) + "\n")
    return [json.loads(line) for line in done.splitlines()]


def why_missing(name: str) -> str:
    """Why there is no such decoder on this machine; empty when there can be."""
    if name == "sparkplug-payload" and not (shutil.which("npm") and shutil.which("node")):
        return "npm is not installed"
    return ""


def _python() -> list[str]:
    home = _HOME / "python"
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin" / "pip"), "install", "--quiet", "pysparkplug==0.6.1"])
        (home / "done").touch()
    return [str(home / "bin" / "python"), str(_HERE / "decode_in_python.py")]


def _node() -> list[str]:
    home = _HOME / "node"
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text('{"private": true}')
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(["npm", "install", "--prefix", str(home), *flags, "sparkplug-payload@1.0.3"])
        (home / "done").touch()
    return ["node", str(_HERE / "decode_in_node.cjs"), str(home)]


def _run(command: list[str], *, given: str = "") -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=600, input=given
    )
    assert done.returncode == 0, f"{' '.join(command[:3])}: {done.stderr[-1500:]}"
    return done.stdout
