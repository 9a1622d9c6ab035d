"""The reference image of a part revision and view: set with an audit entry, the latest in force."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from governance import reference_images
from governance.models import AuditEntry
from governance.roles import Role
from tests import factories
from traceability import images, references
from traceability.models import Capture, Reference, Unit
from traceability.refusals import Conflict, Unknown

pytestmark = pytest.mark.django_db


def ready(**fields: Any) -> Capture:
    return factories.capture(preview=Capture.Preview.READY, **fields)


def set_by(role: Role, capture: Capture) -> Capture:
    return reference_images.make_reference(
        actor=factories.actor(role), capture=capture.uuid, at=timezone.now()
    )


def standing(capture: Capture) -> Any:
    return references.in_force(part_revision_id=capture.inspection.unit.part_revision_id)


def test_the_latest_reference_of_each_view_is_in_force() -> None:
    first, second, side = ready(), ready(), ready(view="side")
    for one in (first, side, second):
        set_by(Role.LEAD, one)
    assert standing(first) == {second.pk, side.pk}
    assert Reference.objects.count() == 3


def test_it_is_in_the_audit_trail_with_what_was_before() -> None:
    first, second = ready(), ready()
    set_by(Role.LEAD, first)
    set_by(Role.QUALITY_ENGINEER, second)
    entries = list(AuditEntry.objects.filter(action="reference.set").order_by("id"))
    assert [entry.subject for entry in entries] == [str(first.uuid), str(second.uuid)]
    assert [entry.detail["before"] for entry in entries] == [None, str(first.uuid)]


def test_its_history_is_never_changed() -> None:
    set_by(Role.LEAD, ready())
    for change in (
        lambda: Reference.objects.update(view="other"),
        lambda: Reference.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_an_image_nobody_sees_or_of_no_known_part_is_refused() -> None:
    with pytest.raises(Conflict, match="still being made"):
        set_by(Role.LEAD, factories.capture())
    refused = factories.capture(preview="REFUSED", preview_refusal="It is damaged.")
    with pytest.raises(Conflict, match="damaged"):
        set_by(Role.LEAD, refused)
    nameless = ready()
    Unit.objects.filter(pk=nameless.inspection.unit_id).update(part_revision=None)
    with pytest.raises(Conflict, match="no part number"):
        set_by(Role.LEAD, nameless)
    foreign = ready(of=factories.inspection(factories.unit(at=factories.site("plant-2"))))
    with pytest.raises(Unknown):
        set_by(Role.LEAD, foreign)
    assert not Reference.objects.exists()


def test_it_is_set_from_the_page_of_the_unit() -> None:
    capture = ready()
    lead, inspector = Client(), Client()
    lead.force_login(factories.user(Role.LEAD))
    inspector.force_login(factories.user(Role.INSPECTOR))
    page = f"/units/{capture.inspection.unit.serial}/"
    assert b"Make this the reference image" in lead.get(page).content
    assert b"Make this the reference image" not in inspector.get(page).content
    action = f"/captures/{capture.uuid}/reference/"
    assert inspector.post(action).status_code == 403
    assert lead.post(action, follow=True).redirect_chain == [(f"{page}?site=plant-1", 302)]
    shown = lead.get(page).content.decode()
    assert "Reference image" in shown
    assert "Make this the reference image" not in shown


def test_who_works_at_one_line_sees_a_reference_of_another() -> None:
    capture = ready(of=factories.inspection(on=factories.line(code="line-2")))
    address = images.address(capture, at=timezone.now()) + "/about"
    person = Client()
    person.force_login(factories.user(Role.INSPECTOR, on=factories.line(code="line-1")))
    assert person.get(address).status_code == 404
    set_by(Role.LEAD, capture)
    assert person.get(address).status_code == 200
    foreign = Client()
    foreign.force_login(factories.user(Role.INSPECTOR, at=factories.site("plant-2")))
    assert foreign.get(address).status_code == 404
