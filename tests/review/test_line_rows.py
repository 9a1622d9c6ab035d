"""What a tablet sends is recorded once, in its order, or kept for a lead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from governance import attendances, devices
from governance.access import actor_of
from governance.models import Attendance, AuditEntry, Device, User
from governance.roles import Role
from mes_integration.models import WriteBack
from review import decisions, queue
from review.line import calls, claims, opinions, rows
from review.models import (
    AndonCall,
    Answer,
    Decision,
    HoldAcknowledgement,
    ReviewTask,
    SecondOpinion,
    TaskState,
)
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from traceability.identifiers import new_id
from traceability.models import DispositionKind, Station
from traceability.refusals import Unknown

pytestmark = pytest.mark.django_db
LEASE = timedelta(minutes=30)


class Tablet:
    """A tablet with an operator at it, and the rows it would send."""

    def __init__(self, at: Station | None = None, *, operator: str = "otto") -> None:
        self.device, self.token = factories.tablet(at)
        self.operator = factories.user(Role.OPERATOR, name=operator)
        self.attendance: Attendance = factories.arrive(self.device, self.operator)

    def claim(self, *have: UUID, count: int = 240) -> claims.Claimed:
        """As the API does."""
        at = timezone.now()
        return claims.claim(
            actor=devices.operator_of(self.device, attendance=None, at=at),
            device=self.device,
            have=have,
            count=count,
            lease=LEASE,
            at=at,
        )

    def row(self, kind: str, body: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A row pressed just now."""
        return {
            "schema": 1,
            "key": str(new_id()),
            "kind": kind,
            "attendance": str(self.attendance.uuid),
            "made_at": datetime.now(UTC).isoformat(),
            "age_s": 0.2,
            "offset_s": 0.0,
            "app": "test",
            "body": body,
            **fields,
        }

    def decision(self, task: UUID, fence: int, **body: Any) -> dict[str, Any]:
        """A false call, unless something else is said."""
        said = {
            "task": str(task),
            "fence": fence,
            "answer": "FALSE_CALL",
            "disposition": "ACCEPT",
            "defect_class": "",
            "seconds": 1.5,
            "images": 1,
            **body,
        }
        return self.row("decision", said)

    def send(self, *raw: Any) -> list[rows.Taken]:
        """As the API does."""
        return rows.take_in(device=self.device, raw=raw, at=timezone.now())


@pytest.fixture
def tablet() -> Tablet:
    """A registered tablet of station st-1 with Otto at it."""
    return Tablet()


@pytest.fixture
def left() -> Callable[[], ReviewTask]:
    """Makes a task that the policy leaves to the station's operators."""

    def make() -> ReviewTask:
        at = timezone.now()
        return factories.task(at=at, operators_until=at + timedelta(minutes=5))

    return make


