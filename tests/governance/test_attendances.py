"""Who is at a tablet: badge and PIN, then the badge alone, until something ends it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from governance import attendances, devices, pins, rights
from governance.access import actor_of
from governance.models import Attendance, AuditEntry, Device, Grant, Pin, SignInFailure, User
from governance.people import Right
from governance.roles import Role
from governance.standing import standing
from tests import factories
from tests.factories import NOW, PIN
from traceability.refusals import Conflict, NotAllowed, Refusal

HOURS = timedelta(hours=configured.LOUPE.operator_hours)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def device(db: None) -> Device:
    return factories.tablet(at=NOW)[0]


@pytest.fixture
def olga(device: Device) -> User:
    return with_pin("olga")


def with_pin(name: str, role: Role = Role.OPERATOR, **where: Any) -> User:
    user = factories.user(role, name=name, **where)
    lead = factories.actor(Role.LEAD)
    pins.set_pin(actor=lead, person=name, pin=PIN, at=NOW)
    return user


def come(device: Device, name: str, pin: str | None = None, at: datetime = NOW) -> Attendance:
    return attendances.arrive(device=device, badge=f"B-{name}", pin=pin, at=at)


def at_it(device: Device, at: datetime = NOW) -> str:
    try:
        return devices.operator_of(device, attendance=None, at=at).name
    except NotAllowed as refused:
        return "" if refused.reason == "badge_needed" else refused.reason


def refusal(device: Device, name: str, pin: str | None = None, at: datetime = NOW) -> str:
    before = Attendance.objects.count()
    with pytest.raises(Refusal) as refused:
        come(device, name, pin, at)
    assert Attendance.objects.count() == before
    return refused.value.reason


def test_badge_and_pin_bring_a_person_to_the_tablet(device: Device, olga: User) -> None:
    assert refusal(device, "olga") == "pin_needed"
    attendance = come(device, "olga", PIN)
    assert at_it(device) == "olga"
    assert (attendance.began_at, attendance.until) == (NOW, NOW + HOURS)
    entry = AuditEntry.objects.get(action="person.arrive")
    assert (entry.actor, entry.subject, entry.site) == ("olga", "olga", device.site)
    assert entry.detail == {"device": device.name, "station": "st-1", "by": "pin"}


def test_two_who_work_together_change_places_with_one_scan(device: Device, olga: User) -> None:
    with_pin("otto")
    come(device, "olga", PIN)
    come(device, "otto", PIN)
    assert at_it(device) == "otto"
    assert [a.user.username for a in attendances.colleagues(device, at=NOW)] == ["olga"]
    come(device, "olga")
    assert at_it(device) == "olga"
    come(device, "olga")
    assert AuditEntry.objects.filter(action="person.arrive").count() == 3
    assert Attendance.objects.filter(is_current=True).count() == 1


def test_who_signs_out_needs_his_pin_again(device: Device, olga: User) -> None:
    come(device, "olga", PIN)
    attendances.leave(device=device, at=LATER)
    assert at_it(device, LATER) == ""
    assert Attendance.objects.get().ended_at == LATER
    assert refusal(device, "olga", at=LATER) == "pin_needed"
    entry = AuditEntry.objects.get(action="person.leave")
    assert (entry.actor, entry.site) == ("olga", device.site)
    attendances.leave(device=device, at=LATER)
    assert AuditEntry.objects.filter(action="person.leave").count() == 1


def test_a_badge_alone_counts_for_a_shift(device: Device, olga: User) -> None:
    come(device, "olga", PIN)
    assert at_it(device, NOW + HOURS - timedelta(seconds=1)) == "olga"
    assert at_it(device, NOW + HOURS) == ""
    assert refusal(device, "olga", at=NOW + HOURS) == "pin_needed"
    come(device, "olga", PIN, at=NOW + HOURS + timedelta(hours=1))
    first = Attendance.objects.order_by("pk")[0]
    assert first.ended_at == NOW + HOURS


def test_a_badge_alone_counts_at_one_tablet(device: Device, olga: User) -> None:
    other, _token = factories.tablet(at=NOW)
    come(device, "olga", PIN)
    assert refusal(other, "olga") == "pin_needed"
    come(other, "olga", PIN)
    assert (at_it(device), at_it(other)) == ("olga", "olga")


def test_the_pin_begins_the_shift_anew(device: Device, olga: User) -> None:
    come(device, "olga", PIN)
    again = come(device, "olga", PIN, LATER)
    assert again.until == LATER + HOURS
    assert list(Attendance.objects.filter(ended_at__isnull=True)) == [again]


@pytest.mark.parametrize("how", ["deactivated", "role gone", "other line", "new pin", "revoked"])
def test_what_ends_it_ends_it_with_the_next_request(device: Device, olga: User, how: str) -> None:
    come(device, "olga", PIN)
    lead = factories.actor(Role.LEAD)
    if how == "deactivated":
        User.objects.filter(pk=olga.pk).update(is_active=False)
    elif how == "role gone":
        Grant.objects.filter(user=olga).delete()
    elif how == "other line":
        Grant.objects.filter(user=olga).update(line=factories.line(code="line-2"))
    elif how == "new pin":
        pins.set_pin(actor=lead, person="olga", pin="8642", at=LATER)
    else:
        devices.revoke(actor=lead, device=device.uuid, at=LATER)
    assert at_it(device, LATER) == ""
    assert standing(device, at=LATER) == []
    assert refusal(device, "olga", at=LATER) in {"pin_needed", "badge_unknown", "device_revoked"}


def test_a_lock_stops_the_badge_but_not_who_stands_there(device: Device, olga: User) -> None:
    """Anybody can type wrong PINs under somebody's badge; that must not send him away."""
    with_pin("otto")
    come(device, "olga", PIN)
    Pin.objects.filter(user=olga).update(locked_at=NOW)
    assert at_it(device) == "olga"
    assert refusal(device, "olga") == "pin_locked"
    come(device, "otto", PIN)
    assert refusal(device, "olga") == "pin_locked"
    assert refusal(device, "olga", PIN) == "pin_locked"


