"""Rows into a table by one constant statement, for the paths where every millisecond counts.

What Django's `bulk_create` costs is mostly the making of the statement. Here it is made once a
model: the rows travel as one JSON parameter. Constraints and triggers hold as for any insert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Field, Model

from traceability.statements import prepared

M = TypeVar("M", bound=Model)

_INSERT: Final = (
    "INSERT INTO {table} ({columns}) SELECT {columns} FROM ROWS FROM"
    " (jsonb_to_recordset(%s::jsonb) AS ({types})) WITH ORDINALITY AS given({columns}, nth)"
    " ORDER BY nth"
)


def insert_all(rows: Iterable[M]) -> list[M]:
    """Insert new instances of one model and give them their ids; `pre_save` is not called."""
    instances = list(rows)
    if instances:
        model = type(instances[0])
        names = [field.attname for field in _fields(model)]
        values = [{name: vars(one)[name] for name in names} for one in instances]
        with prepared() as cursor:
            cursor.execute(f"{statement(model)} RETURNING id", [encoded(values)])
            for one, (pk,) in zip(instances, cursor.fetchall(), strict=True):
                one.pk = pk
                one._state.adding, one._state.db = False, DEFAULT_DB_ALIAS  # noqa: SLF001  # as Django's own insert leaves it
    return instances


def insert_values(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows given as {attname: value}, every column but the id; nothing is read back."""
    if rows:
        with prepared() as cursor:
            cursor.execute(statement(model), [encoded(rows)])


@cache
def _fields(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    return tuple(f for f in model._meta.concrete_fields if not f.primary_key)  # noqa: SLF001


@cache
def statement(model: type[Model]) -> str:
    """The insert for a model; its one parameter is a JSON list of rows by attname."""
    quote = connection.ops.quote_name
    fields = _fields(model)
    return _INSERT.format(
        table=quote(model._meta.db_table),  # noqa: SLF001
        columns=", ".join(quote(f.column or "") for f in fields),
        types=", ".join(f"{quote(f.attname)} {_type(f)}" for f in fields),
    )


def _type(field: Field[Any, Any]) -> str:
    """The column's type; text without its length, so that too long a value is an error."""
    found = field.db_type(connection) or ""
    return "text" if found.startswith("varchar") else found


def encoded(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the statement wants them. Raises TypeError for what is no column's value."""
    return json.dumps(rows, default=_plain, allow_nan=False)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no column's value: {value!r}")
