"""What is open at a site when a shift ends: held units, questions, calls, checks, write-backs.

Every list is one or a few statements, whatever its length. Its `keys` name everything in it, its
`rows` tell the first SHOWN of them as plain values, so that a signed document can keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.models import AuditEntry, Device
from governance.roles import Capability
from mes_integration.models import WriteBack
from review import own_bench, supervision
from review.models import (
    AndonCall,
    Approval,
    CaptureCheck,
    Decision,
    HoldAcknowledgement,
    ReviewTask,
    SecondOpinion,
    TaskKind,
    TaskPurpose,
)
from review.queue import OPEN
from traceability.models import Disposition, DispositionKind, Site, Station, Unit

SEE: Final = Capability.SEE_HANDOVERS
SHOWN: Final = 50
MOST: Final = 2000
# A write-back on its way is no news before this.
UNDER_WAY: Final = timedelta(minutes=1)
NEEDS_PERSON: Final = (WriteBack.State.REJECTED, WriteBack.State.NEEDS_PERSON)
CHANGES: Final = {
    "policy": ("policy.set",),
    "criteria": ("criteria.set",),
    "model": ("model.promotion", "model.rollback"),
}

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose eyes, which site, and the shift that ends at `at`."""

    actor: Actor
    site: Site
    since: datetime
    at: datetime

    def within(self, line: str) -> Q:
        """Rows of the site this actor sees; `line` is their column for the line."""
        return Q(site=self.site) & self.actor.within(SEE, line=line)

    def in_shift(self, column: str) -> Q:
        """Rows whose moment lies in the shift."""
        return Q(**{f"{column}__gt": self.since, f"{column}__lte": self.at})


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole list: a key for each item, and the first of them row by row."""

    keys: list[str]
    rows: Rows

    def plain(self) -> dict[str, Any]:
        """As the document keeps it."""
        return {"keys": self.keys, "rows": self.rows}


def moment(at: datetime | None) -> str | None:
    """As the document writes a time."""
    return at.astimezone(UTC).isoformat() if at else None


def _listed(
    found: Sequence[Any],
    key: Callable[[Any], tuple[str, datetime]],
    row: Callable[[Any], dict[str, Any]],
) -> Listed:
    named = [key(each) for each in found]
    return Listed(
        keys=[f"{name} {moment(since)}" for name, since in named],
        rows=[
            {"since": moment(since), **row(each)}
            for each, (_name, since) in zip(found[:SHOWN], named, strict=False)
        ],
    )


def _where(station: Station | None) -> str:
    return f"{station.line.code} {station.code}" if station else ""


def unseen(actor: Actor, *, site: str) -> dict[str, str]:
    """Serials of the units of which this reader is told nothing now, and why in a word or two."""
    of_lots = own_bench.said_with(actor).filter(task__unit__site__code=site)
    his = own_bench.tasks_of(actor).filter(unit__site__code=site)
    return {
        **dict.fromkeys(
            of_lots.values_list("task__unit__serial", flat=True),
            _("a part of its lot is on your bench"),
        ),
        **dict.fromkeys(his.values_list("unit__serial", flat=True), _("on your bench")),
    }


def holds(place: Place, *, owner: str) -> Listed:
    """Units on hold, the longest first: why, where they were put, and who answers for them."""
    units = list(
        Unit.objects.filter(
            place.within("held_at_station__line_id"), disposition=DispositionKind.HOLD
        )
        .select_related("held_at_station__line")
        .order_by("held_since", "pk")[:MOST]
    )
    shown = [unit.pk for unit in units[:SHOWN]]
    put = {
        (each.unit_id, each.held_since): each
        for each in HoldAcknowledgement.objects.filter(unit__in=shown).select_related("by")
    }
    why = {
        each.unit_id: each
        for each in Disposition.objects.filter(unit__in=shown, withdrawal__isnull=True)
        .order_by("unit", "-revision")
        .distinct("unit")
    }

    def row(unit: Unit) -> dict[str, Any]:
        said = why.get(unit.pk)
        away = put.get((unit.pk, unit.held_since)) if unit.held_since else None
        return {
            "unit": unit.serial,
            "station": _where(unit.held_at_station),
            "reason": said.reason if said else "",
            "place": away.place if away else "",
            "put_by": str(away.by) if away else "",
            "owner": owner,
        }

    return _listed(units, lambda unit: (unit.serial, unit.held_since), row)


def for_leads(place: Place) -> tuple[Listed, list[int]]:
    """Units in adjudication or handed to a lead, and the tasks' ids."""
    tasks = list(
        _open_tasks(place)
        .filter(Q(purpose=TaskPurpose.ADJUDICATION) | Q(is_escalated=True))
        .order_by("opened_at", "pk")[:MOST]
    )
    listed = _listed(
        tasks,
        lambda task: (f"{task.unit.serial} {task.purpose}", task.opened_at),
        lambda task: {
            "unit": task.unit.serial,
            "line": task.line.code,
            "what": "adjudication" if task.purpose == TaskPurpose.ADJUDICATION else "escalated",
        },
    )
    return listed, [task.pk for task in tasks]


