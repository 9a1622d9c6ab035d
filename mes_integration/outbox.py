"""Dispositions put on their way to the MES, in the very transaction that makes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Model
from django.utils.translation import gettext as _

from governance.audit import Trail
from mes_integration.models import WriteBack
from mes_integration.moments import moment
from mes_integration.targets import targets_of
from traceability.identifiers import new_id
from traceability.inserts import insert_all
from traceability.models import DeciderKind, Disposition
from traceability.nameplates import Nameplate
from traceability.refusals import Conflict

EVENT_TYPE: Final = "com.loupe.disposition.v1"
_NEEDED: Final = (
    "inspection__unit__part_revision__part_number",
    "inspection__unit__lot",
    "inspection__unit__supplier",
    "inspection__line",
    "inspection__station",
    "inspection__site",
    "model_version",
)


def enqueue_all(
    *,
    trail: Trail,
    dispositions: Sequence[Disposition],
    due_at: datetime,
    nameplates: Mapping[int, Nameplate] | None = None,
    without: Collection[str] = (),
) -> list[WriteBack]:
    """One PENDING row for each disposition and target, not sent before `due_at`; in that order.

    Two statements at most, whatever the number: one to load what the dispositions came
    without, one to insert. `nameplates`, by inspection, spare the first (the dispositions must
    come with their model versions then). Targets in `without` are not told: they said it.
    """
    plates = dict(nameplates or {})
    unknown = [d for d in dispositions if d.inspection_id not in plates]
    loaded = _loaded(unknown)
    for disposition in unknown:
        found = loaded.get(disposition.pk, disposition)
        plates[disposition.inspection_id] = Nameplate.of(found.inspection)
    rows = [
        _write_back(loaded.get(given.pk, given), plate, target, at=trail.at, due_at=due_at)
        for given in dispositions
        for plate in [plates[given.inspection_id]]
        for target in targets_of(plate.site)
        if target not in without
    ]
    insert_all(rows)
    for row in rows:
        trail.add(
            "write_back.enqueue",
            subject_kind="unit",
            subject=row.payload["data"]["unit"]["serial"],
            site_id=row.site_id,
            detail={
                "write_back": str(row.uuid),
                "revision": row.revision,
                "target": row.target,
            },
        )
    return rows


def withdraw(*, trail: Trail, disposition: Disposition) -> None:
    """Keep a disposition from leaving; Conflict once it is due or on its way."""
    rows = WriteBack.objects.filter(disposition=disposition)
    withdrawn = rows.filter(state=WriteBack.State.PENDING, due_at__gte=trail.at).update(
        state=WriteBack.State.WITHDRAWN, settled_at=trail.at
    )
    # Under way to one of its targets, it stands for all; the transaction undoes the others.
    left = list(rows.order_by("pk").values_list("uuid", "target", "state"))
    if not withdrawn or any(state != WriteBack.State.WITHDRAWN for _uuid, _target, state in left):
        raise Conflict(_("This disposition is already on its way to the MES."), code="undo_closed")
    for uuid, target, _state in left:
        trail.add(
            "write_back.withdraw",
            subject_kind="unit",
            subject=disposition.unit.serial,
            site_id=disposition.site_id,
            detail={
                "revision": disposition.revision,
                "target": target,
                "write_back": str(uuid),
            },
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


def _write_back(
    disposition: Disposition, plate: Nameplate, target: str, *, at: datetime, due_at: datetime
) -> WriteBack:
    uuid = new_id()
    return WriteBack(
        uuid=uuid,
        site_id=disposition.site_id,
        unit_id=disposition.unit_id,
        disposition=disposition,
        target=target,
        revision=disposition.revision,
        payload=_payload(disposition, plate, key=str(uuid), at=at),
        enqueued_at=at,
        due_at=due_at,
    )


def _payload(
    disposition: Disposition, plate: Nameplate, *, key: str, at: datetime
) -> dict[str, Any]:
    """The contract's event."""
    return {
        "specversion": "1.0",
        "id": key,
        "source": f"urn:loupe:site:{plate.site}",
        "type": EVENT_TYPE,
        "time": moment(at),
        "subject": f"{plate.site}/{plate.line}/{plate.serial}",
        "data": {
            "unit": {
                "serial": plate.serial,
                "part_number": plate.part_number,
                "part_revision": plate.part_revision or None,
                "lot": plate.lot,
                "supplier": plate.supplier,
            },
            "station": {"site": plate.site, "line": plate.line, "station": plate.station},
            "inspection_id": disposition.inspection.external_id,
            "revision": disposition.revision,
            "disposition": str(disposition.kind),
            "nonconformities": disposition.nonconformities,
            "decided_by": _decided_by(disposition),
            "decided_at": moment(disposition.decided_at),
            "policy_version": disposition.policy_version,
            "model": _model(disposition),
            "concession": disposition.concession,
        },
    }


def _decided_by(disposition: Disposition) -> dict[str, str]:
    who = "badge" if disposition.decider_kind == DeciderKind.INSPECTOR else "name"
    return {"kind": str(disposition.decider_kind), who: disposition.decider}


def _model(disposition: Disposition) -> dict[str, str] | None:
    model = disposition.model_version
    return {"name": model.name, "version": model.version} if model else None
