"""What the worker does by itself: a fault ends no loop for good, and nothing piles up."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from celery.signals import worker_shutting_down

from config import celery
from tests.runner.waiting import wait_until

_runs: list[int] = []


def _faulty(stop: threading.Event) -> None:
    """Fails once, then works until told to stop."""
    _runs.append(1)
    if len(_runs) == 1:
        raise RuntimeError("nobody thought of this")
    stop.wait()


def test_a_loop_that_a_fault_has_ended_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(celery.HostedLoop):
        title = "faulty"
        switch = "hosts_relay"
        runs = f"{__name__}._faulty"

    _runs.clear()
    monkeypatch.setattr(celery, "PAUSE_S", 0.0)
    hosted = Faulty(SimpleNamespace())
    hosted.start(None)
    thread = hosted._thread
    assert thread is not None
    assert wait_until(lambda: len(_runs) == 2)
    hosted.stop(None)
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert len(_runs) == 2


def test_a_loop_is_told_to_end_as_soon_as_the_worker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quiet(celery.HostedLoop):
        title = "quiet"
        switch = "hosts_relay"
        runs = f"{__name__}._faulty"

    monkeypatch.setattr(f"{__name__}._runs", [1])
    hosted = Quiet(SimpleNamespace())
    hosted.start(None)
    thread = hosted._thread
    assert thread is not None
    try:
        worker_shutting_down.send(sender="a worker", sig="SIGTERM", how="Warm", exitcode=0)
        thread.join(timeout=60)
        assert not thread.is_alive()
    finally:
        hosted.stop(None)


def test_what_is_done_every_few_seconds_does_not_pile_up_while_the_worker_is_away() -> None:
    often = [
        entry
        for entry in celery.app.conf.beat_schedule.values()
        if isinstance(entry["schedule"], float)
    ]
    assert len(often) >= 6
    assert all(entry["options"]["expires"] == celery.STALE_S for entry in often)
