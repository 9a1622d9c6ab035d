"""How soon a plant that is struck once goes on; measured while nothing else is wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.figures import Figure
from benchmarks.ledger_client import Line
from benchmarks.ledger_feed import Feed
from benchmarks.ledger_notes import Notes
from benchmarks.ledger_plant import LEASE_S, Ground, wait_for
from benchmarks.ledger_seen import Violation
from benchmarks.ledger_strikes import VISIBLE_AGAIN_S

MOST_RECEIVES: Final = 5
PATIENCE_S: Final = 60.0
_TAKEN: Final = "SELECT count(*) FROM traceability_prediction WHERE event_id = %s"
_LETTERS: Final = "SELECT count(*) FROM inference_bridge_deadletter WHERE message_id = %s"


def measure(
    ground: Ground, people: Sequence[Mapping[str, str]], feed: Feed
) -> Iterator[Figure | Violation]:
    """On a plant that has come to rest and is whole."""
    yield from _task_comes_back(ground, people, feed)
    yield from _after_restart(ground, people, feed)
    yield from _beside_poison(ground, feed)


def _task_comes_back(
    ground: Ground, people: Sequence[Mapping[str, str]], feed: Feed
) -> Iterator[Figure | Violation]:
    """Whoever held it is gone without a word."""
    with (
        contextlib.closing(Line(ground.web_port, people[0], Notes())) as first,
        contextlib.closing(Line(ground.web_port, people[1], Notes())) as second,
    ):
        held = _claimed(first, feed)
        began = time.monotonic()
        while not any(task["id"] == held["id"] for task in _claim(second)):
            time.sleep(0.05)
        took = time.monotonic() - began
    yield Figure("recovery.task_visible", took, "s")
    if took > LEASE_S + VISIBLE_AGAIN_S:
        yield Violation("I15", f"a task came back after {took:.1f} s")


def _after_restart(
    ground: Ground, people: Sequence[Mapping[str, str]], feed: Feed
) -> Iterator[Figure]:
    """From the server's sudden end to the first verdict that is taken."""
    with contextlib.closing(Line(ground.web_port, people[2], Notes())) as line:
        task = _claimed(line, feed)
        began = time.monotonic()
        ground.database.restart_at_once()
        body = {"fence": task["fence"], "answer": "FALSE_CALL", "disposition": "ACCEPT"}
        status, answer = line.post(f"/tasks/{task['id']}/decision", body, key=f"after-{began}")
        if status != 201:
            raise RuntimeError(f"after a restart a verdict was answered {status}: {answer}")
        yield Figure("recovery.db_restart", time.monotonic() - began, "s")


def _beside_poison(ground: Ground, feed: Feed) -> Iterator[Figure | Violation]:
    """What a message that cannot be read costs the one behind it, and how often it is received."""
    plain = _until_taken(ground, feed)
    bad = feed.send_one("json")
    behind = _until_taken(ground, feed)
    wait_for(lambda: ground.outside.count(_LETTERS, [bad.message]) == 1, seconds=PATIENCE_S)
    receives = ground.receives_of(bad.message)
    yield Figure("intake.poison_delay", max(0.0, behind - plain), "s")
    yield Figure("intake.poison_receives", receives, "1")
    if receives > MOST_RECEIVES:
        yield Violation("I11", f"a message that cannot be read was received {receives} times")


def _until_taken(ground: Ground, feed: Feed) -> float:
    began = time.monotonic()
    sent = feed.send_one()
    wait_for(lambda: ground.outside.count(_TAKEN, [sent.event]) == 1, seconds=PATIENCE_S)
    return time.monotonic() - began


def _claimed(line: Line, feed: Feed) -> dict[str, Any]:
    """A task of one's own; events are sent until one asks for a person."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        if tasks := _claim(line):
            return tasks[0]
        feed.send_one()
        time.sleep(0.3)
    raise RuntimeError("no task came")


def _claim(line: Line) -> list[dict[str, Any]]:
    _status, answer = line.post("/claims", {"count": 1})
    tasks: list[dict[str, Any]] = answer["tasks"]
    return tasks
