"""The queue against a model of itself: claims, losses, verdicts, undo, deadlines in any order."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from governance.access import Actor, actor_of
from mes_integration.models import WriteBack
from review import deadlines, decisions, queue
from review.decisions import UndoClosed
from review.models import Answer, Decision, ReviewTask, TaskState
from review.queue import Lease, LeaseLost
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from traceability.models import Disposition, DispositionKind

LEASE = timedelta(seconds=90)
VERDICTS = (
    Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT),
    Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK),
    Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD),
)


@dataclass(frozen=True)
class Held:
    """A lease as its holder remembers it, stale or not."""

    actor: Actor
    lease: Lease


class QueueMachine(RuleBasedStateMachine):
    """Runs in one transaction that is rolled back at the end."""

    leases = Bundle("leases")
    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.current: dict[uuid.UUID, tuple[int, int]] = {}
        self.decided: dict[uuid.UUID, str] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize(count=st.integers(1, 4))
    def start(self, count: int) -> None:
        self.actors = [actor_of(factories.user()) for _ in range(2)]
        for _ in range(count):
            factories.task(deadline=NOW + timedelta(minutes=5))

    @rule(target=leases, who=st.integers(0, 1))
    def claim(self, who: int) -> Held | None:
        actor = self.actors[who]
        tasks = queue.claim(actor=actor, site=factories.site(), count=1, lease=LEASE, at=NOW)
        if not tasks:
            live = {t for t in self.current if t not in self.decided}
            open_to_all = ReviewTask.objects.filter(state=TaskState.QUEUED, is_escalated=False)
            assert open_to_all.count() == 0, live
            return None
        [task] = tasks
        assert task.uuid not in self.decided
        self.current[task.uuid] = (who, task.fence)
        return Held(actor, Lease(task.uuid, task.fence))

    @rule(held=leases)
    def lease_runs_out(self, held: Held | None) -> None:
        if held:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE review_reviewtask SET lease_expires_at = now() - interval '1 s'"
                    " WHERE uuid = %s AND state = 'LEASED'",
                    [held.lease.task],
                )

    @rule(held=leases)
    def release(self, held: Held | None) -> None:
        if held is None:
            return
        try:
            queue.release(actor=held.actor, held=held.lease, at=NOW)
        except LeaseLost:
            assert not self.holds(held)
        else:
            assert self.holds(held)
            del self.current[held.lease.task]

    @rule(target=made, held=leases, verdict=st.sampled_from(VERDICTS))
    def decide(self, held: Held | None, verdict: Verdict) -> tuple[Held, uuid.UUID] | None:
        if held is None:
            return None
        try:
            recorded = decisions.decide(
                actor=held.actor,
                held=held.lease,
                verdict=verdict,
                key=str(uuid.uuid4()),
                undo_window=timedelta(seconds=8),
                at=NOW,
            )
        except LeaseLost:
            assert not self.holds(held)
            return None
        assert self.holds(held)
        del self.current[held.lease.task]
        self.decided[held.lease.task] = verdict.disposition
        return held, recorded.decision.uuid

    @rule(target=leases, one=consumes(made))
    def undo(self, one: tuple[Held, uuid.UUID] | None) -> Held | None:
        if one is None:
            return None
        held, decision = one
        try:
            task = decisions.undo(actor=held.actor, decision_id=decision, lease=LEASE, at=NOW)
        except UndoClosed:
            raise AssertionError("the window is open and nothing has left") from None
        del self.decided[task.uuid]
        self.current[task.uuid] = (self.actors.index(held.actor), task.fence)
        return Held(held.actor, Lease(task.uuid, task.fence))

    @rule()
    def deadline_passes(self) -> None:
        deadlines.hold_overdue(at=NOW + timedelta(minutes=6))

    def holds(self, held: Held) -> bool:
        """Whether the model says this lease is the current one."""
        return self.current.get(held.lease.task) == (
            self.actors.index(held.actor),
            held.lease.fence,
        )

    @invariant()
    def one_standing_verdict_for_each_decided_task_and_none_for_others(self) -> None:
        standing = Decision.objects.filter(withdrawal__isnull=True)
        assert {d.task.uuid: d.disposition_kind for d in standing.select_related("task")} == (
            self.decided
        )

    @invariant()
    def every_disposition_has_its_write_back_and_revisions_have_no_gap(self) -> None:
        assert WriteBack.objects.count() == Disposition.objects.count()
        for unit in {d.unit_id for d in Disposition.objects.all()}:
            revisions = sorted(
                Disposition.objects.filter(unit=unit).values_list("revision", flat=True)
            )
            assert revisions == list(range(1, len(revisions) + 1))

    @invariant()
    def the_unit_stands_where_its_last_standing_disposition_says(self) -> None:
        for task in ReviewTask.objects.select_related("unit"):
            last = (
                Disposition.objects.filter(unit=task.unit, withdrawal__isnull=True)
                .order_by("-revision")
                .first()
            )
            assert task.unit.disposition == (last.kind if last else "")
            if self.decided.get(task.uuid) == DispositionKind.HOLD:
                assert (task.state, task.is_escalated) == (TaskState.QUEUED, True)
            elif task.uuid in self.decided:
                assert task.state == TaskState.DECIDED


@pytest.mark.django_db(transaction=True)
def test_the_queue_keeps_its_promises_in_any_order() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
