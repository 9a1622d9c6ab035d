"""Runs the demo line until it is stopped."""

from __future__ import annotations

import logging
import signal
import threading
from itertools import count
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from config.demo import line, xray
from config.demo.source import Shot, remember
from inference_bridge.gateways.sqs import prediction_queue

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """manage.py demo_line"""

    help = "Send units down the demo line: image into the store, event onto the queue."

    def add_arguments(self, parser: CommandParser) -> None:
        pace = settings.LOUPE.demo_pace_s
        parser.add_argument("--pace", type=float, default=pace, help="seconds between units")
        parser.add_argument("--buffer", type=int, default=24, help="units that may wait")
        parser.add_argument("--units", type=int, default=0, help="stop after so many; 0: never")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        counter = line.Counter(settings.LOUPE.state / "demo" / "next-unit")
        source = remember(settings.LOUPE.state, None)
        first = counter.read()
        xray.send_once(prediction_queue(), at=timezone.now())
        with httpx.Client(timeout=30) as client:
            for sent, shot in zip(count(1), source.line(first), strict=False):
                line.wait_for_room(stop, buffer=options["buffer"])
                answer = self._answer(client, shot, stop)
                if answer is None:
                    return
                counter.write(first + sent)
                line.send(shot=shot, answer=answer, queue=prediction_queue(), at=timezone.now())
                if sent == options["units"] or stop.wait(options["pace"]):
                    return
        logger.info("Every image has come down the line. `make reset` starts over.")
        stop.wait()

    def _answer(
        self, client: httpx.Client, shot: Shot, stop: threading.Event
    ) -> line.Answer | None:
        """The model's answer, waited for as long as it takes; None when stopped meanwhile."""
        while not stop.is_set():
            try:
                return line.ask(client, settings.LOUPE.model_server_url, shot)
            except line.ModelSilent as silence:
                logger.warning("The model server is silent, the line waits: %s", silence)
                stop.wait(2)
        return None
