"""Fills a plant with open tasks and signs inspectors in: `python -m tests.faults.seeding 60 4`.

Prints the inspectors' request headers as JSON.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.conf import settings  # noqa: E402  # models need the apps
from django.test import Client  # noqa: E402

from benchmarks import backlog  # noqa: E402
from governance.models import User  # noqa: E402

# Cookie and header agree: that is all the check against forged requests asks for.
TOKEN = "a" * 32


def main(tasks: int, people: int) -> None:
    """Tasks in the queue, and headers of that many signed-in inspectors."""
    backlog.fill(size=tasks)
    json.dump([signed_in(user) for user in backlog.inspectors(people)], sys.stdout)


def signed_in(user: User) -> dict[str, str]:
    """The request headers of a person who is signed in."""
    client = Client()
    client.force_login(user)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookies = f"{settings.SESSION_COOKIE_NAME}={key}; {settings.CSRF_COOKIE_NAME}={TOKEN}"
    return {"Cookie": cookies, "X-CSRFToken": TOKEN}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
