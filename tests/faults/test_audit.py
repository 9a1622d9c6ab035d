"""A change and its audit entry: both are there, or neither."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from governance import audit
from governance.access import system
from governance.audit import UnauditedChange
from governance.models import AuditEntry
from tests.factories import NOW
from traceability.models import Site

pytestmark = pytest.mark.django_db(transaction=True)


def _add_site(*, code: str, name: str = "", detail: object = None) -> None:
    with audit.recorded(actor=system("test"), at=NOW) as trail:
        Site.objects.create(code=code, name=name)
        trail.add(
            "site.add", subject_kind="site", subject=code, site_id=None, detail={"what": detail}
        )
        Site.objects.create(code=name)


def test_a_change_and_its_audit_entry_are_made_together() -> None:
    _add_site(code="plant-1", name="plant-2")
    assert (Site.objects.count(), AuditEntry.objects.count()) == (2, 1)


def test_a_change_whose_audit_entry_cannot_be_written_is_not_made() -> None:
    with pytest.raises(TypeError, match="no column's value"):
        _add_site(code="plant-1", name="plant-2", detail=object())
    assert not Site.objects.exists()


def test_a_change_nobody_audits_is_not_made() -> None:
    with pytest.raises(UnauditedChange), audit.recorded(actor=system("test"), at=NOW):
        Site.objects.create(code="plant-1")
    assert not Site.objects.exists()


def test_what_failed_is_not_in_the_audit_trail() -> None:
    with pytest.raises(IntegrityError):
        _add_site(code="plant-1", name="plant-1")
    assert not Site.objects.exists()
    assert not AuditEntry.objects.exists()
