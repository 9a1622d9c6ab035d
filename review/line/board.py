"""What a tablet shows: the station's state in one word, one unit, one thing to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Case, CharField, Count, F, OuterRef, Subquery, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from governance import duty
from governance.models import User
from review import own_bench
from review.line import calls, checks, claims, holds
from review.models import AndonCall, CaptureCheck, ReviewTask, SecondOpinion, TaskPurpose
from review.queue import OPEN
from traceability import images
from traceability.models import (
    Capture,
    DeciderKind,
    Disposition,
    DispositionKind,
    Inspection,
    Station,
    Unit,
)

WAITING_SHOWN: Final = 8
# The counts stop here: more than these say the same to who stands at the line.
COUNTED: Final = 200
WORDS: Final = {
    "STOPPED": pgettext_lazy("state of a station", "Stopped"),
    "HOLD": pgettext_lazy("state of a station", "Hold"),
    "CAPTURE_CHECK": pgettext_lazy("state of a station", "Capture check"),
    "DECIDE": pgettext_lazy("state of a station", "Decide"),
    "RUNNING": pgettext_lazy("state of a station", "Running"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A station as it stands."""

    station: Station
    held: Sequence[Unit]
    holds: int
    owner: User | None
    check: CaptureCheck | None
    calls: Sequence[AndonCall]
    last: Inspection | None
    waiting: Sequence[ReviewTask]
    for_operators: int
    for_bench: int
    second_opinions: int

    @property
    def state(self) -> str:
        """The gravest thing comes first; see WORDS for all of them."""
        if any(call.kind == AndonCall.Kind.STOP for call in self.calls):
            return "STOPPED"
        if self.held:
            return "HOLD"
        if self.check is not None:
            return "CAPTURE_CHECK"
        return "DECIDE" if self.for_operators else "RUNNING"


def board(*, station: Station, at: datetime, judges: Collection[int] = ()) -> Board:
    """The station's board; the number of statements does not depend on what waits. `judges`: who
    reads it, and in whose name units are judged where it is read; of those nothing else is told."""
    unput = holds.unacknowledged(station.pk)
    held = list(_with_reason(unput, judges)[:WAITING_SHOWN])
    tasks = ReviewTask.objects.filter(
        station=station, state__in=OPEN, purpose=TaskPurpose.FIRST
    ).order_by("due", "severity", "opened_at", "id")
    counts = ReviewTask.objects.filter(pk__in=tasks.values("pk")[:COUNTED]).aggregate(
        every=Count("pk"), operators=Count("pk", filter=claims.FOR_OPERATORS)
    )
    return Board(
        station=station,
        held=held,
        holds=len(unput.values_list("pk")[:COUNTED]) if held else 0,
        owner=duty.owner_of(site_id=station.site_id, at=at) if held else None,
        check=checks.open_at(station.pk),
        calls=calls.open_at(station.pk),
        last=_last_seen(station, judges),
        waiting=list(
            tasks.select_related("unit").order_by(
                "is_escalated",
                F("operators_until").asc(nulls_last=True),
                "due",
                "severity",
                "opened_at",
                "id",
            )[:WAITING_SHOWN]
        ),
        for_operators=counts["operators"],
        for_bench=counts["every"] - counts["operators"],
        second_opinions=SecondOpinion.objects.filter(station=station, seen_at__isnull=True).count(),
    )


def _with_reason(units: Any, judges: Collection[int]) -> Any:
    """The units with the disposition that holds them, and an image to know them by."""
    holding = Disposition.objects.filter(
        unit=OuterRef("pk"), kind=DispositionKind.HOLD, withdrawal__isnull=True
    ).order_by("-revision")
    capture = Capture.objects.filter(inspection__unit=OuterRef("pk")).order_by("-pk")
    by_model = When(hold_decider=DeciderKind.MODEL, then=Value("CONTAIN"))
    return units.select_related("part_revision__part_number", "lot").annotate(
        hold_reason=Subquery(holding.values("reason")[:1]),
        hold_decider=Subquery(holding.values("decider_kind")[:1]),
        hold_kind=Case(by_model, default=Value("HOLD"), output_field=CharField()),
        image=Subquery(capture.values("uuid")[:1]),
        is_unseen=own_bench.is_any_of(judges, unit="pk"),
    )


def _last_seen(station: Station, judges: Collection[int]) -> Inspection | None:
    capture = Capture.objects.filter(inspection=OuterRef("pk")).order_by("-pk")
    return (
        Inspection.objects.filter(station=station)
        .select_related("unit__part_revision__part_number", "unit__lot")
        .annotate(
            image=Subquery(capture.values("uuid")[:1]),
            is_unseen=own_bench.is_any_of(judges, unit="unit_id"),
        )
        .order_by("-pk")
        .first()
    )