@pytest.mark.parametrize("how", ["deactivated", "right taken"])
def test_it_does_not_come_back_with_the_right(device: Device, olga: User, how: str) -> None:
    factories.actor(Role.LEAD)
    attendance = come(device, "olga", PIN)
    admin = factories.actor(Role.ADMIN)
    if how == "deactivated":
        rights.deactivate(actor=admin, username="olga", at=LATER)
        rights.reactivate(actor=admin, username="olga", at=LATER)
    else:
        right = Right(Role.OPERATOR, device.site)
        rights.take(actor=admin, username="olga", right=right, at=LATER)
        rights.give(actor=admin, username="olga", right=right, at=LATER)
    assert at_it(device, LATER) == ""
    attendance.refresh_from_db()
    assert (attendance.ended_at, attendance.is_current) == (LATER, False)


def test_another_right_taken_leaves_him_where_he_is(device: Device, olga: User) -> None:
    Grant.objects.create(user=olga, role=Role.AUDITOR, site=device.site)
    come(device, "olga", PIN)
    right = Right(Role.AUDITOR, device.site)
    rights.take(actor=factories.actor(Role.ADMIN), username="olga", right=right, at=LATER)
    assert at_it(device, LATER) == "olga"


@pytest.mark.parametrize("pin", [None, PIN])
def test_a_badge_nobody_here_has_is_unknown(device: Device, olga: User, pin: str | None) -> None:
    factories.user(Role.OPERATOR, at=factories.site("plant-2"), name="far")
    factories.user(Role.OPERATOR, on=factories.line(code="line-2"), name="next-line")
    factories.user(Role.AUDITOR, name="aurel")
    User.objects.filter(pk=factories.user(Role.OPERATOR, name="gone").pk).update(is_active=False)
    for name in ("far", "next-line", "aurel", "gone", "nobody"):
        assert refusal(device, name, pin) == "badge_unknown", name


def test_an_empty_badge_is_nobodys(device: Device) -> None:
    User.objects.filter(pk=with_pin("olga").pk).update(badge="")
    for badge in ("", "  "):
        with pytest.raises(NotAllowed) as refused:
            attendances.arrive(device=device, badge=badge, pin=PIN, at=NOW)
        assert refused.value.reason == "badge_unknown"


def test_two_with_one_badge_are_told_what_to_do(device: Device, olga: User) -> None:
    otto = with_pin("otto")
    User.objects.filter(pk=otto.pk).update(badge="B-olga")
    with pytest.raises(Conflict, match="page Tablets") as refused:
        come(device, "olga", PIN)
    assert refused.value.reason == "badge_twice"


