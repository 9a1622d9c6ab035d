"""A sign of life for whoever started the worker."""

from __future__ import annotations

import threading
from typing import Final

from django.conf import settings

EVERY_S: Final = 2.0


def run(stop: threading.Event) -> None:
    """Touch LOUPE_HEARTBEAT_FILE until told to stop."""
    file = settings.LOUPE.heartbeat_file
    if file is None:
        raise ValueError("LOUPE_HEARTBEAT_FILE names the file to touch")
    while not stop.is_set():
        file.touch()
        stop.wait(EVERY_S)
