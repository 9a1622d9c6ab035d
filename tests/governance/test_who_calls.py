"""Who a session belongs to, asked anew at every request."""

from __future__ import annotations

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.access import actor_of, site_for
from governance.backends import GrantedUserBackend
from governance.models import Grant, User
from governance.roles import Capability, Role
from tests import factories
from traceability.refusals import Unknown

pytestmark = pytest.mark.django_db
QUEUE = "/api/v1/review/queue"


@pytest.fixture
def inspector() -> User:
    return factories.user()


@pytest.fixture
def client(inspector: User) -> Client:
    found = Client()
    found.force_login(inspector)
    return found


def test_a_person_comes_with_grants_and_sites_in_one_statement(inspector: User) -> None:
    other = factories.line(factories.site("plant-2"))
    Grant.objects.create(user=inspector, role=Role.LEAD, site=other.site, line=other)
    with CaptureQueriesContext(connection) as captured:
        actor = actor_of(GrantedUserBackend().get_user(inspector.pk))
        assert site_for(actor, Capability.REVIEW, "plant-2") == other.site
        assert site_for(actor, Capability.REVIEW).code == "plant-1"
    assert len(captured) == 1
    assert actor == actor_of(User.objects.get(pk=inspector.pk))


def test_a_site_of_another_role_is_not_offered(inspector: User) -> None:
    Grant.objects.create(user=inspector, role=Role.OPERATOR, site=factories.site("plant-2"))
    with pytest.raises(Unknown, match="plant-2"):
        site_for(actor_of(inspector), Capability.REVIEW, "plant-2")


def test_a_revoked_role_is_gone_with_the_next_request(client: Client, inspector: User) -> None:
    assert client.get(QUEUE).status_code == 200
    inspector.grants.all().delete()
    assert client.get(QUEUE).status_code == 403


def test_a_person_who_is_made_inactive_is_out(client: Client, inspector: User) -> None:
    User.objects.filter(pk=inspector.pk).update(is_active=False)
    assert client.get(QUEUE).status_code == 401


def test_a_session_that_is_deleted_or_run_out_is_nobodys(client: Client) -> None:
    session = client.session
    session.set_expiry(-1)
    session.save()
    assert client.get(QUEUE).status_code == 401
    client.session.flush()
    assert client.get(QUEUE).status_code == 401


def test_a_new_password_ends_the_sessions_opened_with_the_old(
    client: Client, inspector: User
) -> None:
    inspector.set_password("another-long-password")
    inspector.save()
    assert client.get(QUEUE).status_code == 401


def test_a_password_still_opens_a_session(inspector: User) -> None:
    found = GrantedUserBackend().authenticate(
        HttpRequest(), username=inspector.username, password=factories.PASSWORD
    )
    assert found == inspector
