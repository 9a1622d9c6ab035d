"""Master data an event names in passing: found or made, a statement for each kind."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, models, transaction

from traceability.models import (
    Area,
    Calibration,
    Line,
    Lot,
    ModelVersion,
    PartNumber,
    PartRevision,
    Station,
    Supplier,
    Tooling,
)

Key = tuple[Any, ...]
MOST_KNOWN: Final = 20_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A table: the columns that tell its rows apart, and those set when a row is made."""

    model: type[models.Model]
    by: tuple[str, ...]
    beside: tuple[str, ...] = ()


AREA: Final = Kind(Area, ("site_id", "code"))
LINE: Final = Kind(Line, ("site_id", "code"), ("area_id",))
STATION: Final = Kind(Station, ("line_id", "code"), ("site_id",))
SUPPLIER: Final = Kind(Supplier, ("site_id", "code"))
TOOLING: Final = Kind(Tooling, ("site_id", "code"))
LOT: Final = Kind(Lot, ("site_id", "code"), ("supplier_id",))
PART_NUMBER: Final = Kind(PartNumber, ("site_id", "number"))
PART_REVISION: Final = Kind(PartRevision, ("part_number_id", "revision"), ("site_id",))
CALIBRATION: Final = Kind(Calibration, ("station_id", "version"), ("site_id",))
MODEL_VERSION: Final = Kind(
    ModelVersion, ("site_id", "name", "version"), ("package_arn", "first_seen_at")
)


class _Committed:
    """Ids of rows that are committed, and therefore stay: such rows are never removed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[tuple[Kind, Key], int] = {}

    def of(self, kind: Kind, keys: Mapping[Key, Key]) -> dict[Key, int]:
        return {key: self._ids[kind, key] for key in keys if (kind, key) in self._ids}

    def add(self, kind: Kind, found: Mapping[Key, int]) -> None:
        with self._lock:
            if len(self._ids) > MOST_KNOWN:
                self._ids.clear()
            self._ids.update({(kind, key): pk for key, pk in found.items()})


_committed = _Committed()


def ids(kind: Kind, rows: Mapping[Key, Key], *, makes: bool = True) -> dict[Key, int]:
    """Key to id, for `rows` of key to the columns beside it. Absent keys only without `makes`."""
    known = _committed.of(kind, rows)
    wanted = {key: rows[key] for key in sorted(rows) if key not in known}
    if not wanted:
        return known
    found = _made(kind, wanted) if makes else _looked_up(kind, wanted)
    if makes and len(found) < len(wanted):
        # Another worker committed the row between the statement's snapshot and its insert.
        found |= _looked_up(kind, wanted)
    transaction.on_commit(lambda: _committed.add(kind, found))
    return known | found


def _looked_up(kind: Kind, wanted: Mapping[Key, Key]) -> dict[Key, int]:
    columns = {f"{name}__in": {key[i] for key in wanted} for i, name in enumerate(kind.by)}
    rows = kind.model._default_manager.filter(**columns).values_list("pk", *kind.by)  # noqa: SLF001  # the documented way to a model's manager
    return {tuple(key): pk for pk, *key in rows if tuple(key) in wanted}


def _made(kind: Kind, wanted: Mapping[Key, Key]) -> dict[Key, int]:
    names = (*kind.by, *kind.beside)
    table = kind.model._meta.db_table  # noqa: SLF001  # documented
    columns, by = ", ".join(names), ", ".join(kind.by)
    arrays = ", ".join(f"%s::{_array_type(kind.model, name)}" for name in names)
    sql = f"""
        WITH wanted AS (SELECT * FROM unnest({arrays}) AS w({columns})),
        made AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM wanted
                 ON CONFLICT DO NOTHING RETURNING id, {by})
        SELECT id, {by} FROM made
        UNION ALL SELECT t.id, {", ".join(f"t.{name}" for name in kind.by)}
        FROM {table} t JOIN wanted USING ({by})
    """  # noqa: S608  # names come from the table of kinds above, values are parameters
    rows = [(*key, *beside) for key, beside in wanted.items()]
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(column) for column in zip(*rows, strict=True)])
        return {tuple(key): pk for pk, *key in cursor.fetchall()}


def _array_type(model: type[models.Model], name: str) -> str:
    field = model._meta.get_field(name.removesuffix("_id"))  # noqa: SLF001  # documented
    if isinstance(field, models.ForeignKey):
        return "bigint[]"
    return "timestamptz[]" if isinstance(field, models.DateTimeField) else "text[]"
