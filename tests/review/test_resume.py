"""Where an inspector stopped, he goes on: his own tasks first, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client

from governance.access import Actor, actor_of
from review import queue
from review.claimed import ClaimedTask
from review.models import ReviewTask
from review.queue import MOST_HELD, Lease, LeaseLost
from tests import factories
from tests.review.test_queue import LEASE

pytestmark = pytest.mark.django_db


def these(actor: Actor, tasks: Sequence[UUID], count: int = 4) -> list[ClaimedTask]:
    return queue.claim_these(
        actor=actor,
        site=factories.site(),
        tasks=tasks,
        count=count,
        lease=LEASE,
        at=factories.NOW,
    )


def test_the_named_tasks_come_in_the_order_named() -> None:
    made = [task.uuid for task in factories.tasks(4)]
    actor = factories.actor()
    wanted = [made[3], made[0], made[2]]
    assert [t.uuid for t in these(actor, wanted)] == wanted
    assert not these(factories.actor(), wanted)


def test_what_the_lost_tab_still_holds_is_taken_again_and_its_fence_is_stale() -> None:
    factories.tasks(2)
    actor = factories.actor()
    held = queue.claim(actor=actor, site=factories.site(), count=2, lease=LEASE, at=factories.NOW)
    again = these(actor, [held[1].uuid, held[0].uuid])
    assert [t.uuid for t in again] == [held[1].uuid, held[0].uuid]
    assert [t.fence for t in again] == [2, 2]
    with pytest.raises(LeaseLost):
        queue.release(actor=actor, held=Lease(held[0].uuid, held[0].fence), at=factories.NOW)


def test_a_full_hand_can_be_taken_over() -> None:
    factories.tasks(MOST_HELD + 2)
    actor = factories.actor()
    for _ in range(2):
        queue.claim(actor=actor, site=factories.site(), count=4, lease=LEASE, at=factories.NOW)
    held = ReviewTask.objects.filter(holder_id=actor.user_id)
    assert held.count() == MOST_HELD
    wanted = list(held.values_list("uuid", flat=True))[:3]
    assert [t.uuid for t in these(actor, wanted)] == wanted


def test_a_skipped_a_reserved_and_an_escalated_task_stay_away() -> None:
    skipped, reserved, escalated = factories.tasks(3)
    actor, colleague = factories.actor(), factories.actor()
    [first] = these(actor, [skipped.uuid])
    queue.skip(
        actor=actor, held=Lease(first.uuid, first.fence), reason="Blurred.", at=factories.NOW
    )
    ReviewTask.objects.filter(pk=reserved.pk).update(
        reserved_for=colleague.user_id, reserved_until="2999-01-01T00:00Z"
    )
    ReviewTask.objects.filter(pk=escalated.pk).update(is_escalated=True)
    assert not these(actor, [skipped.uuid, reserved.uuid, escalated.uuid])
    assert [t.pk for t in these(colleague, [reserved.uuid])] == [reserved.pk]


def test_the_claim_fills_up_with_the_most_urgent_behind_the_preferred() -> None:
    urgent = factories.task(deadline=factories.NOW + timedelta(minutes=1))
    other = factories.task(deadline=factories.NOW + timedelta(minutes=5))
    mine = factories.task(deadline=factories.NOW + timedelta(minutes=60))
    person = factories.user()
    client = Client()
    client.force_login(person)
    answer = client.post(
        "/api/v1/review/claims",
        {"site": "plant-1", "count": 3, "prefer": [str(mine.uuid)]},
        content_type="application/json",
    )
    expected = [str(t.uuid) for t in (mine, urgent, other)]
    assert [t["id"] for t in answer.json()["tasks"]] == expected
    held = ReviewTask.objects.filter(holder_id=actor_of(person).user_id)
    assert held.count() == 3
