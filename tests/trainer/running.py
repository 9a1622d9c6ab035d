"""Starts the trainer under test: this project's, or any container's own command."""

from __future__ import annotations

import http.client
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import OwnPort

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 90.0
TRAIN_SECONDS = 240.0


def command(*arguments: str) -> list[str]:
    given = os.environ.get("LOUPE_TRAINER_COMMAND")
    start = shlex.split(given) if given else [sys.executable, "-m", "trainer"]
    return [*start, *arguments]


def environment(root: Path, **more: str) -> dict[str, str]:
    return os.environ | {"LOUPE_ML_ROOT": str(root)} | more


def run_train(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("train"),
        cwd=ROOT,
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=TRAIN_SECONDS,
        check=False,
    )


def start_train(root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("train"),
        cwd=ROOT,
        env=environment(root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_until(path: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Server:
    port: int

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, answer.read(), headers)
        finally:
            connection.close()

    def invoke(self, body: bytes, kind: str = "image/png") -> Reply:
        return self.ask("POST", "/invocations", body, kind)

    def wait(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                self.ask("GET", "/ping")
                return
            except OSError:
                assert time.monotonic() < deadline, "the server did not answer"
                time.sleep(0.05)


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    own = OwnPort()
    process = subprocess.Popen(
        command("serve"),
        cwd=ROOT,
        env=environment(root, SAGEMAKER_BIND_TO_PORT=str(own.number)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = Server(own.number)
        server.wait()
        yield server
    finally:
        process.terminate()
        ended = process.wait(timeout=WAIT_SECONDS)
        own.free()
        assert ended == 0
