"""The routing policy of a site: versions, each in force from a moment on until the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from inference_bridge.models import PolicyRule, RoutingPolicy
from inference_bridge.routing import EVERYTHING_TO_A_PERSON, Rule, most_specific
from review.second_persons import NOTHING, Asked
from traceability.models import Line, PartNumber, Site
from traceability.refusals import Invalid

FRESH_FOR_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """A version with its rules. Version 0 stands for a site that has none yet."""

    version: int
    in_force_from: datetime | None
    rules: tuple[Rule, ...]

    def rule_for(self, *, line: str, part_number: str, defect_class: str) -> Rule:
        """The most specific rule that holds; everything goes to a person where none does."""
        return most_specific(
            self.rules, line=line, part_number=part_number, defect_class=defect_class
        )


NO_POLICY: Final = Policy(version=0, in_force_from=None, rules=(EVERYTHING_TO_A_PERSON,))


class _Known:
    """Every version of a site as last read, for at most FRESH_FOR_S."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: dict[int, tuple[float, tuple[Policy, ...]]] = {}

    def of(self, site_id: int) -> tuple[Policy, ...]:
        with self._lock:
            read_at, versions = self._versions.get(site_id, (-FRESH_FOR_S, ()))
        now = time.monotonic()
        if now - read_at < FRESH_FOR_S:
            return versions
        versions = _load(site_id)
        with self._lock:
            self._versions[site_id] = (now, versions)
        return versions

    def forget(self, site_id: int) -> None:
        with self._lock:
            self._versions.pop(site_id, None)


_known = _Known()


def in_force(*, site_id: int, at: datetime) -> Policy:
    """The version that routes at this moment; a change is seen within a second."""
    for policy in _known.of(site_id):
        if policy.in_force_from is not None and policy.in_force_from <= at:
            return policy
    return NO_POLICY


def version_of(*, site_id: int, version: int) -> Policy:
    """One version, by its number: what its rules were, whatever is in force by now."""
    return next((p for p in _known.of(site_id) if p.version == version), NO_POLICY)


def second_persons(
    *, site_id: int, line: str, part_number: str, defect_class: str, at: datetime
) -> Asked:
    """What the policy in force lets wait for a second person of a unit like this one; read anew."""
    row = _newest_first(site_id).filter(in_force_from__lte=at).first()
    if row is None:
        return NOTHING
    policy = _policy(row)
    rule = policy.rule_for(line=line, part_number=part_number, defect_class=defect_class)
    return Asked(policy.version, rule.second_for_scrap, rule.second_for_concession)


def set_policy(
    *, actor: Actor, site: Site, rules: Sequence[Rule], reason: str, at: datetime
) -> RoutingPolicy:
    """Put the next version in force from now on. One rule must hold for the whole site."""
    _check(rules)
    with audit.recorded(actor=actor, at=at) as trail:
        # NO KEY UPDATE leaves rows that only point at the site alone.
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        last = RoutingPolicy.objects.filter(site=site).order_by("-version").first()
        policy = RoutingPolicy.objects.create(
            site=site,
            version=last.version + 1 if last else 1,
            in_force_from=at,
            author=actor.name,
            reason=reason,
        )
        PolicyRule.objects.bulk_create(_rows(policy, rules))
        trail.add(
            "policy.set",
            subject_kind="policy",
            subject=f"{site.code}/{policy.version}",
            site_id=site.pk,
            detail={"version": policy.version, "rules": len(rules)},
            reason=reason,
        )
        transaction.on_commit(lambda: _known.forget(site.pk))
    _known.forget(site.pk)
    return policy


def _check(rules: Sequence[Rule]) -> None:
    for rule in rules:
        if not 0 <= rule.review_from <= rule.contain_from <= 1:
            raise Invalid(_("Review must begin at or below contain, both from 0 to 1."))
        if not 0 <= rule.audit_rate <= 1:
            raise Invalid(_("The audit rate must be from 0 to 1."))
        if not all(0 <= share <= 1 for share in shares_of(rule)):
            raise Invalid(_("Blind, second and control rates must be from 0 to 1."))
        if rule.review_within_s <= 0:
            raise Invalid(_("The time to review must be at least a second."))
        if not 0 <= rule.operators_within_s <= rule.review_within_s:
            raise Invalid(_("Operators' time must be part of the time to review."))
    keys = [(rule.line, rule.part_number, rule.defect_class) for rule in rules]
    if len(set(keys)) < len(keys):
        raise Invalid(_("Two rules hold for the same line, part number and defect class."))
    if ("", "", "") not in keys:
        raise Invalid(_("Add a rule for the whole site: it holds where no other one does."))


def shares_of(rule: Rule) -> tuple[float, float, float]:
    """What of the rule's tasks is blind, inspected twice, and what of its claims is a control."""
    return rule.blind_rate, rule.second_rate, rule.control_rate


def _rows(policy: RoutingPolicy, rules: Sequence[Rule]) -> list[PolicyRule]:
    site_id = policy.site_id
    lines = dict(Line.objects.filter(site_id=site_id).values_list("code", "pk"))
    unknown = {rule.line for rule in rules if rule.line and rule.line not in lines}
    if unknown:
        raise Invalid(_("There is no line %(codes)s.") % {"codes": ", ".join(sorted(unknown))})
    numbers = sorted({rule.part_number for rule in rules if rule.part_number})
    PartNumber.objects.bulk_create(
        [PartNumber(site_id=site_id, number=number) for number in numbers], ignore_conflicts=True
    )
    parts = dict(
        PartNumber.objects.filter(site_id=site_id, number__in=numbers).values_list("number", "pk")
    )
    return [
        PolicyRule(
            site_id=site_id,
            policy=policy,
            line_id=lines.get(rule.line),
            part_number_id=parts.get(rule.part_number),
            defect_class=rule.defect_class,
            review_from=rule.review_from,
            contain_from=rule.contain_from,
            audit_rate=rule.audit_rate,
            review_within_s=rule.review_within_s,
            blind_rate=rule.blind_rate,
            second_rate=rule.second_rate,
            control_rate=rule.control_rate,
            operators_within_s=rule.operators_within_s,
            second_for_scrap=rule.second_for_scrap,
            second_for_concession=rule.second_for_concession,
        )
        for rule in rules
    ]


def _load(site_id: int) -> tuple[Policy, ...]:
    """Every version of a site, the newest first."""
    return tuple(_policy(row) for row in _newest_first(site_id))


def _newest_first(site_id: int) -> QuerySet[RoutingPolicy]:
    policies = RoutingPolicy.objects.filter(site_id=site_id)
    return policies.prefetch_related("rules__line", "rules__part_number").order_by(
        "-in_force_from", "-version"
    )


def _policy(row: RoutingPolicy) -> Policy:
    return Policy(
        version=row.version,
        in_force_from=row.in_force_from,
        rules=tuple(_rule(rule) for rule in row.rules.all()),
    )


def _rule(row: PolicyRule) -> Rule:
    return Rule(
        review_from=row.review_from,
        contain_from=row.contain_from,
        audit_rate=row.audit_rate,
        review_within_s=row.review_within_s,
        blind_rate=row.blind_rate,
        second_rate=row.second_rate,
        control_rate=row.control_rate,
        operators_within_s=row.operators_within_s,
        second_for_scrap=row.second_for_scrap,
        second_for_concession=row.second_for_concession,
        line=row.line.code if row.line else "",
        part_number=row.part_number.number if row.part_number else "",
        defect_class=row.defect_class,
    )
