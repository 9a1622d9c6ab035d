"""The units a site's rules look at: what was decided in the last day, what a row that is still
going on at its beginning reaches back to, and the hours that late verdicts fall in."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from mes_integration.models import NcrRule
from mes_integration.nonconformance_rules import HOUR, Rule, Seen
from traceability.models import Disposition, DispositionKind, Inspection, Site

LOOKED_BACK: Final = timedelta(days=1)
REACH: Final = timedelta(days=30)
"""A row may have begun so long ago: over weekends, plant holidays, on a slow line."""
MOST: Final = 8000
_MOST_BETWEEN: Final = 2000
_MOST_IN_HOURS: Final = 30_000
# Parallel workers number the inspections a little out of the order they came in.
_OUT_OF_ORDER: Final = timedelta(minutes=5)
_SCANNED: Final = 5000


@dataclass(frozen=True, slots=True)
class Course:
    """Everything decided after `since` that had settled, in the order the stations saw it."""

    units: Sequence[Seen]
    since: datetime
    settled: datetime


_COLUMNS: Final = (
    *("inspection_id", "revision", "kind", "nonconformities", "inspection__opened_at"),
    *("inspection__external_id", "inspection__unit__serial", "inspection__line__code"),
    "inspection__station__code",
    "inspection__unit__part_revision__part_number__number",
    *("is_again", "decided_at"),
)


def course(
    *, site: Site, until: datetime, since: datetime | None = None, most: int = MOST
) -> Course:
    """The units with what was decided of each inspection; of more than `most` the latest.

    Left out are those nobody has decided yet, and verdicts that may still be taken back.
    """
    settled = until - _undo()
    since = since or settled - LOOKED_BACK
    found = _settled(site, since, settled).order_by("-decided_at")
    rows = _rows(found, most)
    units = sorted(_units(rows), key=_by_time)
    return Course(units, rows[-1][-1] if len(rows) == most else since, settled)


def stretches(
    *, site: Site, until: datetime, back_to: datetime
) -> Sequence[tuple[datetime, datetime]]:
    """From when to when to look, the earliest first, so that nothing is left out that was decided
    since `back_to` and none is of more than MOST, or of one moment."""
    undo = _undo()
    settled, found = until - undo, []
    while True:
        since = settled - LOOKED_BACK
        reached = _settled(site, since, settled).order_by("-decided_at")
        for last in reached.values_list("decided_at", flat=True)[MOST - 1 : MOST]:
            # More than MOST may be of one moment: those are looked at together.
            since = min(last, settled - timedelta.resolution)
        found.append((since, settled + undo))
        if since <= back_to - undo:
            return found[::-1]
        settled = since


def _undo() -> timedelta:
    return timedelta(seconds=settings.LOUPE.undo_window_s)


def _settled(site: Site, since: datetime, settled: datetime) -> QuerySet[Disposition]:
    return Disposition.objects.filter(
        site=site, decided_at__gt=since, decided_at__lte=settled, withdrawal__isnull=True
    )


def _rows(dispositions: QuerySet[Disposition], most: int) -> list[tuple[Any, ...]]:
    before = Inspection.objects.filter(unit=OuterRef("unit"), pk__lt=OuterRef("inspection"))
    return list(dispositions.annotate(is_again=Exists(before)).values_list(*_COLUMNS)[:most])


def _units(rows: Sequence[tuple[Any, ...]]) -> list[Seen]:
    """The latest decision of each inspection."""
    latest: dict[int, tuple[Any, ...]] = {}
    for row in rows:
        inspection, revision, kind, defects = row[:4]
        is_decided = kind != DispositionKind.HOLD or bool(defects)
        if is_decided and (inspection not in latest or latest[inspection][1] < revision):
            latest[inspection] = row
    return [_seen(row) for row in latest.values()]


def _seen(row: Sequence[Any]) -> Seen:
    pk, _revision, _kind, defects, at, inspection, unit, line, station, part, is_again, _at = row
    return Seen(
        pk=pk,
        at=at,
        inspection=inspection,
        unit=unit,
        line=line,
        station=station or "",
        part_number=part or "",
        defects={each["defect_class"]: each["severity"] for each in defects},
        is_first=not is_again,
    )


def _by_time(seen: Seen) -> tuple[datetime, int]:
    return seen.at, seen.pk


def units_for(rule: Rule, found: Course, *, at: datetime) -> Sequence[Seen]:
    """The course as the rule counts it: of rows also what stands before the course, of yields also
    what else was seen in the hours that began before it."""
    after = max(rule.since, at - REACH)
    if rule.kind == NcrRule.Kind.FIRST_PASS_YIELD:
        return sorted(_whole_hours(rule, found, after), key=_by_time)
    if rule.kind != NcrRule.Kind.CONSECUTIVE:
        return found.units
    places: dict[str, list[Seen]] = defaultdict(list)
    for seen in found.units:
        if seen.at > rule.since and rule.concerns(seen):
            places[seen.place].append(seen)
    whole = [unit for here in places.values() for unit in _whole(rule, here, found, after)]
    return sorted(whole, key=_by_time)


def _whole(rule: Rule, here: list[Seen], found: Course, after: datetime) -> Sequence[Seen]:
    """One place's units without a hole, as far back as a row that has not ended can begin.

    What was seen before the course and decided in it has units between that were decided before.
    """
    if not any(rule.names(seen) for seen in here):
        return here
    is_late = here[0].at <= found.since
    if not is_late and not rule.names(here[0]):
        return here
    first = min(seen.pk for seen in here)
    between: list[Seen] = []
    # What was decided late is itself among what is read: however much it is, it leaves room.
    room = _MOST_BETWEEN + sum(seen.at <= found.since for seen in here)
    if is_late:
        fresh = min((s.pk for s in here if s.at > found.since), default=None)
        between = _before(rule, here[0], found, after, over=first, under=fresh, most=room)
    if len(between) == room:
        reached = between[-1].pk
        here, earlier = [seen for seen in here if seen.pk > reached], []
    else:
        most = (rule.count or 1) - 1
        earlier = _before(rule, here[0], found, after, over=0, under=first, most=most)
    return list({seen.pk: seen for seen in [*earlier, *between, *here]}.values())


# The inner limit bounds what is read where a rule's part number is rare at the station. What it is
# joined to is looked up row by row, and no more than is asked for.
_BEFORE: Final = """
SELECT i.id, i.opened_at, i.external_id, u.serial, p.number, d.nonconformities::text
FROM (
    SELECT * FROM traceability_inspection
    WHERE {at_the_place} AND id > %(over)s AND id < %(under)s
    ORDER BY id DESC LIMIT %(scanned)s
) i
JOIN traceability_unit u ON u.id = i.unit_id
LEFT JOIN traceability_partrevision r ON r.id = u.part_revision_id
LEFT JOIN traceability_partnumber p ON p.id = r.part_number_id
JOIN LATERAL (
    SELECT d.nonconformities FROM traceability_disposition d
    WHERE d.inspection_id = i.id AND d.decided_at <= %(settled)s
      AND (d.kind <> 'HOLD' OR d.nonconformities <> '[]')
      AND NOT EXISTS (
        SELECT FROM traceability_dispositionwithdrawal t WHERE t.disposition_id = d.id OFFSET 0
      )
    ORDER BY d.revision DESC LIMIT 1
) d ON true
WHERE i.opened_at > %(after)s AND (%(part)s = '' OR p.number = %(part)s)
ORDER BY i.id DESC LIMIT %(most)s
"""
_AT_STATION: Final = _BEFORE.format(at_the_place="station_id = %(station)s")
_ON_LINE: Final = _BEFORE.format(at_the_place="station_id IS NULL AND line_id = %(line)s")
_LAST: Final = 2**63 - 1


def _before(
    rule: Rule,
    like: Seen,
    found: Course,
    after: datetime,
    *,
    over: int,
    under: int | None,
    most: int,
) -> list[Seen]:
    """Decided units at the same place, the latest first."""
    line, station = Inspection.objects.values_list("line_id", "station_id").get(pk=like.pk)
    given: dict[str, Any] = {
        "station": station,
        "line": line,
        "over": over,
        "under": under or _LAST,
        "settled": found.settled,
        "after": after,
        "part": rule.part_number,
        "scanned": _SCANNED + most,
        "most": most,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ON_LINE if station is None else _AT_STATION, given)
        rows = cursor.fetchall()
    return [
        Seen(
            pk=pk,
            at=opened_at,
            inspection=inspection,
            unit=unit,
            line=like.line,
            station=like.station,
            part_number=part or "",
            defects={each["defect_class"]: each["severity"] for each in json.loads(defects)},
        )
        for pk, opened_at, inspection, unit, part, defects in rows
    ]


def _whole_hours(rule: Rule, found: Course, after: datetime) -> Sequence[Seen]:
    """What a yield counts, with the hours whole that began before the course.

    What is only there to complete them is not judged: of its own hour some may be missing.
    """
    whole = {s.pk: s for s in found.units if s.at > after and rule.concerns(s)}
    lines: dict[str, list[Seen]] = defaultdict(list)
    for seen in whole.values():
        if seen.is_first and seen.at <= found.since + HOUR:
            lines[seen.line].append(seen)
    late = [group for here in lines.values() for group in _together(here)]
    room = _MOST_IN_HOURS
    for group in sorted(late, key=lambda group: group[-1].at, reverse=True):
        rows = _seen_around(group, found, most=room) if room else []
        room -= len(rows)
        read = _units(rows)
        judged_from = group[0].at
        if not room:
            judged_from = max(judged_from, rows[-1][4] + HOUR) if rows else group[-1].at + 2 * HOUR
        for seen in [*read, *group]:
            if seen.pk not in whole or seen.at <= found.since + HOUR:
                whole[seen.pk] = replace(seen, is_judged=seen.at >= judged_from)
    return list(whole.values())


def _together(here: Sequence[Seen]) -> list[list[Seen]]:
    """Units of a line whose hours, before and after each, touch."""
    groups: list[list[Seen]] = []
    for seen in here:
        if groups and seen.at - groups[-1][-1].at <= 2 * HOUR:
            groups[-1].append(seen)
        else:
            groups.append([seen])
    return groups


# Walked from the group outward until the time is passed. Imported images lie among the numbers with
# times of their own; nobody decides those. OFFSET keeps each look at the dispositions to its row.
_AROUND: Final = """
SELECT (
    SELECT i.id FROM traceability_inspection i
    WHERE i.line_id = %(line)s AND i.id < %(first)s AND i.opened_at <= %(begin)s
      AND EXISTS (
        SELECT FROM traceability_disposition d WHERE d.inspection_id = i.id OFFSET 0
      )
    ORDER BY i.id DESC LIMIT 1
), (
    SELECT i.id FROM traceability_inspection i
    WHERE i.line_id = %(line)s AND i.id > %(last)s AND i.opened_at >= %(end)s
      AND EXISTS (
        SELECT FROM traceability_disposition d WHERE d.inspection_id = i.id OFFSET 0
      )
    ORDER BY i.id LIMIT 1
)
"""


def _seen_around(group: Sequence[Seen], found: Course, *, most: int) -> list[tuple[Any, ...]]:
    """What was decided of all that the line saw from an hour before to an hour after, the latest
    first; it is found by the inspections' numbers, which go by the time."""
    pks = [seen.pk for seen in group]
    begin, end = group[0].at - HOUR, group[-1].at + HOUR
    line = Inspection.objects.values_list("line_id", flat=True).get(pk=pks[0])
    given: dict[str, Any] = {
        "line": line,
        "first": min(pks),
        "last": max(pks),
        "begin": begin - _OUT_OF_ORDER,
        "end": end + _OUT_OF_ORDER,
    }
    with connection.cursor() as cursor:
        cursor.execute(_AROUND, given)
        [(over, under)] = cursor.fetchall()
    around = Disposition.objects.filter(
        inspection__line=line,
        inspection_id__gt=over or 0,
        inspection_id__lt=under or _LAST,
        inspection__opened_at__gt=begin,
        inspection__opened_at__lt=end,
        decided_at__lte=found.settled,
        withdrawal__isnull=True,
    )
    return _rows(around.order_by("-inspection__opened_at", "-inspection_id"), most)
