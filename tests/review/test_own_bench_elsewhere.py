"""Also the write-backs, the conflicts, the queue, the audit trail and the line tell nobody what was
said of a unit that he is judging himself; he reads it once he has given his verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.access import actor_of
from governance.models import AuditEntry, Grant, User
from governance.roles import Capability, Role
from mes_integration.models import (
    MesChange,
    Reconciliation,
    ReconciliationException,
    WriteBack,
)
from review import mes_conflicts, queue, supervision
from review.line import board, opinions
from review.mes_conflicts import Choice
from review.models import ReviewTask, SecondOpinion
from review.queue import Lease
from tests import factories
from tests.factories import NOW
from tests.mes_integration.plant import enqueued, state_of
from tests.review.test_approvals import asked
from tests.review.test_decisions import claimed
from tests.review.test_mes_conflicts import LATER, _targets, confirmed, said_there
from tests.review.test_own_bench import (
    at_the_bench_of,
    has_judged,
    lot_on_the_bench_of,
    small_sample,
)
from traceability.models import Unit
from traceability.refusals import Conflict

__all__ = ["_targets", "small_sample"]
pytestmark = pytest.mark.django_db

LIST = "/write-backs/"
ATTENTION = "/write-backs/undelivered/"
CONFLICTS = "/write-backs/conflicts/"
AUDIT = "/audit/"
QUEUE = "/review/queue/"
OWN = "on your bench; told after your verdict"
OF_LOT = "a part of its lot is on your bench; told after your verdict"
WHY = "No word for REWORK of porosity."


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="lena")


@pytest.fixture
def colleague() -> User:
    return factories.user(Role.LEAD, name="lars")


def client_of(person: User) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(person)
    return client


def page_of(person: User, address: str, **asked_for: str) -> str:
    answered = client_of(person).get(address, asked_for)
    assert answered.status_code == 200
    return str(answered.content.decode())


def on_the_bench_of(person: User, unit: Unit) -> Lease:
    """A new inspection of the unit is his to judge."""
    factories.task(factories.inspection(unit))
    held = claimed(actor_of(person))
    assert ReviewTask.objects.get(uuid=held.task).unit == unit
    return held


def stuck(unit: Unit | None = None) -> WriteBack:
    """A colleague's verdict that the MES refused."""
    row = enqueued(unit or factories.unit("SN-7"), kind="REWORK")
    WriteBack.objects.filter(pk=row.pk).update(
        state="REJECTED", attempts=3, last_error=WHY, reference="NCR-88"
    )
    row.refresh_from_db()
    return row


TOLD = ("Rework", "revision 1", WHY, "NCR-88", "verdict-REWORK")


@pytest.mark.parametrize(
    "address",
    [LIST, f"{LIST}rows/", ATTENTION, f"{LIST}?unit=SN-7", f"{LIST}?state=REJECTED"],
)
def test_the_write_backs_do_not_say_what_was_decided_of_it(
    lead: User, colleague: User, address: str
) -> None:
    stuck()
    held = on_the_bench_of(lead, Unit.objects.get())
    page = page_of(lead, address)
    assert not [words for words in TOLD if words in page]
    assert OWN in page
    assert "SN-7" in page
    assert OWN not in page_of(colleague, address)
    for reader in (colleague, factories.user(Role.ADMIN), factories.user(Role.AUDITOR)):
        assert "Rework" in page_of(reader, address)
    has_judged(lead, held)
    assert "Rework" in page_of(lead, address)


def test_the_reason_many_wait_for_is_not_told_of_it(lead: User, colleague: User) -> None:
    row = stuck()
    other = stuck(factories.unit("SN-8"))
    WriteBack.objects.filter(pk=other.pk).update(last_error="The line is down.")
    on_the_bench_of(lead, row.unit)
    reasons = page_of(lead, ATTENTION).split('id="reasons-title"', 1)[1].split("</section>", 1)[0]
    assert WHY not in reasons
    assert "The line is down." in reasons
    assert OWN in reasons
    assert WHY in page_of(colleague, ATTENTION)


