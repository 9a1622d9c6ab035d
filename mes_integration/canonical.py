"""The canonical disposition record: what every mapping starts from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.db.models import Max

from mes_integration.models import WriteBack
from mes_integration.moments import moment
from mes_integration.targets import target
from traceability.models import Capture, DeciderKind, Prediction

SCHEMA: Final = "loupe.disposition/1"
_MOST_IMAGES: Final = 50


@dataclass(frozen=True, slots=True)
class Facts:
    """What the event does not carry of one disposition."""

    before: str | None
    images: Sequence[dict[str, str]]
    score: float | None


NOT_LOOKED_UP: Final = Facts(before=None, images=(), score=None)


def facts_of(rows: Sequence[WriteBack]) -> list[Facts]:
    """What the events of these rows do not carry, in three queries whatever their number."""
    inspections = {row.disposition.inspection_id for row in rows}
    images = _images(inspections)
    scores = dict(
        Prediction.objects.filter(capture__inspection__in=inspections)
        .values_list("capture__inspection")
        .annotate(Max("score"))
        .order_by()
    )
    held = _held({row.unit_id for row in rows})
    return [
        Facts(
            before=_before(row, held[row.unit_id, row.target]),
            images=images[row.disposition.inspection_id][:_MOST_IMAGES],
            score=scores.get(row.disposition.inspection_id),
        )
        for row in rows
    ]


def _images(inspections: Collection[int]) -> Mapping[int, list[dict[str, str]]]:
    """What each was judged by: claim checks, never the bytes."""
    images: dict[int, list[dict[str, str]]] = defaultdict(list)
    captures = Capture.objects.filter(inspection__in=inspections).order_by("pk")
    columns = ("inspection_id", "uuid", "bucket", "key", "sha256")
    for inspection, uuid, bucket, key, sha256 in captures.values_list(*columns):
        images[inspection].append(
            {"id": str(uuid), "uri": f"s3://{bucket}/{key}", "sha256": sha256}
        )
    return images


_Revisions = dict[int, str]


def _held(units: Collection[int]) -> Mapping[tuple[int, str], _Revisions]:
    """Keys by revision of what each target holds of each unit."""
    held: dict[tuple[int, str], _Revisions] = defaultdict(dict)
    rows = WriteBack.objects.filter(unit__in=units, state=WriteBack.State.ACKNOWLEDGED)
    for unit, name, revision, uuid in rows.values_list("unit_id", "target", "revision", "uuid"):
        held[unit, name][revision] = str(uuid)
    return held


def _before(row: WriteBack, held: _Revisions) -> str | None:
    """The key under which the target holds the unit's earlier revision."""
    earlier = [revision for revision in held if revision < row.revision]
    return held[max(earlier)] if earlier else None


def record_of(row: WriteBack, facts: Facts | None = None) -> dict[str, Any]:
    """One disposition, complete, as of now; the row comes with its disposition and unit.

    Facts the event does not carry (images, score, order) are looked up: three short queries.
    Times are RFC 3339 in UTC, the score is a probability (0-1), `quantity` counts units.
    """
    event = row.payload
    data = event["data"]
    facts = facts or facts_of([row])[0]
    disposition = row.disposition
    return {
        "schema": SCHEMA,
        "disposition_id": str(row.uuid),
        "version": row.revision,
        "supersedes": facts.before,
        "site": data["station"]["site"],
        "area": None,
        "line": data["station"]["line"],
        "station": data["station"]["station"],
        "operation": data["station"]["station"],
        "work_order": row.unit.work_order.number if row.unit.work_order else None,
        "unit": data["unit"],
        "quantity": 1,
        "uom": "EA",
        "inspection_id": data["inspection_id"],
        "verdict": "CONCESSION" if data["concession"] else data["disposition"],
        "defects": [_defect(found) for found in data["nonconformities"]],
        "images": list(facts.images),
        "score": facts.score,
        "source": _source(row),
        "decided_by": data["decided_by"],
        "decided_at": data["decided_at"],
        "recorded_at": moment(row.enqueued_at),
        "reason": disposition.reason,
        "concession": data["concession"],
        "policy_version": data["policy_version"],
        "model": data["model"],
        "link": _link(row),
        "options": _options(row),
        "event": event,
    }


def _defect(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": found["defect_class"],
        "severity": found["severity"],
        "count": found["count"],
    }


def _source(row: WriteBack) -> str:
    if row.disposition.decider_kind != DeciderKind.INSPECTOR:
        return "model"
    return "model+human" if row.disposition.model_version_id else "human"


def _options(row: WriteBack) -> dict[str, Any]:
    """What the settings say of the target beyond its address: its numbers for company and plant."""
    found = target(row.target)
    return dict(found.options) if found else {}


def _link(row: WriteBack) -> str | None:
    """Where a person finds the unit in Loupe."""
    base = settings.LOUPE.public_url.rstrip("/")
    return f"{base}/units/{quote(row.unit.serial)}/" if base else None
