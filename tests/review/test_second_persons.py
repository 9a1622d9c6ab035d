"""A policy that wants a second person counts for what waits already, from when it is in force."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access import system
from governance.models import AuditEntry
from governance.roles import Role
from inference_bridge import policy
from inference_bridge.models import RoutingPolicy
from inference_bridge.routing import Rule
from review import mes_conflicts
from review.models import Approval, ReviewTask
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import CONCESSION, SCRAP, question
from tests.review.test_decisions import REJECT, claimed, decide
from tests.review.test_mes_conflicts import said_there, tell
from traceability.models import Unit
from traceability.refusals import NotAllowed

pytestmark = pytest.mark.django_db


def put_in_force(*rules: Rule, minutes: int = 0) -> RoutingPolicy:
    """The site's next policy; before any verdict of these tests unless told otherwise."""
    return policy.set_policy(
        actor=system("test"),
        site=factories.site(),
        rules=rules,
        reason="Why.",
        at=NOW + timedelta(minutes=minutes),
    )


def rule(**fields: Any) -> Rule:
    return Rule(review_from=0.2, contain_from=0.9, **fields)


def test_a_scrap_waits_though_its_unit_was_queued_before_the_policy() -> None:
    question(scrap=False)
    made = put_in_force(rule(second_for_scrap=True))
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "HOLD"
    approval = Approval.objects.get()
    assert (approval.state, approval.kind) == ("OPEN", "SCRAP")
    asked = AuditEntry.objects.get(action="approval.ask")
    assert asked.detail["policy"] == made.version


def test_a_concession_waits_though_its_unit_was_queued_before_the_policy() -> None:
    question(concession=False)
    put_in_force(rule(second_for_concession=True))
    lead = factories.actor(Role.LEAD)
    decide(lead, claimed(lead), CONCESSION)
    assert Unit.objects.get().disposition == "HOLD"
    assert Approval.objects.get().kind == "CONCESSION"


def test_a_policy_that_asks_for_less_does_not_free_what_waits_already() -> None:
    question(scrap=True)
    for minutes in (-1, 0):
        put_in_force(rule(second_for_concession=False), minutes=minutes)
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "HOLD"
    asked = AuditEntry.objects.get(action="approval.ask")
    assert asked.detail["policy"] == ReviewTask.objects.get().policy_version == 1


def test_a_policy_not_in_force_yet_asks_for_nothing() -> None:
    question(scrap=False)
    put_in_force(rule(second_for_scrap=True), minutes=5)
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "SCRAP"


def test_the_policy_before_asks_for_nothing_any_more() -> None:
    question(scrap=False)
    put_in_force(rule(second_for_scrap=True), minutes=-2)
    put_in_force(rule(second_for_scrap=False), minutes=-1)
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "SCRAP"


@pytest.mark.parametrize(
    ("where", "becomes"),
    [
        ({"line": "line-1"}, "HOLD"),
        ({"part_number": "P-4711"}, "HOLD"),
        ({"defect_class": "scratch"}, "HOLD"),
        ({"line": "line-2"}, "SCRAP"),
        ({"defect_class": "dent"}, "SCRAP"),
    ],
)
def test_the_rule_is_the_one_a_unit_like_it_would_come_under_now(
    where: dict[str, str], becomes: str
) -> None:
    factories.line(code="line-2")
    question(scrap=False)
    put_in_force(rule(), rule(second_for_scrap=True, **where))
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == becomes


def test_another_sites_policy_asks_for_nothing_here() -> None:
    question(scrap=False)
    policy.set_policy(
        actor=system("test"),
        site=factories.site("plant-2"),
        rules=[rule(second_for_scrap=True)],
        reason="Why.",
        at=NOW,
    )
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "SCRAP"


def test_what_another_process_has_just_put_in_force_counts_at_once() -> None:
    question(scrap=False)
    put_in_force(rule(), minutes=-1)
    # This process has read the policies a moment ago and knows nothing of the next one.
    policy.in_force(site_id=factories.site().pk, at=NOW)
    before = RoutingPolicy.objects.get()
    row = before.rules.get()
    before.pk, before.version, before.in_force_from = None, 2, NOW
    before.save(force_insert=True)
    row.pk, row.policy, row.second_for_scrap = None, before, True
    row.save(force_insert=True)
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "HOLD"


def test_the_mes_scraps_nothing_on_one_word_either() -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.task(seen)
    ReviewTask.objects.update(state="DECIDED")
    factories.hold(seen, at=NOW)
    tell(seen.unit)
    put_in_force(rule(second_for_scrap=True))
    change = said_there(seen.unit, "SCRAP")
    found = mes_conflicts.answers(actor=factories.actor(Role.ADMIN), change=change, at=NOW)
    assert "approve scrap" in found.why_not_theirs
    with pytest.raises(NotAllowed):
        mes_conflicts.theirs_stands(
            actor=factories.actor(Role.ADMIN),
            choice=mes_conflicts.Choice(
                change=change.uuid,
                revision=change.unit.disposition_revision,
                reason="They say so.",
            ),
            at=NOW,
        )


def test_only_what_could_wait_is_looked_up() -> None:
    question(scrap=False)
    mine = factories.actor()
    held = claimed(mine)
    with CaptureQueriesContext(connection) as captured:
        decide(mine, held, REJECT)
    assert not [q for q in captured.captured_queries if "routingpolicy" in q["sql"]]
