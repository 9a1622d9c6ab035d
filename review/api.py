"""The bench's API: claim, decide, undo, skip, escalate, give back, keep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import Actor, actor_from, site_for
from governance.roles import Capability
from labeling.regions import Region
from review import bodies, decisions, queue
from review.decisions import Verdict
from review.models import Answer, Decision
from review.presentation import tasks_as_json
from review.queue import MOST_AT_ONCE, Lease
from traceability.models import DispositionKind
from traceability.refusals import Invalid

KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description="One per verdict."
)
SITE = OpenApiParameter("site", str, description="Site code; the first of yours when left out.")


class ClaimRequest(serializers.Serializer[Any]):
    site = serializers.CharField(required=False, allow_null=True, max_length=64)
    count = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, default=1)


class ViewShape(serializers.Serializer[Any]):
    capture = serializers.UUIDField()
    view = serializers.CharField()
    width = serializers.IntegerField(help_text="pixels")
    height = serializers.IntegerField(help_text="pixels")
    image_url = serializers.CharField(help_text="short-lived, same origin")
    score = serializers.FloatField()
    captured_at = serializers.DateTimeField()
    quality = serializers.DictField()
    regions = serializers.ListField(child=serializers.DictField())


class TaskShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    fence = serializers.IntegerField()
    lease_expires_in = serializers.FloatField(help_text="seconds")
    kind = serializers.CharField()
    question = serializers.CharField()
    deadline = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    is_escalated = serializers.BooleanField()
    unit = serializers.DictField()
    station = serializers.DictField()
    score = serializers.FloatField(help_text="calibrated probability of a defect, 0-1")
    policy = serializers.DictField()
    defect_class = serializers.CharField(allow_null=True)
    model = serializers.DictField()
    views = ViewShape(many=True)
    history = serializers.ListField(child=serializers.DictField())


class Tasks(serializers.Serializer[Any]):
    tasks = TaskShape(many=True)


class OneTask(serializers.Serializer[Any]):
    task = TaskShape()


class RegionShape(serializers.Serializer[Any]):
    label = serializers.CharField(max_length=64)  # type: ignore[assignment]  # the contract's name
    view = serializers.CharField(required=False, default="main", max_length=64)
    box = serializers.ListField(
        child=serializers.FloatField(), min_length=4, max_length=4, required=False
    )
    polygon = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        min_length=3,
        required=False,
    )


class DecisionRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)
    answer = serializers.ChoiceField(Answer.choices)
    disposition = serializers.ChoiceField(DispositionKind.choices)
    defect_class = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=64
    )
    comment = serializers.CharField(required=False, allow_blank=True, max_length=1000, default="")
    regions = RegionShape(many=True, required=False, default=list)
    seconds = serializers.FloatField(required=False, allow_null=True, min_value=0)


class DecisionShape(serializers.Serializer[Any]):
    decision = serializers.UUIDField()
    undo_seconds = serializers.FloatField()
    undo_until = serializers.DateTimeField()
    disposition = serializers.CharField()
    revision = serializers.IntegerField()


class SkipRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)
    reason = serializers.CharField(max_length=300)


class EscalateRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)
    comment = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class ReleaseRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)


class HeldLease(serializers.Serializer[Any]):
    task = serializers.UUIDField()
    fence = serializers.IntegerField(min_value=1)


class HeartbeatRequest(serializers.Serializer[Any]):
    leases = HeldLease(many=True, max_length=16)  # type: ignore[call-arg]  # the list's own


class HeartbeatAnswer(serializers.Serializer[Any]):
    kept = serializers.ListField(child=serializers.UUIDField())
    lost = serializers.ListField(child=serializers.UUIDField())


class QueueShape(serializers.Serializer[Any]):
    waiting = serializers.IntegerField(help_text="stops counting at 1000")
    oldest_deadline = serializers.DateTimeField(allow_null=True)
    oldest_opened_at = serializers.DateTimeField(allow_null=True)
    decided_today = serializers.IntegerField()


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
        tasks = queue.claim(actor=actor, site=site, count=asked["count"], lease=self.lease(), at=at)
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
        key = request.headers.get("Idempotency-Key", "")
        if not 8 <= len(key) <= 64:
            raise Invalid(
                _("Send an Idempotency-Key header of 8 to 64 characters, a new one per verdict."),
                code="key_missing",
            )
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
        left = max(0.0, (recorded.decision.undo_until - at).total_seconds())
        return Response(_decision(recorded.decision, left), status=code)


def _verdict(said: dict[str, Any]) -> Verdict:
    return Verdict(
        answer=Answer(said["answer"]),
        disposition=DispositionKind(said["disposition"]),
        defect_class=said.get("defect_class") or "",
        comment=said["comment"],
        seconds=said.get("seconds"),
        regions=tuple(
            Region.read(
                defect_class=r["label"], view=r["view"], box=r.get("box"), polygon=r.get("polygon")
            )
            for r in said["regions"]
        ),
    )


def _decision(decision: Decision, undo_seconds: float) -> dict[str, Any]:
    return {
        "decision": str(decision.uuid),
        "undo_seconds": undo_seconds,
        "undo_until": decision.undo_until.isoformat(),
        "disposition": decision.disposition.kind,
        "revision": decision.disposition.revision,
    }


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
            }
        )