def as_json(found: Board, *, at: datetime) -> dict[str, Any]:
    """The board's part of the API's answer. `at` dates the image addresses."""
    return {
        "station": {
            "site": found.station.site.code,
            "line": found.station.line.code,
            "station": found.station.code,
        },
        "state": found.state,
        "word": str(WORDS[found.state]),
        "hold": _hold(found, 0, at=at),
        "next_holds": [_hold(found, place, at=at) for place in range(1, len(found.held))],
        "holds": found.holds,
        "check": _check(found.check, at=at),
        "calls": [_call(call) for call in found.calls],
        "unit": _last(found.last, at=at),
        "waiting": _waiting(found),
        "waiting_counts": {
            "operator": found.for_operators,
            "bench": found.for_bench,
            "rack": found.holds,
        },
        "second_opinions": found.second_opinions,
    }


def unit_as_json(unit: Unit) -> dict[str, Any]:
    """What names a part to who has it in his hand."""
    part = unit.part_revision
    return {
        "serial": unit.serial,
        "part_number": part.part_number.number if part else None,
        "part_revision": part.revision if part else None,
        "lot": unit.lot.code if unit.lot else None,
    }


def _hold(found: Board, nth: int, *, at: datetime) -> dict[str, Any] | None:
    if nth >= len(found.held):
        return None
    unit: Any = found.held[nth]
    place = holds.place_of(found.station)
    return {
        "unit": unit_as_json(unit),
        "held_since": unit.held_since.isoformat(),
        "kind": "HOLD" if unit.is_unseen else unit.hold_kind,
        "instruction": _("Put %(serial)s on the %(place)s.")
        % {"serial": unit.serial, "place": place},
        "why": _untold() if unit.is_unseen else unit.hold_reason or "",
        "place": place,
        "owner": str(found.owner) if found.owner else None,
        "image_url": images.address_of(unit.image, at=at) if unit.image else None,
    }


def _check(check: CaptureCheck | None, *, at: datetime) -> dict[str, Any] | None:
    if check is None:
        return None
    is_done = check.done_at is not None
    return {
        "id": str(check.uuid),
        "opened_at": check.opened_at.isoformat(),
        "causes": list(check.causes),
        "steps": checks.steps_of(check.causes),
        "instruction": (
            _("Take the picture again.")
            if is_done
            else _("The image is not fit to judge. Clean or move, then take it again.")
        ),
        "done_by": str(check.done_by) if check.done_by else None,
        "done_at": check.done_at.isoformat() if check.done_at else None,
        "fit": check.fit,
        "needs": settings.LOUPE.fit_captures_to_close,
        "unfit": check.unfit,
        "image_url": images.address_of(check.capture.uuid, at=at),
    }


def _call(call: AndonCall) -> dict[str, Any]:
    return {
        "id": str(call.uuid),
        "kind": call.kind,
        "by": str(call.called_by) if call.called_by else None,
        "at": call.called_at.isoformat(),
        "answered_by": str(call.answered_by) if call.answered_by else None,
        "answered_at": call.answered_at.isoformat() if call.answered_at else None,
        "escalated_at": call.escalated_at.isoformat() if call.escalated_at else None,
    }


def _last(inspection: Any, *, at: datetime) -> dict[str, Any] | None:
    if inspection is None:
        return None
    unit = inspection.unit
    return {
        **unit_as_json(unit),
        "image_url": images.address_of(inspection.image, at=at) if inspection.image else None,
        "disposition": None if inspection.is_unseen else unit.disposition or None,
        "instruction": _untold() if inspection.is_unseen else _instruction(unit),
        "at": inspection.opened_at.isoformat(),
    }


def _untold() -> str:
    return _(
        "You are judging it, or a part of its lot; what others said is told after your verdict."
    )


def _instruction(unit: Unit) -> str:
    words = {
        DispositionKind.ACCEPT: _("Let it go on."),
        DispositionKind.REWORK: _("Put it to rework."),
        DispositionKind.SCRAP: _("Put it to scrap."),
        DispositionKind.HOLD: _("Keep it on hold."),
    }
    return words.get(DispositionKind(unit.disposition), "") if unit.disposition else _("Wait.")


def _waiting(found: Board) -> list[dict[str, Any]]:
    racked = [
        {"serial": unit.serial, "for": "rack", "since": unit.held_since.isoformat()}
        for unit in found.held[1:]
        if unit.held_since is not None
    ]
    asked = [
        {
            "serial": task.unit.serial,
            "for": "operator" if task.operators_until and not task.is_escalated else "bench",
            "since": task.opened_at.isoformat(),
        }
        for task in found.waiting
    ]
    return (racked + asked)[:WAITING_SHOWN]