def test_a_press_on_a_reason_neither_sends_it_nor_tells_that_it_is_the_reason(lead: User) -> None:
    row = stuck()
    on_the_bench_of(lead, row.unit)
    given = {"all": "1", "site": row.site.code, "target": row.target}
    client_of(lead).post(
        "/write-backs/send-again/", {**given, "state": "REJECTED", "last_error": WHY}
    )
    assert state_of(row) == "REJECTED"


def test_its_row_is_still_sent_again(lead: User) -> None:
    row = stuck()
    on_the_bench_of(lead, row.unit)
    assert f'value="{row.uuid}"' in page_of(lead, ATTENTION)
    client_of(lead).post("/write-backs/send-again/", {"write_back": [str(row.uuid)]})
    assert state_of(row) == "RETRY"


def test_the_page_of_one_write_back_says_that_and_why_it_tells_nothing(
    lead: User, colleague: User
) -> None:
    row = stuck()
    address = f"/write-backs/{row.uuid}/"
    held = on_the_bench_of(lead, row.unit)
    page = page_of(lead, address)
    assert not [words for words in (*TOLD, "porosity", "REWORK") if words in page]
    assert "You are judging this unit at the bench" in page
    assert "Refused by the MES" in page
    assert "REWORK" in page_of(colleague, address)
    has_judged(lead, held)
    assert "REWORK" in page_of(lead, address)


def test_from_its_page_it_is_still_sent_again(lead: User) -> None:
    row = stuck()
    on_the_bench_of(lead, row.unit)
    assert f'action="/write-backs/{row.uuid}/resend/"' in page_of(lead, f"/write-backs/{row.uuid}/")
    told = client_of(lead).post(f"/write-backs/{row.uuid}/resend/", follow=True).content.decode()
    assert "It is sent again now." in told
    assert state_of(row) == "RETRY"


def test_a_refusal_to_send_it_does_not_say_that_it_was_decided_anew(lead: User) -> None:
    row = stuck()
    enqueued(row.unit, kind="SCRAP")
    on_the_bench_of(lead, row.unit)
    page = page_of(lead, f"/write-backs/{row.uuid}/")
    refused = client_of(lead).post(f"/write-backs/{row.uuid}/resend/")
    assert refused.status_code == 409
    for text in (page, refused.content.decode()):
        assert "Revision 2" not in text
        assert "told after your verdict" in text


def test_the_api_leaves_out_what_was_decided_and_says_so(lead: User, colleague: User) -> None:
    row = stuck()
    held = on_the_bench_of(lead, row.unit)

    def item(person: User) -> dict[str, Any]:
        items = client_of(person).get("/api/v1/write-backs").json()["items"]
        return dict(next(each for each in items if each["id"] == str(row.uuid)))

    mine = item(lead)
    assert (mine["disposition"], mine["revision"]) == (None, None)
    assert (mine["reference"], mine["last_error"]) == ("", "")
    assert mine["withheld"] == OWN
    assert (mine["unit"], mine["state"], mine["attempts"]) == ("SN-7", "REJECTED", 3)
    theirs = item(colleague)
    assert (theirs["disposition"], theirs["revision"], theirs["last_error"]) == ("REWORK", 1, WHY)
    assert theirs["withheld"] == ""
    has_judged(lead, held)
    assert item(lead)["disposition"] == "REWORK"


def test_of_a_lot_the_write_backs_say_nothing_while_a_part_is_on_ones_bench(
    lead: User, colleague: User
) -> None:
    parts, _held = lot_on_the_bench_of(lead)
    row = stuck(parts[1].unit)
    page = page_of(lead, LIST, unit=row.unit.serial)
    assert OF_LOT in page
    assert "Rework" not in page
    assert "Rework" in page_of(colleague, LIST, unit=row.unit.serial)
    assert "a part of its lot at the bench" in page_of(lead, f"/write-backs/{row.uuid}/")


