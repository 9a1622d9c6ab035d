"""A unit in rework is released by a new inspection, and by nothing older."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from governance.access import Actor
from governance.roles import Role
from review import decisions, queue
from review.decisions import Recorded
from review.models import Answer, Approval, ReviewTask, TaskPurpose
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.inference_bridge.conftest import LONG_AGO, give_policy, take
from tests.inference_bridge.messages import event
from tests.review.test_approvals import CONCESSION
from tests.review.test_decisions import ACCEPT, LEASE, REJECT, kinds_of
from traceability.models import Disposition, DispositionKind, Inspection, Unit
from traceability.refusals import Invalid

pytestmark = pytest.mark.django_db
AFTER = NOW + timedelta(hours=2)
HOLD = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.HOLD, comment="Look again.")


def inspected(unit: Unit, *, at: datetime = NOW) -> Inspection:
    """An inspection whose image was taken then, with its question."""
    seen = factories.inspection(unit)
    factories.prediction(factories.capture(seen, captured_at=at))
    factories.task(seen, at=at)
    return seen


def judge(seen: Inspection, verdict: Verdict, *, at: datetime, by: Actor | None = None) -> Recorded:
    """A verdict on this inspection."""
    task = ReviewTask.objects.get(inspection=seen)
    actor = by or factories.actor()
    site = factories.site()
    [held] = queue.claim_these(
        actor=actor, site=site, tasks=[task.uuid], count=1, lease=LEASE, at=at
    )
    return decisions.decide(
        actor=actor,
        held=Lease(held.uuid, held.fence),
        verdict=verdict,
        key=f"key-{seen.pk}-{held.fence}",
        undo_window=timedelta(seconds=8),
        at=at,
    )


def reworked() -> Unit:
    """A unit whose rework was decided an hour ago."""
    unit = factories.unit()
    judge(inspected(unit), REJECT, at=NOW + timedelta(hours=1))
    unit.refresh_from_db()
    assert unit.rework_since == NOW + timedelta(hours=1)
    return unit


def test_a_new_inspection_closes_the_rework() -> None:
    unit = reworked()
    judge(inspected(unit, at=AFTER), ACCEPT, at=AFTER)
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("ACCEPT", None)


def test_an_image_from_before_the_rework_leaves_it_there_and_says_why() -> None:
    unit = reworked()
    judge(inspected(unit, at=NOW + timedelta(minutes=59)), ACCEPT, at=AFTER)
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("REWORK", NOW + timedelta(hours=1))
    last = Disposition.objects.filter(unit=unit).order_by("-revision")[0]
    assert last.reason == "In rework: only images taken after the rework was decided release it."
    judge(inspected(unit, at=AFTER), ACCEPT, at=AFTER)
    assert kinds_of(unit) == ["REWORK", "REWORK", "ACCEPT"]


def test_one_old_view_among_new_ones_is_too_old() -> None:
    unit = reworked()
    seen = inspected(unit, at=AFTER)
    factories.prediction(factories.capture(seen, view="side", captured_at=NOW))
    judge(seen, ACCEPT, at=AFTER)
    assert kinds_of(unit) == ["REWORK", "REWORK"]


def test_a_hold_in_between_does_not_end_it() -> None:
    unit = reworked()
    factories.hold(factories.inspection(unit), at=AFTER)
    judge(inspected(unit), ACCEPT, at=AFTER)
    assert kinds_of(unit) == ["REWORK", "HOLD", "HOLD"]
    judge(inspected(unit, at=AFTER), ACCEPT, at=AFTER)
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("ACCEPT", None)


def test_an_older_rejection_is_taken_as_it_is() -> None:
    unit = reworked()
    judge(inspected(unit), REJECT, at=AFTER)
    assert kinds_of(unit) == ["REWORK", "REWORK"]
    unit.refresh_from_db()
    assert unit.rework_since == AFTER, "it begins anew"


def test_a_scrap_ends_the_rework() -> None:
    unit = reworked()
    scrap = Verdict(answer=Answer.CONFIRMED, disposition=REJECT.disposition.SCRAP)
    judge(inspected(unit), scrap, at=AFTER)
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("SCRAP", None)


def test_the_verdict_that_sent_it_there_may_be_overruled_by_a_lead() -> None:
    unit = factories.unit()
    seen = inspected(unit)
    judge(seen, REJECT, at=NOW + timedelta(hours=1))
    first = ReviewTask.objects.get(inspection=seen)
    ReviewTask.objects.filter(pk=first.pk).update(
        state="QUEUED", purpose=TaskPurpose.ADJUDICATION, is_escalated=True
    )
    judge(seen, ACCEPT, at=AFTER, by=factories.actor(Role.LEAD))
    assert kinds_of(unit) == ["REWORK", "ACCEPT"]


def test_taking_the_rework_back_ends_it_and_taking_the_release_back_begins_it_again() -> None:
    unit, mine = factories.unit(), factories.actor()
    first = judge(inspected(unit), REJECT, at=NOW, by=mine)
    decisions.undo(actor=mine, decision_id=first.decision.uuid, lease=LEASE, at=NOW)
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("", None)
    unit = reworked()
    released = judge(inspected(unit, at=AFTER), ACCEPT, at=AFTER, by=mine)
    decisions.undo(actor=mine, decision_id=released.decision.uuid, lease=LEASE, at=AFTER)
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("REWORK", NOW + timedelta(hours=1))


def test_a_model_releases_it_by_new_images_only() -> None:
    give_policy(factories.site(), LONG_AGO)
    factories.line()
    unit = reworked()
    Inspection.objects.update(settled_at=NOW)
    for at, name in ((NOW, "late"), (AFTER, "new")):
        seen = event(at, score=0.05)
        seen["data"]["capture"] |= {
            "serial": unit.serial,
            "inspection_id": f"{unit.serial}/st-1/{name}",
        }
        take(AFTER, seen)
    assert kinds_of(unit) == ["REWORK", "REWORK", "ACCEPT"]
    unit.refresh_from_db()
    assert (unit.disposition, unit.rework_since) == ("ACCEPT", None)


def test_the_database_knows_no_rework_without_its_time() -> None:
    unit = reworked()
    with pytest.raises(IntegrityError, match="unit_rework_is_whole"), transaction.atomic():
        Unit.objects.filter(pk=unit.pk).update(rework_since=None)
    with pytest.raises(IntegrityError, match="unit_rework_is_whole"), transaction.atomic():
        Unit.objects.filter(pk=unit.pk).update(disposition="ACCEPT")


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("is_held", [True, False])
def test_no_concession_is_asked_for_on_images_from_before_the_rework(
    waits: bool, is_held: bool
) -> None:
    unit, lead = reworked(), factories.actor(Role.LEAD)
    if is_held:
        judge(inspected(unit, at=AFTER), HOLD, at=AFTER)
    seen = inspected(unit, at=NOW)
    ReviewTask.objects.filter(inspection=seen).update(second_for_concession=waits)
    before = kinds_of(unit)
    with pytest.raises(Invalid, match="only images taken after the rework"):
        judge(seen, CONCESSION, at=AFTER, by=lead)
    assert kinds_of(unit) == before
    assert not Approval.objects.exists()
