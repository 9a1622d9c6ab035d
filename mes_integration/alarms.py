"""Alarms about dispositions that have been undelivered for too long.

One for each site, target and kind: what a target does not take, and what only a person can mend,
so that one old refusal does not hide an MES that is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Case, Count, Min, QuerySet, Value, When

from governance.access import system
from governance.audit import Trail, recorded
from mes_integration.models import WriteBack, WriteBackAlarm
from mes_integration.transitions import State

_WATCH: Final = system("alarms")
Kind = WriteBackAlarm.Kind
NEEDS_PERSON: Final = (State.REJECTED, State.NEEDS_PERSON)
Key = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Late:
    """What is undelivered of one site, target and kind."""

    oldest: datetime
    waiting: int


def watch(*, at: datetime) -> None:
    """Raise what is late and not raised, clear what is not late any more."""
    longest = timedelta(seconds=settings.LOUPE.mes_alarm_s)
    late = {key: found for key, found in _undelivered().items() if at - found.oldest > longest}
    standing = _standing()
    if not late.keys() ^ standing.keys():
        return
    with recorded(actor=_WATCH, at=at) as trail:
        trail.nothing_changed()
        for alarm in _locked([a.pk for key, a in standing.items() if key not in late]):
            alarm.cleared_at = at
            alarm.save(update_fields=["cleared_at"])
            _note(trail, "write_back_alarm.clear", alarm)
        for key in late.keys() - standing.keys():
            _raise(trail, key, late[key])


def _undelivered() -> Mapping[Key, Late]:
    rows = (
        WriteBack.objects.filter(settled_at__isnull=True)
        .annotate(
            kind=Case(
                When(state__in=NEEDS_PERSON, then=Value(Kind.PERSON.value)),
                default=Value(Kind.DELAYED.value),
            )
        )
        .values_list("site_id", "target", "kind")
        .annotate(oldest=Min("enqueued_at"), waiting=Count("pk"))
        .order_by()
    )
    return {
        (site, target, kind): Late(oldest, waiting) for site, target, kind, oldest, waiting in rows
    }


def _standing() -> dict[Key, WriteBackAlarm]:
    return {
        (alarm.site_id, alarm.target, alarm.kind): alarm
        for alarm in WriteBackAlarm.objects.filter(cleared_at__isnull=True)
    }


def _locked(pks: list[int]) -> QuerySet[WriteBackAlarm]:
    return (
        WriteBackAlarm.objects.select_for_update()
        .filter(pk__in=pks, cleared_at__isnull=True)
        .order_by("pk")
    )


def _raise(trail: Trail, key: Key, late: Late) -> None:
    """Once, also when two watch at the same time; not again soon after the last one cleared."""
    site, target, kind = key
    rest = timedelta(seconds=settings.LOUPE.mes_alarm_again_s)
    of_key = WriteBackAlarm.objects.filter(site=site, target=target, kind=kind)
    if of_key.filter(cleared_at__gt=trail.at - rest).exists():
        return
    alarm, is_new = of_key.get_or_create(
        cleared_at__isnull=True,
        defaults={
            "site_id": site,
            "target": target,
            "kind": kind,
            "oldest_at": late.oldest,
            "waiting": late.waiting,
            "raised_at": trail.at,
        },
    )
    if is_new:
        _note(trail, "write_back_alarm.raise", alarm)


def _note(trail: Trail, action: str, alarm: WriteBackAlarm) -> None:
    trail.add(
        action,
        subject_kind="target",
        subject=alarm.target,
        site_id=alarm.site_id,
        detail={
            "alarm": str(alarm.uuid),
            "kind": alarm.kind,
            "oldest_at": alarm.oldest_at.isoformat(),
            "waiting": alarm.waiting,
        },
    )
