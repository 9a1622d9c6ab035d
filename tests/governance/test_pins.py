"""PINs: what one may be, who sets it, and what wrong tries lead to."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection

from governance import pins
from governance.access import Actor, actor_of
from governance.models import AuditEntry, Grant, Pin, User
from governance.roles import Role
from governance.standing import tablet_itself
from tests import factories
from tests.factories import NOW, PIN
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        ("258", "4 to 8 digits"),
        ("258025802", "4 to 8 digits"),
        ("25a0", "4 to 8 digits"),
        ("\u0662\u0665\u0668\u0660", "4 to 8 digits"),
        ("7777", "guessed at once"),
        ("3456", "guessed at once"),
        ("87654321", "guessed at once"),
        ("4711", "number on the badge"),
        ("2580", ""),
        ("1122", ""),
        ("13579", ""),
    ],
)
def test_a_pin_is_not_what_anybody_tries_first(pin: str, why: str) -> None:
    fault = pins.fault_of(pin, badge="B-4711")
    assert why in fault
    assert bool(fault) == bool(why)


@pytest.fixture
def lead(db: None) -> Actor:
    return actor_of(factories.user(Role.LEAD, name="lena"))


def set_pin(lead: Actor, person: str = "olga", pin: str = PIN, minutes: int = 0) -> Pin:
    return pins.set_pin(actor=lead, person=person, pin=pin, at=NOW + timedelta(minutes=minutes))


def try_it(user: User, typed: str) -> Pin:
    device, _token = factories.tablet(at=NOW)
    by = tablet_itself(device)
    return pins.check(user, typed, by=by, site_id=device.site_id, at=NOW)


def test_a_pin_is_kept_as_a_hash_and_who_set_it_is_on_record(lead: Actor) -> None:
    factories.user(Role.OPERATOR, name="olga")
    pin = set_pin(lead)
    assert PIN not in pin.secret
    assert (pin.set_by.username, pin.set_at) == ("lena", NOW)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.site) == ("person.pin", "olga", factories.site())
    assert PIN not in str(entry.detail)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.INSPECTOR, Role.LEAD, Role.QUALITY_ENGINEER])
def test_who_may_judge_at_the_line_gets_a_pin(lead: Actor, role: Role) -> None:
    factories.user(role, name="olga")
    assert set_pin(lead)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AUDITOR, Role.MACHINE, None])
def test_others_get_none(lead: Actor, role: Role | None) -> None:
    factories.user(role, name="olga")
    with pytest.raises(Unknown):
        set_pin(lead)
    assert not Pin.objects.exists()


def test_people_of_other_lines_and_sites_are_not_his_to_set(lead: Actor) -> None:
    factories.user(Role.OPERATOR, at=factories.site("plant-2"), name="olga")
    with pytest.raises(Unknown):
        set_pin(lead)
    of_one_line = actor_of(factories.user(Role.LEAD, on=factories.line()))
    factories.user(Role.OPERATOR, on=factories.line(code="line-2"), name="otto")
    factories.user(Role.OPERATOR, name="everywhere")
    for person in ("otto", "everywhere"):
        with pytest.raises(Unknown):
            set_pin(of_one_line, person)


def test_the_demos_people_are_nobody_outside_the_demo(lead: Actor, settings: Any) -> None:
    olga = factories.user(Role.OPERATOR, name="olga")
    User.objects.filter(pk=olga.pk).update(is_demo=True)
    with pytest.raises(Unknown):
        set_pin(lead)
    settings.LOUPE = settings.LOUPE.model_copy(update={"demo": True})
    assert set_pin(lead)


def test_wrong_pins_lock_it_until_a_lead_sets_a_new_one(lead: Actor) -> None:
    olga = factories.user(Role.OPERATOR, name="olga")
    set_pin(lead)
    tries = configured.LOUPE.pin_tries
    codes = []
    for _try in range(tries + 2):
        with pytest.raises(NotAllowed) as refused:
            try_it(olga, "0000")
        codes.append(refused.value.reason)
    assert codes == ["pin_wrong"] * (tries - 1) + ["pin_locked"] * 3
    with pytest.raises(NotAllowed, match="Ask a lead for a new one"):
        try_it(olga, PIN)
    (entry,) = AuditEntry.objects.filter(action="person.pin_lock")
    assert (entry.subject, entry.detail, entry.actor_kind) == ("olga", {"tries": tries}, "device")
    pin = set_pin(lead, pin="8642", minutes=1)
    assert (pin.failures, pin.locked_at) == (0, None)
    assert try_it(olga, "8642")


def test_the_right_pin_makes_the_wrong_ones_forgotten(lead: Actor) -> None:
    olga = factories.user(Role.OPERATOR, name="olga")
    device, _token = factories.tablet(at=NOW)
    set_pin(lead)
    for _round in range(3):
        for _try in range(configured.LOUPE.pin_tries - 1):
            with pytest.raises(NotAllowed):
                try_it(olga, "0000")
        factories.arrive(device, olga, at=NOW)
    assert not AuditEntry.objects.filter(action="person.pin_lock").exists()


@pytest.mark.django_db(transaction=True)
def test_tries_at_the_same_time_are_no_more_tries() -> None:
    lead = actor_of(factories.user(Role.LEAD, name="lena"))
    olga = factories.user(Role.OPERATOR, name="olga")
    set_pin(lead)
    device, _token = factories.tablet(at=NOW)
    by, start, codes = tablet_itself(device), threading.Barrier(12), []

    def guess() -> None:
        start.wait()
        try:
            pins.check(olga, "0000", by=by, site_id=device.site_id, at=NOW)
        except NotAllowed as refused:
            codes.append(refused.reason)
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 12
    assert codes.count("pin_wrong") == configured.LOUPE.pin_tries - 1
    assert AuditEntry.objects.filter(action="person.pin_lock").count() == 1


def test_a_pin_changed_while_it_was_being_checked_lets_nobody_in(lead: Actor) -> None:
    olga = factories.user(Role.OPERATOR, name="olga")
    set_pin(lead)
    proven = try_it(olga, PIN)
    set_pin(lead, pin="8642", minutes=1)
    with pytest.raises(NotAllowed):
        pins.settle(proven)


def test_a_bad_pin_changes_nothing(lead: Actor) -> None:
    factories.user(Role.OPERATOR, name="olga")
    before = set_pin(lead).secret
    with pytest.raises(Invalid):
        set_pin(lead, pin="1234", minutes=1)
    assert Pin.objects.get().secret == before


def test_a_badge_is_one_persons_among_those_who_work_together(lead: Actor) -> None:
    factories.user(Role.OPERATOR, name="olga")
    otto = factories.user(Role.OPERATOR, name="otto")
    far = factories.user(Role.OPERATOR, at=factories.site("plant-2"), name="far")
    with pytest.raises(Conflict, match="Somebody else has this badge"):
        pins.set_badge(actor=lead, person="otto", badge="B-olga", at=NOW)
    pins.set_badge(actor=lead, person="otto", badge=" B-far ", at=NOW)
    otto.refresh_from_db()
    assert otto.badge == far.badge
    entry = AuditEntry.objects.get(action="person.badge")
    assert entry.detail == {"before": "B-otto", "after": "B-far"}
    Grant.objects.create(user=far, role=Role.OPERATOR, site=factories.site())
    with pytest.raises(Conflict):
        pins.set_badge(actor=lead, person="far", badge="B-olga", at=NOW)