RECONCILIATION = "/write-backs/reconciliation/"


def missing_there(row: WriteBack, **fields: Any) -> ReconciliationException:
    """The MES was asked and does not hold it."""
    run = Reconciliation.objects.create(
        site=row.site,
        target=row.target,
        since=NOW,
        until=NOW,
        started_at=NOW,
        finished_at=NOW,
        after_at=NOW,
        compared=1,
    )
    return ReconciliationException.objects.create(
        site=row.site,
        line=row.disposition.inspection.line,
        reconciliation=run,
        write_back=row,
        target=row.target,
        kind="MISSING",
        theirs="It has no REWORK of this unit.",
        opened_at=NOW,
        seen_at=NOW,
        **fields,
    )


def test_the_reconciliation_does_not_say_what_we_hold_of_it(lead: User, colleague: User) -> None:
    row = stuck()
    found = missing_there(row)
    enqueued(row.unit, kind="SCRAP")
    held = on_the_bench_of(lead, row.unit)
    for address in (RECONCILIATION, f"{RECONCILIATION}runs/"):
        page = page_of(lead, address)
        told = ("Rework", "REWORK", "NCR-88", "Revision 2")
        assert not [words for words in told if words in page], address
        assert OWN in page
        assert "SN-7" in page
        assert "REWORK" in page_of(colleague, address)
    refused = client_of(lead).post(f"{RECONCILIATION}{found.uuid}/send/")
    assert refused.status_code == 409
    assert "Revision 2" not in refused.content.decode()
    has_judged(lead, held)
    assert "REWORK" in page_of(lead, RECONCILIATION)


def test_what_was_dealt_with_in_the_reconciliation_is_not_told_of_it_either(lead: User) -> None:
    row = stuck()
    missing_there(row, state="CLOSED", closed_at=NOW, closed_by="lars", reason="Seen there.")
    assert "Seen there." in page_of(lead, RECONCILIATION)
    on_the_bench_of(lead, row.unit)
    page = page_of(lead, RECONCILIATION)
    assert not [words for words in ("REWORK", "Seen there.", "lars") if words in page]
    assert OWN in page


def conflict() -> MesChange:
    """Scrapped there by u.meyer, held here."""
    return said_there(confirmed().unit, "SCRAP")


def test_the_conflicts_do_not_say_what_either_side_says_of_it(lead: User, colleague: User) -> None:
    change = conflict()
    MesChange.objects.filter(pk=change.pk).update(reason="Seen by the board.")
    held = on_the_bench_of(lead, change.unit)
    told = ("Scrap", "SCRAP", ">Hold", "u.meyer", "Seen by the board.")
    for address in (CONFLICTS, f"{CONFLICTS}{change.uuid}/"):
        page = page_of(lead, address)
        assert not [words for words in told if words in page], address
        assert change.unit.serial in page
        for words in ("Scrap", "u.meyer", "Seen by the board."):
            assert words in page_of(colleague, address), address
    assert OWN in page_of(lead, CONFLICTS)
    assert "You are judging this unit at the bench" in page_of(lead, f"{CONFLICTS}{change.uuid}/")
    has_judged(lead, held)
    assert "u.meyer" in page_of(lead, CONFLICTS)


def test_whose_word_stood_is_not_told_either(lead: User) -> None:
    change = conflict()
    MesChange.objects.filter(pk=change.pk).update(
        state="THEIRS_STANDS", resolved_at=NOW, resolved_by="lars", reason="Seen by the board."
    )
    on_the_bench_of(lead, change.unit)
    for address in (CONFLICTS, f"{CONFLICTS}{change.uuid}/"):
        page = page_of(lead, address)
        assert not [w for w in ("Theirs stands", "lars", "the board") if w in page], address


