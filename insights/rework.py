"""Units in rework, and which inspection ended the rework of a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from traceability.models import Disposition, DispositionKind, Unit

COUNTED_UP_TO: Final = 1000


@dataclass(frozen=True, slots=True)
class Rework:
    """One rework of a unit: the disposition that began it, and the one that ended it, if any."""

    began: Disposition
    ended: Disposition | None


def in_rework(units: QuerySet[Unit]) -> QuerySet[Unit]:
    """Those of the units nothing has released since, the longest waiting first."""
    return units.filter(rework_since__isnull=False).order_by("rework_since", "pk")


def reworks(unit: Unit) -> list[Rework]:
    """Every rework of the unit, the newest first."""
    standing = (
        Disposition.objects.filter(unit=unit, withdrawal__isnull=True)
        .exclude(kind=DispositionKind.HOLD)
        .select_related("inspection")
        .order_by("revision")
    )
    return told(list(standing), is_open=unit.rework_since is not None)


def told(standing: Sequence[Disposition], *, is_open: bool) -> list[Rework]:
    """The reworks in a unit's dispositions, holds left out; the latest may be open still."""
    found: list[Rework] = []
    began: Disposition | None = None
    for each in standing:
        if each.kind != DispositionKind.REWORK:
            found += [Rework(began, each)] if began else []
            began = None
        elif began is None or each.nonconformities:
            # Found bad again, it is another rework; what only kept it there is none.
            found += [Rework(began, each)] if began else []
            began = each
    if began is not None and is_open:
        found.append(Rework(began, None))
    return found[::-1]
