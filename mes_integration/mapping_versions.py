"""Versions of a site's mapping for a target: which is in force, and how a new one comes about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from governance.access import Actor, check_covers, sites_for
from governance.audit import recorded
from governance.roles import Capability
from mes_integration import document_faults, mappings
from mes_integration.mapping import Profile, parse
from mes_integration.models import MappingProfile
from mes_integration.targets import Target, check_wire, targets
from traceability.models import Disposition, Prediction, Site
from traceability.refusals import Conflict, Invalid, Unknown

LONGEST_REASON: Final = 300
LARGEST: Final = 64 * 1024
_CANNOT_BE_ASKED: Final = frozenset({"mqtt", "cfx"})
"""Adapters whose silence would be taken for “not held”, and what is held be sent once more."""
_LOOKED_AT: Final = 2000
"""The latest dispositions and predictions in which defect codes are looked for."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A site's mapping for a target as it stands; `row` is None for the one that is shipped."""

    site: Site
    target: Target
    version: int
    document: dict[str, Any]
    row: MappingProfile | None

    @property
    def profile(self) -> Profile | None:
        """The document, parsed; None where it cannot be read any more."""
        return readable(self.document)[0]


def all_in_force(*, actor: Actor) -> Iterator[InForce]:
    """One for each target of each site where the actor sees write-backs."""
    for site in sites_for(actor, Capability.SEE_WRITE_BACKS):
        for found in targets():
            if found.serves(site.code):
                yield in_force(site=site, target=found)


def in_force(*, site: Site, target: Target) -> InForce:
    """The newest version, else the shipped one."""
    row = versions(site=site, target=target).first()
    document = row.as_written if row else mappings.shipped_document(target.profile)
    return InForce(site, target, row.version if row else mappings.SHIPPED, document, row)


def versions(*, site: Site, target: Target) -> Any:
    """Every version of the site's own, newest first."""
    return MappingProfile.objects.filter(site=site, target=target.name).order_by("-version")


def readable(document: dict[str, Any]) -> tuple[Profile | None, str]:
    """The document, parsed; else why this release cannot go by it, which its pages must say."""
    try:
        return parse(document), ""
    except Invalid as invalid:
        return None, invalid.sentence


def document_of(*, site: Site, target: Target, version: int) -> dict[str, Any]:
    """One version's document; 0 is the shipped one. Unknown when there is none."""
    if version == mappings.SHIPPED:
        return mappings.shipped_document(target.profile)
    row = versions(site=site, target=target).filter(version=version).first()
    if row is None:
        raise Unknown(_("There is no version %(version)s of this mapping.") % {"version": version})
    document: dict[str, Any] = row.as_written
    return document


def place(*, actor: Actor, capability: Capability, site: str, target: str) -> tuple[Site, Target]:
    """The actor's site and its target; Unknown when either is not there for him."""
    found = next((each for each in sites_for(actor, capability) if each.code == site), None)
    to = next((t for t in targets() if t.name == target and t.serves(site)), None)
    if found is None or to is None:
        raise Unknown(
            _("There is no target %(target)s at %(site)s for you.")
            % {"target": target[:40], "site": site[:40]}
        )
    if capability is Capability.MANAGE_MAPPINGS:
        check_covers(actor, capability, site=found, line=None)
    return found, to


def checked(document: object, *, target: Target) -> Profile:
    """The document as a profile this target can be spoken to by; Invalid says what to mend."""
    _check_storable(document)
    profile = parse(document)
    if profile.adapter != target.adapter:
        raise Invalid(
            _("“adapter” is %(given)s, but the target %(target)s is reached by %(wanted)s.")
            % {"given": profile.adapter, "target": target.name, "wanted": target.adapter}
        )
    if profile.capabilities.read_back and target.adapter in _CANNOT_BE_ASKED:
        raise Invalid(
            _(
                "A target reached by %(adapter)s cannot be asked what it holds; set “read_back” to "
                "false."
            )
            % {"adapter": target.adapter}
        )
    check_wire(target, profile.wire)
    return profile


def _check_storable(document: object) -> None:
    """JSON allows what no database keeps: NUL, half a character, numbers that are none."""
    fault = document_faults.why_not_kept(document)
    if fault:
        raise Invalid(_("This mapping profile cannot be kept. %(fault)s") % {"fault": fault})
    if len(json.dumps(document, ensure_ascii=False).encode()) > LARGEST:
        raise Invalid(_("Keep the mapping below %(most)s bytes.") % {"most": LARGEST})


def save(
    *,
    actor: Actor,
    site: Site,
    target: Target,
    document: dict[str, Any],
    reason: str,
    base: int,
    at: datetime,
) -> MappingProfile:
    """Put a new version in force; Conflict when `base` is not the version in force any more."""
    check_covers(actor, Capability.MANAGE_MAPPINGS, site=site, line=None)
    reason = reason.strip()
    if not reason:
        raise Invalid(_("Say why the mapping changes: it stands in the audit trail."))
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise Invalid(_("Keep the reason below %(most)s characters.") % {"most": LONGEST_REASON})
    checked(document, target=target)
    with recorded(actor=actor, at=at) as trail:
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        now = in_force(site=site, target=target)
        if now.version != base:
            raise Conflict(
                _("Version %(version)s was put in force meanwhile; look at it, then try again.")
                % {"version": now.version},
                code="version_moved",
            )
        row = MappingProfile.objects.create(
            site=site,
            target=target.name,
            version=now.version + 1,
            document=document,
            author=actor.name,
            at=at,
            reason=reason,
        )
        trail.add(
            "mapping.save",
            subject_kind="mapping",
            subject=f"{site.code}/{target.name}",
            site_id=site.pk,
            detail={"version": row.version, "before": now.document, "after": document},
            reason=reason,
        )
    return row


def roll_back(
    *,
    actor: Actor,
    site: Site,
    target: Target,
    version: int,
    reason: str,
    base: int,
    at: datetime,
) -> MappingProfile:
    """An earlier version's words once more, as a new version."""
    document = document_of(site=site, target=target, version=version)
    return save(
        actor=actor,
        site=site,
        target=target,
        document=document,
        reason=reason,
        base=base,
        at=at,
    )


def known_codes(*, site: Site, document: dict[str, Any]) -> Sequence[str]:
    """Defect codes to have a word for: those of the mapping, and those that occurred lately."""
    found: set[str] = set()
    if (words := document.get("defects", {})) != "own":
        found.update(words)
    said = (
        Disposition.objects.filter(site=site)
        .order_by("-pk")
        .values_list("nonconformities", flat=True)
    )
    for nonconformities in said[:_LOOKED_AT]:
        found.update(each["defect_class"] for each in nonconformities)
    seen = (
        Prediction.objects.filter(site=site).order_by("-pk").values_list("defect_class", flat=True)
    )
    found.update(seen[:_LOOKED_AT])
    return sorted(found - {""})
