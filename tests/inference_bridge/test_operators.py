"""What the policy leaves to the operators at a station, and what it does not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from governance import devices
from governance.models import AuditEntry
from governance.roles import Role
from inference_bridge.routing import Rule
from review import queue
from review.line import claims
from review.models import ReviewTask, TaskKind
from tests import factories
from tests.inference_bridge.conftest import give_policy, take
from tests.inference_bridge.messages import event, view
from traceability.models import Site
from traceability.refusals import Invalid

RULE = Rule(review_from=0.3, contain_from=0.8, operators_within_s=120, line="line-1")


@pytest.fixture
def at() -> datetime:
    """Now: leases and waiting go by the database's clock."""
    return timezone.now()


def test_a_doubtful_unit_is_kept_for_its_station_for_as_long_as_the_rule_says(
    plant: Site, at: datetime
) -> None:
    give_policy(plant, at, RULE)
    take(at, event(at, score=0.6))
    task = ReviewTask.objects.get()
    assert task.operators_until == at + timedelta(seconds=120)
    assert task.station == task.inspection.station


@pytest.mark.parametrize(
    ("score", "quality"), [(0.95, "ok"), (0.6, "unfit")], ids=["contained", "unfit"]
)
def test_what_is_held_is_not_the_operators(
    plant: Site, at: datetime, score: float, quality: str
) -> None:
    give_policy(plant, at, RULE)
    take(at, event(at, score=score, data__capture__quality__verdict=quality))
    task = ReviewTask.objects.get()
    assert task.kind != TaskKind.REVIEW
    assert task.operators_until is None


def test_a_rule_without_time_for_operators_leaves_them_nothing(plant: Site, at: datetime) -> None:
    give_policy(plant, at, Rule(line="line-1", review_from=0.3, contain_from=0.8))
    take(at, event(at, score=0.6))
    assert ReviewTask.objects.get().operators_until is None


def test_a_blind_task_goes_to_the_bench(plant: Site, at: datetime) -> None:
    rule = Rule(
        review_from=0.3, contain_from=0.8, blind_rate=1.0, operators_within_s=120, line="line-1"
    )
    give_policy(plant, at, rule)
    take(at, event(at, score=0.6))
    assert ReviewTask.objects.get().operators_until is None


def test_operators_are_not_given_more_time_than_there_is(plant: Site, at: datetime) -> None:
    rule = Rule(
        review_from=0.3, contain_from=0.8, review_within_s=60, operators_within_s=61, line="line-1"
    )
    with pytest.raises(Invalid, match="part of the time"):
        give_policy(plant, at, rule)


def test_what_gets_graver_while_a_tablet_holds_it_is_the_benchs_at_once(
    plant: Site, at: datetime
) -> None:
    give_policy(plant, at, RULE)
    take(at, view(at, of="SN-1", name="top", score=0.6, expected=1))
    station = ReviewTask.objects.get().station
    device, _token = factories.tablet(station)
    factories.arrive(device, factories.user(Role.OPERATOR, at=plant))
    [held] = claims.claim(
        actor=devices.operator_of(device, attendance=None, at=timezone.now()),
        device=device,
        have=(),
        count=1,
        lease=timedelta(minutes=30),
        at=timezone.now(),
    ).tasks
    take(at, view(at, of="SN-1", name="side", score=0.95))
    [found] = queue.claim(
        actor=factories.actor(Role.INSPECTOR, at=plant),
        site=plant,
        count=1,
        lease=timedelta(seconds=90),
        at=timezone.now(),
    )
    assert (found.uuid, found.fence) == (held.uuid, held.fence + 1)
    entry = AuditEntry.objects.get(action="task.release")
    assert (entry.subject, entry.detail["tablet"]) == (str(held.uuid), device.name)
