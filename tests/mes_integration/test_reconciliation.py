"""Our acknowledgements against what the MES holds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from governance.models import AuditEntry
from governance.roles import Role
from mes_integration import comparison, delivery, exceptions, mappings, reconciliation
from mes_integration.adapters.protocol import Answer, Applied, Message
from mes_integration.models import (
    MappingProfile,
    Reconciliation,
    ReconciliationException,
    WriteBack,
)
from mes_integration.targets import adapter_of
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import DemoMes, Reply, ScriptedMes, enqueued, outcomes, state_of
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = pytest.mark.django_db


def now() -> datetime:
    return datetime.now(UTC)


def delivered(unit: object = None) -> WriteBack:
    row = enqueued(unit, at=now())  # type: ignore[arg-type]  # a unit or none
    delivery.deliver_due(at=now(), limit=10)
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"
    return row


def reconciled() -> Reconciliation:
    run = reconciliation.start(site=factories.site(), name="mes", at=now())
    return reconciliation.carry_through(run, clock=now)


def found() -> list[ReconciliationException]:
    return list(ReconciliationException.objects.order_by("pk"))


def spoil(row: WriteBack) -> None:
    """What we hold is not what the MES said."""
    WriteBack.objects.filter(pk=row.pk).update(reference="MES-none")


# --- the run ---


def test_where_both_agree_the_report_is_empty(demo: DemoMes) -> None:
    delivered()
    delivered()
    run = reconciled()
    assert (run.compared, run.differing, run.trouble) == (2, 0, "")
    assert run.finished_at is not None
    assert found() == []


def test_an_injected_mismatch_is_reported_within_one_cycle(demo: DemoMes) -> None:
    row = delivered()
    delivered()
    spoil(row)
    assert reconciled().differing == 1
    [each] = found()
    assert (each.write_back_id, each.kind, each.state) == (row.pk, "REFERENCE", "OPEN")
    assert each.theirs == f"The MES holds it as {row.reference}."
    assert AuditEntry.objects.filter(action="reconciliation.differ").count() == 1


def test_it_stays_open_as_one_until_a_later_run_agrees(demo: DemoMes) -> None:
    row = delivered()
    spoil(row)
    reconciled()
    first = found()[0]
    reconciled()
    [again] = found()
    assert (again.pk, again.state) == (first.pk, "OPEN")
    assert again.seen_at > first.seen_at
    WriteBack.objects.filter(pk=row.pk).update(reference=row.reference)
    reconciled()
    [closed] = found()
    assert (closed.state, closed.closed_by) == ("AGREED", "")


@pytest.mark.parametrize("days", [0, 30])
def test_what_cannot_be_asked_for_any_more_is_not_taken_for_agreed(
    demo: DemoMes, days: int
) -> None:
    """It was said for another adapter than the one that the target is reached by now."""
    row, other = delivered(), delivered()
    spoil(row)
    reconciled()
    document = mappings.shipped_document("generic")
    for version, changed in ((1, {"adapter": "mqtt"}), (2, {})):
        MappingProfile.objects.create(
            site=row.site,
            target="mes",
            version=version,
            document=document | changed,
            author="x",
            at=now(),
        )
    WriteBack.objects.filter(pk=row.pk).update(
        profile_version=1, profile_name=None, settled_at=now() - timedelta(days=days)
    )
    run = reconciled()
    assert (run.finished_at is not None, run.trouble) == (True, "")
    assert [(each.write_back_id, each.state) for each in found()] == [(row.pk, "OPEN")]
    spoil(other)
    reconciled()
    assert len(found()) == 2


def test_what_is_open_is_compared_again_when_its_days_are_over(demo: DemoMes) -> None:
    row = delivered()
    spoil(row)
    reconciled()
    WriteBack.objects.filter(pk=row.pk).update(
        reference=row.reference, settled_at=now() - timedelta(days=30)
    )
    reconciled()
    assert [each.state for each in found()] == ["AGREED"]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (None, "MISSING", "does not hold it"),
        (Applied("R-1", 200, verdict="SCRAP"), "VERDICT", "holds SCRAP, we said HOLD"),
        (Applied("R-1", 200, copies=2), "DOUBLED", "2 times"),
        (Applied("R-2", 200), "REFERENCE", "as R-2"),
        (Applied("R-1", 200, verdict="HOLD"), None, ""),
    ],
)
def test_each_difference_has_its_name(
    scripted: ScriptedMes, answer: Answer | None, kind: str | None, words: str
) -> None:
    row = delivered()

    class Says:
        def read_back(self, _message: Message) -> Answer | None:
            return answer

        def post(self, _message: Message) -> Answer:
            raise AssertionError

        def close(self) -> None:
            """Nothing is open."""

    finding = comparison.compare(Says(), row)
    assert finding.kind == kind
    assert words in finding.theirs


def test_a_verdict_that_was_changed_there_is_found(demo: DemoMes) -> None:
    row = delivered()
    said = {**row.payload, "data": {**row.payload["data"], "disposition": "SCRAP"}}
    WriteBack.objects.filter(pk=row.pk).update(payload=said)
    reconciled()
    [each] = found()
    assert (each.kind, each.theirs) == ("VERDICT", "The MES holds HOLD, we said SCRAP.")


def test_what_the_mes_cannot_tell_of_one_is_an_exception(scripted: ScriptedMes) -> None:
    delivered()
    scripted.says(Reply(500, b"{}"))
    run = reconciled()
    assert [each.kind for each in found()] == ["UNREAD"]
    assert run.finished_at is not None


def test_a_mapping_that_no_longer_parses_is_an_exception_and_the_others_are_compared(
    demo: DemoMes,
) -> None:
    # As a later release that knows this form of a mapping no more.
    unreadable = [delivered() for _ in range(reconciliation.PATIENCE + 1)]
    readable = [delivered(), delivered()]
    spoil(readable[1])
    mapped = MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document={}, author="x", at=now()
    )
    for row in unreadable:
        WriteBack.objects.filter(pk=row.pk).update(profile_version=mapped.version)
    run = reconciled()
    assert (run.compared, run.trouble) == (len(unreadable) + 2, "")
    kinds = {each.write_back_id: each.kind for each in found()}
    assert kinds == {row.pk: "UNREAD" for row in unreadable} | {readable[1].pk: "REFERENCE"}
    assert "cannot be used" in found()[0].theirs


def test_a_mapping_in_force_that_no_longer_parses_does_not_keep_the_run_from_beginning(
    demo: DemoMes,
) -> None:
    delivered()
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document={}, author="x", at=now()
    )
    assert reconciliation.start_all(at=now()) == 1


def test_an_mes_that_is_away_makes_no_exceptions_and_is_asked_again_later(
    scripted: ScriptedMes, demo: DemoMes, configure: Configure
) -> None:
    row = delivered()
    configure("http://127.0.0.1:9")
    run = reconciled()
    assert run.finished_at is None
    assert "cannot be reached" in run.trouble
    assert found() == []
    configure(demo.url)
    reconciliation.carry_on(clock=now, for_s=5)
    ended = Reconciliation.objects.get(finished_at__isnull=False)
    assert (ended.pk, ended.trouble, ended.compared) == (run.pk, "", 1)
    assert state_of(row) == "ACKNOWLEDGED"


def test_an_mes_that_answers_nothing_but_errors_is_taken_to_be_at_fault(
    scripted: ScriptedMes,
) -> None:
    for _ in range(6):
        delivered()
    scripted.says(Reply(503, b"{}"))
    run = reconciled()
    assert run.finished_at is None
    assert run.compared == 0
    assert found() == []


def test_a_run_that_was_cut_off_goes_on_where_it_was(
    scripted: ScriptedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "BATCH", 2)
    rows = [delivered() for _ in range(5)]
    asked: list[str] = []
    mes = adapter_of("mes")
    assert mes is not None
    read_back = mes.read_back

    def counted(message: Message) -> Answer | None:
        asked.append(message.key)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return read_back(message)

    monkeypatch.setattr(mes, "read_back", counted)
    run = reconciliation.start(site=factories.site(), name="mes", at=now())
    with pytest.raises(KeyboardInterrupt):
        reconciliation.carry_through(run, clock=now)
    run.refresh_from_db()
    assert run.compared == 2
    reconciliation.carry_on(clock=now, for_s=5)
    run.refresh_from_db()
    assert run.compared == 2, "its lease still stands"
    Reconciliation.objects.update(lease_expires_at=now() - timedelta(minutes=1))
    reconciliation.carry_on(clock=now, for_s=5)
    run.refresh_from_db()
    assert run.compared == 5
    assert asked[4:] == [str(row.uuid) for row in rows[2:]]


def test_one_whose_lease_is_over_writes_nothing_more(
    scripted: ScriptedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = delivered()
    spoil(row)
    mes = adapter_of("mes")
    assert mes is not None
    read_back = mes.read_back

    def overtaken(message: Message) -> Answer | None:
        Reconciliation.objects.update(fence=99)
        return read_back(message)

    monkeypatch.setattr(mes, "read_back", overtaken)
    run = reconciled()
    assert (run.compared, run.finished_at) == (0, None)
    assert found() == []


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_mes_is_asked(
    scripted: ScriptedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered()
    mes = adapter_of("mes")
    assert mes is not None
    read_back, seen = mes.read_back, []

    def watched(message: Message) -> Answer | None:
        seen.append(connection.in_atomic_block)
        return read_back(message)

    monkeypatch.setattr(mes, "read_back", watched)
    reconciled()
    assert seen == [False]


def test_it_asks_no_faster_than_it_may(
    demo: DemoMes, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        delivered()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    configure(demo.url, mes_reconcile_per_s=0.5)
    reconciled()
    assert len(slept) == 3
    assert sum(slept) > 5 * 3 / 2


def test_a_run_is_not_begun_twice_and_a_forgotten_one_is_ended(demo: DemoMes) -> None:
    at = now()
    first = reconciliation.start(site=factories.site(), name="mes", at=at)
    assert reconciliation.start(site=factories.site(), name="mes", at=at).pk == first.pk
    assert reconciliation.start_all(at=at + timedelta(hours=24)) == 1
    first.refresh_from_db()
    assert first.finished_at is not None
    assert "never ended" in first.trouble
    assert Reconciliation.objects.filter(finished_at__isnull=True).count() == 1


def test_a_target_that_is_not_configured_cannot_be_reconciled(configure: Configure) -> None:
    with pytest.raises(Invalid, match="No such target"):
        reconciliation.start(site=factories.site(), name="mes", at=now())
    assert reconciliation.start_all(at=now()) == 0


# --- what a person does ---


def missing(demo: DemoMes, scripted: ScriptedMes, configure: Configure) -> WriteBack:
    """Acknowledged by one MES; the one that is asked (the demo's) does not hold it."""
    configure(scripted.url)
    row = delivered()
    configure(demo.url)
    reconciled()
    assert [each.kind for each in found()] == ["MISSING"]
    return row


def test_what_is_missing_there_is_sent_again_under_the_same_key(
    demo: DemoMes, scripted: ScriptedMes, configure: Configure
) -> None:
    row = missing(demo, scripted, configure)
    lead = factories.actor(Role.LEAD)
    exceptions.send_missing(actor=lead, uuid=found()[0].uuid, at=now())
    assert [each.state for each in found()] == ["SENT_AGAIN"]
    assert state_of(row) == "RETRY"
    delivery.deliver_due(at=now(), limit=5)
    assert outcomes(row)[-3:] == ["REOPENED", "NOT_FOUND", "APPLIED"]
    assert state_of(row) == "ACKNOWLEDGED"
    held = demo.held(row)
    assert held is not None
    assert held["reference"] == row.reference
    reconciled()
    assert not ReconciliationException.objects.filter(state="OPEN").exists()
    assert AuditEntry.objects.filter(action="write_back.reopen").count() == 1


def test_what_came_back_there_meanwhile_is_not_sent_twice(
    demo: DemoMes, scripted: ScriptedMes, configure: Configure
) -> None:
    row = missing(demo, scripted, configure)
    exceptions.send_missing(actor=factories.actor(Role.LEAD), uuid=found()[0].uuid, at=now())
    configure(scripted.url)
    before = len(scripted.posted())
    delivery.deliver_due(at=now(), limit=5)
    assert state_of(row) == "ACKNOWLEDGED"
    assert len(scripted.posted()) == before


def test_only_what_is_missing_and_not_overtaken_is_sent_again(
    demo: DemoMes, scripted: ScriptedMes, configure: Configure
) -> None:
    lead = factories.actor(Role.LEAD)
    configure(demo.url)
    other = delivered()
    spoil(other)
    reconciled()
    with pytest.raises(Conflict, match="Only what is missing"):
        exceptions.send_missing(actor=lead, uuid=found()[0].uuid, at=now())
    ReconciliationException.objects.all().delete()
    WriteBack.objects.filter(pk=other.pk).update(reference=other.reference)
    row = missing(demo, scripted, configure)
    enqueued(row.unit, at=now())
    with pytest.raises(Conflict, match="Revision 2"):
        exceptions.send_missing(actor=lead, uuid=found()[0].uuid, at=now())
    assert state_of(row) == "ACKNOWLEDGED"


def test_a_person_closes_it_with_a_reason_once(demo: DemoMes) -> None:
    spoil(delivered())
    reconciled()
    lead, uuid = factories.actor(Role.LEAD), found()[0].uuid
    with pytest.raises(Invalid, match="Say why"):
        exceptions.close_by_hand(actor=lead, uuid=uuid, reason=" ", at=now())
    exceptions.close_by_hand(actor=lead, uuid=uuid, reason="Renamed there.", at=now())
    with pytest.raises(Conflict, match="It is settled"):
        exceptions.close_by_hand(actor=lead, uuid=uuid, reason="Again.", at=now())
    with pytest.raises(Conflict, match="It is settled"):
        exceptions.send_missing(actor=lead, uuid=uuid, at=now())
    [each] = found()
    assert (each.state, each.closed_by, each.reason) == ("CLOSED", lead.name, "Renamed there.")
    reconciled()
    assert [each.state for each in found()] == ["CLOSED", "OPEN"]


def test_another_sites_exception_is_not_there(demo: DemoMes) -> None:
    spoil(delivered())
    reconciled()
    foreign = factories.actor(Role.LEAD, at=factories.site("plant-2"))
    with pytest.raises(Unknown):
        exceptions.send_missing(actor=foreign, uuid=found()[0].uuid, at=now())


# --- the command ---


def test_agreement_is_one_line(demo: DemoMes) -> None:
    delivered()
    delivered()
    said = StringIO()
    call_command("reconcile_mes", stdout=said)
    assert said.getvalue() == "2 compared, all as the MES holds them.\n"


def test_each_difference_is_named_and_ends_with_an_error(demo: DemoMes) -> None:
    row, fine = delivered(), delivered()
    spoil(row)
    said = StringIO()
    with pytest.raises(CommandError, match="1 differ from the MES; 2 were compared"):
        call_command("reconcile_mes", stdout=said)
    assert said.getvalue() == (
        f"plant-1\t{row.unit.serial}\trevision 1\tMES-none\tThe MES holds it as {row.reference}.\n"
    )
    assert fine.unit.serial not in said.getvalue()


def test_an_mes_that_is_away_ends_the_command_with_an_error(
    demo: DemoMes, configure: Configure
) -> None:
    delivered()
    configure("http://127.0.0.1:9")
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("reconcile_mes", stdout=StringIO())


def test_only_the_last_days_are_compared(demo: DemoMes) -> None:
    row = delivered()
    WriteBack.objects.filter(pk=row.pk).update(
        reference="gone", settled_at=now() - timedelta(days=3)
    )
    said = StringIO()
    call_command("reconcile_mes", "--days", "2", stdout=said)
    assert said.getvalue().startswith("0 compared")
    with pytest.raises(CommandError):
        call_command("reconcile_mes", "--days", "4", stdout=StringIO())


def test_what_was_settled_without_a_reference_or_never_sent_is_left_out(demo: DemoMes) -> None:
    row, unsent = delivered(), enqueued(at=now())
    WriteBack.objects.filter(pk=row.pk).update(reference="")
    WriteBack.objects.filter(pk=unsent.pk).update(
        state="ACKNOWLEDGED", reference="typed in", settled_at=now()
    )
    said = StringIO()
    call_command("reconcile_mes", stdout=said)
    assert said.getvalue().startswith("0 compared")


def test_without_an_mes_it_says_what_to_set(configure: Configure) -> None:
    with pytest.raises(CommandError, match="LOUPE_MES_URL is not set"):
        call_command("reconcile_mes")