def test_the_demos_people_come_in_the_demo_only(device: Device, olga: User, settings: Any) -> None:
    come(device, "olga", PIN)
    User.objects.filter(pk=olga.pk).update(is_demo=True)
    assert at_it(device) == ""
    assert refusal(device, "olga", PIN) == "badge_unknown"
    settings.LOUPE = settings.LOUPE.model_copy(update={"demo": True})
    assert at_it(device) == "olga"


def test_without_a_pin_there_is_nothing_to_type(device: Device) -> None:
    factories.user(Role.OPERATOR, name="olga")
    with pytest.raises(NotAllowed, match="No PIN has been set"):
        come(device, "olga")


def test_many_tries_with_a_badge_must_wait_whether_it_is_anybodys_or_not(
    device: Device, olga: User, settings: Any
) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"pin_tries": 20})
    for name, code in (("olga", "pin_wrong"), ("nobody", "badge_unknown")):
        assert [refusal(device, name, "0000") for _try in range(5)] == [code] * 5
        assert refusal(device, name, PIN) == "wait"
    other, _token = factories.tablet(at=NOW)
    assert come(other, "olga", PIN)


def test_a_success_starts_the_count_again(device: Device, olga: User) -> None:
    for _try in range(4):
        assert refusal(device, "olga", "0000") == "pin_wrong"
    come(device, "olga", PIN)
    assert not SignInFailure.objects.exists()
    assert Pin.objects.get().failures == 0


