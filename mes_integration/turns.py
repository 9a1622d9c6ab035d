"""Whose turn it is at a target: which write-back leaves next, and which of its unit it replaces.

The statements are texts that never change: a relay asks them some hundred times a second.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db import DEFAULT_DB_ALIAS
from django.db.models import JSONField, Model

from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.transitions import HOLDS_BACK, LEASABLE, MAY_HAVE_ARRIVED, Outcome, State
from traceability.models import Disposition, Lot, Unit, WorkOrder
from traceability.statements import prepared

M = TypeVar("M", bound=Model)

_MAY_BE_SKIPPED: Final = (State.PENDING, State.RETRY)


def _words(values: Collection[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def _table(model: type[Model]) -> str:
    return model._meta.db_table  # noqa: SLF001  # where Django says so


def _columns(model: type[Model], alias: str) -> str:
    fields = model._meta.concrete_fields  # noqa: SLF001
    return ", ".join(f'{alias}."{field.column}"' for field in fields)


def _never_left(alias: str) -> str:
    return f"""(
        {alias}.state IN ({_words(_MAY_BE_SKIPPED)})
        AND NOT EXISTS (
            SELECT FROM {_table(DeliveryAttempt)} a
            WHERE a.write_back_id = {alias}.id AND a.outcome IN ({_words(MAY_HAVE_ARRIVED)})
            OFFSET 0
        )
    )"""


MAY_LAND: Final = frozenset({Outcome.FAILED, Outcome.UNCERTAIN, Outcome.LOST})
"""After these the call may be applied yet; a rejection that comes then need not speak of it."""


def _may_land(alias: str) -> str:
    """Rejected, with a call that may be applied yet: until it is due again that is not over."""
    return f"""(
        {alias}.state = '{State.REJECTED}' AND {alias}.due_at > %(at)s
        AND EXISTS (
            SELECT FROM {_table(DeliveryAttempt)} a
            WHERE a.write_back_id = {alias}.id AND a.outcome IN ({_words(MAY_LAND)})
            OFFSET 0
        )
    )"""


# Each OFFSET 0 keeps its question one that is asked row by row: made a join, it would be answered
# for all that waits before the first is taken. CASE keeps it from the index of what is due, which
# a table nobody has counted yet makes look as good as that of the unit.
_OF_UNIT: Final = f"""
    SELECT FROM {_table(WriteBack)} o
    WHERE o.unit_id = w.unit_id AND o.target = w.target AND o.settled_at IS NULL
"""
_DUE: Final = f"""
    FROM {_table(WriteBack)} w
    WHERE w.target = %(target)s
      AND w.state IN ({_words(LEASABLE)})
      AND w.due_at <= %(at)s
      AND (w.revision = 1 OR NOT EXISTS (
        {_OF_UNIT} AND o.revision < w.revision
        AND (o.state IN ({_words(HOLDS_BACK)}) AND NOT {_never_left("o")} OR {_may_land("o")})
        OFFSET 0
      ))
      AND NOT (
        EXISTS (
            {_OF_UNIT} AND o.revision > w.revision
            AND CASE WHEN o.state IN ({_words(_MAY_BE_SKIPPED)}) THEN o.due_at <= %(at)s END
            OFFSET 0
        )
        AND {_never_left("w")}
      )
    ORDER BY w.due_at, w.id
