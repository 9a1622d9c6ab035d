"""The rows tablets send, in every shape that may still lie unsent on one.

A tablet may have been in a drawer: what a page of one or two releases ago has kept is read as it
was written then. A reader is taken out only when no supported release writes its schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final
from uuid import UUID

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from review.models import AndonCall, Answer
from traceability.models import DispositionKind

SCHEMA: Final = 1
# What a clock may say, however wrong it is: of what is far beyond, the database keeps moments that
# no program can read again.
YEARS: Final = range(1900, 9000)


class Unreadable(ValueError):
    """A row that is not one. `key` and `attendance`: where at least those could be read."""

    def __init__(
        self, sentence: str, key: UUID | None = None, attendance: UUID | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence, self.key, self.attendance = sentence, key, attendance


@dataclass(frozen=True, slots=True)
class Row:
    """One press as the tablet kept it. `made_at` by its own clock; `skew_s`: by how much that is
    off, if it knew. `attendance`: who pressed; None for a call while nobody was at the tablet."""

    key: UUID
    kind: str
    attendance: UUID | None
    made_at: datetime
    age_s: float | None
    skew_s: float | None
    app: str
    body: Mapping[str, Any]

    def pressed_at(self, at: datetime) -> datetime:
        """When it was pressed by the server's clock, which says `at`; the tablet's may be wrong."""
        if self.age_s is not None:
            return at - timedelta(seconds=max(0.0, self.age_s))
        return min(at, self.made_at + timedelta(seconds=self.skew_s or 0.0))


def read(raw: Any) -> Row:
    """The row, whatever supported release wrote it. Raises Unreadable."""
    if not isinstance(raw, dict):
        raise Unreadable(_("This is not a row."))
    raw = storable(raw)
    key = _uuid(raw.get("key"))
    attendance = _uuid(raw.get("attendance"))
    is_a_call = raw.get("kind") == "call" and raw.get("attendance") is None
    if key is None or (attendance is None and not is_a_call):
        raise Unreadable(_("The row names no key or nobody who made it."))
    schema = raw.get("schema")
    reader = READERS.get(schema) if isinstance(schema, int) else None
    if reader is None:
        if isinstance(schema, int) and schema > SCHEMA:
            # Of a page newer than this server: it stays on the tablet until the server is.
            raise Unreadable(_("The row is of a later release."))
        raise Unreadable(_("The row is of no release known here."), key, attendance)
    try:
        return reader(raw, key, attendance)
    except (KeyError, TypeError, ValueError) as error:
        sentence = _("The row cannot be read: %(what)s.") % {"what": str(error)[:200]}
        raise Unreadable(sentence, key, attendance) from error


def storable(value: Any) -> Any:
    """The same without what no database keeps: NUL, halves of surrogate pairs, endless numbers."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(name): storable(each) for name, each in value.items()}
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return [storable(each) for each in value] if isinstance(value, list) else value


def _read_1(raw: Mapping[str, Any], key: UUID, attendance: UUID | None) -> Row:
    made_at = _moment(raw["made_at"])
    offset = raw.get("offset_s")
    body = raw["body"]
    if not isinstance(body, dict):
        raise TypeError("body")
    return Row(
        key=key,
        kind=raw["kind"],
        attendance=attendance,
        made_at=made_at,
        age_s=_number(raw.get("age_s")),
        skew_s=_number(offset),
        app=str(raw.get("app", ""))[:64],
        body=_BODIES[raw["kind"]](body),
    )


READERS: Final[Mapping[int, Callable[[Mapping[str, Any], UUID, UUID | None], Row]]] = {1: _read_1}


def _decision(body: Mapping[str, Any]) -> dict[str, Any]:
    images = body.get("images")
    return {
        **_task(body),
        "answer": _answer(body["answer"]),
        "disposition": DispositionKind(body["disposition"]),
        "defect_class": str(body.get("defect_class") or "")[:64],
        "seconds": _number(body.get("seconds")),
        "images": None if images is None else _whole(images),
    }


def _answer(said: Any) -> Answer:
    """Who cannot tell leaves the unit to the bench: that is a row of its own."""
    if (answer := Answer(said)) is Answer.INCONCLUSIVE:
        raise ValueError("answer")
    return answer


def _task(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"task": str(UUID(str(body["task"]))), "fence": _whole(body["fence"])}


def _undo(body: Mapping[str, Any]) -> dict[str, Any]:
    return {**_task(body), "decision_key": str(UUID(str(body["decision_key"])))}


def _hold_done(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "serial": str(body["serial"])[:128],
        "held_since": _moment(body["held_since"]).isoformat(),
        "place": str(body.get("place") or "")[:64],
    }


def _check_done(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"check": str(UUID(str(body["check"])))}


def _call(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": AndonCall.Kind(body["kind"])}


def _call_close(body: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: str(UUID(str(body[name]))) for name in ("call", "call_key") if body.get(name)}
    if not named:
        raise KeyError("call")
    return named


_BODIES: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "decision": _decision,
    "undo": _undo,
    "to_bench": _task,
    "hold_done": _hold_done,
    "check_done": _check_done,
    "call": _call,
    "call_close": _call_close,
}


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _moment(value: Any) -> datetime:
    found = parse_datetime(value) if isinstance(value, str) else None
    if found is None or found.tzinfo is None or found.year not in YEARS:
        raise ValueError("moment with time zone")
    return found


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        raise ValueError("number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError("whole number")
    return value
