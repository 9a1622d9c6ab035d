"""What each rule has counted since it was set, in words: a rule that waits looks alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mes_integration import nonconformances
from mes_integration.models import Ncr, NcrRule
from mes_integration.nonconformance_course import REACH, Course, course, units_for
from mes_integration.nonconformance_rules import Past, Progress, progress
from mes_integration.presentation import age

Kind = NcrRule.Kind


def so_far(rules: Sequence[NcrRule], *, at: datetime) -> Mapping[int, Sequence[str]]:
    """For each rule what it has raised, and what it counts on now; one look for each site."""
    raised = dict(
        Ncr.objects.filter(rule__in=rules).values_list("rule").annotate(Count("pk")).order_by()
    )
    found: dict[int, Sequence[str]] = {}
    for site in {rule.site for rule in rules}:
        looked_at = course(site=site, until=at)
        past = nonconformances.past(site)
        for rule in rules:
            if rule.site_id != site.pk:
                continue
            words = [_raised(raised.get(rule.pk, 0))]
            if rule.is_active:
                words.append(_now(rule, looked_at, past, at=at))
            found[rule.pk] = words
    return found


def _raised(number: int) -> str:
    if not number:
        return _("Raised nothing yet.")
    return ngettext("Raised %(n)s.", "Raised %(n)s.", number) % {"n": number}


def _now(rule: NcrRule, looked_at: Course, past: Mapping[str, Past], *, at: datetime) -> str:
    spec = nonconformances.spec_of(rule)
    made = progress(spec, units_for(spec, looked_at, at=at), past, at=at)
    window = age((at - max(looked_at.since, rule.since)).total_seconds())
    return in_words(rule.kind, made, window=window)


def in_words(kind: str, made: Progress, *, window: str) -> str:
    """What is counted and in which time; `window`: how long ago it begins."""
    said = {
        "n": made.units,
        "have": made.have,
        "need": made.need,
        "where": made.nearest,
        "window": window,
        "days": REACH.days,
    }
    if not made.units:
        words = _("No unit decided in the last %(window)s.")
    elif kind == Kind.FIRST_PASS_YIELD:
        words = _hour(made)
        said["time"] = f"{made.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if made.until else ""
    elif kind == Kind.SEVERITY:
        words = _("%(n)s units in the last %(window)s, %(have)s with such a defect.")
    elif kind == Kind.RECURRENCE:
        words = _("%(n)s units in the last %(window)s, %(have)s closed causes watched.")
    elif made.have:
        words = _(
            "%(have)s of %(need)s in a row: %(where)s. A row may have begun up to %(days)s days "
            "ago; %(n)s units looked at."
        )
    else:
        words = _("%(n)s units in the last %(window)s, no row begun.")
    return words % said


def _hour(made: Progress) -> str:
    if made.until is None:
        return _("%(n)s units in the last %(window)s, none of them inspected for the first time.")
    return _("%(where)s: %(have)s of %(need)s good in the hour up to %(time)s.")
