"""The bench's API: claim, decide, undo, skip, escalate, give back, keep."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import Actor, actor_from, site_for
from governance.roles import Capability
from labeling.regions import read_all
from review import bodies, controls, decisions, escalations, queue
from review.api_shapes import (
    KEY,
    SITE,
    ClaimRequest,
    DecisionRequest,
    DecisionShape,
    EscalateRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
    OneTask,
    QueueShape,
    ReleaseRequest,
    SkipRequest,
    Tasks,
)
from review.claimed import ClaimedTask
from review.line import call_api, calls
from review.models import Answer, Decision
from review.presentation import tasks_as_json
from review.queue import Lease
from review.verdicts import Verdict
from traceability.models import DispositionKind
from traceability.refusals import Invalid


class BenchView(APIView):
    """What every call of the bench needs."""

    capability: ClassVar = Capability.REVIEW

    @staticmethod
    def actor(request: Request) -> Actor:
        return actor_from(request._request)  # noqa: SLF001  # kept on Django's request

    @staticmethod
    def lease() -> timedelta:
        return timedelta(seconds=settings.LOUPE.lease_s)

    @staticmethod
    def read(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        """The request's body, checked. Raises DRF's ValidationError, answered as 422."""
        if (plain := bodies.read(shape.__name__, request.data)) is not None:
            return plain
        serializer = shape(data=request.data)
        serializer.is_valid(raise_exception=True)
        data: dict[str, Any] = serializer.validated_data
        return data


class Claims(BenchView):
    """Claim the next tasks, most urgent first."""

    @extend_schema(request=ClaimRequest, responses=Tasks, operation_id="claim_tasks")
    def post(self, request: Request) -> Response:
        asked = self.read(ClaimRequest, request)
        actor, at = self.actor(request), timezone.now()
        site = site_for(actor, Capability.REVIEW, asked.get("site"))
        count, lease = asked["count"], self.lease()
        tasks: list[ClaimedTask] = []
        if asked["prefer"]:
            tasks = queue.claim_these(
                actor=actor, site=site, tasks=asked["prefer"], count=count, lease=lease, at=at
            )
        if len(tasks) < count:
            left = count - len(tasks)
            fresh = queue.claim(actor=actor, site=site, count=left, lease=lease, at=at)
            tasks += controls.slip_in(actor=actor, tasks=fresh, lease=lease, at=at)
        shown = tasks_as_json(tasks, lease_s=settings.LOUPE.lease_s, at=at)
        return Response({"tasks": shown})


class TaskDecision(BenchView):
    """Decide a claimed task."""

    @extend_schema(
        request=DecisionRequest,
        responses={201: DecisionShape, 200: DecisionShape},
        parameters=[KEY],
        operation_id="decide_task",
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        key = key_of(request)
        said = self.read(DecisionRequest, request)
        at = timezone.now()
        recorded = decisions.decide(
            actor=self.actor(request),
            held=Lease(task_id, said["fence"]),
            verdict=_verdict(said),
            key=key,
            undo_window=timedelta(seconds=settings.LOUPE.undo_window_s),
            at=at,
        )
        code = status.HTTP_200_OK if recorded.is_replay else status.HTTP_201_CREATED
        return Response(decision_as_json(recorded.decision, at=at), status=code)


def key_of(request: Request) -> str:
    """The request's Idempotency-Key; Invalid without one."""
    key: str = request.headers.get("Idempotency-Key", "")
    if not (8 <= len(key) <= 64 and key.isascii() and key.isprintable()):
        raise Invalid(
            _("Send an Idempotency-Key header of 8 to 64 characters, a new one per verdict."),
            code="key_missing",
        )
    return key


def _verdict(said: dict[str, Any]) -> Verdict:
    return Verdict(
        answer=Answer(said["answer"]),
        disposition=DispositionKind(said["disposition"]),
        defect_class=said.get("defect_class") or "",
        comment=said["comment"],
        seconds=said.get("seconds"),
        images_seen=said.get("images"),
        concession=said.get("concession") or "",
        regions=read_all(said["regions"]),
    )


