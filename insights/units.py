"""A unit's whole story: what was seen, predicted, decided, disposed, and told to the MES."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.roles import Capability
from mes_integration.models import WriteBack
from review.models import Decision
from traceability import images
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


@dataclass(frozen=True, slots=True)
class Disposed:
    """A disposition and its way to the MES."""

    disposition: Disposition
    is_withdrawn: bool
    write_back: WriteBack | None


@dataclass(frozen=True, slots=True)
class Visit:
    """One inspection of the unit."""

    inspection: Inspection
    seen: list[Seen]
    decisions: list[Decision]
    disposed: list[Disposed]


def search(actor: Actor, text: str) -> list[Unit]:
    """Units by serial or lot, whole or from its start; the newest units when nothing is asked."""
    units = _visible(actor).select_related("site", "lot", "supplier", "part_revision__part_number")
    text = text.strip()[:128]
    if text:
        exact = list(units.filter(Q(serial=text) | Q(lot__code=text)).order_by("-pk")[:FOUND])
        if exact:
            return exact
        units = units.filter(Q(serial__startswith=text) | Q(lot__code__startswith=text))
    return list(units.order_by("-pk")[:FOUND])


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


def story(actor: Actor, unit: Unit, *, at: datetime) -> list[Visit]:
    """The unit's inspections, the newest first, in a fixed number of queries."""
    inspections = list(
        _inspections(actor)
        .filter(unit=unit)
        .select_related("line", "station")
        .order_by("-pk")[:INSPECTIONS_SHOWN]
    )
    captures = Capture.objects.filter(inspection__in=inspections).order_by("pk")
    predictions = _by(
        "capture_id",
        Prediction.objects.filter(capture__inspection__in=inspections)
        .select_related("model_version")
        .order_by("pk"),
    )
    decisions = _by(
        "task__inspection_id",
        Decision.objects.filter(task__inspection__in=inspections)
        .select_related("task", "decided_by", "withdrawal")
        .order_by("pk"),
    )
    dispositions = _by(
        "inspection_id",
        Disposition.objects.filter(inspection__in=inspections)
        .select_related("withdrawal", "write_back", "model_version")
        .order_by("revision"),
    )
    views = _by("inspection_id", captures)
    return [
        Visit(
            inspection=inspection,
            seen=[
                Seen(capture, images.address(capture, at=at), predictions[capture.pk])
                for capture in views[inspection.pk]
            ],
            decisions=decisions[inspection.pk],
            disposed=[_disposed(disposition) for disposition in dispositions[inspection.pk]],
        )
        for inspection in inspections
    ]


def _disposed(disposition: Disposition) -> Disposed:
    return Disposed(
        disposition=disposition,
        is_withdrawn=hasattr(disposition, "withdrawal"),
        write_back=getattr(disposition, "write_back", None),
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
