"""The pull queue: order, leases, fences, scope."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from governance.access import Actor, actor_of
from governance.models import AuditEntry, Grant
from governance.roles import Role
from mes_integration.models import WriteBack
from review import deadlines, queue
from review.claimed import ClaimedTask
from review.models import ReviewTask, TaskKind, TaskState
from review.queue import Lease, LeaseLost
from tests import factories
from tests.factories import NOW
from traceability.models import Disposition, Unit
from traceability.refusals import Invalid, Unknown

MINUTE = timedelta(minutes=1)
LEASE = timedelta(seconds=90)
GONE = timedelta(seconds=-1)


def claim(actor: Actor, count: int = 1, lease: timedelta = LEASE) -> list[ClaimedTask]:
    return queue.claim(actor=actor, site=factories.site(), count=count, lease=lease, at=NOW)


def lease_of(task: ClaimedTask) -> Lease:
    return Lease(task.uuid, task.fence)


@pytest.mark.django_db
def test_the_queue_goes_by_deadline_then_severity_then_age() -> None:
    late = factories.task(deadline=NOW + 30 * MINUTE, severity=0)
    minor = factories.task(deadline=NOW + 5 * MINUTE, severity=2)
    younger = factories.task(deadline=NOW + 5 * MINUTE, severity=0, at=NOW + MINUTE)
    older = factories.task(deadline=NOW + 5 * MINUTE, severity=0)
    claimed = claim(factories.actor(), count=4)
    assert [t.pk for t in claimed] == [older.pk, younger.pk, minor.pk, late.pk]


@pytest.mark.django_db
def test_a_claim_raises_the_fence_and_is_in_the_audit_trail() -> None:
    task = factories.task()
    [claimed] = claim(factories.actor())
    assert (claimed.pk, claimed.fence, claimed.state) == (task.pk, 1, TaskState.LEASED)
    assert AuditEntry.objects.filter(action="task.claim", subject=str(task.uuid)).count() == 1


@pytest.mark.django_db
def test_a_leased_task_is_not_offered_to_anybody_else() -> None:
    factories.task()
    assert len(claim(factories.actor())) == 1
    assert claim(factories.actor()) == []


@pytest.mark.django_db
def test_a_lease_that_ran_out_is_taken_over_and_the_old_fence_is_stale() -> None:
    factories.task()
    first, second = factories.actor(), factories.actor()
    [before] = claim(first, lease=GONE)
    [after] = claim(second)
    assert after.pk == before.pk
    assert after.fence == before.fence + 1
    with pytest.raises(LeaseLost):
        queue.release(actor=first, held=lease_of(before), at=NOW)


@pytest.mark.django_db
def test_no_lease_can_be_set_longer_than_two_minutes() -> None:
    with pytest.raises(ValueError, match="lease_s"):
        type_of_settings()(lease_s=121)


def type_of_settings() -> type:
    from django.conf import settings  # noqa: PLC0415  # the class behind the loaded settings

    return type(settings.LOUPE)


@pytest.mark.django_db
def test_a_heartbeat_keeps_what_is_held_and_names_what_is_lost() -> None:
    factories.tasks(2)
    mine, other = factories.actor(), factories.actor()
    kept, lost = claim(mine, count=2, lease=GONE)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE review_reviewtask SET lease_expires_at = now() + interval '1 hour'"
            " WHERE id = %s",
            [kept.pk],
        )
    assert [t.pk for t in claim(other)] == [lost.pk]
    answer = queue.keep(actor=mine, leases=[lease_of(kept), lease_of(lost)], lease=LEASE)
    assert answer == ([kept.uuid], [lost.uuid])


@pytest.mark.django_db
def test_a_released_task_is_at_once_there_for_others() -> None:
    factories.task()
    mine = factories.actor()
    [task] = claim(mine)
    queue.release(actor=mine, held=lease_of(task), at=NOW)
    assert [t.pk for t in claim(factories.actor())] == [task.pk]


@pytest.mark.django_db
def test_a_skipped_task_goes_to_others_and_never_back_to_the_skipper() -> None:
    factories.task()
    mine = factories.actor()
    [task] = claim(mine)
    queue.skip(actor=mine, held=lease_of(task), reason="Blurred.", at=NOW)
    assert claim(mine) == []
    assert [t.pk for t in claim(factories.actor())] == [task.pk]


@pytest.mark.django_db
def test_a_skip_wants_a_reason() -> None:
    factories.task()
    mine = factories.actor()
    [task] = claim(mine)
    with pytest.raises(Invalid, match="why"):
        queue.skip(actor=mine, held=lease_of(task), reason="  ", at=NOW)
    assert ReviewTask.objects.get(pk=task.pk).state == TaskState.LEASED


@pytest.mark.django_db
def test_an_escalated_task_is_for_leads_only() -> None:
    factories.task()
    mine = factories.actor()
    [task] = claim(mine)
    queue.escalate(actor=mine, held=lease_of(task), comment="Never seen this.", at=NOW)
    assert claim(factories.actor()) == []
    assert [t.pk for t in claim(factories.actor(Role.LEAD))] == [task.pk]


@pytest.mark.django_db
def test_an_inspector_of_one_line_is_offered_that_line_only() -> None:
    here, there = factories.line(code="line-1"), factories.line(code="line-2")
    factories.task(on=there)
    mine = factories.task(on=here)
    assert [t.pk for t in claim(factories.actor(on=here), count=4)] == [mine.pk]


@pytest.mark.django_db
def test_nobody_claims_at_a_site_that_is_not_his() -> None:
    factories.task()
    with pytest.raises(Unknown):
        claim(factories.actor(at=factories.site("plant-2")))


@pytest.mark.django_db
def test_past_its_deadline_a_unit_goes_on_hold_and_never_to_accept() -> None:
    task = factories.task(deadline=NOW)
    assert deadlines.hold_overdue(at=NOW) == 1
    disposition = Disposition.objects.get(unit=task.unit)
    assert (disposition.kind, disposition.decider_kind) == ("HOLD", "rule")
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"
    assert WriteBack.objects.get(unit=task.unit).payload["data"]["disposition"] == "HOLD"
    assert ReviewTask.objects.get(pk=task.pk).state == TaskState.QUEUED
    assert deadlines.hold_overdue(at=NOW) == 0


@pytest.mark.django_db
def test_an_audit_sample_is_not_held_for_its_deadline() -> None:
    factories.task(deadline=NOW, kind=TaskKind.AUDIT)
    assert deadlines.hold_overdue(at=NOW + MINUTE) == 0


@pytest.mark.django_db
def test_the_database_refuses_half_a_lease() -> None:
    task = factories.task()
    with pytest.raises(Exception, match="review_task_lease_is_whole"):
        ReviewTask.objects.filter(pk=task.pk).update(state=TaskState.LEASED)


@pytest.mark.django_db(transaction=True)
def test_many_inspectors_at_once_never_get_the_same_task() -> None:
    factories.tasks(24)
    actors = [actor_of(factories.user()) for _ in range(6)]
    got: list[int] = []
    start = threading.Barrier(len(actors))

    def work(actor: Actor) -> None:
        start.wait()
        while tasks := claim(actor, count=2):
            got.extend(t.pk for t in tasks)
        connection.close()

    threads = [threading.Thread(target=work, args=(a,)) for a in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(ReviewTask.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_nobody_holds_more_than_two_screens_full() -> None:
    factories.tasks(12)
    mine = factories.actor()
    claim(mine, count=4)
    claim(mine, count=4)
    assert claim(mine, count=4) == []
    assert len(claim(factories.actor(), count=4)) == 4


@pytest.mark.django_db
def test_an_audit_sample_waits_behind_what_a_line_waits_for() -> None:
    factories.task(kind=TaskKind.AUDIT, deadline=NOW)
    urgent = factories.task(deadline=NOW + 30 * MINUTE)
    assert [t.pk for t in claim(factories.actor())] == [urgent.pk]


@pytest.mark.django_db
def test_a_lead_of_another_line_is_not_offered_this_lines_escalated_unit() -> None:
    here, there = factories.line(code="line-1"), factories.line(code="line-2")
    factories.task(on=here)
    mine = factories.actor(on=here)
    [task] = claim(mine)
    queue.escalate(actor=mine, held=lease_of(task), comment="", at=NOW)
    user = factories.user(Role.INSPECTOR, on=here)
    Grant.objects.create(user=user, role=Role.LEAD, site=there.site, line=there)
    assert claim(actor_of(user)) == []


@pytest.mark.django_db
def test_the_queue_counts_what_this_inspector_can_claim() -> None:
    factories.tasks(3)
    mine = factories.actor()
    skipped, escalated, _left = claim(mine, count=3)
    queue.skip(actor=mine, held=lease_of(skipped), reason="Blurred.", at=NOW)
    queue.escalate(actor=mine, held=lease_of(escalated), comment="", at=NOW)
    assert queue.figures(actor=mine, site=factories.site()).waiting == 1
