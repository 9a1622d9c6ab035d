"""A unit's whole story: what was seen, predicted, decided, disposed, and told to the MES."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.roles import Capability
from insights import rework
from mes_integration.models import WriteBack
from mes_integration.standing import farthest_behind
from review import own_bench
from review.models import Comment, ControlSample, Decision, TaskPurpose
from traceability import images, references
from traceability.models import Capture, Disposition, Inspection, Prediction, Unit
from traceability.refusals import Unknown

FOUND: Final = 50
INSPECTIONS_SHOWN: Final = 30

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Seen:
    """A capture, the address of its preview, and what models said of it, the latest last."""

    capture: Capture
    address: str
    predictions: list[Prediction]
    is_reference: bool


@dataclass(frozen=True, slots=True)
class Disposed:
    """A disposition and its way to the MES."""

    disposition: Disposition
    is_withdrawn: bool
    write_back: WriteBack | None


@dataclass(frozen=True, slots=True)
class Visit:
    """One inspection of the unit. `why_unseen`: who looks is told nothing of it here, be it blind,
    a control or neither; his own bench shows what he may see."""

    inspection: Inspection
    why_unseen: str
    seen: list[Seen]
    decisions: list[Decision]
    comments: list[Comment]
    disposed: list[Disposed]
    is_control: bool


def search(actor: Actor, text: str, *, is_in_rework: bool = False) -> Sequence[Unit]:
    """Units by serial or lot, whole or from its start; the newest units when nothing is asked.
    `is_in_rework`: only those, the longest waiting first.

    `is_held` marks those the actor is judging himself right now, `is_lot_held` those of which
    something was said together with one of them.
    """
    units = (
        _visible(actor)
        .annotate(is_held=own_bench.is_his(actor), is_lot_held=own_bench.is_of_his_lot(actor))
        .select_related("site", "lot", "supplier", "part_revision__part_number")
    )
    text = text.strip()[:128]
    if is_in_rework:
        found = units.filter(Q(serial__startswith=text) | Q(lot__code__startswith=text))
        return list(rework.in_rework(_seen(actor, found if text else units))[:FOUND])
    if text:
        exact = list(units.filter(Q(serial=text) | Q(lot__code=text)).order_by("-pk")[:FOUND])
        if exact:
            return exact
        units = units.filter(Q(serial__startswith=text) | Q(lot__code__startswith=text))
    return list(units.order_by("-pk")[:FOUND])


def count_in_rework(actor: Actor) -> int:
    """How many there are for this actor; stops counting at COUNTED_UP_TO."""
    units = _seen(actor, _visible(actor))
    return rework.in_rework(units).order_by()[: rework.COUNTED_UP_TO].count()


def find(actor: Actor, *, serial: str, site: str | None) -> Unit:
    """The unit of this serial; Unknown when it is not the actor's."""
    units = (
        _visible(actor)
        .filter(serial=serial)
        .select_related("site", "lot__supplier", "supplier", "part_revision__part_number")
    )
    unit = (units.filter(site__code=site) if site else units).order_by("site__code").first()
    if unit is None:
        raise Unknown(_("There is no unit %(serial)s for you.") % {"serial": serial[:128]})
    return unit


def unseen(actor: Actor, unit: Unit) -> Mapping[int, str]:
    """Inspections of the unit of which this reader is told nothing now, and the sentence why."""
    if own_bench.tasks_of(actor).filter(unit=unit).exists():
        of_unit = Inspection.objects.filter(unit=unit).values_list("pk", flat=True)
        why = _(
            "You are judging this unit at the bench. Its story is told here after your verdict."
        )
        return dict.fromkeys(of_unit, why)
    of_lot = own_bench.said_with(actor).filter(task__unit=unit)
    why = _(
        "You are judging a part of its lot at the bench. Its story is told here after your verdict."
    )
    return dict.fromkeys(of_lot.values_list("task__inspection", flat=True), why)


def story(actor: Actor, unit: Unit, *, unseen: Mapping[int, str], at: datetime) -> list[Visit]:
    """The unit's inspections, the newest first, in a fixed number of queries."""
    shown = list(
        _inspections(actor)
        .filter(unit=unit)
        .select_related("line", "station")
        .order_by("-pk")[:INSPECTIONS_SHOWN]
    )
    inspections = [inspection for inspection in shown if inspection.pk not in unseen]
    captures = Capture.objects.filter(inspection__in=inspections).order_by("pk")
    predictions = _by(
        "capture_id",
        Prediction.objects.filter(capture__inspection__in=inspections)
        .select_related("model_version")
        .order_by("pk"),
    )
    decisions = _by(
        "task__inspection_id",
        # A control's verdict tells of the person, not of the unit.
        Decision.objects.filter(task__inspection__in=inspections)
        .exclude(task__purpose=TaskPurpose.CONTROL)
        .select_related("task", "decided_by", "withdrawal")
        .order_by("pk"),
    )
    comments = _by(
        "inspection_id",
        Comment.objects.filter(inspection__in=inspections).select_related("author").order_by("pk"),
    )
    dispositions = _by(
        "inspection_id",
        Disposition.objects.filter(inspection__in=inspections)
        .select_related("withdrawal", "model_version")
        .prefetch_related("write_backs")
        .order_by("revision"),
    )
    views = _by("inspection_id", captures)
    controls = ControlSample.objects.filter(inspection__in=inspections)
    known = set(controls.values_list("inspection_id", flat=True))
    standards = references.in_force(part_revision_id=unit.part_revision_id)
    return [
        Visit(
            inspection=inspection,
            why_unseen=unseen.get(inspection.pk, ""),
            seen=[
                Seen(
                    capture=capture,
                    address=images.address(capture, at=at),
                    predictions=predictions[capture.pk],
                    is_reference=capture.pk in standards,
                )
                for capture in views[inspection.pk]
            ],
            decisions=decisions[inspection.pk],
            comments=comments[inspection.pk],
            disposed=[_disposed(disposition) for disposition in dispositions[inspection.pk]],
            is_control=inspection.pk in known,
        )
        for inspection in shown
    ]


def _disposed(disposition: Disposition) -> Disposed:
    return Disposed(
        disposition=disposition,
        is_withdrawn=hasattr(disposition, "withdrawal"),
        write_back=farthest_behind(disposition.write_backs.all()),
    )


def _by(path: str, rows: Iterable[Row]) -> defaultdict[Any, list[Row]]:
    """Rows by the value at `path`, in their order."""
    found: defaultdict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        value: Any = row
        for name in path.split("__"):
            value = getattr(value, name)
        found[value].append(row)
    return found


def _inspections(actor: Actor) -> QuerySet[Inspection]:
    return Inspection.objects.filter(actor.within(Capability.SEE_UNITS))


def _visible(actor: Actor) -> QuerySet[Unit]:
    """A unit is its site's; who holds a role for one line sees what that line inspected."""
    on_my_line = Exists(_inspections(actor).filter(unit=OuterRef("pk")))
    return Unit.objects.filter(actor.within(Capability.SEE_UNITS, line=None) | Q(on_my_line))


def _seen(actor: Actor, units: QuerySet[Unit]) -> QuerySet[Unit]:
    """Where standing in a list tells what was said of a unit: those that may stand there."""
    his = own_bench.tasks_of(actor).values("unit")
    return units.exclude(pk__in=his).exclude(pk__in=own_bench.said_with(actor).values("task__unit"))
