"""The lot page's API: take a lot, judge its sample, decide the rest, take it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from review import lot_reviews, lots
from review.api import BenchView, decision_as_json, key_of
from review.api_shapes import KEY, DecisionShape
from review.claimed import all_shown
from review.lot_reviews import Opened
from review.models import Answer
from review.presentation import tasks_as_json
from review.queue import Lease
from review.verdicts import Verdict
from traceability.models import DispositionKind


class LotVerdict(serializers.Serializer[Any]):
    answer = serializers.ChoiceField(Answer.choices)
    disposition = serializers.ChoiceField(DispositionKind.choices)
    defect_class = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=64
    )


class LotRequest(LotVerdict):
    suspicion = serializers.CharField(
        allow_blank=True, max_length=64, help_text="the defect class the model suspects"
    )
    excluded = serializers.ListField(child=serializers.UUIDField(), max_length=lots.MOST)


class LotMemberShape(serializers.Serializer[Any]):
    task = serializers.DictField(help_text="as a claim answers it")
    is_sample = serializers.BooleanField()


class LotShape(serializers.Serializer[Any]):
    review = serializers.UUIDField()
    members = LotMemberShape(many=True)
    held_by_others = serializers.IntegerField()


class LotSampleRequest(serializers.Serializer[Any]):
    task = serializers.UUIDField()
    fence = serializers.IntegerField(min_value=1)
    answer = serializers.ChoiceField(Answer.choices)
    disposition = serializers.ChoiceField(DispositionKind.choices)
    defect_class = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=64
    )
    seconds = serializers.FloatField(required=False, allow_null=True, min_value=0)


class LotDecisionRequest(serializers.Serializer[Any]):
    excluded = serializers.ListField(child=serializers.UUIDField(), max_length=lots.MOST)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=1000, default="")


class LeftOut(serializers.Serializer[Any]):
    serial = serializers.CharField()
    why = serializers.CharField()


class LotDecisionShape(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    left_out = LeftOut(many=True)
    undo_seconds = serializers.FloatField()


class LotCount(serializers.Serializer[Any]):
    count = serializers.IntegerField()


class LotView(BenchView):
    """What every call of the lot page needs."""

    @staticmethod
    def undo_window() -> timedelta:
        return timedelta(seconds=settings.LOUPE.undo_window_s)


class Lots(LotView):
    """Take what waits of a lot to judge it together; says which parts are the sample."""

    @extend_schema(request=LotRequest, responses={201: LotShape}, operation_id="begin_lot")
    def post(self, request: Request, lot: int, part: int) -> Response:
        asked, at = self.read(LotRequest, request), timezone.now()
        actor = self.actor(request)
        where = lots.place(
            actor=actor,
            lot_id=lot,
            part_id=part,
            suspicion=asked["suspicion"],
        )
        opened = lot_reviews.begin(
            actor=actor,
            where=where,
            verdict=_verdict(asked),
            excluded=asked["excluded"],
            lease=self.lease(),
            at=at,
        )
        return Response(_opened(opened), status=status.HTTP_201_CREATED)


def _verdict(said: dict[str, Any]) -> Verdict:
    return Verdict(
        answer=Answer(said["answer"]),
        disposition=DispositionKind(said["disposition"]),
        defect_class=said.get("defect_class") or "",
        seconds=said.get("seconds"),
    )


def _opened(opened: Opened) -> dict[str, Any]:
    at = timezone.now()
    is_sample = {member.task_id: member.is_sample for member in opened.members}
    tasks = all_shown(task_ids=list(is_sample))
    shown = tasks_as_json(tasks, lease_s=settings.LOUPE.lease_s, at=at)
    return {
        "review": str(opened.review.uuid),
        "members": [
            {"task": seen, "is_sample": is_sample[task.pk]}
            for task, seen in zip(tasks, shown, strict=True)
        ],
        "held_by_others": opened.left_out,
    }


class LotSample(LotView):
    """Judge one part of the sample; 409 lot_deviates where it is not as the lot is said to be."""

    @extend_schema(
        request=LotSampleRequest,
        responses={201: DecisionShape, 200: DecisionShape},
        parameters=[KEY],
        operation_id="judge_lot_sample",
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        key, said, at = key_of(request), self.read(LotSampleRequest, request), timezone.now()
        recorded = lot_reviews.judge_one(
            actor=self.actor(request),
            review_id=review_id,
            held=Lease(said["task"], said["fence"]),
            verdict=_verdict(said),
            key=key,
            undo_window=self.undo_window(),
            at=at,
        )
        code = status.HTTP_200_OK if recorded.is_replay else status.HTTP_201_CREATED
        return Response(decision_as_json(recorded.decision, at=at), status=code)


class LotDecision(LotView):
    """Decide the rest of the lot as its sample was."""

    @extend_schema(
        request=LotDecisionRequest, responses=LotDecisionShape, operation_id="decide_lot"
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        asked, at = self.read(LotDecisionRequest, request), timezone.now()
        decided = lot_reviews.decide(
            actor=self.actor(request),
            review_id=review_id,
            excluded=asked["excluded"],
            comment=asked["comment"],
            undo_window=self.undo_window(),
            at=at,
        )
        left_out = [{"serial": serial, "why": why} for serial, why in decided.left_out]
        undo_seconds = max(0.0, (decided.undo_until - timezone.now()).total_seconds())
        return Response(
            {"count": decided.count, "left_out": left_out, "undo_seconds": undo_seconds}
        )


class LotUndo(LotView):
    """Take all that was decided together back."""

    @extend_schema(request=None, responses=LotCount, operation_id="undo_lot")
    def post(self, request: Request, review_id: UUID) -> Response:
        count = lot_reviews.undo(
            actor=self.actor(request), review_id=review_id, lease=self.lease(), at=timezone.now()
        )
        return Response({"count": count})


class LotLease(LotView):
    """Keep what is held of the lot."""

    @extend_schema(request=None, responses=LotCount, operation_id="keep_lot")
    def post(self, request: Request, review_id: UUID) -> Response:
        count = lot_reviews.keep(actor=self.actor(request), review_id=review_id, lease=self.lease())
        return Response({"count": count})


class LotRelease(LotView):
    """Put what is undecided of the lot back."""

    @extend_schema(request=None, responses=LotCount, operation_id="release_lot")
    def post(self, request: Request, review_id: UUID) -> Response:
        count = lot_reviews.give_back(
            actor=self.actor(request), review_id=review_id, at=timezone.now()
        )
        return Response({"count": count})
