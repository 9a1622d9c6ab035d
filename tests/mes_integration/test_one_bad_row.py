"""One disposition that cannot be said, or be moved on, keeps no other waiting."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from governance.roles import Role
from mes_integration import bulk, delivery, leases, mappings, resolution
from mes_integration.models import DeliveryAttempt, MappingProfile, WriteBack
from mes_integration.transitions import Outcome
from tests import factories
from tests.mes_integration.plant import (
    NOW,
    ScriptedMes,
    enqueued,
    expire_lease,
    outcomes,
    state_of,
)
from tests.mes_integration.test_pages import signed_in

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(minutes=1)


def mapped(**changes: Any) -> None:
    """The site's own mapping from now on."""
    document = mappings.shipped_document("generic") | changes
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document=document, author="x", at=NOW
    )


def body(expression: str) -> dict[str, Any]:
    return {"body": {"disposition": "=unit.serial", "x": expression}}


@pytest.mark.parametrize(
    "changes",
    [
        {"required": ["nobody(unit.serial)"]},
        {"required": ["left(unit.serial)"]},
        body("=left(unit.serial, to_number('nan'))"),
        body("=left(unit.serial, to_number('inf'))"),
        body("=to_number('inf')"),
        body("=ceil(to_number('inf'))"),
        body('=`"\\u0000"`'),
        body('=base64url(`"\\ud800"`)'),
        body('=`"\\ud800"`'),
        {"required": ["a" * 600, "b" * 600]},
        body(f'=abs(`"{"a" * 2000}"`)'),
        body('=abs(`"\\u0000"`)'),
        body('=abs(`"\\ud800"`)'),
        body("=" + "replace(" * 12 + "unit.serial" + ", '', 'aaaaaaaaaaaaaaaa')" * 12),
        body("=" + "{a: @, b: @} | " * 30 + "@"),
        body("=" + "{a: @, b: @} | " * 30 + "to_string(@)"),
    ],
)
def test_what_an_expression_cannot_answer_stops_its_own_disposition_alone(
    scripted: ScriptedMes, changes: dict[str, Any]
) -> None:
    mapped(**changes)
    stuck = enqueued()
    delivery.deliver_due(at=LATER, limit=3)
    assert state_of(stuck) == "NEEDS_PERSON"
    assert outcomes(stuck) == ["BLOCKED"]
    assert scripted.requests == []


def test_a_mapping_that_no_longer_parses_stops_what_it_would_say(scripted: ScriptedMes) -> None:
    mapped(schema="loupe.mapping/0")
    stuck = enqueued()
    delivery.deliver_due(at=LATER, limit=3)
    assert state_of(stuck) == "NEEDS_PERSON"
    assert "mapping" in stuck.last_error


def test_a_doubtful_one_that_a_later_one_has_passed_is_superseded(scripted: ScriptedMes) -> None:
    """As after a restore: both may have left, and the target takes a key once."""
    can = mappings.shipped_document("generic")["capabilities"]
    mapped(capabilities={**can, "read_back": False})
    first = enqueued()
    second = enqueued(first.unit, kind="REWORK")
    for row in (first, second):
        WriteBack.objects.filter(pk=row.pk).update(state="UNCERTAIN", attempts=1)
        DeliveryAttempt.objects.create(
            site=row.site, write_back=row, at=NOW, outcome=Outcome.LOST, answer=""
        )
    delivery.deliver_due(at=LATER, limit=5)
    assert (state_of(first), state_of(second)) == ("SUPERSEDED", "ACKNOWLEDGED")


def test_that_it_was_blocked_since_does_not_hide_that_it_may_have_arrived(
    scripted: ScriptedMes,
) -> None:
    """A row of an earlier version has no message yet, and its verdict no word."""
    mapped(verdicts={})
    row = enqueued()
    WriteBack.objects.filter(pk=row.pk).update(state="UNCERTAIN", attempts=1)
    DeliveryAttempt.objects.create(
        site=row.site, write_back=row, at=NOW, outcome=Outcome.LOST, answer=""
    )
    assert leases.take_lease(at=LATER) is None
    assert state_of(row) == "NEEDS_PERSON"

    document = mappings.shipped_document("generic")
    MappingProfile.objects.create(
        site=row.site, target="mes", version=2, document=document, author="x", at=NOW
    )
    lead = factories.actor(Role.LEAD)
    resolution.resend(actor=lead, write_back=row, at=LATER)
    lease = leases.take_lease(at=LATER)
    assert lease is not None
    assert lease.reads_back