def test_an_unknown_badge_costs_the_same_hash_as_a_wrong_pin(
    device: Device, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr("governance.pins.make_password", hashed.append)
    refusal(device, "nobody", "9753")
    assert hashed == ["9753"]


def test_a_tablet_that_was_registered_anew_meanwhile_lets_nobody_in(
    device: Device, olga: User
) -> None:
    lead = factories.actor(Role.LEAD)
    devices.register_here(actor=lead, device=device.uuid, at=NOW)
    assert refusal(device, "olga", PIN) == "device_revoked"


def test_over_http_it_says_who_is_there_and_why_not(olga: User) -> None:
    _device, token = factories.tablet()
    client = Client(headers={"X-Loupe-Line": "1"})
    client.cookies[devices.COOKIE] = token

    def scan(**body: str) -> Any:
        return client.post("/api/v1/line/sign-in", body, "application/json")

    assert (scan(badge="B-olga").status_code, scan(badge="B-olga").json()["code"]) == (
        403,
        "pin_needed",
    )
    assert scan(badge="B-olga", pin="0000").json()["code"] == "pin_wrong"
    assert scan(badge="B-nobody").json()["code"] == "badge_unknown"
    assert scan().status_code == 422
    answer = scan(badge="B-olga", pin=PIN)
    operator = answer.json()["operator"]
    assert (answer.status_code, operator["name"], operator["badge"]) == (200, "olga", "B-olga")
    assert uuid.UUID(operator["attendance"]) == Attendance.objects.get().uuid
    assert client.post("/api/v1/line/sign-out").status_code == 204
    assert not Attendance.objects.filter(is_current=True).exists()


NAMES = ("olga", "otto")
WHO = st.sampled_from(NAMES)
WHICH = st.integers(0, 1)


class Tablets(RuleBasedStateMachine):
    """Two tablets and two people, against what is known of them. Rolled back at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.at = NOW
        self.pins = dict.fromkeys(NAMES, PIN)
        self.active = dict.fromkeys(NAMES, True)
        self.granted = dict.fromkeys(NAMES, True)
        self.wrong = dict.fromkeys(NAMES, 0)
        # Until when a badge alone counts at a tablet, and who is at it.
        self.lasting: dict[tuple[int, str], datetime] = {}
        self.current: dict[int, str] = {}
        self.revoked: set[int] = set()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize()
    def start(self) -> None:
        self.lead = actor_of(factories.user(Role.LEAD))
        self.site = factories.site()
        for name in NAMES:
            factories.user(Role.OPERATOR, name=name)
            pins.set_pin(actor=self.lead, person=name, pin=PIN, at=self.at)
        self.devices = [factories.tablet(at=self.at)[0] for _ in range(2)]
        for which, name in enumerate(NAMES):
            self.come_in(which, name)

    @rule(minutes=st.sampled_from([1, 20, 400]))
    def time_passes(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)

    @rule(which=WHICH, name=WHO)
    def come_in(self, which: int, name: str) -> None:
        self.scan(which, name, self.pins[name])

    @rule(which=WHICH, name=WHO, pin=st.sampled_from([None, PIN, "8642", "0000"]))
    def scan(self, which: int, name: str, pin: str | None) -> None:
        SignInFailure.objects.all().delete()
        expected = self._comes_in(which, name, pin)
        try:
            come(self.devices[which], name, pin, self.at)
        except NotAllowed:
            assert not expected
        else:
            assert expected
            self.current[which] = name
            if pin is not None:
                self.lasting[which, name] = self.at + HOURS

    def _comes_in(self, which: int, name: str, pin: str | None) -> bool:
        may = self.active[name] and self.granted[name]
        tries = configured.LOUPE.pin_tries
        if pin is None or not may:
            stands = self._stands(which, name) and self.wrong[name] < tries
            return may and stands and which not in self.revoked
        if self.wrong[name] >= tries:
            return False
        self.wrong[name] += 1
        if pin != self.pins[name] or which in self.revoked:
            return False
        self.wrong[name] = 0
        return True

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        attendances.leave(device=self.devices[which], at=self.at)
        # Who has fallen from his rights is off the tablet, and comes back no sooner.
        name = self.current.pop(which, None)
        self.lasting.pop((which, name or ""), None)

    @rule(which=WHICH)
    def revoke(self, which: int) -> None:
        if which not in self.revoked:
            devices.revoke(actor=self.lead, device=self.devices[which].uuid, at=self.at)
            self.revoked.add(which)
            self._forget(lambda key: key[0] == which)

    @rule(which=WHICH)
    def register(self, which: int) -> None:
        found = devices.register_here(actor=self.lead, device=self.devices[which].uuid, at=self.at)
        self.devices[which] = found[0]
        self.revoked.discard(which)
        # Another browser may be the tablet now.
        self._forget(lambda key: key[0] == which)

    @rule(name=WHO, pin=st.sampled_from([PIN, "8642"]))
    def set_pin(self, name: str, pin: str) -> None:
        if self.active[name] and self.granted[name]:
            self.at += timedelta(seconds=1)
            pins.set_pin(actor=self.lead, person=name, pin=pin, at=self.at)
            self.pins[name], self.wrong[name] = pin, 0
            self._forget(lambda key: key[1] == name)

    @rule(name=WHO)
    def deactivate_or_let_in(self, name: str) -> None:
        change = rights.deactivate if self.active[name] else rights.reactivate
        change(actor=self.lead, username=name, at=self.at)
        self.active[name] = not self.active[name]
        self._forget(lambda key: key[1] == name)

    @rule(name=WHO)
    def take_or_give_the_role(self, name: str) -> None:
        change = rights.take if self.granted[name] else rights.give
        right = Right(Role.OPERATOR, self.site)
        change(actor=self.lead, username=name, right=right, at=self.at)
        self.granted[name] = not self.granted[name]
        self._forget(lambda key: key[1] == name)

    def _forget(self, gone: Any) -> None:
        for key in [key for key in self.lasting if gone(key)]:
            del self.lasting[key]

    def _stands(self, which: int, name: str) -> bool:
        until = self.lasting.get((which, name))
        return until is not None and self.at < until

    @invariant()
    def exactly_who_should_be_is_at_each_tablet(self) -> None:
        for which, device in enumerate(getattr(self, "devices", [])):
            name = self.current.get(which, "")
            expected = name if name and self._stands(which, name) else ""
            assert at_it(device, self.at) == expected
            rest = {a.user.username for a in attendances.colleagues(device, at=self.at)}
            assert rest == {n for n in NAMES if self._stands(which, n)} - {expected}

    @invariant()
    def rows_of_a_week_are_somebodys_and_older_ones_nobodys(self) -> None:
        for attendance in Attendance.objects.select_related("user"):
            which = next(i for i, d in enumerate(self.devices) if d.pk == attendance.device_id)
            end = attendance.ended_at or attendance.until
            may = which not in self.revoked and self.at <= end + timedelta(days=7)
            for other, device in enumerate(self.devices):
                try:
                    found = devices.operator_of(device, attendance=attendance.uuid, at=self.at)
                except NotAllowed:
                    assert not (may and other == which)
                else:
                    assert (found.name, may, other) == (attendance.user.username, True, which)
                    assert [s.role for s in found.scopes] == [Role.OPERATOR]


@pytest.mark.django_db(transaction=True)
def test_nobody_is_at_a_tablet_who_should_not_be_in_any_order() -> None:
    run_state_machine_as_test(
        Tablets,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
