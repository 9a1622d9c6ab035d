"""Nonconformances: raised by a site's rules, closed by a person with a reason.

Who looks holds the row of the site's watermark, and looks at the whole of the last day again: what
was committed late is seen too, and what was raised already is not raised twice. Where nobody has
looked for longer, the time between is looked at in stretches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max, Min, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor, system
from governance.audit import Trail, recorded
from governance.roles import Capability
from mes_integration.models import Ncr, NcrHandOff, NcrRule, NcrWatermark
from mes_integration.nonconformance_course import MOST, REACH, course, stretches, units_for
from mes_integration.nonconformance_rules import Past, Raised, Rule, opened, raised
from mes_integration.targets import targets
from traceability.models import Disposition, Line, Site
from traceability.refusals import Conflict, Invalid, Unknown

# A disposition may be committed after a later one was seen: so long the site is looked at again.
SETTLING: Final = timedelta(minutes=5)
LONGEST_REASON: Final = 1000
_ACTOR: Final = system("nonconformances")
Kind = NcrRule.Kind
State = Ncr.State


def evaluate(*, at: datetime) -> int:
    """Look at every site that has rules; how many nonconformances were raised."""
    sites = Site.objects.filter(ncrrule__is_active=True).distinct().order_by("pk")
    return sum(evaluate_site(site=site, at=at) for site in sites)


def evaluate_site(*, site: Site, at: datetime) -> int:
    """Raise what the site's rules raise, unless nothing has come or somebody is looking already."""
    with recorded(actor=_ACTOR, at=at) as trail:
        trail.nothing_changed()
        NcrWatermark.objects.get_or_create(site=site)
        mark = NcrWatermark.objects.select_for_update(skip_locked=True).filter(site=site).first()
        if mark is None:
            return 0
        looked_at = mark.moved_at
        if not _has_news(mark, at):
            return 0
        back_to = max(_looked_through(site, looked_at, at), at - REACH)
        made = sum(
            len(_raise_all(trail, site, since, until))
            for since, until in stretches(site=site, until=at, back_to=back_to)
        )
        mark.save(update_fields=["through", "moved_at"])
        return made


def _looked_through(site: Site, looked_at: datetime | None, at: datetime) -> datetime:
    """Until when everything was looked at; without a look before, since when there is a rule."""
    if looked_at is None:
        rules = NcrRule.objects.filter(site=site, is_active=True)
        looked_at = rules.aggregate(earliest=Min("since"))["earliest"] or at
    return looked_at - SETTLING


def _has_news(mark: NcrWatermark, at: datetime) -> bool:
    """Whether a disposition has come, or came so lately that an earlier one may follow."""
    found = Disposition.objects.filter(site=mark.site_id).aggregate(latest=Max("pk"))["latest"] or 0
    if found > mark.through:
        mark.through, mark.moved_at = found, at
        return True
    return mark.moved_at is not None and at - mark.moved_at <= SETTLING


def _raise_all(trail: Trail, site: Site, since: datetime, until: datetime) -> list[Ncr]:
    # Twice as many: some may be committed between the two looks.
    found = course(site=site, since=since, until=until, most=2 * MOST)
    rules = NcrRule.objects.filter(site=site, is_active=True)
    known, made = past(site), []
    # A recurrence is told as one, whichever other rule would see it too.
    for row in sorted(rules, key=lambda rule: (rule.kind != Kind.RECURRENCE, rule.pk)):
        rule = spec_of(row)
        new = raised(rule, units_for(rule, found, at=until), known)
        known = opened(known, new)
        made += [ncr for one in new if (ncr := _open(trail, row, one)) is not None]
    return made


def spec_of(row: NcrRule) -> Rule:
    """The rule as the pure functions know it."""
    return Rule(
        kind=row.kind,
        since=row.since,
        line=row.line.code if row.line else "",
        part_number=row.part_number.number if row.part_number else "",
        defect_class=row.defect_class,
        count=row.count,
        at_least=row.at_least,
        below=row.below,
        days=row.days,
        cool_down=timedelta(seconds=row.cool_down_s),
    )


def past(site: Site) -> dict[str, Past]:
    """The latest nonconformance of each cause."""
    rows = (
        Ncr.objects.filter(site=site)
        .order_by("cause", "-pk")
        .distinct("cause")
        .values_list("cause", "uuid", "closed_at", "line__code", "defect_class")
    )
    return {
        cause: Past(key=str(uuid), closed_at=closed_at, line=line, defect_class=code)
        for cause, uuid, closed_at, line, code in rows
    }


def _open(trail: Trail, rule: NcrRule, one: Raised) -> Ncr | None:
    """The new nonconformance; None where another hand has opened one of the cause since."""
    line = Line.objects.get(site=rule.site_id, code=one.line)
    before = Ncr.objects.get(uuid=one.recurrence_of) if one.recurrence_of else None
    try:
        with transaction.atomic():
            made = Ncr.objects.create(
                site_id=rule.site_id,
                line=line,
                rule=rule,
                kind=rule.kind,
                cause=one.cause,
                defect_class=one.defect_class,
                text=_text(rule, one)[:300],
                evidence=_evidence(one),
                recurrence_of=before,
                opened_at=trail.at,
            )
    except IntegrityError as error:
        if "ncr_one_open_a_cause" not in str(error):
            raise
        return None
    NcrHandOff.objects.bulk_create(
        NcrHandOff(site_id=rule.site_id, ncr=made, target=name, due_at=trail.at)
        for name in takers(rule.site.code)
    )
    _note(trail, "nonconformance.open", made, reason=made.text)
    return made


