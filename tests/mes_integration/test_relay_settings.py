"""A target whose settings cannot be used: complained of now and then, with no thread lost."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from config.settings.environment import MesTarget
from mes_integration import relay


@pytest.mark.django_db(transaction=True)
def test_settings_that_cannot_be_used_end_no_thread(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bad = MesTarget.model_validate(
        {"name": "bad", "adapter": "b2mml-files", "url": "/nowhere", "options": {"colour": "red"}}
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [bad], "mes_url": ""})
    stop = threading.Event()
    crew = relay.Crew("bad", stop)
    with caplog.at_level(logging.WARNING, logger="mes_integration.relay"):
        try:
            crew.man()
            carriers = list(crew._living)
            crew.due.set()
            ends = time.monotonic() + 60
            while not caplog.records and time.monotonic() < ends:
                stop.wait(0.05)
            assert all(carrier.is_alive() for carrier in carriers)
        finally:
            stop.set()
            crew.end()
    assert "bad" in caplog.text
    assert "colour" in caplog.text
