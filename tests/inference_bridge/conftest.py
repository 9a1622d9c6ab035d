"""A plant with a policy, and queues on an emulator."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from governance.access import system
from inference_bridge import intake
from inference_bridge.gateways import sqs
from inference_bridge.gateways.sqs import SqsQueue
from inference_bridge.intake import Incoming, Outcome
from inference_bridge.policy import set_policy
from inference_bridge.routing import Rule
from tests import factories
from tests.inference_bridge.messages import text
from traceability.models import Site

REGION = "eu-central-1"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_number = itertools.count(1)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The emulator's address."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass(frozen=True)
class Queues:
    """A queue of one test, with its dead-letter queue."""

    endpoint: str
    main: SqsQueue
    dead: SqsQueue
    names: tuple[str, str]

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            self.main.send(text(body))


@pytest.fixture
def queues(endpoint: str) -> Queues:
    """Fresh queues; what is not deleted comes back after two seconds."""
    names = (f"main-{next(_number)}", f"dead-{next(_number)}")
    client = sqs.client(endpoint=endpoint, region=REGION)
    main, dead = sqs.ensure_queues(client, main=names[0], dead=names[1], visibility_s=2)
    return Queues(endpoint, main, dead, names)


@pytest.fixture
def plant(db: None) -> Site:
    """plant-1 with line-1: below 0.2 passes, from 0.9 on is held, nothing is sampled."""
    site = factories.site()
    factories.line(site)
    give_policy(site, LONG_AGO)
    return site


def give_policy(site: Site, at: datetime, *rules: Rule, audit_rate: float = 0.0) -> None:
    base = Rule(review_from=0.2, contain_from=0.9, audit_rate=audit_rate)
    set_policy(actor=system("test"), site=site, rules=[base, *rules], reason="", at=at)


def take(at: datetime, *bodies: Any) -> list[Outcome]:
    """Take messages as the consumer does."""
    return intake.take(
        actor=system("consumer"),
        messages=[Incoming(message_id=f"m-{next(_number)}", body=text(body)) for body in bodies],
        at=at,
    )