def approvals(place: Place) -> Listed:
    """Scraps and concessions that wait for a second person."""
    found = (
        Approval.objects.filter(place.within("line_id"), state=Approval.State.OPEN)
        .select_related("unit", "line", "asked_by")
        .order_by("asked_at", "pk")[:MOST]
    )
    return _listed(
        list(found),
        lambda each: (f"{each.unit.serial} {each.uuid}", each.asked_at),
        lambda each: {
            "unit": each.unit.serial,
            "line": each.line.code,
            "kind": each.kind,
            "by": str(each.asked_by),
            "reason": each.reason,
        },
    )


def questions(place: Place) -> Listed:
    """Units the model alone holds and nobody has looked at: its alerts."""
    tasks = (
        _open_tasks(place)
        .filter(kind=TaskKind.CONTAIN, purpose=TaskPurpose.FIRST)
        .order_by("opened_at", "pk")[:MOST]
    )
    return _listed(
        list(tasks),
        lambda task: (task.unit.serial, task.opened_at),
        lambda task: {
            "unit": task.unit.serial,
            "line": task.line.code,
            "deadline": moment(task.deadline),
        },
    )


def _open_tasks(place: Place) -> QuerySet[ReviewTask]:
    # Controls are shown to nobody but who judges them.
    return ReviewTask.objects.filter(
        ~Q(purpose=TaskPurpose.CONTROL), place.within("line_id"), state__in=OPEN
    ).select_related("unit", "line")


def stuck(place: Place, *, escalated: Sequence[int]) -> Listed:
    """Tasks nobody will take by himself, and why."""
    found = supervision.stuck(
        actor=place.actor, capability=SEE, site_id=place.site.pk, escalated=escalated
    )
    return _listed(
        found,
        lambda each: (f"{each.task.unit.serial} {each.task.purpose}", each.task.opened_at),
        lambda each: {
            "unit": each.task.unit.serial,
            "line": each.task.line.code,
            "why": each.why,
        },
    )


def calls(place: Place) -> Listed:
    """Calls from the line that nobody has closed."""
    found = (
        AndonCall.objects.filter(place.within("line_id"), closed_at__isnull=True)
        .select_related("station__line", "called_by", "answered_by")
        .order_by("called_at", "pk")[:MOST]
    )
    return _listed(
        list(found),
        lambda call: (f"{_where(call.station)} {call.kind}", call.called_at),
        lambda call: {
            "kind": call.kind,
            "station": _where(call.station),
            "by": _name(call.called_by),
            "answered_by": _name(call.answered_by),
        },
    )


def checks(place: Place) -> Listed:
    """Stations whose images are not fit to judge."""
    found = (
        CaptureCheck.objects.filter(place.within("line_id"), closed_at__isnull=True)
        .select_related("station__line", "done_by")
        .order_by("opened_at", "pk")[:MOST]
    )
    return _listed(
        list(found),
        lambda check: (_where(check.station), check.opened_at),
        lambda check: {
            "station": _where(check.station),
            "causes": list(check.causes),
            "unfit": check.unfit,
            "done_by": _name(check.done_by),
        },
    )


