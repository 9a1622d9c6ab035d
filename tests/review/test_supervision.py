"""The supervisor: who holds what, what nobody takes, and what can be done about it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks import backlog
from governance.access import Actor, actor_of
from governance.models import AuditEntry, User
from governance.roles import Role
from review import directing, queue, supervision
from review.models import ReviewTask, TaskState
from review.queue import COUNTED_UP_TO, Lease, LeaseLost
from tests import factories
from tests.review.test_adjudication import BAD, GOOD, UNSURE, drawn, judge
from tests.review.test_comments import client_of
from tests.review.test_cost import read_through
from tests.review.test_queue import LEASE
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = pytest.mark.django_db
NOW = factories.NOW
PAGE = "/review/queue/live/"
PAGE_COSTS = 12


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="leo")


@pytest.fixture
def boss(lead: User) -> Actor:
    return actor_of(lead)


def claim(actor: Actor, count: int = 1) -> list[Any]:
    return queue.claim(actor=actor, site=factories.site(), count=count, lease=LEASE, at=NOW)


def act(what: Any, boss: Actor, task: ReviewTask, **more: Any) -> ReviewTask:
    done: ReviewTask = what(actor=boss, task_id=task.uuid, reason="Shift end.", at=NOW, **more)
    return done


def test_the_queue_is_told_by_line_and_part(boss: Actor) -> None:
    factories.task(deadline=NOW - timedelta(minutes=1))
    factories.task(deadline=NOW + timedelta(minutes=5))
    factories.task(on=factories.line(code="line-2"))
    first, second = supervision.board(actor=boss, at=NOW).groups
    assert (first.site, first.line, first.part) == ("plant-1", "line-1", "P-4711")
    assert (first.count, first.overdue) == (2, 1)
    assert first.deadline == NOW - timedelta(minutes=1)
    assert (second.line, second.count, second.overdue) == ("line-2", 1, 0)


def test_a_lead_of_one_line_sees_that_line_only() -> None:
    other = factories.line(code="line-2")
    factories.task()
    held = factories.task(on=other)
    mine = factories.actor(Role.LEAD, on=other)
    board = supervision.board(actor=mine, at=NOW)
    assert [group.line for group in board.groups] == ["line-2"]
    assert board.upcoming == [held]


def test_who_holds_what_since_when(boss: Actor) -> None:
    [task] = factories.tasks(1)
    ines = factories.user(name="ines")
    claim(actor_of(ines))
    [held] = supervision.board(actor=boss, at=NOW).held
    assert (held.pk, held.holder) == (task.pk, ines)
    assert held.leased_at is not None


def test_a_task_taken_back_is_in_the_queue_and_its_holder_is_told(boss: Actor) -> None:
    task = factories.task()
    ines = factories.actor()
    [held] = claim(ines)
    assert act(directing.release, boss, task).state == TaskState.QUEUED
    with pytest.raises(LeaseLost):
        queue.release(actor=ines, held=Lease(held.uuid, held.fence), at=NOW)
    kept, lost = queue.keep(actor=ines, leases=[Lease(held.uuid, held.fence)], lease=LEASE)
    assert (kept, lost) == ([], [task.uuid])
    entry = AuditEntry.objects.get(action="task.take_back")
    assert (entry.actor, entry.reason) == ("leo", "Shift end.")
    with pytest.raises(Conflict):
        act(directing.release, boss, task)


def test_a_task_given_to_an_inspector_is_his_alone(boss: Actor) -> None:
    task = factories.task()
    ines, ivan = factories.user(name="ines"), factories.user(name="ivan")
    claim(actor_of(ivan))
    given = act(directing.reassign, boss, task, person="ines")
    assert given.reserved_for == ines
    assert claim(actor_of(ivan)) == []
    [held] = claim(actor_of(ines))
    assert held.pk == task.pk
    assert AuditEntry.objects.get(action="task.reassign").detail["reserved_for"] == "ines"


def test_a_task_is_given_only_to_who_may_judge_it_there(boss: Actor) -> None:
    task = factories.task()
    factories.user(name="elsewhere", on=factories.line(code="line-2"))
    factories.user(Role.OPERATOR, name="operator")
    skipper = factories.user(name="skipper")
    [held] = claim(actor_of(skipper))
    lease = Lease(held.uuid, held.fence)
    queue.skip(actor=actor_of(skipper), held=lease, reason="Blurred.", at=NOW)
    for name in ("elsewhere", "operator", "skipper", "nobody"):
        with pytest.raises(Invalid, match="leo"):
            act(directing.reassign, boss, task, person=name)
    task.refresh_from_db()
    assert task.reserved_for is None


def test_an_escalated_task_is_given_to_a_lead_only(boss: Actor) -> None:
    task = factories.task()
    ReviewTask.objects.filter(pk=task.pk).update(is_escalated=True)
    factories.user(name="ines")
    task.refresh_from_db()
    assert [p.username for p in supervision.choices(task)] == ["leo"]


def test_a_raised_task_comes_next(boss: Actor) -> None:
    factories.task(deadline=NOW - timedelta(hours=1))
    raised = factories.task(deadline=NOW + timedelta(hours=5))
    deadline = raised.deadline
    act(directing.to_the_front, boss, raised)
    [first] = claim(factories.actor())
    assert (first.pk, first.deadline) == (raised.pk, deadline)
    assert AuditEntry.objects.get(action="task.raise").reason == "Shift end."


def test_what_is_decided_or_not_ones_own_cannot_be_directed(boss: Actor) -> None:
    task = factories.task()
    stranger = factories.actor(Role.LEAD, at=factories.site("plant-2"))
    with pytest.raises(Unknown):
        act(directing.to_the_front, stranger, task)
    ReviewTask.objects.filter(pk=task.pk).update(state="DECIDED")
    with pytest.raises(Conflict, match="decided"):
        act(directing.to_the_front, boss, task)


def test_what_everybody_skipped_is_shown_with_the_reasons(lead: User, boss: Actor) -> None:
    task = factories.task()
    people = [actor_of(lead), factories.actor()]
    for person, reason in zip(people, ("Blurred.", "Covered."), strict=True):
        assert supervision.board(actor=boss, at=NOW).stranded == []
        [held] = claim(person)
        queue.skip(actor=person, held=Lease(held.uuid, held.fence), reason=reason, at=NOW)
    [stranded] = supervision.board(actor=boss, at=NOW).stranded
    assert stranded.task == task
    assert stranded.is_stuck
    assert "Blurred.; Covered." in stranded.why


def test_an_escalated_task_without_a_lead_is_shown_as_stuck() -> None:
    task = factories.task()
    ines = factories.user(name="ines")
    admin = factories.actor(Role.ADMIN)
    [held] = claim(actor_of(ines))
    lease = Lease(held.uuid, held.fence)
    queue.escalate(actor=actor_of(ines), held=lease, comment="Within the limit?", at=NOW)
    [stranded] = supervision.board(actor=admin, at=NOW).stranded
    assert (stranded.task, stranded.is_stuck) == (task, True)
    assert stranded.why == "line-1 has no lead."
    factories.user(Role.LEAD)
    [stranded] = supervision.board(actor=admin, at=NOW).stranded
    assert not stranded.is_stuck
    assert stranded.why == "Escalated by ines. Within the limit?"


def skip_one(person: Actor) -> None:
    [held] = claim(person)
    queue.skip(actor=person, held=Lease(held.uuid, held.fence), reason="Blurred.", at=NOW)


def queries(client: Client) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(PAGE).status_code == 200
    return len(captured)


def test_the_page_costs_the_same_whatever_waits(lead: User) -> None:
    client = client_of(lead)
    factories.tasks(2)
    skip_one(factories.actor())
    few = queries(client)
    factories.tasks(15)
    for _ in range(3):
        skip_one(factories.actor())
        claim(factories.actor(), 2)
    assert queries(client) == few == PAGE_COSTS


def test_no_figure_reads_through_the_backlog() -> None:
    backlog.fill(size=3000)
    site = factories.site("bench")
    boss = factories.actor(Role.LEAD, at=site)
    before = read_through()
    for _time in range(3):
        board = supervision.board(actor=boss, at=timezone.now())
    assert sum(group.count for group in board.groups) == COUNTED_UP_TO
    assert board.is_cut
    assert read_through() == before


def test_a_refusal_on_the_live_page_is_said_there(lead: User) -> None:
    task = factories.task()
    answer = client_of(lead).post(
        f"/review/queue/{task.uuid}/release/", headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert f"Nobody holds {task.unit.serial}." in answer.content.decode()


def test_the_pages_forms_work_without_a_script(lead: User) -> None:
    factories.user(name="ines")
    task = factories.task()
    client = client_of(lead)
    page = client.get(f"/review/queue/{task.uuid}/").content.decode()
    assert '<option value="ines">' in page
    done = client.post(
        f"/review/queue/{task.uuid}/reassign/", {"person": "ines", "reason": "Knows it."}
    )
    assert done.status_code == 302
    assert "is kept for ines" in client.get("/review/queue/").content.decode()
    assert client.get(f"/review/queue/{uuid.uuid4()}/").status_code == 404


@pytest.mark.parametrize("act", ["skip", "escalate", "inconclusive"])
def test_what_its_inspector_puts_back_is_kept_for_him_no_longer(boss: Actor, act: str) -> None:
    task = factories.task()
    ines = factories.user(name="ines")
    directing.reassign(actor=boss, task_id=task.uuid, person="ines", reason="", at=NOW)
    [held] = claim(actor_of(ines))
    lease = Lease(held.uuid, held.fence)
    if act == "skip":
        queue.skip(actor=actor_of(ines), held=lease, reason="blurred", at=NOW)
    elif act == "escalate":
        queue.escalate(actor=actor_of(ines), held=lease, comment="", at=NOW)
    else:
        judge(actor_of(ines), UNSURE, held)
    assert [offered.pk for offered in claim(boss)] == [task.pk]


def test_a_part_whose_only_lead_gave_one_of_the_two_verdicts_is_told_as_stuck(
    boss: Actor,
) -> None:
    drawn()
    judge(boss, GOOD)
    judge(factories.actor(), BAD)
    [stuck] = supervision.board(actor=boss, at=NOW).stranded
    assert (stuck.task.purpose, stuck.is_stuck) == ("ADJUDICATION", True)
    factories.actor(Role.LEAD)
    [waits] = supervision.board(actor=boss, at=NOW).stranded
    assert not waits.is_stuck
