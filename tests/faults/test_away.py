"""The database refuses every connection under a running web server, and comes back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.faults.plant import Plant, shut, until, web

pytestmark = pytest.mark.timeout(600)


@contextmanager
def away(plant: Plant) -> Iterator[None]:
    """The plant's database lets nobody in, and those who were are thrown out."""
    name = plant.url.rpartition("/")[2]
    with shut(name, server_url=os.environ["DATABASE_URL"]):
        yield


def test_while_the_database_is_away_every_answer_is_try_again(
    make_plant: Callable[..., Plant],
) -> None:
    plant = make_plant()
    with web(plant) as (process, port):
        at = f"http://127.0.0.1:{port}"
        api = {"Authorization": "Bearer nobodys-token-of-that-length"}
        assert httpx.get(f"{at}/api/v1/review/queue", headers=api, timeout=60).status_code == 401
        with away(plant):
            # Each thread had a connection of its own; the later ones meet it refused.
            for _time in range(6):
                told = httpx.get(f"{at}/api/v1/review/queue", headers=api, timeout=60)
                assert (told.status_code, told.headers["Retry-After"]) == (503, "2"), told.text
                assert told.json()["code"] == "unavailable"
            sent = httpx.post(f"{at}/api/v1/predictions", headers=api, json={}, timeout=60)
            assert (sent.status_code, sent.json()["code"]) == (503, "unavailable")
            assert httpx.get(f"{at}/health/", timeout=60).status_code == 503
        until(
            lambda: httpx.get(f"{at}/health/", timeout=60).status_code == 200,
            what="the web server to find its database again",
        )
        log = process.log.read_text()
    assert "Service Unavailable: /api/v1/review/queue" in log
    assert "OperationalError" in log