def test_a_conflict_about_it_is_answered_by_somebody_else_and_its_refusal_tells_nothing(
    lead: User, colleague: User
) -> None:
    change = conflict()
    on_the_bench_of(lead, change.unit)
    revision = change.unit.disposition_revision
    choice = Choice(change=change.uuid, revision=revision, reason="Seen.")
    for answer in (mes_conflicts.ours_stands, mes_conflicts.theirs_stands):
        with pytest.raises(Conflict, match="You are judging this unit at the bench"):
            answer(actor=actor_of(lead), choice=choice, at=LATER)
    mes_conflicts.ours_stands(actor=actor_of(colleague), choice=choice, at=LATER)
    change.refresh_from_db()
    assert change.state == "OURS_STANDS"


def test_the_queue_does_not_say_why_others_put_it_back(lead: User) -> None:
    inspector = factories.user(name="ines")
    task = factories.task()
    held = claimed(actor_of(inspector))
    queue.escalate(actor=actor_of(inspector), held=held, comment="Cracked at the rim.", at=NOW)
    mine = claimed(actor_of(lead))
    page = page_of(lead, QUEUE)
    assert "Cracked" not in page
    assert "Escalated by ines" not in page
    assert OWN in page
    assert f"/review/queue/{task.uuid}/" in page
    assert "Cracked at the rim." in page_of(factories.user(Role.LEAD), QUEUE)
    assert "Cracked at the rim." in page_of(factories.user(Role.ADMIN), QUEUE)
    queue.skip(actor=actor_of(lead), held=mine, reason="I know the part.", at=NOW)
    assert "Cracked at the rim." in page_of(lead, QUEUE)


def test_a_handover_still_keeps_why_others_put_it_back(lead: User) -> None:
    task = factories.task()
    claimed(actor_of(lead))
    Grant.objects.filter(user=lead).update(role=Role.ADMIN)
    [found] = supervision.stuck(
        actor=actor_of(lead),
        capability=Capability.SUPERVISE,
        site_id=task.site_id,
        escalated=[task.pk],
    )
    assert found.why == "line-1 has no inspector."


@pytest.fixture
def engineer() -> User:
    return factories.user(Role.QUALITY_ENGINEER, name="quinn")


def entries(page: str) -> str:
    return page.split("<tbody>", 1)[1].split("</tbody>", 1)[0]


def test_the_audit_trail_does_not_say_who_said_what_of_it(engineer: User) -> None:
    approval = asked(by=actor_of(factories.user(Role.LEAD, name="lars-who-asks")))
    enqueued(approval.unit, kind="REWORK")
    held = at_the_bench_of(engineer, approval)
    told = ("lars-who-asks", "task.decide", "unit.dispose", "approval.ask", "Cracked.", "SCRAP")
    subjects = (approval.unit.serial, str(approval.task.uuid), str(approval.uuid))
    page = entries(page_of(engineer, AUDIT))
    assert not [words for words in told if words in page]
    assert OWN in page
    for subject in subjects:
        found = entries(page_of(engineer, AUDIT, subject=subject))
        assert subject in found
        assert not [words for words in told if words in found], subject
    for reader in (factories.user(Role.AUDITOR), factories.user(Role.ADMIN)):
        seen = entries(page_of(reader, AUDIT))
        assert OWN not in seen
        assert "lars-who-asks" in seen
    has_judged(engineer, held)
    assert "lars-who-asks" in entries(page_of(engineer, AUDIT, subject=approval.unit.serial))


def test_the_audit_trail_names_every_thing_about_it_that_is_withheld(engineer: User) -> None:
    """Whatever an entry is on: nothing that was written before one's own lease says a verdict."""
    approval = asked(by=actor_of(factories.user(Role.LEAD, name="lars-who-asks")))
    enqueued(approval.unit)
    before = set(AuditEntry.objects.filter(actor="lars-who-asks").values_list("pk", flat=True))
    at_the_bench_of(engineer, approval)
    page = entries(page_of(engineer, AUDIT))
    assert before
    assert "lars-who-asks" not in page


