"""A station calls for help, or stops: who comes, how soon, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor, check_covers, system
from governance.audit import Trail
from governance.models import Device
from governance.roles import Capability
from review.models import AndonCall
from traceability.models import Site, Station
from traceability.refusals import Conflict, NotAllowed, Unknown

SHOWN: Final = 20
LOOKED_BACK: Final = timedelta(days=7)
MOST_COUNTED: Final = 5000
ANSWER: Final = Capability.ANSWER_CALLS
_ROW: Final = ("site", "line", "station", "called_by", "answered_by", "closed_by")
_OPEN: Final = Q(closed_at__isnull=True)


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """How soon somebody answered, in seconds; None where nobody was called."""

    calls: int
    unanswered: int
    median_s: float | None
    p90_s: float | None


def call(
    *, actor: Actor, device: Device, kind: str, key: UUID, made_at: datetime, at: datetime
) -> AndonCall:
    """Call from the device's station; the same press, and one while a call is open, change nothing.

    Nobody need be signed in at the device to call: `actor` may be without a person.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        # Two presses at one station wait for each other here.
        station = (
            Station.objects.select_for_update(no_key=True, of=("self",))
            .select_related("site", "line")
            .get(pk=device.station_id)
        )
        if actor.user_id is not None:
            check_covers(actor, Capability.JUDGE_AT_LINE, site=station.site, line=station.line)
        made_at = min(made_at, at)
        there = _there(station, AndonCall.Kind(kind), key, made_at)
        if there is not None:
            trail.nothing_changed()
            return there
        made = AndonCall.objects.create(
            site=station.site,
            line=station.line,
            station=station,
            kind=kind,
            key=key,
            device=device,
            called_by_id=actor.user_id,
            made_at=made_at,
            called_at=at,
        )
        _note(trail, "call.open", made, kind=kind, made_at=made_at.isoformat())
        return made


def _there(station: Station, kind: str, key: UUID, made_at: datetime) -> AndonCall | None:
    """The call this press belongs to: its own, the open one, or the one that was open then.

    A tablet repeats what it got no answer to; by then the call may have been closed.
    """
    was_open_then = Q(made_at__lte=made_at, closed_at__gte=made_at)
    found = list(
        AndonCall.objects.select_related(*_ROW)
        .filter(Q(key=key) | Q(_OPEN | was_open_then, station=station, kind=kind))
        .order_by("-pk")
    )
    own = next((each for each in found if each.key == key), None)
    if own is not None and own.station_id != station.pk:
        raise Conflict(_("This press was recorded at another station. Press again."))
    return own or next((e for e in found if e.closed_at is None), None) or next(iter(found), None)


def answer(*, actor: Actor, call_id: UUID, at: datetime) -> AndonCall:
    """Say that one comes. The first does; Conflict tells the second who it is."""
    with audit.recorded(actor=actor, at=at) as trail:
        found = _locked(Q(uuid=call_id) & actor.within(ANSWER))
        if found.answered_by_id == actor.user_id and found.answered_at is not None:
            trail.nothing_changed()
            return found
        if found.answered_by is not None:
            who = _("%(person)s has answered this call.") % {"person": found.answered_by}
            raise Conflict(who, code="answered")
        if found.closed_at is not None:
            raise Conflict(_("This call is closed already."), code="closed")
        found.answered_at, found.answered_by_id = at, actor.user_id
        found.save(update_fields=["answered_at", "answered_by"])
        _note(trail, "call.answer", found, seconds=_seconds(found.called_at, at))
        return _again(found)


