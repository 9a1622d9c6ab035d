"""Write-backs over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import unseen
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
    target = serializers.CharField(help_text="Which MES of the settings it goes to.")
    revision = serializers.IntegerField(allow_null=True)
    disposition = serializers.CharField(source="disposition.kind", allow_null=True)
    state = serializers.ChoiceField(WriteBack.State.choices)
    enqueued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    reference = serializers.CharField()
    last_error = serializers.CharField()
    withheld = serializers.CharField(
        default="",
        help_text="While you are judging the unit yourself: why revision and disposition are null, "
        "reference and last_error empty. Else empty.",
    )

    def to_representation(self, instance: WriteBack) -> dict[str, Any]:
        """Asks for `unseen` in the context: the units this reader is told nothing of."""
        said = super().to_representation(instance)
        if phrase := self.context["unseen"].get(instance.unit_id):
            said |= {"revision": None, "disposition": None, "reference": "", "last_error": ""}
            said["withheld"] = phrase
        return said


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
            OpenApiParameter("target", str, description="Name of a target."),
            OpenApiParameter("unit", str, description="Serial of the unit."),
            OpenApiParameter("before", str, description="Go on after this id."),
            OpenApiParameter("limit", int, description=f"1 to {MOST}; 50 when left out."),
        ],
        responses=WriteBackPage,
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = {name: given.get(name, "") for name in ("state", "target", "unit", "before")}
        limit = limit_of(given.get("limit", "50"))
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        rows = list(selection(actor=actor, **asked)[: limit + 1])
        following = None
        if len(rows) > limit:
            following = query_of_next(asked, limit=limit, before=str(rows[limit - 1].uuid))
        answer = {"items": rows[:limit], "next": following}
        return Response(WriteBackPage(answer, context={"unseen": unseen.units(actor)}).data)


def limit_of(text: str) -> int:
    """How many of a list are asked for; Invalid beyond what one answer holds."""
    if text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST:
        return int(text)
    raise Invalid(_("“limit” is a number from 1 to %(most)s.") % {"most": MOST})


def query_of_next(asked: Mapping[str, str], *, limit: int, **place: str) -> str:
    """The query of the page that follows: the same question, from this place on."""
    kept = {name: value for name, value in asked.items() if value}
    return "?" + urlencode({**kept, **place, "limit": str(limit)})
