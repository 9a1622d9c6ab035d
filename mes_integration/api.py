"""Write-backs over the API."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import actor_from
from governance.roles import Capability
from mes_integration.models import WriteBack
from mes_integration.presentation import selection
from traceability.refusals import Invalid

MOST = 200


class WriteBackShape(serializers.Serializer[WriteBack]):
    id = serializers.UUIDField(source="uuid", help_text="The idempotency key of every attempt.")
    site = serializers.CharField(source="site.code")
    unit = serializers.CharField(source="unit.serial")
    revision = serializers.IntegerField()
    disposition = serializers.CharField(source="disposition.kind")
    state = serializers.ChoiceField(WriteBack.State.choices)
    enqueued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    reference = serializers.CharField()
    last_error = serializers.CharField()


class WriteBackPage(serializers.Serializer[Any]):
    items = WriteBackShape(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Query of the next, older page; null on the last one."
    )


class WriteBacks(APIView):
    """Dispositions on their way to the MES, newest first."""

    capability: ClassVar = Capability.SEE_WRITE_BACKS

    @extend_schema(
        operation_id="write_backs_list",
        parameters=[
            OpenApiParameter("state", str, enum=[s.value for s in WriteBack.State]),
            OpenApiParameter("unit", str, description="Serial of the unit."),
            OpenApiParameter("before", str, description="Go on after this id."),
            OpenApiParameter("limit", int, description=f"1 to {MOST}; 50 when left out."),
        ],
        responses=WriteBackPage,
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = {name: given.get(name, "") for name in ("state", "unit", "before")}
        limit = _limit(given.get("limit", "50"))
        rows = list(
            selection(actor=actor_from(request._request), **asked)[: limit + 1]  # noqa: SLF001
        )
        following = None
        if len(rows) > limit:
            kept = {name: value for name, value in asked.items() if value}
            following = "?" + urlencode(
                {**kept, "before": str(rows[limit - 1].uuid), "limit": str(limit)}
            )
        return Response(WriteBackPage({"items": rows[:limit], "next": following}).data)


def _limit(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST:
        return int(text)
    raise Invalid(_("“limit” is a number from 1 to %(most)s.") % {"most": MOST})