def close(
    *,
    actor: Actor,
    call_id: UUID | None = None,
    call_key: UUID | None = None,
    remark: str = "",
    at: datetime,
    station: Station | None = None,
) -> AndonCall:
    """End a call, named by itself or by the press that made it; a closed one stays as it is.

    `station`: where the actor stands, None for who is at no tablet. A stop is released by who may
    answer calls; help is over when an operator of the line says so, at a tablet of its station.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        named = Q(uuid=call_id) if call_id else Q(key=call_key)
        may_see = actor.within(ANSWER) | actor.within(Capability.JUDGE_AT_LINE)
        here = Q(station=station) if station else Q()
        found = _locked(named & may_see & here)
        if found.closed_at is not None:
            trail.nothing_changed()
            return found
        comes = may_answer(actor, found)
        if found.kind == AndonCall.Kind.STOP and not comes:
            raise NotAllowed(
                _("A stop is released by an inspector or a lead."),
                code="stop_not_released",
            )
        changed = ["closed_at", "closed_by", "remark"]
        if comes and found.answered_at is None:
            # Whoever ends it was there by then.
            found.answered_at, found.answered_by_id = at, actor.user_id
            changed += ["answered_at", "answered_by"]
        found.closed_at, found.closed_by_id, found.remark = at, actor.user_id, remark[:300]
        found.save(update_fields=changed)
        _note(trail, "call.close", found, seconds=_seconds(found.called_at, at))
        return _again(found)


def _locked(which: Q) -> AndonCall:
    """The call with what holds once it is locked: people are joined as they were before."""
    found = AndonCall.objects.select_for_update(no_key=True).filter(which).first()
    if found is None:
        raise Unknown(_("There is no such call here for you."))
    return found


def _again(found: AndonCall) -> AndonCall:
    """With the people in it."""
    return AndonCall.objects.select_related(*_ROW).get(pk=found.pk)


def _note(trail: Trail, action: str, found: AndonCall, **detail: object) -> None:
    station = found.station.code
    trail.add(
        action,
        subject_kind="call",
        subject=found.uuid,
        site_id=found.site_id,
        detail={"station": station, **detail},
        reason=found.remark,
    )


def _seconds(since: datetime, at: datetime) -> float:
    return round((at - since).total_seconds(), 1)


def open_at(station_id: int) -> list[AndonCall]:
    """What is open at a station, a stop before a call for help."""
    rows = AndonCall.objects.select_related(*_ROW).filter(_OPEN, station=station_id)
    return sorted(rows, key=lambda each: (each.kind != AndonCall.Kind.STOP, each.pk))


def may_answer(actor: Actor, found: AndonCall) -> bool:
    """Whether the actor may answer and release this one."""
    return any(
        scope.site_id == found.site_id and scope.line_id in (None, found.line_id)
        for scope in actor.scopes_for(ANSWER)
    )


def open_for(actor: Actor, site: Site | None = None) -> list[AndonCall]:
    """Open calls of the lines the actor may see: stops first, then the longest waiting."""
    rows = _seen(actor, site).filter(_OPEN).order_by("-kind", "called_at", "pk")
    return list(rows[:SHOWN])


def recent_for(actor: Actor, site: Site, *, at: datetime) -> list[AndonCall]:
    """What was closed of the last seven days' calls, the latest first."""
    rows = _seen(actor, site).filter(called_at__gte=at - LOOKED_BACK, closed_at__isnull=False)
    return list(rows.order_by("-called_at", "-pk")[:200])


def _seen(actor: Actor, site: Site | None) -> QuerySet[AndonCall]:
    rows = AndonCall.objects.select_related(*_ROW).filter(actor.within(Capability.SEE_PLANT))
    return rows.filter(site=site) if site else rows


def escalate_overdue(*, at: datetime, limit: int = 100) -> int:
    """Mark the calls nobody has answered in time, once each; returns how many they were."""
    late = at - timedelta(seconds=settings.LOUPE.call_escalates_s)
    overdue = AndonCall.objects.filter(
        _OPEN, answered_at__isnull=True, escalated_at__isnull=True, called_at__lte=late
    )
    ids = list(overdue.values_list("pk", flat=True)[:limit])
    if not ids:
        return 0
    with audit.recorded(actor=system("calls"), at=at) as trail:
        locked = overdue.select_for_update(no_key=True, skip_locked=True, of=("self",))
        rows = list(locked.select_related("station").filter(pk__in=ids).order_by("pk"))
        if not rows:
            trail.nothing_changed()
            return 0
        AndonCall.objects.filter(pk__in=[each.pk for each in rows]).update(escalated_at=at)
        for each in rows:
            _note(trail, "call.escalate", each, seconds=_seconds(each.called_at, at))
        return len(rows)


def response_times(
    actor: Actor, site: Site, *, at: datetime
) -> tuple[ResponseTimes, ResponseTimes]:
    """Of the calls since midnight at the site, and of the last seven days."""
    rows = list(
        _seen(actor, site)
        .filter(called_at__gte=at - LOOKED_BACK)
        .order_by("-called_at")
        .values_list("called_at", "answered_at")[:MOST_COUNTED]
    )
    local = at.astimezone(ZoneInfo(site.time_zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return _times([row for row in rows if row[0] >= midnight]), _times(rows)


def _times(rows: Sequence[tuple[datetime, datetime | None]]) -> ResponseTimes:
    taken = sorted((came - called).total_seconds() for called, came in rows if came is not None)
    return ResponseTimes(
        calls=len(rows),
        unanswered=len(rows) - len(taken),
        median_s=_ranked(taken, 0.5),
        p90_s=_ranked(taken, 0.9),
    )


def _ranked(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank: a time that was really taken."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