def decision_as_json(decision: Decision, *, at: datetime) -> dict[str, Any]:
    """A verdict as it is answered to who gave it."""
    return {
        "decision": str(decision.uuid),
        "undo_seconds": max(0.0, (decision.undo_until - at).total_seconds()),
        "undo_until": decision.undo_until.isoformat(),
        "disposition": decision.disposition.kind if decision.disposition else None,
        "revision": decision.disposition.revision if decision.disposition else None,
        "why": _why(decision),
        "control": asdict(told) if (told := controls.reveal(decision)) else None,
    }


def _why(decision: Decision) -> str:
    became = decision.disposition
    return became.reason if became and became.kind != decision.disposition_kind else ""


class DecisionUndo(BenchView):
    """Take a verdict back within its window."""

    @extend_schema(request=None, responses=OneTask, operation_id="undo_decision")
    def post(self, request: Request, decision_id: UUID) -> Response:
        at = timezone.now()
        task = decisions.undo(
            actor=self.actor(request), decision_id=decision_id, lease=self.lease(), at=at
        )
        [shown] = tasks_as_json([task], lease_s=settings.LOUPE.lease_s, at=at)
        return Response({"task": shown})


class TaskSkip(BenchView):
    """Put a task back, with a reason."""

    @extend_schema(request=SkipRequest, responses={204: None}, operation_id="skip_task")
    def post(self, request: Request, task_id: UUID) -> Response:
        asked = self.read(SkipRequest, request)
        queue.skip(
            actor=self.actor(request),
            held=Lease(task_id, asked["fence"]),
            reason=asked["reason"],
            at=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class TaskEscalation(BenchView):
    """Hand a task to a lead."""

    @extend_schema(request=EscalateRequest, responses={204: None}, operation_id="escalate_task")
    def post(self, request: Request, task_id: UUID) -> Response:
        asked = self.read(EscalateRequest, request)
        queue.escalate(
            actor=self.actor(request),
            held=Lease(task_id, asked["fence"]),
            comment=asked["comment"],
            at=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class TaskRelease(BenchView):
    """Give a task back unseen."""

    @extend_schema(request=ReleaseRequest, responses={204: None}, operation_id="release_task")
    def post(self, request: Request, task_id: UUID) -> Response:
        asked = self.read(ReleaseRequest, request)
        queue.release(
            actor=self.actor(request),
            held=Lease(task_id, asked["fence"]),
            at=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class Heartbeat(BenchView):
    """Renew the leases held."""

    @extend_schema(request=HeartbeatRequest, responses=HeartbeatAnswer, operation_id="keep_leases")
    def post(self, request: Request) -> Response:
        asked = self.read(HeartbeatRequest, request)
        kept, lost = queue.keep(
            actor=self.actor(request),
            leases=[Lease(held["task"], held["fence"]) for held in asked["leases"]],
            lease=self.lease(),
        )
        return Response({"kept": kept, "lost": lost})


class Queue(BenchView):
    """What waits, and what this inspector decided today."""

    @extend_schema(parameters=[SITE], responses=QueueShape, operation_id="queue_figures")
    def get(self, request: Request) -> Response:
        actor, at = self.actor(request), timezone.now()
        site = site_for(actor, Capability.REVIEW, request.query_params.get("site"))
        figures = queue.figures(actor=actor, site=site)
        return Response(
            {
                "waiting": figures.waiting,
                "oldest_deadline": figures.oldest_deadline,
                "oldest_opened_at": figures.oldest_opened_at,
                "decided_today": decisions.decided_today(actor=actor, at=at),
                "answers": escalations.unseen(actor=actor, at=at),
                "held": queue.held_by(actor=actor),
                "calls": call_api.as_json(actor, calls.open_for(actor, site)),
            }
        )
