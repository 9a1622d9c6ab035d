"""The bare Django floor, literally: Loupe's own statements on Loupe's own tables, nothing around.

A throw-away REST framework view for each half of the loop: it is given who calls, executes what
the hot path executes by raw cursor, and answers. No ORM, no serializers, no checks, no middleware.
`tests/review/test_cost.py` holds the two lists of statements equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import backends, sessions
from governance.models import AuditEntry
from labeling import annotations as labels
from labeling.models import Annotation, Label
from mes_integration.models import WriteBack
from review import dispositions, queue, taking
from review.models import Decision
from traceability.inserts import encoded, statement
from traceability.models import Disposition
from traceability.statements import prepared

Row = dict[str, Any]


class LiteralFloor(APIView):
    """Who calls comes in three headers, as it would out of a session."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @staticmethod
    def look_up(request: Request, cursor: Any) -> Row:
        """The two statements that say who calls; the values both views share."""
        session, person, site = request.headers["X-Caller"].split()
        now = datetime.now(tz=UTC)
        cursor.execute(sessions.LOOK_UP, [session, now])
        cursor.fetchone()
        cursor.execute(backends.LOOK_UP, [int(person)])
        cursor.fetchall()
        return {"person": int(person), "site": int(site), "at": now}


class LiteralClaim(LiteralFloor):
    """Claim the next task."""

    def post(self, request: Request) -> Response:
        """The task as JSON."""
        with prepared() as cursor:
            who = self.look_up(request, cursor)
            with transaction.atomic():
                values: Row = {
                    "site": who["site"],
                    "every_line": True,
                    "lines": [],
                    "escalated": False,
                    "escalated_lines": [],
                    "holder": who["person"],
                    "lease": timedelta(seconds=90),
                }
                cursor.execute(queue.CLAIM[1], values)
                task = cursor.fetchone()
                _insert(cursor, AuditEntry, [_audit(who, "task.claim", task[1])])
        return Response({"tasks": [{"id": task[1], "fence": task[3], "body": task[15]}]})


class LiteralDecision(LiteralFloor):
    """Decide it: a false call, accepted."""

    def post(self, request: Request, task: str) -> Response:
        """Nothing of interest."""
        with prepared() as cursor:
            who = self.look_up(request, cursor)
            with transaction.atomic():
                _decide(cursor, who, task, request.data)
        return Response({"decided": task}, status=201)


def _decide(cursor: Any, who: Row, task: str, body: Any) -> None:
    values = {
        "task": task,
        "fence": body["fence"],
        "holder": who["person"],
        "at_line": False,
    }
    scope = {"sites": [who["site"]], "line_sites": [], "lines": []}
    cursor.execute(taking.TAKE, {**values, **scope})
    taken = cursor.fetchone()
    advance = ["ACCEPT", taken[11], taken[10], datetime.now(UTC), taken[6]]
    cursor.execute(dispositions.ADVANCE_ONE, advance)
    _unit, _site, serial, revision, _kind, _too_old = cursor.fetchone()
    disposition = _dispose(cursor, who, taken, revision)
    decision = {
        "uuid": uuid4(),
        "site_id": who["site"],
        "task_id": taken[0],
        "fence": taken[2],
        "answer": "FALSE_CALL",
        "disposition_kind": "ACCEPT",
        "defect_class": "",
        "disposition_id": disposition,
        "comment": "",
        "decided_by_id": who["person"],
        "decided_at": who["at"],
        "undo_until": who["at"],
        "idempotency_key": str(uuid4()),
        "request_sha256": "0" * 64,
    }
    _insert(cursor, Decision, [decision], returning=True)
    _label(cursor, who, taken, decision["uuid"])
    actions = ("unit.dispose", "write_back.enqueue", "label.record", "task.decide")
    _insert(cursor, AuditEntry, [_audit(who, action, serial) for action in actions])


def _dispose(cursor: Any, who: Row, taken: Any, revision: int) -> int:
    disposition = {
        "uuid": uuid4(),
        "site_id": who["site"],
        "unit_id": taken[11],
        "inspection_id": taken[6],
        "revision": revision,
        "kind": "ACCEPT",
        "nonconformities": [],
        "reason": "",
        "decider_kind": "inspector",
        "decider": "floor",
        "decided_at": who["at"],
        "policy_version": taken[4],
        "model_version_id": taken[16],
    }
    [made] = _insert(cursor, Disposition, [disposition], returning=True)
    write_back = {
        "uuid": uuid4(),
        "site_id": who["site"],
        "unit_id": taken[11],
        "revision": revision,
        "disposition_id": made,
        "target": "mes",
        "state": "PENDING",
        "enqueued_at": who["at"],
        "due_at": who["at"],
        "attempts": 0,
        "fence": 0,
        "reference": "",
        "last_error": "",
        "payload": {"data": [str(value) for value in taken[22:]]},
    }
    _insert(cursor, WriteBack, [write_back], returning=True)
    return made


def _label(cursor: Any, who: Row, taken: Any, decision: object) -> None:
    cursor.execute(labels.CAPTURES, [taken[6]])
    [seen] = cursor.fetchall()
    label = {
        "uuid": uuid4(),
        "site_id": who["site"],
        "unit_id": taken[11],
        "inspection_id": taken[6],
        "capture_id": seen[0],
        "prediction_id": seen[4],
        "verdict": "good",
        "disposition": "ACCEPT",
        "origin": "decision",
        "decision": decision,
        "labelled_by": "floor",
        "recorded_at": who["at"],
        "inclusion_probability": taken[5],
        "supersedes_id": seen[7],
    }
    [made] = _insert(cursor, Label, [label], returning=True)
    region = {"site_id": who["site"], "label_id": made, "origin": "proposed", "shape": "box"}
    found = [
        {**region, "defect_class": one["label"], "geometry": one["box"], "score": one["score"]}
        for one in seen[6]
    ]
    _insert(cursor, Annotation, found, returning=True)


def _insert(cursor: Any, model: Any, rows: list[Row], *, returning: bool = False) -> list[int]:
    cursor.execute(
        f"{statement(model)} RETURNING id" if returning else statement(model), [encoded(rows)]
    )
    return [pk for (pk,) in cursor.fetchall()] if returning else []


def _audit(who: Mapping[str, Any], action: str, subject: object) -> Row:
    return {
        "uuid": uuid4(),
        "site_id": who["site"],
        "at": who["at"],
        "actor_kind": "person",
        "actor": "floor",
        "action": action,
        "subject_kind": "task",
        "subject": str(subject),
        "detail": {"fence": 1},
        "reason": "",
        "address": "127.0.0.1",
    }
