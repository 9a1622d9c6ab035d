"""The integrator's guide on what waits for somebody: its examples are sent as they stand."""

from __future__ import annotations

import itertools
import re
import shlex
from typing import Any

import pytest
from django.test import Client

from governance.models import User
from governance.roles import Role
from mes_integration.models import WriteBack
from mes_integration.next_steps import Code
from tests import factories
from tests.mes_integration.plant import enqueued
from tests.mes_integration.test_inbound_guide import GUIDE, HOST
from tests.review.test_mes_conflicts import _targets, said_there, tell

__all__ = ["_targets"]
pytestmark = pytest.mark.django_db


def examples() -> list[list[str]]:
    """Every call with a person's session, as a shell would read it, in the guide's order."""
    blocks = re.findall(r"(?:^    .*\n)+", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(b.replace("\\\n", " ")) for b in blocks if "sessionid=$SESSION" in b]


def send(words: list[str], session: Client, names: dict[str, str]) -> Any:
    """As curl would, in a browser's protection against forged requests."""
    client = Client(enforce_csrf_checks=True)
    filled = [re.sub(r"<([\w-]+)>|\$([A-Z]+)", lambda m: names[m[1] or m[2]], w) for w in words]
    assert filled[0] == "curl"
    options = list(itertools.pairwise(filled))
    [url] = [word for word in filled[1:] if word.startswith(f"{HOST}/api/")]
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    for name, value in options:
        if name == "-b":
            client.cookies.load(value)
    assert client.cookies["sessionid"].value == session.cookies["sessionid"].value
    method = next((value for name, value in options if name == "-X"), "GET")
    body = next((value for name, value in options if name == "-d"), "")
    kind = headers.pop("Content-Type", "application/json")
    headers["Host"] = "testserver"
    if "Referer" in headers:
        headers["Referer"] = headers["Referer"].replace(HOST, "https://testserver")
    path = url.removeprefix(HOST)
    return client.generic(method, path, body, kind, secure=True, headers=headers)


def signed_in(lead: User) -> Client:
    """With both cookies, as a page with a form has set them."""
    client = Client()
    client.force_login(lead)
    client.get("/write-backs/undelivered/")
    return client


def test_the_examples_do_what_the_guide_says() -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.hold(seen)
    tell(seen.unit)
    change = said_there(seen.unit, "REWORK")
    row = enqueued(factories.unit("SN-2"))
    WriteBack.objects.filter(pk=row.pk).update(state="REJECTED", attempts=2, last_error="422")
    session = signed_in(factories.user(Role.LEAD))
    names = {
        "conflict": str(change.uuid),
        "write-back": str(row.uuid),
        "SESSION": session.cookies["sessionid"].value,
        "CSRF": session.cookies["csrftoken"].value,
    }
    answers = [send(words, session, names) for words in examples()]
    assert [answer.status_code for answer in answers] == [200] * 4
    conflicts, answered, undelivered, again = (answer.json() for answer in answers)
    assert [each["id"] for each in conflicts["items"]] == [str(change.uuid)]
    assert answered["state"] == "OURS_STANDS"
    assert [each["id"] for each in undelivered["items"]] == [str(row.uuid)]
    assert (again["id"], again["state"]) == (str(row.uuid), "RETRY")


def test_every_next_step_stands_in_the_guide() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    assert [code for code in Code.values if f"`{code}`" not in guide] == []
