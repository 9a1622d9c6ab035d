"""What waits for a second person, over the API."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import Actor, actor_from
from governance.roles import Capability
from review import approvals, lot_approvals
from review.approval_pages import as_json
from review.lot_approvals import Answered, Together
from review.models import Approval

MOST: Final = 200


class ApprovalShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    site = serializers.CharField()
    line = serializers.CharField()
    unit = serializers.CharField(help_text="serial")
    kind = serializers.ChoiceField(Approval.Kind.choices)
    defect_class = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    state = serializers.ChoiceField(Approval.State.choices)
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    words = serializers.CharField(allow_blank=True)


class LotOfApprovals(serializers.Serializer[Any]):
    review = serializers.UUIDField(help_text="the lot verdict; answered as one under this name")
    lot = serializers.CharField()
    approvals = serializers.ListField(
        child=serializers.UUIDField(), help_text="what of the list came of it, two or more"
    )


class Approvals(serializers.Serializer[Any]):
    approvals = ApprovalShape(many=True)
    lots = LotOfApprovals(many=True)


class PartLeftOut(serializers.Serializer[Any]):
    unit = serializers.CharField(help_text="serial")
    why = serializers.CharField()


class LotAnswered(serializers.Serializer[Any]):
    review = serializers.UUIDField()
    lot = serializers.CharField()
    answered = serializers.ListField(child=serializers.CharField(), help_text="serials")
    left_out = PartLeftOut(many=True)


class ApprovalAnswer(serializers.Serializer[Any]):
    words = serializers.CharField(
        max_length=approvals.LONGEST_WORDS,
        required=False,
        allow_blank=True,
        default="",
        help_text="needed for a refusal",
    )


class ApprovalView(APIView):
    """What every call about approvals needs."""

    capability: ClassVar = Capability.APPROVE_DISPOSITIONS

    @staticmethod
    def actor(request: Request) -> Actor:
        return actor_from(request._request)  # noqa: SLF001  # kept on Django's request

    @staticmethod
    def words(request: Request) -> str:
        """What is said with the answer. Raises DRF's ValidationError, answered as 422."""
        asked = ApprovalAnswer(data=request.data)
        asked.is_valid(raise_exception=True)
        return str(asked.validated_data["words"])


class OpenApprovals(ApprovalView):
    """What waits for a second person, the longest waiting first."""

    @extend_schema(responses=Approvals, operation_id="approvals_list")
    def get(self, request: Request) -> Response:
        waiting = list(lot_approvals.with_lot(approvals.waiting(self.actor(request)))[:MOST])
        lots = [
            {
                "review": str(each.review.uuid),
                "lot": each.review.lot.code,
                "approvals": [str(part.uuid) for part in each.approvals],
            }
            for each in lot_approvals.gathered(waiting)
            if isinstance(each, Together)
        ]
        return Response({"approvals": [as_json(each) for each in waiting], "lots": lots})


class ApprovalApproval(ApprovalView):
    """Agree: the unit is scrapped, or accepted by concession."""

    @extend_schema(
        request=ApprovalAnswer, responses=ApprovalShape, operation_id="approve_disposition"
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        actor = self.actor(request)
        approvals.find(actor=actor, approval_id=approval_id)
        done = approvals.approve(
            actor=actor, approval_id=approval_id, words=self.words(request), at=timezone.now()
        )
        return Response(as_json(approvals.find(actor=actor, approval_id=done.uuid)))


class ApprovalRefusal(ApprovalView):
    """Do not agree: the unit stays on hold and a lead judges it."""

    @extend_schema(
        request=ApprovalAnswer, responses=ApprovalShape, operation_id="refuse_disposition"
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        actor = self.actor(request)
        approvals.find(actor=actor, approval_id=approval_id)
        done = approvals.refuse(
            actor=actor, approval_id=approval_id, words=self.words(request), at=timezone.now()
        )
        return Response(as_json(approvals.find(actor=actor, approval_id=done.uuid)))


class LotApprovalView(ApprovalView):
    """What both answers to a lot verdict need."""

    def answer(self, request: Request, lot_verdict: UUID, state: Approval.State) -> Response:
        actor = self.actor(request)
        lot_approvals.find(actor=actor, review_id=lot_verdict)
        answered = lot_approvals.answer(
            actor=actor,
            review_id=lot_verdict,
            state=state,
            words=self.words(request),
            at=timezone.now(),
        )
        return Response(_told(answered))


def _told(answered: Answered) -> dict[str, Any]:
    return {
        "review": str(answered.review.uuid),
        "lot": answered.review.lot.code,
        "answered": list(answered.done),
        "left_out": [{"unit": serial, "why": why} for serial, why in answered.left_out],
    }


class LotApproval(LotApprovalView):
    """Agree to all that waits of a lot verdict; what cannot be approved is left out and named."""

    @extend_schema(request=ApprovalAnswer, responses=LotAnswered, operation_id="approve_lot")
    def post(self, request: Request, lot_verdict: UUID) -> Response:
        return self.answer(request, lot_verdict, Approval.State.APPROVED)


class LotRefusal(LotApprovalView):
    """Do not agree to any of a lot verdict: its parts stay on hold and a lead judges them."""

    @extend_schema(request=ApprovalAnswer, responses=LotAnswered, operation_id="refuse_lot")
    def post(self, request: Request, lot_verdict: UUID) -> Response:
        return self.answer(request, lot_verdict, Approval.State.REFUSED)
