"""Revisions of units in batches, and rows put in by one statement."""

from __future__ import annotations

import pytest
from django.db import DataError

from governance import audit
from governance.access import system
from governance.models import AuditEntry
from review import dispositions
from review.dispositions import Draft
from tests import factories
from tests.factories import NOW
from traceability.inserts import insert_all, insert_values
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
    Inspection,
    ModelVersion,
    Unit,
)

pytestmark = pytest.mark.django_db


def draft(inspection: Inspection, kind: DispositionKind) -> Draft:
    return Draft(
        inspection=inspection,
        kind=kind,
        decider_kind=DeciderKind.RULE,
        decider="test",
        policy_version=1,
    )


def test_a_unit_drafted_twice_in_a_batch_gets_both_revisions_and_stands_where_the_last_says() -> (
    None
):
    twice, once = factories.inspection(), factories.inspection()
    drafts = [
        draft(twice, DispositionKind.HOLD),
        draft(once, DispositionKind.SCRAP),
        draft(twice, DispositionKind.ACCEPT),
    ]
    with audit.recorded(actor=system("test"), at=NOW) as trail:
        made = dispositions.dispose_all(trail=trail, drafts=drafts, due_at=NOW)
    assert [(d.unit_id, d.revision, d.kind) for d in made] == [
        (twice.unit_id, 1, "HOLD"),
        (once.unit_id, 1, "SCRAP"),
        (twice.unit_id, 2, "ACCEPT"),
    ]
    unit = Unit.objects.get(pk=twice.unit_id)
    assert (unit.disposition, unit.disposition_revision) == ("ACCEPT", 2)
    assert [d.write_backs.get().revision for d in Disposition.objects.order_by("id")] == [1, 1, 2]


def test_rows_come_back_in_their_order_and_as_they_were_given() -> None:
    site = factories.site()
    rows = [
        ModelVersion(site=site, name='qu"o\\te', version=str(n), first_seen_at=NOW)
        for n in range(20)
    ]
    insert_all(rows)
    for row in rows:
        found = ModelVersion.objects.get(pk=row.pk)
        assert (found.name, found.version, found.first_seen_at) == (row.name, row.version, NOW)


def test_too_long_a_value_is_refused_and_never_cut() -> None:
    version = ModelVersion(site=factories.site(), name="n" * 64, version="1", first_seen_at=NOW)
    with pytest.raises(DataError, match="too long"):
        insert_all([version])


def test_what_is_no_columns_value_is_refused() -> None:
    with pytest.raises(TypeError, match="Site"):
        insert_values(AuditEntry, [{"site_id": factories.site()}])
