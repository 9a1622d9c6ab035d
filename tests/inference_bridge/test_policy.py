"""Versions of the routing policy."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from governance.access import system
from governance.models import AuditEntry
from inference_bridge.models import PolicyRule, RoutingPolicy
from inference_bridge.policy import NO_POLICY, in_force, set_policy
from inference_bridge.routing import Rule
from tests import factories
from traceability.models import Site
from traceability.refusals import Invalid

BASE = Rule(review_from=0.2, contain_from=0.9)


def put(site: Site, at: datetime, *rules: Rule) -> RoutingPolicy:
    return set_policy(actor=system("test"), site=site, rules=rules or [BASE], reason="why", at=at)


def test_each_change_is_the_next_version(plant: Site, now: datetime) -> None:
    before = RoutingPolicy.objects.get(site=plant)
    after = put(plant, now + timedelta(hours=1))
    assert (before.version, after.version) == (1, 2)
    assert (after.author, after.reason) == ("test", "why")
    assert AuditEntry.objects.filter(action="policy.set", subject="plant-1/2").exists()
    assert in_force(site_id=plant.pk, at=now).version == 1
    assert in_force(site_id=plant.pk, at=before.in_force_from - timedelta(seconds=1)) == NO_POLICY
    assert in_force(site_id=plant.pk, at=now + timedelta(hours=1)).version == 2


def test_a_site_without_a_policy_has_version_zero(db: None, now: datetime) -> None:
    assert in_force(site_id=factories.site("bare").pk, at=now) == NO_POLICY


def test_rules_keep_what_they_name(plant: Site, now: datetime) -> None:
    narrow = Rule(
        review_from=0.1,
        contain_from=0.5,
        audit_rate=0.2,
        review_within_s=60,
        line="line-1",
        part_number="P-NEW",
        defect_class="crack",
    )
    put(plant, now, BASE, narrow)
    found = in_force(site_id=plant.pk, at=now)
    assert found.rule_for(line="line-1", part_number="P-NEW", defect_class="crack") == narrow
    assert found.rule_for(line="line-1", part_number="P-1", defect_class="crack") == BASE


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([Rule(review_from=0.9, contain_from=0.2)], "at or below"),
        ([Rule(review_from=0.1, contain_from=1.2)], "from 0 to 1"),
        ([Rule(review_from=0.1, contain_from=0.2, audit_rate=2)], "audit rate"),
        ([Rule(review_from=0.1, contain_from=0.2, review_within_s=0)], "second"),
        ([BASE, BASE], "Two rules"),
        ([Rule(review_from=0.1, contain_from=0.2, line="line-1")], "whole site"),
        ([BASE, Rule(review_from=0.1, contain_from=0.2, line="line-9")], "line-9"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    plant: Site, now: datetime, rules: list[Rule], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        put(plant, now, *rules)
    assert RoutingPolicy.objects.filter(site=plant).count() == 1


def test_a_rule_is_never_changed(plant: Site) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        PolicyRule.objects.update(review_from=0.0)