"""
_DELIVERABLE: Final = f"SELECT w.id {_DUE} LIMIT %(limit)s"
_PARTS: Final[Sequence[tuple[type[Model], str]]] = (
    (WriteBack, "w"),
    (Unit, "u"),
    (Disposition, "d"),
    (Lot, "l"),
    (WorkOrder, "k"),
)
# What the row is joined to is read beside the lock: the lock alone reads what was committed last.
_TAKE: Final = f"""
WITH w AS (SELECT w.* {_DUE} LIMIT 1 FOR UPDATE OF w SKIP LOCKED)
SELECT {", ".join(_columns(model, alias) for model, alias in _PARTS)}
FROM w
JOIN {_table(Unit)} u ON u.id = w.unit_id
JOIN {_table(Disposition)} d ON d.id = w.disposition_id
LEFT JOIN {_table(Lot)} l ON l.id = u.lot_id
LEFT JOIN {_table(WorkOrder)} k ON k.id = u.work_order_id
"""  # noqa: S608
# In the order of the model, by which Django fills an instance.
_EARLIER_COLUMNS: Final = ("id", "uuid", "site_id", "revision", "state")
# A row that was waited for is read as it is now, but what lies beside it as it was before.
_UNCHANGED: Final = f"""EXISTS (
    SELECT FROM {_table(WriteBack)} p WHERE p.id = o.id AND p.state = o.state AND p.fence = o.fence
    OFFSET 0
)"""
_EARLIER: Final = f"""
SELECT {", ".join(f"o.{name}" for name in _EARLIER_COLUMNS)}, {_never_left("o")} AND {_UNCHANGED}
FROM {_table(WriteBack)} o
WHERE o.unit_id = %(unit)s AND o.target = %(target)s AND o.revision < %(revision)s
  AND (o.state IN ({_words(HOLDS_BACK)}) OR {_may_land("o")} OR NOT {_UNCHANGED})
ORDER BY o.revision DESC
FOR UPDATE OF o
"""  # noqa: S608


def deliverable(*, at: datetime, target: str, limit: int) -> list[int]:
    """What may be called now, in its order: due, nothing of the unit's past in the way, no later
    one to go first.

    Each target has an order of its own. An earlier revision that never left is not in the way: it
    is superseded when this one leaves. One that was rejected is, while its call may land yet.
    """
    with prepared() as cursor:
        cursor.execute(_DELIVERABLE, {"target": target, "at": at, "limit": limit})
        return [pk for (pk,) in cursor.fetchall()]


def next_locked(*, at: datetime, target: str) -> WriteBack | None:
    """The one that is due longest and nobody else has locked, with its disposition and unit."""
    with prepared() as cursor:
        cursor.execute(_TAKE, {"target": target, "at": at})
        values = cursor.fetchone()
    if values is None:
        return None
    row, values = _read(WriteBack, values)
    row.unit, values = _read(Unit, values)
    row.disposition, values = _read(Disposition, values)
    row.unit.lot, values = _read(Lot, values) if row.unit.lot_id else (None, _past(Lot, values))
    row.unit.work_order = _read(WorkOrder, values)[0] if row.unit.work_order_id else None
    return row


def _read(model: type[M], values: Sequence[Any]) -> tuple[M, Sequence[Any]]:
    """An instance of the first values, and those that follow."""
    fields = model._meta.concrete_fields  # noqa: SLF001
    own = [
        json.loads(value) if isinstance(field, JSONField) and isinstance(value, str) else value
        for field, value in zip(fields, values, strict=False)
    ]
    instance = model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in fields], own)
    return instance, values[len(fields) :]


def _past(model: type[Model], values: Sequence[Any]) -> Sequence[Any]:
    return values[len(model._meta.concrete_fields) :]  # noqa: SLF001


def earlier_locked(row: WriteBack, *, at: datetime) -> Sequence[WriteBack] | None:
    """The unit's earlier revisions that never left, locked; None where another is in the way."""
    if row.revision == 1:
        return []
    given: dict[str, Any] = {"unit": row.unit_id, "target": row.target, "revision": row.revision}
    with prepared() as cursor:
        cursor.execute(_EARLIER, given | {"at": at})
        found = cursor.fetchall()
    earlier = []
    for *values, is_idle in found:
        if not is_idle:
            return None
        before = WriteBack.from_db(DEFAULT_DB_ALIAS, _EARLIER_COLUMNS, values)
        before.unit = row.unit
        earlier.append(before)
    return earlier