def takers(site_code: str) -> list[str]:
    """The targets that take nonconformances: those whose options say so."""
    return [
        found.name
        for found in targets()
        if found.adapter == "http" and found.options.get("ncr") is True and found.serves(site_code)
    ]


def _text(rule: NcrRule, one: Raised) -> str:
    where, what = one.units[-1].place, one.defect_class.replace("_", " ")
    match rule.kind:
        case Kind.CONSECUTIVE:
            words = _("%(what)s: %(n)s units in a row at %(where)s.")
        case Kind.SEVERITY:
            words = _("%(what)s at %(where)s: a severe defect, unit %(unit)s.")
        case Kind.FIRST_PASS_YIELD:
            where = one.line
            words = _(
                "%(where)s: %(good)s of %(total)s units good at first in the hour up to %(time)s."
            )
        case _:
            words = _("%(what)s at %(where)s again after its closure, unit %(unit)s.")
    return words % {
        "what": what,
        "n": len(one.units),
        "where": where,
        "unit": one.units[-1].unit,
        "good": one.good,
        "total": one.total,
        "time": f"{one.units[-1].at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _evidence(one: Raised) -> dict[str, Any]:
    return {
        "units": list(dict.fromkeys(seen.unit for seen in one.units)),
        "inspections": [seen.inspection for seen in one.units],
        "window": {"from": _moment(one.units[0].at), "to": _moment(one.units[-1].at)},
        "counts": {"bad": len(one.units), "good": one.good, "total": one.total},
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def visible(actor: Actor, capability: Capability) -> QuerySet[Ncr]:
    """The actor's nonconformances."""
    return Ncr.objects.filter(actor.within(capability)).select_related(
        "site", "line", "rule", "closed_by", "recurrence_of"
    )


def selection(*, actor: Actor, states: Sequence[str] = (), before: str = "") -> QuerySet[Ncr]:
    """The actor's in these states, in any without; newest first, and only those from before the
    one of that id."""
    rows = visible(actor, Capability.SEE_WRITE_BACKS)
    for state in states:
        if state not in State.values:
            raise Invalid(_("The state is one of: %(states)s.") % {"states": ", ".join(State)})
    last = _known(rows, before) if before else None
    if states:
        rows = rows.filter(state__in=states)
    if last is not None:
        rows = rows.filter(pk__lt=last.pk)
    return rows.order_by("-pk")


def _known(rows: QuerySet[Ncr], text: str) -> Ncr:
    try:
        found = rows.filter(uuid=UUID(text)).first()
    except ValueError as error:
        raise Invalid(_("“before” is the id of a nonconformance.")) from error
    if found is None:
        raise Invalid(_("There is no nonconformance %(id)s to go on from.") % {"id": text[:36]})
    return found


def find(*, actor: Actor, capability: Capability, uuid: UUID) -> Ncr:
    """One of them; Unknown where it is not the actor's."""
    found: Ncr | None = visible(actor, capability).filter(uuid=uuid).first()
    if found is None:
        raise Unknown(_("There is no such nonconformance for you."))
    return found


def close(*, actor: Actor, uuid: UUID, reason: str, at: datetime) -> Ncr:
    """Close it: the cause is mended, or there was none. Closed twice it stays as it was.

    Raises Invalid without a reason, Conflict where somebody else has closed it.
    """
    reason = reason.strip().replace("\0", "")
    if not reason or len(reason) > LONGEST_REASON:
        raise Invalid(_("Say what was done, in at most %(n)d characters.") % {"n": LONGEST_REASON})
    with recorded(actor=actor, at=at) as trail:
        ncr = (
            visible(actor, Capability.RESOLVE_WRITE_BACKS)
            .select_for_update(of=("self",))
            .filter(uuid=uuid)
            .first()
        )
        if ncr is None:
            raise Unknown(_("There is no such nonconformance for you."))
        if ncr.state == State.CLOSED:
            if ncr.closed_by_id == actor.user_id:
                trail.nothing_changed()
                return ncr
            raise Conflict(_("%(who)s has closed it already.") % {"who": ncr.closed_by})
        ncr.state, ncr.closed_at, ncr.closed_reason = State.CLOSED, at, reason
        ncr.closed_by_id = cast(int, actor.user_id)
        ncr.save(update_fields=["state", "closed_at", "closed_reason", "closed_by"])
        _note(trail, "nonconformance.close", ncr, reason=reason)
        return ncr


def _note(trail: Trail, action: str, ncr: Ncr, *, reason: str) -> None:
    trail.add(
        action,
        subject_kind="nonconformance",
        subject=ncr.uuid,
        site_id=ncr.site_id,
        detail={"cause": ncr.cause, "rule": str(ncr.rule.uuid), "kind": ncr.kind},
        reason=reason,
    )


def told(ncrs: Iterable[Ncr]) -> Mapping[int, list[NcrHandOff]]:
    """How far each has come to its targets."""
    found: dict[int, list[NcrHandOff]] = {}
    for row in NcrHandOff.objects.filter(ncr__in=list(ncrs)).order_by("target"):
        found.setdefault(row.ncr_id, []).append(row)
    return found
