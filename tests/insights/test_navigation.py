"""The room one is in is marked, on the pages within it, too."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from governance.roles import Role
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import asked

pytestmark = pytest.mark.django_db
MARKED = re.compile(r'<a href="([^"]+)" aria-current="page">')


def marked(client: Client, path: str) -> list[str]:
    """Where the marked entries of the navigation lead."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    page = answer.content.decode()
    return MARKED.findall(page[: page.index("</nav>")])


def test_a_page_within_a_room_marks_the_room(client: Client) -> None:
    approval = asked()
    device, _token = factories.tablet(at=NOW)
    client.force_login(factories.user(Role.LEAD))
    assert marked(client, "/") == ["/"]
    assert marked(client, "/review/queue/") == ["/review/queue/"]
    assert marked(client, f"/review/approvals/{approval.uuid}/") == ["/review/approvals/"]
    assert marked(client, f"/units/{approval.unit.serial}/") == ["/units/"]
    assert marked(client, f"/tablets/{device.uuid}/") == ["/tablets/"]