def opinions(place: Place) -> Listed:
    """Verdicts from tablets that came too late and that no lead has seen."""
    found = (
        SecondOpinion.objects.filter(place.within("station__line_id"), seen_at__isnull=True)
        .select_related("station__line", "task__unit", "by")
        .order_by("at", "pk")[:MOST]
    )
    return _listed(
        list(found),
        lambda each: (str(each.uuid), each.at),
        lambda each: {
            "unit": each.task.unit.serial if each.task else "",
            "station": _where(each.station),
            "by": str(each.by),
            "why": each.why,
        },
    )


def write_backs(place: Place, *, need_person: bool) -> Listed:
    """Dispositions the MES does not have: those it refused, or those that are tried again."""
    found = WriteBack.objects.filter(
        place.within("disposition__inspection__line_id"), settled_at__isnull=True
    )
    if need_person:
        found = found.filter(state__in=NEEDS_PERSON)
    else:
        found = found.exclude(state__in=NEEDS_PERSON).filter(due_at__lte=place.at - UNDER_WAY)
    return _listed(
        list(found.select_related("unit").order_by("enqueued_at", "pk")[:MOST]),
        lambda row: (f"{row.unit.serial} r{row.revision}", row.enqueued_at),
        lambda row: {
            "unit": row.unit.serial,
            "revision": row.revision,
            "state": row.state,
            "attempts": row.attempts,
            "reason": row.last_error,
        },
    )


def changes(place: Place) -> Listed:
    """What was changed in the shift about how units are judged: policies, criteria, models."""
    kinds = list(CHANGES)
    actions = [action for of_kind in CHANGES.values() for action in of_kind]
    found = AuditEntry.objects.filter(
        place.in_shift("at"), site=place.site, subject_kind__in=kinds, action__in=actions
    ).order_by("pk")[:MOST]
    return _listed(
        list(found),
        lambda entry: (f"{entry.action} {entry.uuid}", entry.at),
        lambda entry: {
            "action": entry.action,
            "what": str(entry.detail.get("model") or entry.subject),
            "by": entry.actor,
            "reason": entry.reason,
        },
    )


def tablets(place: Place) -> Rows:
    """Tablets that said they keep something the server does not have yet."""
    found = (
        Device.objects.filter(place.within("station__line_id"), revoked_at__isnull=True)
        .filter(unsent__gt=0)
        .select_related("station__line")
        .order_by("station__line__code", "station__code", "pk")[:SHOWN]
    )
    return [
        {
            "name": device.name,
            "station": _where(device.station),
            "unsent": device.unsent,
            "seen": moment(device.seen_at),
        }
        for device in found
    ]


def figures(place: Place) -> dict[str, Any]:
    """What was decided in the shift, each unit once, and how many units came to be held."""
    decided = Decision.objects.filter(
        place.within("task__line_id"),
        place.in_shift("decided_at"),
        withdrawal__isnull=True,
        task__purpose=TaskPurpose.FIRST,
    )
    counts = dict(decided.values_list("disposition_kind").annotate(Count("pk")).order_by())
    held = Disposition.objects.filter(
        place.within("inspection__line_id"),
        place.in_shift("decided_at"),
        kind=DispositionKind.HOLD,
        withdrawal__isnull=True,
    )
    return {
        "decided": sum(counts.values()),
        "by": {kind.value: counts.get(kind.value, 0) for kind in DispositionKind},
        "held": held.aggregate(units=Count("unit", distinct=True))["units"],
    }


def controls(place: Place) -> dict[str, int]:
    """Controls judged in the shift and how many were missed; by whom is nobody's business here."""
    truth = "task__inspection__controlsample__"
    found: dict[str, int] = Decision.objects.filter(
        place.within("task__line_id"),
        place.in_shift("decided_at"),
        withdrawal__isnull=True,
        task__purpose=TaskPurpose.CONTROL,
    ).aggregate(
        shown=Count("pk"),
        missed=Count(
            "pk",
            filter=~Q(answer=F(f"{truth}truth")) | ~Q(defect_class=F(f"{truth}defect_class")),
        ),
    )
    return found


def _name(person: Any) -> str:
    return str(person) if person else ""
