"""The loops beside the tasks: a fault ends none of them for good."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from config import celery

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
    deadline = threading.Event()
    for _turn in range(500):
        if len(_runs) == 2:
            break
        deadline.wait(0.01)
    hosted.stop(None)
    assert len(_runs) == 2
    assert not thread.is_alive()
