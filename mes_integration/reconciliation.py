"""What we hold as acknowledged against what the MES holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from mes_integration.adapters.protocol import Answer, Applied, MesAdapter
from mes_integration.models import WriteBack
from mes_integration.transitions import State

_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Compared:
    """One acknowledged row, and why the MES does not confirm it; empty where both agree."""

    write_back: WriteBack
    difference: str


def compare(*, mes: MesAdapter, since: datetime) -> Iterator[Compared]:
    """Read back every row acknowledged at or after `since`, oldest first. Changes nothing.

    Rows a person settled without a reference have nothing to compare and are left out.
    """
    last = 0
    while True:
        rows = list(
            WriteBack.objects.filter(
                state=State.ACKNOWLEDGED, settled_at__gte=since, pk__gt=last, reference__gt=""
            )
            .select_related("unit", "site")
            .order_by("pk")[:_BATCH]
        )
        for row in rows:
            yield Compared(row, _difference(row, mes.read_back(str(row.uuid))))
        if len(rows) < _BATCH:
            return
        last = rows[-1].pk


def _difference(row: WriteBack, answer: Answer | None) -> str:
    """Why the MES does not confirm the row; empty when it does."""
    match answer:
        case None:
            return _("The MES does not hold it.")
        case Applied(reference=reference) if reference == row.reference:
            return ""
        case Applied(reference=reference):
            return _("The MES holds it as %(reference)s.") % {"reference": reference}
        case _:
            return answer.sentence
