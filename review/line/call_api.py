"""Calls from the line, as the bench and other programs ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import Actor, actor_from, site_for
from governance.roles import Capability
from review.line import calls
from review.models import AndonCall

SITE = OpenApiParameter("site", str, description="Site code; the first of yours when left out.")


class CallShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField(help_text="HELP or STOP")
    word = serializers.CharField(help_text="the same, in your language")
    line = serializers.CharField()
    station = serializers.CharField()
    at = serializers.DateTimeField(help_text="when it came in")
    by = serializers.CharField(allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)
    answered_by = serializers.CharField(allow_null=True)
    escalated_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    may_answer = serializers.BooleanField(help_text="whether you may answer and close it")


class ResponseTimesShape(serializers.Serializer[Any]):
    calls = serializers.IntegerField()
    unanswered = serializers.IntegerField()
    median_s = serializers.FloatField(allow_null=True, help_text="seconds until the answer")
    p90_s = serializers.FloatField(allow_null=True)


class CallsShape(serializers.Serializer[Any]):
    calls = CallShape(many=True)
    today = ResponseTimesShape(help_text="since midnight at the site")
    week = ResponseTimesShape(help_text="of the last seven days")


class CloseRequest(serializers.Serializer[Any]):
    remark = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class CallView(APIView):
    """What every call of this part needs."""

    @staticmethod
    def actor(request: Request) -> Actor:
        return actor_from(request._request)  # noqa: SLF001  # kept on Django's request


class Calls(CallView):
    """Open calls of the lines you see, and how soon calls were answered."""

    capability: ClassVar = Capability.SEE_PLANT

    @extend_schema(parameters=[SITE], responses=CallsShape, operation_id="open_calls")
    def get(self, request: Request) -> Response:
        actor = self.actor(request)
        site = site_for(actor, Capability.SEE_PLANT, request.query_params.get("site"))
        today, week = calls.response_times(actor, site, at=timezone.now())
        found = calls.open_for(actor, site)
        return Response(
            {"calls": as_json(actor, found), "today": asdict(today), "week": asdict(week)}
        )


class CallAnswer(CallView):
    """Say that you come."""

    capability: ClassVar = Capability.ANSWER_CALLS

    @extend_schema(request=None, responses=CallShape, operation_id="answer_call")
    def post(self, request: Request, call_id: UUID) -> Response:
        actor = self.actor(request)
        found = calls.answer(actor=actor, call_id=call_id, at=timezone.now())
        return Response(as_json(actor, [found])[0])


class CallClose(CallView):
    """End a call; a stop is released by this."""

    capability: ClassVar = Capability.ANSWER_CALLS

    @extend_schema(request=CloseRequest, responses=CallShape, operation_id="close_call")
    def post(self, request: Request, call_id: UUID) -> Response:
        said = CloseRequest(data=request.data)
        said.is_valid(raise_exception=True)
        actor, remark = self.actor(request), said.validated_data["remark"]
        found = calls.close(actor=actor, call_id=call_id, remark=remark, at=timezone.now())
        return Response(as_json(actor, [found])[0])


def as_json(actor: Actor, found: Sequence[AndonCall]) -> list[dict[str, Any]]:
    """Calls as the bench shows them."""
    return [
        {
            "id": str(each.uuid),
            "kind": each.kind,
            "word": each.get_kind_display(),
            "line": each.line.code,
            "station": each.station.code,
            "at": each.called_at.isoformat(),
            "by": str(each.called_by) if each.called_by else None,
            "answered_at": each.answered_at.isoformat() if each.answered_at else None,
            "answered_by": str(each.answered_by) if each.answered_by else None,
            "escalated_at": each.escalated_at.isoformat() if each.escalated_at else None,
            "closed_at": each.closed_at.isoformat() if each.closed_at else None,
            "may_answer": calls.may_answer(actor, each),
        }
        for each in found
    ]
