"""A tablet is made by a lead, registered once with a code, and gone with one press."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance import devices, standing
from governance.access import Actor, actor_of
from governance.models import Attendance, AuditEntry, Device, User
from governance.roles import Capability, Role
from tests import factories
from tests.factories import NOW
from traceability.refusals import Conflict, Invalid, NotAllowed, Refusal, Unknown

pytestmark = pytest.mark.django_db
WHERE = "10.0.0.9"


@pytest.fixture
def lead() -> Actor:
    return actor_of(factories.user(Role.LEAD, name="lena"), address="10.0.0.1")


def make(lead: Actor, name: str = "Tablet 1", **given: Any) -> tuple[Device, str]:
    fields: dict[str, Any] = {"station": factories.station(), "ahead": 20, "at": NOW, **given}
    return devices.make(actor=lead, name=name, **fields)


def register(code: str, *, at: datetime = NOW, address: str = WHERE) -> tuple[Device, str]:
    return devices.register(code=code, address=address, at=at)


def test_a_tablet_comes_with_an_account_nobody_can_log_in_with(lead: Actor) -> None:
    device, code = make(lead)
    account = device.account
    assert account.username.startswith("tablet-")
    assert (str(account), account.is_active, account.badge) == ("Tablet 1", True, "")
    assert not account.has_usable_password()
    assert not account.grants.exists()
    assert code.isdecimal()
    assert len(code) == 8
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.subject) == ("device.make", "lena", "Tablet 1")
    assert entry.site == device.site


def test_neither_code_nor_token_is_kept_as_it_is(lead: Actor) -> None:
    device, code = make(lead)
    device.refresh_from_db()
    assert code not in str(vars(device))
    device, token = register(code)
    assert token not in str(vars(device))
    assert devices.by_token(token) == device


def test_a_code_registers_once(lead: Actor) -> None:
    _device, code = make(lead)
    _known, token = register(f" {code[:4]} {code[4:]} ")
    with pytest.raises(Unknown):
        register(code)
    assert devices.by_token(token) is not None


def test_a_code_holds_for_a_quarter_of_an_hour(lead: Actor) -> None:
    _device, code = make(lead)
    with pytest.raises(Unknown, match="no longer"):
        register(code, at=NOW + timedelta(minutes=15))
    device, _token = register(code, at=NOW + timedelta(minutes=14, seconds=59))
    assert device.code_sha256 is None


def test_guessing_codes_gets_slow_and_is_on_record(lead: Actor) -> None:
    _device, code = make(lead)
    for guess in range(5):
        with pytest.raises(Unknown):
            register(f"{guess:08d}")
    with pytest.raises(NotAllowed, match="Wait 31 seconds") as refused:
        register(code)
    assert refused.value.reason == "wait"
    assert AuditEntry.objects.filter(action="person.lock_out", address=WHERE).exists()
    assert register(code, address="10.0.0.10")


def test_a_new_code_brings_a_lost_tablet_back_and_the_old_token_dies_with_its_use(
    lead: Actor,
) -> None:
    device, code = make(lead)
    account = device.account_id
    _known, old = register(code)
    _device, code = devices.renew_code(actor=lead, device=device.uuid, at=NOW)
    assert devices.by_token(old) is not None
    found, new = register(code)
    assert devices.by_token(old) is None
    assert devices.by_token(new) == device == found
    assert found.account_id == account


@pytest.mark.parametrize("how", ["by code", "here"])
def test_who_was_at_the_old_tablet_is_not_at_the_new_one(lead: Actor, how: str) -> None:
    device, _token = factories.tablet(at=NOW)
    factories.arrive(device, factories.user(Role.OPERATOR), at=NOW)
    if how == "here":
        devices.register_here(actor=lead, device=device.uuid, at=NOW)
    else:
        _device, code = devices.renew_code(actor=lead, device=device.uuid, at=NOW)
        register(code)
    assert standing.standing(device, at=NOW) == []


def test_a_revoked_tablet_is_nobodys_at_once_and_a_new_code_takes_it_back(lead: Actor) -> None:
    device, token = factories.tablet(at=NOW)
    person = factories.user(Role.OPERATOR, name="olga")
    factories.arrive(device, person, at=NOW)
    devices.revoke(actor=lead, device=device.uuid, at=NOW)
    assert devices.by_token(token) is None
    with pytest.raises(NotAllowed):
        devices.operator_of(device, attendance=None, at=NOW)
    with pytest.raises(Conflict, match="revoked before"):
        devices.revoke(actor=lead, device=device.uuid, at=NOW)
    entry = AuditEntry.objects.get(action="device.revoke")
    assert entry.detail["attendances"] == 1
    _device, code = devices.renew_code(actor=lead, device=device.uuid, at=NOW)
    found, _token = register(code)
    assert found.revoked_at is None
    assert standing.standing(found, at=NOW) == []


def test_revoking_kills_a_code_that_was_waiting(lead: Actor) -> None:
    device, code = make(lead)
    devices.revoke(actor=lead, device=device.uuid, at=NOW)
    with pytest.raises(Unknown):
        register(code)


def test_a_name_is_taken_once_at_a_station(lead: Actor) -> None:
    make(lead)
    with pytest.raises(Conflict, match="Tablet 1"):
        make(lead)
    assert make(lead, station=factories.station(code="st-2"))
    assert User.objects.filter(username__startswith="tablet-").count() == 2


@pytest.mark.parametrize(
    ("field", "value"), [("ahead", 0), ("ahead", 241), ("name", " "), ("name", "x" * 65)]
)
def test_a_tablet_needs_a_name_and_some_units(lead: Actor, field: str, value: Any) -> None:
    with pytest.raises(Invalid):
        make(lead, **{field: value})
    assert not User.objects.filter(username__startswith="tablet-").exists()


def test_a_lead_of_one_line_has_the_tablets_of_that_line() -> None:
    his, other = factories.line(), factories.line(code="line-2")
    lead = actor_of(factories.user(Role.LEAD, on=his))
    make(lead, station=factories.station(his))
    with pytest.raises(Unknown):
        make(lead, station=factories.station(other))
    theirs, _token = factories.tablet(factories.station(other))
    for change in (
        lambda: devices.revoke(actor=lead, device=theirs.uuid, at=NOW),
        lambda: devices.renew_code(actor=lead, device=theirs.uuid, at=NOW),
        lambda: devices.register_here(actor=lead, device=theirs.uuid, at=NOW),
        lambda: devices.set_ahead(actor=lead, device=theirs.uuid, ahead=3, at=NOW),
        lambda: devices.set_hold_place(
            actor=lead, station=theirs.station_id, place="shelf", at=NOW
        ),
    ):
        with pytest.raises(Unknown):
            change()


def test_the_operator_has_one_right_at_one_line_whatever_he_is_elsewhere() -> None:
    device, _token = factories.tablet(at=NOW)
    engineer = factories.user(Role.QUALITY_ENGINEER, name="emil")
    factories.arrive(device, engineer, at=NOW)
    actor = devices.operator_of(device, attendance=None, at=NOW)
    assert (actor.kind, actor.name, actor.badge) == ("person", "emil", "B-emil")
    (scope,) = actor.scopes
    assert (scope.role, scope.site_id) == (Role.OPERATOR, device.site_id)
    assert scope.line_id == device.station.line_id
    assert actor.sites == (device.site,)
    assert not actor.can(Capability.REVIEW)


def test_nobody_at_a_tablet_is_asked_for_a_badge() -> None:
    device, _token = factories.tablet(at=NOW)
    with pytest.raises(NotAllowed) as refused:
        devices.operator_of(device, attendance=None, at=NOW)
    assert refused.value.reason == "badge_needed"


def named(device: Device, attendance: Attendance, at: datetime) -> str:
    return devices.operator_of(device, attendance=attendance.uuid, at=at).name


def test_rows_sent_later_are_his_who_made_them() -> None:
    device, _token = factories.tablet(at=NOW)
    olga, otto = (factories.user(Role.OPERATOR, name=name) for name in ("olga", "otto"))
    first = factories.arrive(device, olga, at=NOW)
    factories.arrive(device, otto, at=NOW)
    assert devices.operator_of(device, attendance=None, at=NOW).name == "otto"
    assert named(device, first, NOW) == "olga"
    User.objects.filter(pk=olga.pk).update(is_active=False)
    ended = first.until
    assert named(device, first, ended + timedelta(days=7)) == "olga"
    with pytest.raises(NotAllowed):
        named(device, first, ended + timedelta(days=7, seconds=1))


def test_an_attendance_counts_at_its_own_tablet_alone() -> None:
    device, _token = factories.tablet(at=NOW)
    other, _token = factories.tablet(at=NOW)
    olga = factories.user(Role.OPERATOR, name="olga")
    attendance = factories.arrive(device, olga, at=NOW)
    with pytest.raises(NotAllowed) as refused:
        named(other, attendance, NOW)
    assert refused.value.reason == "badge_needed"
    with pytest.raises(NotAllowed):
        devices.operator_of(device, attendance=UUID(int=7), at=NOW)


def test_a_sign_of_life_is_written_twice_a_minute_at_most() -> None:
    device, token = factories.tablet(at=NOW)
    for seconds, seen in ((29, 0), (30, 30), (45, 30), (60, 60)):
        found = devices.by_token(token)
        assert found is not None
        devices.touch(found, at=NOW + timedelta(seconds=seconds))
        device.refresh_from_db()
        assert device.seen_at == NOW + timedelta(seconds=seen)


def test_the_screen_is_measured_once_and_on_record() -> None:
    device, _token = factories.tablet(at=NOW)
    by = standing.tablet_itself(device)
    devices.calibrate(actor=by, device=device, px_per_mm=5.2, at=NOW)
    device.refresh_from_db()
    assert device.px_per_mm == pytest.approx(5.2)
    entry = AuditEntry.objects.get(action="device.calibrate")
    assert (entry.actor_kind, entry.actor) == ("device", device.account.username)
    for scale in (0.9, 30.1, float("nan"), float("inf")):
        with pytest.raises(Invalid, match="no bank card"):
            devices.calibrate(actor=by, device=device, px_per_mm=scale, at=NOW)


def tablet_client(token: str, **headers: str) -> Client:
    client = Client(headers=headers)
    client.cookies[devices.COOKIE] = token
    return client


def test_a_call_without_the_header_no_form_can_send_changes_nothing() -> None:
    device, token = factories.tablet()
    body = {"count": 3}
    answer = tablet_client(token).post("/api/v1/line/unsent", body, "application/json")
    assert answer.status_code == 403
    assert "X-Loupe-Line" in answer.json()["detail"]
    sent = tablet_client(token, **{"X-Loupe-Line": "1"})
    assert sent.post("/api/v1/line/unsent", body, "application/json").status_code == 204
    device.refresh_from_db()
    assert device.unsent == 3


@pytest.mark.parametrize("token", ["", "nonsense", "\u00e4" * 9])
def test_a_token_that_is_none_is_a_strangers(token: str) -> None:
    client = tablet_client(token, **{"X-Loupe-Line": "1"})
    answer = client.post("/api/v1/line/sign-out")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Tablet"
    assert client.get("/units/").status_code == 302


def test_who_came_by_badge_has_an_operators_rights_on_every_other_page() -> None:
    device, token = factories.tablet()
    client = tablet_client(token)
    assert client.get("/units/").status_code == 302
    factories.arrive(device, factories.user(Role.LEAD, name="lars"))
    for path in ("/review/", "/tablets/", "/policies/", "/review/queue/", "/audit/", "/handover/"):
        assert client.get(path).status_code == 403, path
    assert client.get("/units/").status_code == 200
    assert client.get("/api/v1/review/queue").status_code == 403


def test_who_came_by_password_keeps_his_rights_beside_the_tablet() -> None:
    device, token = factories.tablet()
    factories.arrive(device, factories.user(Role.OPERATOR, name="olga"))
    client = tablet_client(token, **{"X-Loupe-Line": "1"})
    client.force_login(factories.user(Role.LEAD, name="lena"))
    assert client.get("/tablets/").status_code == 200
    answer = client.put("/api/v1/line/calibration", {"px_per_mm": 4}, "application/json")
    assert answer.status_code == 200
    assert AuditEntry.objects.get(action="device.calibrate").actor == "olga"


def test_a_tablets_request_costs_two_look_ups_and_other_browsers_pay_nothing() -> None:
    device, token = factories.tablet()
    factories.arrive(device, factories.user(Role.OPERATOR))
    client = tablet_client(token, **{"X-Loupe-Line": "1"})

    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            client.get("/login/")
        return [each["sql"] for each in seen.captured_queries]

    client.get("/login/")
    ours = [sql for sql in statements() if "governance_device" in sql]
    assert len(ours) == 2
    del client.cookies[devices.COOKIE]
    assert [sql for sql in statements() if "governance_device" in sql] == []


def test_a_revoked_tablet_is_refused_with_the_next_request() -> None:
    device, token = factories.tablet()
    factories.arrive(device, factories.user(Role.OPERATOR))
    client = tablet_client(token, **{"X-Loupe-Line": "1"})
    assert client.get("/units/").status_code == 200
    lead = factories.actor(Role.LEAD)
    devices.revoke(actor=lead, device=device.uuid, at=timezone.now())
    assert client.get("/units/").status_code == 302
    assert client.post("/api/v1/line/sign-out").status_code == 401


def test_what_it_keeps_unsent_is_a_number_that_can_be() -> None:
    device, _token = factories.tablet()
    for count in (-1, 1_000_001):
        with pytest.raises(Refusal):
            devices.note_unsent(device, count=count, at=NOW)
