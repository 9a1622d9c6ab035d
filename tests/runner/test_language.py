"""What the person at the terminal reads is in the plant's language; what goes into logs is not."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.catalogue import german
from tests.runner.conftest import REPOSITORY, Plant

Run = Callable[..., subprocess.CompletedProcess[str]]
GREETING = """
from config.runner import __main__ as runner, layout, plant
from config.runner.supervisor import health_lines
where = layout.chosen()
choice = plant.Choice(port=8123, demo=True)
print(*runner.greeting(choice, where, plant.address(8123)), sep="\\n")
print(*health_lines([{"name": "web", "state": "ready", "address": ""}]), sep="\\n")
print(*(step.doing for step in plant.steps(choice, where, plant.peers(choice, where))), sep="\\n")
"""


@pytest.fixture
def in_german(environment: dict[str, str]) -> dict[str, str]:
    """A plant that speaks German."""
    environment["LOUPE_LANGUAGE"] = "de"
    return environment


def says(message: str, facts: Mapping[str, Any] | None = None) -> str:
    """What German says for it."""
    found = german().get(message)
    words = str(found.string) if found is not None else message
    return words % facts if facts else words


def asked(environment: dict[str, str]) -> list[str]:
    """What `up` says at the end of its start, and of each step of it."""
    told = subprocess.run(
        [sys.executable, "-c", GREETING],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return told.stdout.splitlines()


def logins(state: Path) -> None:
    (state / "demo").mkdir(parents=True)
    (state / "demo" / "logins.txt").write_text("inspector\tpassword\tRolle\n", encoding="utf-8")


def test_the_lines_of_the_start_are_german_where_the_plant_is(
    in_german: dict[str, str], state: Path
) -> None:
    logins(state)
    lines = asked(in_german)
    assert says("Loupe is running: %(address)s", {"address": "http://127.0.0.1:8123"}) in lines
    assert says("Stop it with Ctrl-C.") in lines
    assert "inspector\tpassword\tRolle" in lines
    assert f"  web  {says('ready')}" in lines
    for doing in ("starting PostgreSQL", "migrating the database", "starting the web server"):
        assert says(doing) in lines


def test_without_a_language_they_are_english(environment: dict[str, str], state: Path) -> None:
    logins(state)
    lines = asked(environment)
    assert "Loupe is running: http://127.0.0.1:8123" in lines
    assert "Stop it with Ctrl-C." in lines
    assert "  web  ready" in lines
    assert "starting PostgreSQL" in lines


def test_what_is_in_the_way_is_said_in_german(in_german: dict[str, str], runner: Run) -> None:
    assert runner("status").stdout.strip() == says("Loupe is not running. Start it with: make run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = runner("up", "--port", str(port))
    assert refused.returncode == 1
    words = says(
        "Port %(port)d is taken by %(holder)s. Stop it, or choose another port: "
        "make run PORT=%(other)d"
    ).partition("%(holder)s")[0]
    assert words % {"port": port} in refused.stderr
    process = says("process %(pid)d (%(command)s)").partition(" (")[0]
    assert process % {"pid": os.getpid()} in refused.stderr


def test_the_end_is_told_in_german(
    in_german: dict[str, str], fake_plant: Callable[[str], Plant]
) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    plant.stop()
    assert says("Stopping ...") in plant.output()
    assert says("Everything is stopped.") in plant.output()