def test_other_entries_of_the_audit_trail_are_told_as_ever(engineer: User) -> None:
    approval = asked(by=actor_of(factories.user(Role.LEAD, name="lars-who-asks")))
    factories.task(factories.inspection(factories.unit("SN-OTHER")))
    claimed(actor_of(engineer))
    assert "lars-who-asks" in entries(page_of(engineer, AUDIT, subject=approval.unit.serial))


def test_of_a_lot_the_audit_trail_says_nothing_while_a_part_is_on_ones_bench(
    engineer: User,
) -> None:
    parts, _held = lot_on_the_bench_of(engineer)
    for subject in ("L-1", parts[1].unit.serial, str(parts[1].uuid)):
        page = entries(page_of(engineer, AUDIT, subject=subject))
        assert OWN in page or OF_LOT in page, subject
        assert "ingo-who-asks" not in page, subject
        assert "ingo-who-asks" in entries(
            page_of(factories.user(Role.AUDITOR), AUDIT, subject=subject)
        ), subject


def line_board(person: User) -> dict[str, Any]:
    return dict(client_of(person).get("/api/v1/line/board").json())


def test_the_lines_board_does_not_say_what_was_decided_of_it(lead: User, colleague: User) -> None:
    unit = factories.unit("SN-7")
    factories.release(factories.inspection(unit))
    held = on_the_bench_of(lead, unit)
    mine, theirs = line_board(lead)["unit"], line_board(colleague)["unit"]
    assert (mine["serial"], mine["disposition"]) == ("SN-7", None)
    assert "told after your verdict" in mine["instruction"]
    assert (theirs["disposition"], theirs["instruction"]) == ("ACCEPT", "Let it go on.")
    has_judged(lead, held)
    assert line_board(lead)["unit"]["disposition"] is not None


@pytest.mark.parametrize("by_model", [True, False])
def test_the_lines_board_says_where_to_put_it_but_not_why(
    lead: User, colleague: User, by_model: bool
) -> None:
    unit = factories.unit("SN-7")
    factories.hold(factories.inspection(unit), by_model=by_model)
    on_the_bench_of(lead, unit)
    mine, theirs = line_board(lead)["hold"], line_board(colleague)["hold"]
    assert mine["instruction"] == "Put SN-7 on the red rack."
    assert "told after your verdict" in mine["why"]
    assert mine["kind"] == "HOLD"
    assert theirs["why"] == "No verdict before the deadline."
    assert theirs["kind"] == ("CONTAIN" if by_model else "HOLD")


def test_a_board_that_was_read_before_is_not_read_on_from_the_browser(lead: User) -> None:
    """Another part of its lot came to one's bench meanwhile: nothing has changed at the station."""
    factories.release(factories.inspection(factories.unit("SN-7")))
    client = client_of(lead)
    first = client.get("/api/v1/line/board")
    assert first.json()["unit"]["disposition"] == "ACCEPT"
    ahead = factories.station(factories.line(code="line-2"))
    factories.task(factories.inspection(Unit.objects.get(), on=ahead.line))
    claimed(actor_of(lead))
    again = client.get(
        "/api/v1/line/board?station=line-1:st-1", headers={"If-None-Match": first["ETag"]}
    )
    assert again.status_code == 200
    assert again.json()["unit"]["disposition"] is None


def test_a_tablets_board_does_not_say_it_of_a_unit_that_is_judged_there() -> None:
    device, token = factories.tablet()
    unit = factories.unit("SN-7")
    factories.release(factories.inspection(unit))
    at = timezone.now()
    task = factories.task(factories.inspection(unit), at=at)
    ReviewTask.objects.filter(pk=task.pk).update(
        state="LEASED", holder=device.account_id, lease_expires_at=at + timedelta(minutes=5)
    )
    client = Client()
    client.cookies["loupe_device"] = token
    told = client.get("/api/v1/line/board").json()["unit"]
    assert told["disposition"] is None
    assert "told after your verdict" in told["instruction"]


