"""A station whose images are not fit to judge: what to clean or move, and when it is good again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from review.models import CaptureCheck
from traceability.models import Station
from traceability.refusals import Conflict, Unknown

_ROW: Final = ("capture", "done_by", "station")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """One image that has come from a station, and whether it can be judged."""

    station_id: int
    line_id: int
    site_id: int
    capture_id: int
    is_fit: bool
    quality: Mapping[str, Any]


# The contract leaves the scale of the figures open. They are read as the documentation has them:
# 0 to 1, glare better when low, exposure dark at 0 and burnt out at 1. A figure on another scale
# says nothing here; the verdict alone says whether an image is fit.
_CAUSES: Final[Sequence[tuple[str, str, Callable[[float], bool]]]] = (
    ("exposure", "dark", lambda figure: figure < 0.25),
    ("exposure", "bright", lambda figure: figure > 0.85),
    ("sharpness", "blurred", lambda figure: figure < 0.5),
    ("glare", "glare", lambda figure: figure > 0.4),
    ("framing", "framing", lambda figure: figure < 0.6),
)
UNCLEAR: Final = "unclear"


def causes_of(quality: Mapping[str, Any]) -> list[str]:
    """What the quality figures of an unfit image point at; `unclear` when at nothing."""
    found = [
        code
        for name, code, is_cause in _CAUSES
        if (figure := _figure(quality.get(name))) is not None and is_cause(figure)
    ]
    return found or [UNCLEAR]


def _figure(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def steps_of(causes: Sequence[str]) -> list[str]:
    """What the operator does, in his order."""
    steps = {
        "dark": [_("Check that the lamp is on.")],
        "bright": [_("Keep other light off the part.")],
        "blurred": [_("Clean the lens.")],
        "glare": [_("Turn the part so that it does not shine.")],
        "framing": [_("Push the part against the stop.")],
        UNCLEAR: [_("Clean the lens."), _("Push the part against the stop.")],
    }
    wanted = [step for cause in causes for step in steps.get(cause, ())]
    return [*dict.fromkeys(wanted or steps[UNCLEAR]), _("Take the picture again.")]


def saw(*, trail: Trail, seen: Sequence[Fitness], at: datetime) -> None:
    """Open, count and close checks by the images that have come, in their order.

    Called where images come in, last in its transaction: it locks the stations concerned.
    """
    stations = {each.station_id for each in seen}
    if not stations:
        return
    concerned = {each.station_id for each in seen if not each.is_fit}
    there = CaptureCheck.objects.filter(closed_at__isnull=True, station__in=stations)
    concerned.update(there.values_list("station_id", flat=True))
    if not concerned:
        return
    # One order for everybody; who opens a check of a station waits for who is opening it.
    locked = Station.objects.select_for_update(no_key=True).filter(pk__in=concerned)
    codes = dict(locked.order_by("pk").values_list("pk", "code"))
    rows = there.filter(station__in=concerned).select_for_update(no_key=True).order_by("pk")
    counting = _Counting(trail, codes, {row.station_id: row for row in rows}, at)
    for each in seen:
        if each.station_id in concerned:
            counting.take(each)
    counting.write()


class _Counting:
    """The open checks of a batch's stations while its images are counted."""

    def __init__(
        self, trail: Trail, codes: Mapping[int, str], opened: dict[int, CaptureCheck], at: datetime
    ) -> None:
        self._trail = trail
        self._codes = codes
        self._open = opened
        self._at = at
        self._touched: dict[UUID, CaptureCheck] = {}

    def take(self, each: Fitness) -> None:
        """Count one image."""
        check = self._open.get(each.station_id)
        if check is None:
            if not each.is_fit:
                self._begin(each)
            return
        self._touched[check.uuid] = check
        if each.is_fit:
            check.fit += 1
            if check.fit >= settings.LOUPE.fit_captures_to_close:
                check.closed_at = self._at
                del self._open[each.station_id]
                self._note("capture_check.close", check, unfit=check.unfit)
            return
        check.unfit += 1
        check.fit = 0
        check.capture_id = each.capture_id
        check.causes = causes_of(each.quality)
        if check.done_at is not None:
            # It was cleaned, and is not clean.
            check.done_at = check.done_by = None
            self._note("capture_check.ask_again", check, causes=check.causes)

    def _begin(self, each: Fitness) -> None:
        check = CaptureCheck(
            site_id=each.site_id,
            line_id=each.line_id,
            station_id=each.station_id,
            capture_id=each.capture_id,
            causes=causes_of(each.quality),
            opened_at=self._at,
        )
        self._open[each.station_id] = self._touched[check.uuid] = check
        self._note("capture_check.open", check, causes=check.causes)

    def _note(self, action: str, check: CaptureCheck, **detail: object) -> None:
        self._trail.add(
            action,
            subject_kind="capture_check",
            subject=check.uuid,
            site_id=check.site_id,
            detail={"station": self._codes[check.station_id], **detail},
        )

    def write(self) -> None:
        """At most two statements, however many stations there are."""
        made = [check for check in self._touched.values() if check.pk is None]
        changed = [check for check in self._touched.values() if check.pk is not None]
        if changed:
            fields = ["fit", "unfit", "capture", "causes", "done_at", "done_by", "closed_at"]
            CaptureCheck.objects.bulk_update(changed, fields)
        if made:
            CaptureCheck.objects.bulk_create(made)


def done(
    *, actor: Actor, check_id: UUID, key: UUID, made_at: datetime, at: datetime
) -> CaptureCheck:
    """The operator has cleaned or moved; the same press again changes nothing."""
    with audit.recorded(actor=actor, at=at) as trail:
        found = (
            CaptureCheck.objects.select_for_update(no_key=True, of=("self",))
            .select_related("station")
            .filter(actor.within(Capability.JUDGE_AT_LINE), uuid=check_id)
            .first()
        )
        if found is None:
            raise Unknown(_("There is no such capture check here for you."))
        # Over, said by a colleague, or this very press: there is nothing more to say.
        if found.closed_at is not None or found.done_at is not None or found.key == key:
            trail.nothing_changed()
            return found
        if CaptureCheck.objects.filter(key=key).exists():
            raise Conflict(_("This press was recorded for another check. Press again."))
        found.key, found.done_at, found.done_by_id = key, at, actor.user_id
        found.save(update_fields=["key", "done_at", "done_by"])
        trail.add(
            "capture_check.done",
            subject_kind="capture_check",
            subject=found.uuid,
            site_id=found.site_id,
            detail={"station": found.station.code, "made_at": made_at.isoformat()},
        )
        return found


def open_at(station_id: int) -> CaptureCheck | None:
    """The station's open check, with its latest unfit image."""
    rows = CaptureCheck.objects.select_related(*_ROW)
    return rows.filter(closed_at__isnull=True, station=station_id).first()
