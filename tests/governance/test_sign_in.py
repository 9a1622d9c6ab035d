"""Guessing a password gets slow, and who comes in is on record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

from governance import sign_in
from governance.access import address_of
from governance.backends import GrantedUserBackend
from governance.models import AuditEntry, SignInFailure, User
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
WHERE = "10.0.0.7"
WRONG = "not-the-password"


def come_in(name: str, password: str = WRONG, *, where: str = WHERE) -> Any:
    return Client(REMOTE_ADDR=where).post("/login/", {"username": name, "password": password})


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


@pytest.mark.parametrize("known", [True, False])
def test_after_five_failures_the_name_rests_whether_it_is_anybodys_or_not(known: bool) -> None:
    if known:
        factories.user(name="ines")
    for _try in range(5):
        answer = come_in("ines")
        assert answer.status_code == 200
        assert b"do not fit together" in answer.content
    answer = come_in("ines", factories.PASSWORD)
    assert answer.status_code == 429
    assert b"Too many tries with this name. Wait 1 minute, then try again." in answer.content
    assert 0 < int(answer.headers["Retry-After"]) <= 30
    assert "sessionid" not in answer.cookies
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.subject, entry.site_id) == ("person.lock_out", "ines", None)
    assert (entry.actor_kind, entry.address) == ("anonymous", WHERE)
    assert entry.detail == {"failures": 5, "seconds": 30}


def test_another_spelling_of_the_name_is_no_other_name() -> None:
    for name in ("ines", " ines", "ines ", "\uff49nes", "ines"):
        come_in(name)
    assert come_in("ines").status_code == 429


def test_another_name_and_another_address_do_not_wait() -> None:
    factories.user(name="ines")
    factories.user(name="lena")
    for _try in range(5):
        come_in("ines")
    assert come_in("lena", factories.PASSWORD).status_code == 302
    assert come_in("ines", factories.PASSWORD, where="10.0.0.8").status_code == 302


def test_a_success_is_on_record_and_starts_the_count_again() -> None:
    factories.user(name="ines")
    for _try in range(4):
        come_in("ines")
    assert come_in("ines", factories.PASSWORD).status_code == 302
    assert not SignInFailure.objects.exists()
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.address) == ("person.sign_in", "ines", WHERE)
    assert entry.site_id is None


def begin(at: datetime) -> timedelta:
    return sign_in.begin(username="ines", address=WHERE, at=at)


def test_the_rest_doubles_up_to_a_quarter_of_an_hour() -> None:
    at = NOW
    rests = []
    for _try in range(4):
        assert not begin(at)
    for _try in range(8):
        assert not begin(at)
        rest = begin(at)
        rests.append(rest.total_seconds())
        assert begin(at + rest - timedelta(seconds=1)) == timedelta(seconds=1)
        at += rest
    assert rests == [30, 60, 120, 240, 480, 900, 900, 900]


def test_failures_of_long_ago_do_not_count() -> None:
    for _try in range(4):
        begin(NOW)
    later = NOW + timedelta(minutes=16)
    assert [bool(begin(later)) for _try in range(6)] == [False] * 5 + [True]
    sign_in.forget(at=later + timedelta(hours=23))
    assert SignInFailure.objects.exists()
    sign_in.forget(at=later + timedelta(hours=25))
    assert not SignInFailure.objects.exists()


def test_the_demos_people_are_nobody_outside_the_demo(settings: Any) -> None:
    person = factories.user(name="inspector")
    User.objects.filter(pk=person.pk).update(is_demo=True)
    client = Client()
    client.force_login(person)
    assert come_in("inspector", factories.PASSWORD).status_code == 200
    assert GrantedUserBackend().get_user(person.pk) is None
    assert client.get("/api/v1/review/queue").status_code == 401
    settings.LOUPE = settings.LOUPE.model_copy(update={"demo": True})
    assert come_in("inspector", factories.PASSWORD).status_code == 302
    assert GrantedUserBackend().get_user(person.pk) == person


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "198.51.100.1", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        (2, "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "10.0.0.2", "127.0.0.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "<script>", "127.0.0.1"),
    ],
)
def test_behind_trusted_proxies_the_address_is_the_one_they_saw(
    settings: Any, proxies: int, header: str | None, address: str
) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"trusted_proxies": proxies})
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "127.0.0.1"}
    if header is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = header
    assert address_of(request) == address
