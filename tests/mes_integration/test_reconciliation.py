"""Our acknowledgements against what the MES holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mes_integration import delivery
from mes_integration.models import WriteBack
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import DemoMes, Reply, ScriptedMes, enqueued

pytestmark = pytest.mark.django_db


def delivered() -> WriteBack:
    at = datetime.now(UTC)
    row = enqueued(at=at)
    delivery.deliver_due(at=at, limit=10)
    row.refresh_from_db()
    return row


def test_agreement_is_one_line(demo: DemoMes) -> None:
    delivered()
    delivered()
    said = StringIO()
    call_command("reconcile_mes", stdout=said)
    assert said.getvalue() == "2 compared, all as the MES holds them.\n"


def test_each_difference_is_named_and_ends_with_an_error(demo: DemoMes) -> None:
    row, fine = delivered(), delivered()
    WriteBack.objects.filter(pk=row.pk).update(reference="MES-none")
    said = StringIO()
    with pytest.raises(CommandError, match="1 of 2 differ"):
        call_command("reconcile_mes", stdout=said)
    assert said.getvalue() == (
        f"plant-1\t{row.unit.serial}\trevision 1\tMES-none\tThe MES holds it as {row.reference}.\n"
    )
    assert fine.unit.serial not in said.getvalue()


def test_what_the_mes_lost_or_does_not_tell_is_a_difference(scripted: ScriptedMes) -> None:
    delivered()
    for reply, sentence in [
        (Reply(404, b"{}"), "does not hold it"),
        (Reply(500, b"{}"), "answered 500"),
    ]:
        scripted.says(reply)
        said = StringIO()
        with pytest.raises(CommandError):
            call_command("reconcile_mes", stdout=said)
        assert sentence in said.getvalue()


def test_only_the_last_days_are_compared(demo: DemoMes) -> None:
    row = delivered()
    WriteBack.objects.filter(pk=row.pk).update(
        reference="gone", settled_at=datetime.now(UTC) - timedelta(days=3)
    )
    said = StringIO()
    call_command("reconcile_mes", "--days", "2", stdout=said)
    assert said.getvalue().startswith("0 compared")
    with pytest.raises(CommandError):
        call_command("reconcile_mes", "--days", "4", stdout=StringIO())


def test_what_was_settled_without_a_reference_is_left_out(demo: DemoMes) -> None:
    row = delivered()
    WriteBack.objects.filter(pk=row.pk).update(reference="")
    said = StringIO()
    call_command("reconcile_mes", stdout=said)
    assert said.getvalue().startswith("0 compared")


def test_without_an_mes_it_says_what_to_set(configure: Configure) -> None:
    with pytest.raises(CommandError, match="LOUPE_MES_URL is not set"):
        call_command("reconcile_mes")
