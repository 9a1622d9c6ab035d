"""Dispositions put on their way to the MES, in the very transaction that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Model
from django.utils.translation import gettext as _

from governance.audit import Trail
from mes_integration.models import WriteBack
from traceability.identifiers import new_id
from traceability.models import DeciderKind, Disposition, Inspection, Unit
from traceability.refusals import Conflict

EVENT_TYPE: Final = "com.loupe.disposition.v1"
_NEEDED: Final = (
    "unit__part_revision__part_number",
    "unit__lot",
    "unit__supplier",
    "inspection__line",
    "inspection__station",
    "inspection__site",
    "model_version",
)


def enqueue_all(
    *, trail: Trail, dispositions: Sequence[Disposition], due_at: datetime
) -> list[WriteBack]:
    """One PENDING row for each disposition, not sent before `due_at`; in the order given.

    Two statements at most, whatever the number: one to load what the dispositions came
    without, one to insert.
    """
    loaded = _loaded(dispositions)
    rows = [
        _write_back(disposition, at=trail.at, due_at=due_at)
        for disposition in (loaded.get(given.pk, given) for given in dispositions)
    ]
    WriteBack.objects.bulk_create(rows)
    for row in rows:
        trail.add(
            "write_back.enqueue",
            subject_kind="unit",
            subject=row.unit.serial,
            site_id=row.site_id,
            detail={"write_back": str(row.uuid), "revision": row.revision},
        )
    return rows


def withdraw(*, trail: Trail, disposition: Disposition) -> None:
    """Keep a disposition from leaving; Conflict once it is due or on its way."""
    withdrawn = WriteBack.objects.filter(
        disposition=disposition, state=WriteBack.State.PENDING, due_at__gte=trail.at
    ).update(state=WriteBack.State.WITHDRAWN, settled_at=trail.at)
    if not withdrawn:
        raise Conflict(_("This disposition is already on its way to the MES."), code="undo_closed")
    trail.add(
        "write_back.withdraw",
        subject_kind="unit",
        subject=disposition.unit.serial,
        site_id=disposition.site_id,
        detail={"revision": disposition.revision},
    )


def _loaded(dispositions: Sequence[Disposition]) -> dict[int, Disposition]:
    """Those that lack a relation the payload needs, loaded in one query."""
    lacking = [d.pk for d in dispositions if not all(_has(d, path) for path in _NEEDED)]
    if not lacking:
        return {}
    return Disposition.objects.select_related(*_NEEDED).in_bulk(lacking)


def _has(row: Model, path: str) -> bool:
    """Whether walking `path` from the row asks the database nothing."""
    here: Model | None = row
    for name in path.split("__"):
        if here is None or getattr(here, f"{name}_id") is None:
            return True
        if name not in here._state.fields_cache:  # noqa: SLF001  # where Django says so
            return False
        here = getattr(here, name)
    return True


def _write_back(disposition: Disposition, *, at: datetime, due_at: datetime) -> WriteBack:
    uuid = new_id()
    return WriteBack(
        uuid=uuid,
        site_id=disposition.site_id,
        unit=disposition.unit,
        disposition=disposition,
        revision=disposition.revision,
        payload=_payload(disposition, key=str(uuid), at=at),
        enqueued_at=at,
        due_at=due_at,
    )


def _payload(disposition: Disposition, *, key: str, at: datetime) -> dict[str, Any]:
    """The contract's event."""
    inspection = disposition.inspection
    site, line = inspection.site.code, inspection.line.code
    return {
        "specversion": "1.0",
        "id": key,
        "source": f"urn:loupe:site:{site}",
        "type": EVENT_TYPE,
        "time": _moment(at),
        "subject": f"{site}/{line}/{disposition.unit.serial}",
        "data": {
            "unit": _unit(disposition.unit),
            "station": _station(inspection),
            "inspection_id": inspection.external_id,
            "revision": disposition.revision,
            "disposition": str(disposition.kind),
            "nonconformities": disposition.nonconformities,
            "decided_by": _decided_by(disposition),
            "decided_at": _moment(disposition.decided_at),
            "policy_version": disposition.policy_version,
            "model": _model(disposition),
            "concession": disposition.concession,
        },
    }


def _unit(unit: Unit) -> dict[str, Any]:
    part = unit.part_revision
    return {
        "serial": unit.serial,
        "part_number": part.part_number.number if part else None,
        "part_revision": (part.revision or None) if part else None,
        "lot": unit.lot.code if unit.lot else None,
        "supplier": unit.supplier.code if unit.supplier else None,
    }


def _station(inspection: Inspection) -> dict[str, Any]:
    return {
        "site": inspection.site.code,
        "line": inspection.line.code,
        "station": inspection.station.code if inspection.station else None,
    }


def _decided_by(disposition: Disposition) -> dict[str, str]:
    who = "badge" if disposition.decider_kind == DeciderKind.INSPECTOR else "name"
    return {"kind": str(disposition.decider_kind), who: disposition.decider}


def _model(disposition: Disposition) -> dict[str, str] | None:
    model = disposition.model_version
    return {"name": model.name, "version": model.version} if model else None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
