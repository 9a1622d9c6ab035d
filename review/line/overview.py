"""Every station in one line each: for who has several to look after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef

from governance.models import Attendance, Device
from review.line.board import WORDS
from review.line.claims import FOR_OPERATORS
from review.models import AndonCall, CaptureCheck, HoldAcknowledgement, ReviewTask, TaskPurpose
from review.queue import OPEN
from traceability.models import Station, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRow:
    """A station with its state in one word and who is there."""

    station: Station
    slug: str
    state: str
    word: str
    holds: int
    to_decide: int
    at_bench: int
    operators: Sequence[str]
    tablets: int
    is_elsewhere: bool


def of(found: Sequence[Station], *, at: datetime) -> list[StationRow]:
    """The stations in their order; the number of statements does not depend on how many."""
    ids = [station.pk for station in found]
    stopped = set(
        AndonCall.objects.filter(
            station__in=ids, closed_at__isnull=True, kind=AndonCall.Kind.STOP
        ).values_list("station_id", flat=True)
    )
    checks = set(
        CaptureCheck.objects.filter(station__in=ids, closed_at__isnull=True).values_list(
            "station_id", flat=True
        )
    )
    put = HoldAcknowledgement.objects.filter(unit=OuterRef("pk"), held_since=OuterRef("held_since"))
    holds = dict(
        Unit.objects.filter(~Exists(put), held_at_station__in=ids)
        .values("held_at_station")
        .annotate(count=Count("pk"))
        .values_list("held_at_station", "count")
    )
    tasks = {
        row["station"]: row
        for row in ReviewTask.objects.filter(
            station__in=ids, state__in=OPEN, purpose=TaskPurpose.FIRST
        )
        .values("station")
        .annotate(every=Count("pk"), operators=Count("pk", filter=FOR_OPERATORS))
    }
    there: dict[int, list[str]] = {}
    for attendance in Attendance.objects.filter(
        device__station__in=ids, is_current=True, until__gt=at, device__revoked_at__isnull=True
    ).select_related("user", "device"):
        there.setdefault(attendance.device.station_id, []).append(str(attendance.user))
    tablets = dict(
        Device.objects.filter(station__in=ids, token_sha256__isnull=False)
        .values("station")
        .annotate(count=Count("pk"))
        .values_list("station", "count")
    )
    rows = []
    for station in found:
        asked = tasks.get(station.pk, {"every": 0, "operators": 0})
        state = _state(
            is_stopped=station.pk in stopped,
            is_held=station.pk in holds,
            is_checked=station.pk in checks,
            is_asked=bool(asked["operators"]),
        )
        rows.append(
            StationRow(
                station=station,
                slug=f"{station.line.code}:{station.code}",
                state=state,
                word=str(WORDS[state]),
                holds=holds.get(station.pk, 0),
                to_decide=asked["operators"],
                at_bench=asked["every"] - asked["operators"],
                operators=there.get(station.pk, []),
                tablets=tablets.get(station.pk, 0),
                is_elsewhere=len({each.site_id for each in found}) > 1,
            )
        )
    return rows


def _state(*, is_stopped: bool, is_held: bool, is_checked: bool, is_asked: bool) -> str:
    """The same order of gravity as on a tablet."""
    if is_stopped:
        return "STOPPED"
    if is_held:
        return "HOLD"
    if is_checked:
        return "CAPTURE_CHECK"
    return "DECIDE" if is_asked else "RUNNING"
