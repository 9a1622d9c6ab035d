"""The acceptance criteria of a site: zones and severity rules, in versions; the latest holds."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from labeling.criteria_entries import rule_of, zone_of
from labeling.models import AcceptanceCriteria, Severity
from labeling.severity_rules import SeverityRule
from labeling.zones import Zone
from traceability.models import DispositionKind, Site
from traceability.refusals import Invalid, Unknown

VERSIONS_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Criteria:
    """One version, which never changes. Version 0 stands for a site that has none."""

    version: int
    zones: tuple[Zone, ...]
    rules: tuple[SeverityRule, ...]

    def zones_on(self, *, part_number: str, part_revision: str) -> tuple[Zone, ...]:
        """The zones of a part."""
        return tuple(
            zone
            for zone in self.zones
            if zone.is_on(part_number=part_number, part_revision=part_revision)
        )

    def rules_for(self, *, part_number: str) -> tuple[SeverityRule, ...]:
        """The rules that may hold for a part."""
        return tuple(rule for rule in self.rules if rule.part_number in ("", part_number))


NONE: Final = Criteria(version=0, zones=(), rules=())


@functools.lru_cache(maxsize=VERSIONS_KEPT)
def version(*, site_id: int, number: int) -> Criteria:
    """A version by its number, read once: its rows never change. Number 0 is the empty one."""
    if number == 0:
        return NONE
    row = AcceptanceCriteria.objects.filter(site_id=site_id, version=number).first()
    if row is None:
        raise Unknown(_("There is no such version of the acceptance criteria."))
    return of_row(row)


def of_row(row: AcceptanceCriteria) -> Criteria:
    """What a stored version says."""
    return Criteria(
        version=row.version,
        zones=tuple(
            Zone(
                **{
                    **zone,
                    "severity": Severity(zone["severity"]),
                    "polygon": tuple((x, y) for x, y in zone["polygon"]),
                }
            )
            for zone in row.zones
        ),
        rules=tuple(
            SeverityRule(**{**rule, "disposition": DispositionKind(rule["disposition"])})
            for rule in row.rules
        ),
    )


def read(text: str, *, is_json: bool) -> tuple[list[Zone], list[SeverityRule]]:
    """Zones and rules of a file; Invalid lists every mistake, each with its place."""
    found = _parsed(text, is_json=is_json)
    troubles = [
        _("%(name)s is not known; write zone and rule.") % {"name": name}
        for name in sorted(found.keys() - {"zone", "rule"})
    ]
    zones = _entries(found, "zone", zone_of, troubles)
    rules = _entries(found, "rule", rule_of, troubles)
    names = [rule.names for rule in rules]
    troubles += [
        _("Rule %(n)d is for the same as an earlier one.") % {"n": n}
        for n, name in enumerate(names, start=1)
        if name in names[: n - 1]
    ]
    if troubles:
        raise Invalid("\n".join(troubles), code="criteria")
    return zones, rules


def _parsed(text: str, *, is_json: bool) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if is_json else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise Invalid(_("The file cannot be read: %(why)s") % {"why": error}) from error
    if not isinstance(found, dict):
        raise Invalid(_("The file must hold zone and rule, each a list."))
    return found


def _entries(found: Mapping[str, Any], name: str, read_one: Any, troubles: list[str]) -> list[Any]:
    """What each entry says; the mistakes go to `troubles` with the entry's number."""
    entries = found.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        troubles.append(_("%(name)s must be a list of tables.") % {"name": name})
        return []
    made = []
    for number, entry in enumerate(entries, start=1):
        wrong: list[str] = []
        one = read_one(entry, wrong)
        troubles += [f"{name} {number}: {sentence}" for sentence in wrong]
        made += [one] if one is not None and not wrong else []
    return made


def set_criteria(
    *,
    actor: Actor,
    site: Site,
    zones: list[Zone],
    rules: list[SeverityRule],
    reason: str,
    at: datetime,
) -> AcceptanceCriteria:
    """Put the next version in force from now on; it replaces the one before whole."""
    if not reason.strip():
        raise Invalid(_("Say why, in a few words."))
    with audit.recorded(actor=actor, at=at) as trail:
        # NO KEY UPDATE leaves rows that only point at the site alone.
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        last = AcceptanceCriteria.objects.filter(site=site).order_by("-version").first()
        row = AcceptanceCriteria.objects.create(
            site=site,
            version=last.version + 1 if last else 1,
            zones=[zone.as_json() for zone in zones],
            rules=[rule.as_json() for rule in rules],
            author=actor.name,
            reason=reason.strip(),
            set_at=at,
        )
        trail.add(
            "criteria.set",
            subject_kind="criteria",
            subject=f"{site.code}/{row.version}",
            site_id=site.pk,
            detail={"version": row.version, "zones": len(zones), "rules": len(rules)},
            reason=reason.strip(),
        )
    return row