def test_an_operator_gets_only_what_the_policy_leaves_to_him(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    his, _benchs = left(), factories.task(at=timezone.now())
    elsewhere = factories.task(
        on=factories.line(code="line-2"),
        at=timezone.now(),
        operators_until=timezone.now() + timedelta(minutes=5),
    )
    assert elsewhere.station_id != his.station_id
    claimed = tablet.claim()
    assert [task.uuid for task in claimed.tasks] == [his.uuid]
    his.refresh_from_db()
    assert (his.holder_id, his.fence) == (tablet.device.account_id, 1)


def test_the_bench_leaves_the_operators_their_time(left: Callable[[], ReviewTask]) -> None:
    task = left()
    inspector = factories.actor(Role.INSPECTOR)

    def bench() -> list[UUID]:
        claimed = queue.claim(
            actor=inspector,
            site=task.site,
            count=4,
            lease=timedelta(seconds=90),
            at=timezone.now(),
        )
        return [each.uuid for each in claimed]

    assert bench() == []
    assert queue.figures(actor=inspector, site=task.site).waiting == 0
    past = timezone.now() - timedelta(seconds=1)
    ReviewTask.objects.filter(pk=task.pk).update(operators_until=past)
    assert queue.figures(actor=inspector, site=task.site).waiting == 1
    assert bench() == [task.uuid]


def test_a_tablet_keeps_no_more_ahead_than_it_may(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    for _ in range(4):
        left()
    Device.objects.filter(pk=tablet.device.pk).update(ahead=3)
    tablet.device.refresh_from_db()
    first = tablet.claim(count=2)
    assert len(first.tasks) == 2
    second = tablet.claim(*(task.uuid for task in first.tasks))
    assert len(second.tasks) == 1
    assert second.lost == []


def test_what_the_tablet_no_longer_has_it_is_given_again(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    left()
    [before] = tablet.claim().tasks
    [after] = tablet.claim().tasks
    assert (after.uuid, after.fence) == (before.uuid, before.fence + 1)


def test_a_task_that_got_worse_goes_back_to_the_bench(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    ReviewTask.objects.filter(pk=task.pk).update(operators_until=None, kind="CONTAIN")
    assert tablet.claim(held.uuid).lost == [held.uuid]
    task.refresh_from_db()
    assert task.state == TaskState.QUEUED
    [answer] = tablet.send(tablet.decision(held.uuid, held.fence))
    assert answer.state is rows.State.CONFLICT
    assert not Decision.objects.exists()


def test_what_is_no_longer_the_operators_takes_no_verdict_of_theirs(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    ReviewTask.objects.filter(pk=task.pk).update(operators_until=None, kind="CONTAIN")
    [answer] = tablet.send(tablet.decision(held.uuid, held.fence))
    assert answer.state is rows.State.CONFLICT
    assert not Decision.objects.exists()


def test_a_verdict_is_recorded_once_however_often_it_is_sent(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    row = tablet.decision(held.uuid, held.fence)
    [first], [again] = tablet.send(row), tablet.send(row)
    assert first.state == again.state == rows.State.APPLIED
    made = Decision.objects.get(task=task)
    assert made.decided_by == tablet.operator
    assert made.idempotency_key == row["key"]
    assert WriteBack.objects.filter(disposition=made.disposition).count() == 1
    entry = AuditEntry.objects.get(action="task.decide")
    assert entry.detail["pressed"]["tablet"] == tablet.device.name
    assert entry.actor == "otto"


def test_rows_keep_their_own_operator_after_another_has_come(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    left()
    [held] = tablet.claim().tasks
    row = tablet.decision(held.uuid, held.fence)
    other = factories.user(Role.OPERATOR, name="olga")
    factories.arrive(tablet.device, other)
    attendances.leave(device=tablet.device, at=timezone.now())
    [answer] = tablet.send(row)
    assert answer.state is rows.State.APPLIED
    assert Decision.objects.get().decided_by == tablet.operator


def test_a_lease_that_ran_out_counts_while_nobody_else_has_the_task(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    past = timezone.now() - timedelta(minutes=5)
    ReviewTask.objects.filter(pk=task.pk).update(lease_expires_at=past)
    assert tablet.send(tablet.decision(held.uuid, held.fence))[0].state is rows.State.APPLIED


def test_a_task_given_back_that_nobody_has_had_since_still_takes_the_verdict(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    left()
    [held] = tablet.claim().tasks
    at = timezone.now()
    actor = devices.operator_of(tablet.device, attendance=None, at=at)
    assert claims.release_all(actor=actor, device=tablet.device, at=at) == 1
    assert tablet.send(tablet.decision(held.uuid, held.fence))[0].state is rows.State.APPLIED


@pytest.mark.parametrize("of", ["another station", "another line"])
def test_no_other_stations_tablet_judges_what_went_back_to_the_queue(
    tablet: Tablet, left: Callable[[], ReviewTask], of: str
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    claims.release_all(
        actor=devices.operator_of(tablet.device, attendance=None, at=timezone.now()),
        device=tablet.device,
        at=timezone.now(),
    )
    line = task.line if of == "another station" else factories.line(code="line-2")
    other = Tablet(at=factories.station(line, "st-9"), operator="olga")
    before = AuditEntry.objects.count()
    [answer] = other.send(other.decision(held.uuid, held.fence))
    assert answer.state is rows.State.CONFLICT
    task.refresh_from_db()
    assert (task.state, task.holder_id) == (TaskState.QUEUED, None)
    assert AuditEntry.objects.count() == before + 1


def test_what_an_inspector_hands_to_a_lead_is_no_operators_any_more(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    tablet.claim()
    lease = taken_by_the_bench(task)
    queue.escalate(
        actor=actor_of(User.objects.get(username="ines")),
        held=lease,
        comment="unclear",
        at=timezone.now(),
    )
    [answer] = tablet.send(tablet.decision(lease.task, lease.fence))
    assert answer.state is rows.State.CONFLICT
    assert not Decision.objects.exists()


def test_a_call_after_another_was_closed_is_a_call_however_wrong_the_clock(tablet: Tablet) -> None:
    tablet.send(tablet.row("call", {"kind": "STOP"}))
    [first] = AndonCall.objects.all()
    lead = factories.actor(Role.LEAD)
    calls.close(actor=lead, call_id=first.uuid, at=timezone.now())
    slow = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    AndonCall.objects.update(made_at=timezone.now() - timedelta(minutes=11))
    [answer] = tablet.send(tablet.row("call", {"kind": "STOP"}, made_at=slow, age_s=0.0))
    assert answer.state is rows.State.APPLIED
    assert AndonCall.objects.filter(closed_at__isnull=True).count() == 1


def test_one_press_puts_away_one_unit(tablet: Tablet) -> None:
    units = [held_unit(), held_unit()]
    sent = [
        tablet.row(
            "hold_done",
            {"serial": unit.serial, "held_since": unit.held_since.isoformat(), "place": ""},
        )
        for unit in units
    ]
    sent[1]["key"] = sent[0]["key"]
    assert [each.state for each in tablet.send(*sent)] == ["applied", "conflict"]


def test_an_opinion_is_taken_back_by_who_gave_it_at_his_tablet(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    taken_by_the_bench(task)
    said = tablet.decision(held.uuid, held.fence)
    tablet.send(said)
    other = Tablet(at=factories.station(code="st-9"), operator="olga")
    body = {"task": str(held.uuid), "fence": held.fence, "decision_key": said["key"]}
    other.send(other.row("undo", body))
    assert SecondOpinion.objects.get(key=said["key"]).withdrawn_at is None


def taken_by_the_bench(task: ReviewTask) -> queue.Lease:
    """An inspector has the task by now."""
    past = timezone.now() - timedelta(seconds=1)
    ReviewTask.objects.filter(pk=task.pk).update(lease_expires_at=past, operators_until=past)
    ines = factories.user(Role.INSPECTOR, name="ines")
    at = timezone.now()
    actor = actor_of(ines)
    [claimed] = queue.claim(
        actor=actor, site=task.site, count=1, lease=timedelta(seconds=90), at=at
    )
    return Lease(claimed.uuid, claimed.fence)


def test_a_verdict_after_somebody_elses_becomes_a_second_opinion(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    lease = taken_by_the_bench(task)
    ines = actor_of(User.objects.get(username="ines"))
    decisions.decide(
        actor=ines,
        held=lease,
        verdict=Verdict(
            answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK, defect_class="scratch"
        ),
        key="bench-verdict",
        undo_window=timedelta(seconds=8),
        at=timezone.now(),
    )
    row = tablet.decision(held.uuid, held.fence)
    [first], [again] = tablet.send(row), tablet.send(row)
    assert first.state == again.state == rows.State.CONFLICT
    assert "ines" in first.sentence
    assert first.sentence == again.sentence
    assert Decision.objects.get().decided_by.username == "ines"
    kept = SecondOpinion.objects.get()
    assert (kept.why, kept.by, kept.task) == ("DECIDED", tablet.operator, task)
    assert kept.said["answer"] == "FALSE_CALL"
    lead = factories.actor(Role.LEAD)
    assert [each.pk for each in opinions.unseen(lead)] == [kept.pk]
    opinions.see(actor=lead, opinion_id=kept.uuid, at=timezone.now())
    assert not opinions.unseen(lead).exists()
    with pytest.raises(Unknown):
        opinions.see(
            actor=factories.actor(Role.LEAD, at=factories.site("plant-2")),
            opinion_id=kept.uuid,
            at=timezone.now(),
        )


def test_a_verdict_on_what_somebody_else_has_now_is_kept_too(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    taken_by_the_bench(task)
    [answer] = tablet.send(tablet.decision(held.uuid, held.fence))
    assert answer.state is rows.State.CONFLICT
    assert SecondOpinion.objects.get().why == "TAKEN"


def test_a_verdict_and_its_undo_sent_together_leave_the_unit_open(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    said = tablet.decision(held.uuid, held.fence)
    undo = tablet.row(
        "undo", {"decision_key": said["key"], "task": str(held.uuid), "fence": held.fence}
    )
    anew = tablet.decision(
        held.uuid,
        held.fence + 1,
        answer="CONFIRMED",
        disposition="REWORK",
        defect_class="scratch",
    )
    answers = tablet.send(said, undo, anew)
    assert [each.state for each in answers] == [rows.State.APPLIED] * 3
    # Sent once more after a cut line, nothing changes.
    assert [each.state for each in tablet.send(said, undo, anew)] == [rows.State.APPLIED] * 3
    standing = Decision.objects.get(withdrawal__isnull=True)
    assert (standing.task, standing.disposition_kind) == (task, DispositionKind.REWORK)
    assert Decision.objects.count() == 2


def test_an_undo_that_comes_too_late_is_kept_for_a_lead(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    left()
    [held] = tablet.claim().tasks
    said = tablet.decision(held.uuid, held.fence)
    tablet.send(said)
    undo = tablet.row(
        "undo", {"decision_key": said["key"], "task": str(held.uuid), "fence": held.fence}
    )
    late = timezone.now() + timedelta(minutes=1)
    [answer] = rows.take_in(device=tablet.device, raw=[undo], at=late)
    assert answer.state is rows.State.CONFLICT
    assert Decision.objects.filter(withdrawal__isnull=True).count() == 1
    assert SecondOpinion.objects.get().said["kind"] == "undo"


def test_a_second_opinion_can_be_taken_back_as_well(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    taken_by_the_bench(task)
    said = tablet.decision(held.uuid, held.fence)
    undo = tablet.row(
        "undo", {"decision_key": said["key"], "task": str(held.uuid), "fence": held.fence}
    )
    assert [each.state for each in tablet.send(said, undo)] == ["conflict", "applied"]
    assert SecondOpinion.objects.get().withdrawn_at is not None


def test_what_an_operator_leaves_to_the_bench_comes_to_the_bench(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    row = tablet.row("to_bench", {"task": str(held.uuid), "fence": held.fence})
    assert [each.state for each in tablet.send(row, row)] == [rows.State.APPLIED] * 2
    task.refresh_from_db()
    assert (task.state, task.operators_until) == (TaskState.QUEUED, None)
    assert tablet.claim().tasks == []
    assert AuditEntry.objects.filter(action="task.to_bench").count() == 1


def test_a_held_unit_is_put_away_once_by_one_person(tablet: Tablet) -> None:
    unit = held_unit()
    body = {
        "serial": unit.serial,
        "held_since": unit.held_since.isoformat(),
        "place": "red rack",
    }
    first, second = tablet.row("hold_done", body), tablet.row("hold_done", body)
    answers = tablet.send(first, first, second)
    assert [each.state for each in answers] == ["applied", "applied", "superseded"]
    made = HoldAcknowledgement.objects.get()
    assert (made.by, made.place, str(made.key)) == (tablet.operator, "red rack", first["key"])
    assert AuditEntry.objects.filter(action="hold.acknowledge").count() == 1


def test_a_unit_that_was_never_held_is_not_put_away(tablet: Tablet) -> None:
    unit = factories.unit()
    now = timezone.now().isoformat()
    row = tablet.row("hold_done", {"serial": unit.serial, "held_since": now, "place": ""})
    [answer] = tablet.send(row)
    assert answer.state is rows.State.CONFLICT
    assert unit.serial in answer.sentence
    assert not HoldAcknowledgement.objects.exists()


def held_unit() -> Any:
    """A unit whose deadline passed unanswered."""
    seen = factories.inspection()
    factories.hold(seen)
    seen.unit.refresh_from_db()
    return seen.unit


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": 0},
        {"kind": "scrap everything"},
        {"body": {"task": "no"}},
        {"body": None},
        {"made_at": "yesterday"},
        {"age_s": "long"},
        {"body": {"task": str(uuid4()), "fence": True, "answer": "FALSE_CALL"}},
        {"app": "\x00", "body": {"\x00": "\ud800"}},
        {"schema": []},
        {"schema": "1"},
        {"age_s": float("inf")},
        {"made_at": "0001-01-01T00:00:00+14:00"},
        {"made_at": "9999-12-31T23:59:59-12:00"},
        {"body": {"task": str(uuid4()), "fence": 1, "answer": "INCONCLUSIVE"}},
    ],
)
def test_a_row_nobody_can_read_is_kept_for_a_lead_and_blocks_no_other(
    tablet: Tablet, left: Callable[[], ReviewTask], broken: dict[str, Any]
) -> None:
    left()
    [held] = tablet.claim().tasks
    odd = {**tablet.decision(held.uuid, held.fence), **broken}
    good = tablet.decision(held.uuid, held.fence)
    assert [each.state for each in tablet.send(odd, good)] == ["conflict", "applied"]
    kept = SecondOpinion.objects.get()
    assert (str(kept.key), kept.why) == (odd["key"], "REFUSED")
    assert tablet.send(odd)[0].state is rows.State.CONFLICT


@pytest.mark.parametrize("nothing", [None, 3, [], {}, {"key": "x"}, {"key": str(uuid4())}])
def test_what_is_no_row_is_not_answered_and_stays_on_the_tablet(
    tablet: Tablet, left: Callable[[], ReviewTask], nothing: Any
) -> None:
    left()
    [held] = tablet.claim().tasks
    good = tablet.decision(held.uuid, held.fence)
    assert [each.key for each in tablet.send(nothing, good)] == [good["key"]]


def test_nobody_has_to_sign_in_to_stop(tablet: Tablet) -> None:
    row = {**tablet.row("call", {"kind": "STOP"}), "attendance": None}
    assert [each.state for each in tablet.send(row, row)] == ["applied", "applied"]
    call = AndonCall.objects.get()
    assert (call.called_by, call.device) == (None, tablet.device)
    verdict = {**tablet.row("hold_done", {}), "attendance": None}
    assert tablet.send(verdict) == []


def test_a_row_of_a_later_release_waits_on_the_tablet_for_the_server(tablet: Tablet) -> None:
    row = {**tablet.row("call", {"kind": "HELP"}), "schema": 2}
    assert tablet.send(row) == []
    assert not SecondOpinion.objects.exists()


def test_a_stranger_to_the_site_decides_nothing(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    left()
    [held] = tablet.claim().tasks
    row = {**tablet.decision(held.uuid, held.fence), "attendance": str(uuid4())}
    assert tablet.send(row) == []
    assert not Decision.objects.exists()


def test_what_was_pressed_more_than_a_week_ago_is_a_second_opinion(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    left()
    [held] = tablet.claim().tasks
    old = timezone.now() - timedelta(days=8)
    Attendance.objects.filter(pk=tablet.attendance.pk).update(
        ended_at=old, until=old, is_current=False
    )
    [answer] = tablet.send(tablet.decision(held.uuid, held.fence))
    assert answer.state is rows.State.CONFLICT
    assert SecondOpinion.objects.get().by == tablet.operator


@pytest.mark.django_db(transaction=True)
def test_the_same_row_sent_twice_at_once_counts_once(left: Callable[[], ReviewTask]) -> None:
    tablet = Tablet()
    left()
    [held] = tablet.claim().tasks
    row = tablet.decision(held.uuid, held.fence)
    barrier, answers = threading.Barrier(4), []

    def send() -> None:
        barrier.wait()
        answers.extend(tablet.send(row))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {each.state for each in answers} == {rows.State.APPLIED}
    assert Decision.objects.count() == 1
    assert not SecondOpinion.objects.exists()


def test_who_signs_out_leaves_nothing_waiting_with_the_tablet(
    tablet: Tablet, left: Callable[[], ReviewTask]
) -> None:
    task = left()
    [held] = tablet.claim().tasks
    client = Client(headers={"X-Loupe-Line": "1"})
    client.cookies["loupe_device"] = tablet.token
    assert client.post("/api/v1/line/sign-out").status_code == 204
    task.refresh_from_db()
    assert (task.state, task.holder_id) == (TaskState.QUEUED, None)
    assert tablet.send(tablet.decision(held.uuid, held.fence))[0].state is rows.State.APPLIED


def test_a_body_nested_without_end_is_the_senders_fault(tablet: Tablet) -> None:
    client = Client(headers={"X-Loupe-Line": "1"})
    client.cookies["loupe_device"] = tablet.token
    for depth in (500, 20_000):
        body = f'{{"rows": [{{"x": {"[" * depth}{"]" * depth}}}]}}'
        answer = client.post("/api/v1/line/outbox", body, content_type="application/json")
        assert answer.status_code == 422, depth