def test_a_tablets_board_is_not_read_on_either_once_it_is_judged_there() -> None:
    device, token = factories.tablet()
    otto = factories.user(Role.OPERATOR, name="otto")
    factories.arrive(device, otto)
    factories.release(factories.inspection(factories.unit("SN-7")))
    client = Client()
    client.cookies["loupe_device"] = token
    ahead = factories.station(factories.line(code="line-2"))
    for holder in (device.account_id, otto.pk):
        first = client.get("/api/v1/line/board")
        known = {"If-None-Match": first["ETag"]}
        assert first.json()["unit"]["disposition"] == "ACCEPT"
        with CaptureQueriesContext(connection) as asked_for:
            assert client.get("/api/v1/line/board", headers=known).status_code == 304
        assert sum('FROM "review_reviewtask"' in each["sql"] for each in asked_for) == 1
        task = factories.task(factories.inspection(Unit.objects.get(), on=ahead.line))
        ReviewTask.objects.filter(pk=task.pk).update(
            state="LEASED", holder=holder, lease_expires_at=timezone.now() + timedelta(minutes=5)
        )
        again = client.get("/api/v1/line/board", headers=known)
        assert again.status_code == 200
        assert again.json()["unit"]["disposition"] is None
        ReviewTask.objects.update(state="DECIDED", holder=None, lease_expires_at=None)


def test_a_second_opinion_from_the_line_is_told_after_ones_own_verdict(
    lead: User, colleague: User
) -> None:
    device, _token = factories.tablet()
    unit = factories.unit("SN-7")
    opinions.note(
        actor=actor_of(factories.user(Role.OPERATOR, name="otto")),
        device=device,
        late=opinions.TooLate(
            key=uuid4(),
            said={"kind": "decision", "answer": "CONFIRMED", "disposition": "SCRAP"},
            why=SecondOpinion.Why.DECIDED,
            sentence="Ines had decided: Accept.",
            task=factories.task(factories.inspection(unit)),
            made_at=NOW,
        ),
        at=NOW,
    )
    ReviewTask.objects.update(state="DECIDED")
    held = on_the_bench_of(lead, unit)
    address = "/line/second-opinions/"
    told = ("Scrap", "otto", "Ines had decided")
    page = page_of(lead, address)
    assert not [words for words in told if words in page]
    assert OWN in page
    assert "SN-7" in page
    assert all(words in page_of(colleague, address) for words in told)
    has_judged(lead, held)
    assert all(words in page_of(lead, address) for words in told)


def statements(ask: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as asked_for:
        ask()
    return len(asked_for)


@pytest.mark.parametrize("address", [LIST, ATTENTION, CONFLICTS, AUDIT, QUEUE])
def test_what_is_on_ones_bench_costs_the_page_no_more_than_an_empty_bench(
    engineer: User, address: str
) -> None:
    row = stuck()
    client = client_of(engineer)
    client.get(address)
    factories.task(factories.inspection(row.unit))
    before = statements(lambda: client.get(address))
    claimed(actor_of(engineer))
    assert statements(lambda: client.get(address)) == before


def test_the_board_of_a_station_costs_the_same_for_who_judges(lead: User) -> None:
    station, at = factories.station(), timezone.now()
    seen = factories.inspection(factories.unit("SN-7"))
    factories.hold(seen)
    bare = statements(lambda: board.board(station=station, at=at))
    assert statements(lambda: board.board(station=station, at=at, judges=[lead.pk])) == bare


def test_what_the_api_withholds_is_plain_json(lead: User) -> None:
    row = stuck()
    on_the_bench_of(lead, row.unit)
    text = client_of(lead).get("/api/v1/write-backs").content.decode()
    assert not [words for words in ("REWORK", WHY, "NCR-88") if words in text]
    assert json.loads(text)["next"] is None