def test_a_lease_that_ran_out_of_what_cannot_be_read_any_more_stops_no_other(
    scripted: ScriptedMes,
) -> None:
    cut_off, other = enqueued(), enqueued()
    assert leases.take_lease(at=NOW) is not None
    # As a later release that knows this form of a mapping no more.
    mapped(schema="loupe.mapping/0")
    WriteBack.objects.filter(pk=cut_off.pk).update(profile_version=1)
    WriteBack.objects.filter(pk=other.pk).update(
        message={"a": 1}, profile_version=0, profile_name="generic"
    )
    expire_lease(cut_off)
    delivery.deliver_due(at=LATER, limit=5)
    delivery.deliver_due(at=LATER + timedelta(minutes=1), limit=5)
    assert state_of(cut_off) == "NEEDS_PERSON"
    assert outcomes(cut_off) == ["LOST", "BLOCKED"]
    assert state_of(other) == "ACKNOWLEDGED"


@pytest.mark.parametrize("where", ["/write-backs/", "/write-backs/{}/"])
def test_a_mapping_that_no_longer_parses_closes_no_page(scripted: ScriptedMes, where: str) -> None:
    mapped(schema="loupe.mapping/0")
    stuck, sent = enqueued(), enqueued()
    WriteBack.objects.filter(pk=sent.pk).update(
        message={"a": 1}, profile_version=1, state="UNCERTAIN"
    )
    delivery.deliver_due(at=LATER, limit=3)
    lead = signed_in(factories.user(Role.QUALITY_ENGINEER))
    for row in (stuck, sent):
        assert state_of(row) == "NEEDS_PERSON"
        answer = lead.get(where.format(row.uuid))
        assert answer.status_code == 200
        if where == "/write-backs/{}/":
            assert "This mapping profile cannot be used" in answer.content.decode()


def test_one_whose_mapping_no_longer_parses_stops_no_other_that_is_sent_again(
    scripted: ScriptedMes,
) -> None:
    mapped(schema="loupe.mapping/0")
    stuck, other = enqueued(), enqueued()
    WriteBack.objects.filter(pk__in=[stuck.pk, other.pk]).update(
        state="NEEDS_PERSON", message={"a": 1}, profile_version=1
    )
    WriteBack.objects.filter(pk=other.pk).update(profile_version=0, profile_name="generic")
    rows = WriteBack.objects.filter(pk__in=[stuck.pk, other.pk])
    assert bulk.resend(actor=factories.actor(Role.LEAD), rows=rows, at=LATER) == 2
    delivery.deliver_due(at=LATER, limit=5)
    assert (state_of(stuck), state_of(other)) == ("NEEDS_PERSON", "ACKNOWLEDGED")


def test_a_mapping_that_no_longer_parses_is_mended_on_its_own_page(scripted: ScriptedMes) -> None:
    mapped(schema="loupe.mapping/0", defects={"scratch": "S-1"})
    enqueued()
    engineer = signed_in(factories.user(Role.QUALITY_ENGINEER))
    one = "/write-backs/mappings/plant-1/mes/"
    for page in (one, f"{one}edit/"):
        answer = engineer.get(page)
        assert answer.status_code == 200
        shown = answer.content.decode()
        assert "This mapping profile cannot be used" in shown
        assert "S-1" in shown

    verdicts = {f"verdict-{word}": word for word in ("ACCEPT", "REWORK", "SCRAP", "HOLD")}
    rest = mappings.shipped_document("generic")
    del rest["verdicts"], rest["defects"]
    mended = {**verdicts, "defects": "own", "rest": json.dumps(rest), "base": "1", "reason": "New."}
    tried = engineer.post(f"{one}edit/", mended)
    assert tried.status_code == 200
    saved = engineer.post(f"{one}edit/", {**mended, "do": "save", "seen": tried.context["seen"]})
    assert saved.status_code == 302
    assert engineer.get(one).status_code == 200
