"""The audit trail: with the change or not at all, and never altered."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client

from governance import audit
from governance.access import system
from governance.audit import UnauditedChange
from governance.models import AuditEntry
from governance.roles import Role
from tests import factories
from tests.factories import NOW
from traceability.models import Site

WHO = system("test")


@pytest.mark.django_db
def test_a_change_and_its_entry_are_committed_together() -> None:
    site = factories.site()
    with audit.recorded(actor=WHO, at=NOW) as trail:
        site.name = "Plant one"
        site.save()
        trail.add("site.rename", subject_kind="site", subject=site.code, site_id=site.pk)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.at) == ("site.rename", "test", NOW)


@pytest.mark.django_db
def test_a_change_that_fails_leaves_neither_itself_nor_an_entry() -> None:
    def break_off() -> None:
        with audit.recorded(actor=WHO, at=NOW) as trail:
            site = Site.objects.create(code="plant-9")
            trail.add("site.add", subject_kind="site", subject=site.code, site_id=site.pk)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        break_off()
    assert not Site.objects.filter(code="plant-9").exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_a_change_without_an_entry_is_a_fault_and_is_undone() -> None:
    with pytest.raises(UnauditedChange), audit.recorded(actor=WHO, at=NOW):
        Site.objects.create(code="plant-9")
    assert not Site.objects.filter(code="plant-9").exists()


@pytest.mark.django_db
def test_an_entry_that_cannot_be_written_undoes_the_change() -> None:
    def too_long() -> None:
        with audit.recorded(actor=WHO, at=NOW) as trail:
            Site.objects.create(code="plant-9")
            trail.add("x" * 65, subject_kind="site", subject="plant-9", site_id=None)

    with pytest.raises(DatabaseError):
        too_long()
    assert not Site.objects.filter(code="plant-9").exists()


@pytest.mark.django_db
def test_nothing_changed_needs_no_entry() -> None:
    with audit.recorded(actor=WHO, at=NOW) as trail:
        trail.nothing_changed()
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_auditentry SET actor = 'nobody'",
        "DELETE FROM governance_auditentry",
        "TRUNCATE governance_auditentry",
    ],
)
def test_the_database_refuses_to_alter_the_trail(statement: str) -> None:
    with audit.recorded(actor=WHO, at=NOW) as trail:
        trail.add("site.look", subject_kind="site", subject="plant-1", site_id=None)

    def alter() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            # Foreign keys are checked at the end of a transaction; TRUNCATE would wait for that.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(statement)

    with pytest.raises(IntegrityError, match="never changed"):
        alter()
    assert AuditEntry.objects.get().actor == "test"


@pytest.mark.django_db
def test_the_page_shows_a_detail_whatever_its_keys_are_called() -> None:
    client = Client()
    client.force_login(factories.user(Role.AUDITOR))
    with audit.recorded(actor=system("test"), at=NOW) as trail:
        trail.add(
            "list.sign",
            subject_kind="list",
            subject="1",
            site_id=factories.site().pk,
            detail={"items": 7, "keys": "all"},
        )
    page = client.get("/audit/").content.decode()
    assert "keys=all items=7" in page
