"""The rules that raise nonconformances: set by a quality engineer, tried on the past week first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor, check_covers
from governance.audit import recorded
from governance.roles import Capability
from mes_integration import mapping_versions, nonconformances
from mes_integration.models import NcrRule
from mes_integration.nonconformance_course import course
from mes_integration.nonconformance_rules import Rule, rehearsed
from traceability.models import Line, PartNumber, Site
from traceability.refusals import Invalid, Unknown

TRIED_ON: Final = timedelta(days=7)
MOST_TRIED: Final = 20_000
LONGEST_NAME: Final = 120
LONGEST_COOL_DOWN: Final = 30 * 86_400
MOST: Final = 1000
_MOST_NAMED: Final = 40
Kind = NcrRule.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A rule as it is set; what its kind does not use is None or empty."""

    name: str
    kind: str
    line: str = ""
    part_number: str = ""
    defect_class: str = ""
    count: int | None = None
    at_least: str = ""
    below: float | None = None
    days: int | None = None
    cool_down_s: int = 0
    is_active: bool = True


def visible(actor: Actor) -> QuerySet[NcrRule]:
    """The rules of the actor's sites; a role for one line sees those for its line."""
    return (
        NcrRule.objects.filter(actor.within(Capability.SEE_WRITE_BACKS))
        .select_related("site", "line", "part_number")
        .order_by("site__code", "-is_active", "name")
    )


def find(*, actor: Actor, uuid: UUID) -> NcrRule:
    """One that this actor may change; Unknown elsewhere."""
    within = actor.within(Capability.SET_NCR_RULES, line=None)
    rules = NcrRule.objects.filter(within, uuid=uuid)
    found: NcrRule | None = rules.select_related("site", "line", "part_number").first()
    if found is None:
        raise Unknown(_("There is no such rule for you."))
    return found


def draft_of(rule: NcrRule) -> Draft:
    """The rule as it stands."""
    return Draft(
        name=rule.name,
        kind=rule.kind,
        line=rule.line.code if rule.line else "",
        part_number=rule.part_number.number if rule.part_number else "",
        defect_class=rule.defect_class,
        count=rule.count,
        at_least=rule.at_least,
        below=rule.below,
        days=rule.days,
        cool_down_s=rule.cool_down_s,
        is_active=rule.is_active,
    )


def tried(*, site: Site, draft: Draft, at: datetime) -> int:
    """How often the rule would have been raised in the last 7 days; stops at 100."""
    _values(site, draft)
    since = at - TRIED_ON
    rule = Rule(
        kind=draft.kind,
        since=since,
        line=draft.line,
        part_number=draft.part_number,
        defect_class=draft.defect_class,
        count=draft.count,
        at_least=draft.at_least,
        below=draft.below,
        days=draft.days,
        cool_down=timedelta(seconds=draft.cool_down_s),
    )
    found = course(site=site, since=since, until=at, most=MOST_TRIED)
    past = nonconformances.past(site) if draft.kind == Kind.RECURRENCE else {}
    return rehearsed(rule, found.units, past, whole_from=found.since)


def set_rule(
    *, actor: Actor, site: Site, draft: Draft, at: datetime, rule: NcrRule | None = None
) -> NcrRule:
    """Make or change a rule. It counts from now on: a change begins to count anew."""
    check_covers(actor, Capability.SET_NCR_RULES, site=site, line=None)
    values = _values(site, draft)
    with recorded(actor=actor, at=at) as trail:
        same = NcrRule.objects.filter(site=site, name=draft.name)
        if rule is not None:
            same = same.exclude(pk=rule.pk)
        if same.exists():
            raise Invalid(_("There is a rule of this name already. Give it another one."))
        before = None
        if rule is None:
            made = NcrRule(site=site)
        else:
            made = NcrRule.objects.select_for_update().get(pk=rule.pk)
            before = _plain(draft_of(rule))
        for name, value in values.items():
            setattr(made, name, value)
        made.since, made.changed_by = at, actor.name
        made.save()
        trail.add(
            "nonconformance_rule.set",
            subject_kind="nonconformance_rule",
            subject=made.uuid,
            site_id=site.pk,
            detail={"was": before, "is": _plain(draft)},
        )
        return made


def _plain(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in draft.__slots__}


def _values(site: Site, draft: Draft) -> dict[str, Any]:
    """The columns; Invalid with what to mend."""
    if not draft.name.strip() or len(draft.name) > LONGEST_NAME:
        raise Invalid(_("Give the rule a name of at most %(n)d characters.") % {"n": LONGEST_NAME})
    if draft.kind not in Kind.values:
        raise Invalid(_("Choose what the rule looks at."))
    if not 0 <= draft.cool_down_s <= LONGEST_COOL_DOWN:
        raise Invalid(_("The cool-down is from 0 to 43200 minutes."))
    return {
        "name": draft.name.strip(),
        "kind": draft.kind,
        "line": _line(site, draft.line),
        "part_number": _part(site, draft.part_number),
        "defect_class": _defect_class(site, draft.defect_class),
        "count": None,
        "at_least": "",
        "below": None,
        "days": None,
        "cool_down_s": draft.cool_down_s,
        "is_active": draft.is_active,
        **_of_kind(draft),
    }


def _of_kind(draft: Draft) -> dict[str, Any]:
    match draft.kind:
        case Kind.CONSECUTIVE:
            return {"count": _whole(draft.count, 2, _("So many in a row: from 2 to 1000."))}
        case Kind.SEVERITY:
            if draft.at_least not in NcrRule.AtLeast.values:
                raise Invalid(_("Choose the severity from which on it counts."))
            return {"at_least": draft.at_least}
        case Kind.FIRST_PASS_YIELD:
            if draft.below is None or not 0 < draft.below <= 1:
                raise Invalid(_("The yield is a percentage above 0 and at most 100."))
            fewest = _whole(draft.count, 1, _("The fewest units of an hour: from 1 to 1000."))
            return {"count": fewest, "below": draft.below}
        case _:
            return {"days": _whole(draft.days, 1, _("The days after a closure: from 1 to 1000."))}


def _whole(value: int | None, least: int, sentence: str) -> int:
    if value is None or not least <= value <= MOST:
        raise Invalid(sentence)
    return value


def _line(site: Site, code: str) -> Line | None:
    if not code:
        return None
    found = Line.objects.filter(site=site, code=code).first()
    if found is None:
        raise Invalid(_("There is no line %(codes)s.") % {"codes": code[:64]})
    return found


def _part(site: Site, number: str) -> PartNumber | None:
    if not number:
        return None
    found = PartNumber.objects.filter(site=site, number=number).first()
    if found is None:
        raise Invalid(_("There is no part number %(number)s.") % {"number": number[:64]})
    return found


def _defect_class(site: Site, code: str) -> str:
    """As it is. Where the site has seen none yet, every one may come."""
    known = classes_of(site) if code else []
    if known and code not in known:
        raise Invalid(
            _("The site knows no defect class %(code)s. It knows: %(known)s.")
            % {"code": code[:64], "known": ", ".join(known[:_MOST_NAMED])}
        )
    return code


def classes_of(site: Site) -> Sequence[str]:
    """Defect classes that occurred lately, and those its rules name."""
    named = NcrRule.objects.filter(site=site).values_list("defect_class", flat=True)
    return sorted({*mapping_versions.known_codes(site=site, document={}), *named} - {""})


def lines_of(site: Site) -> Sequence[str]:
    """What a rule may name."""
    return list(Line.objects.filter(site=site).order_by("code").values_list("code", flat=True))
