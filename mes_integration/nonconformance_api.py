"""Nonconformances over the API: what the rules have raised, one of them, and its closure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import Actor, actor_from
from governance.roles import Capability
from mes_integration import nonconformance_unseen, nonconformances
from mes_integration.api import MOST, limit_of, query_of_next
from mes_integration.models import Ncr, NcrHandOff, NcrRule


class HandOffShape(serializers.Serializer[NcrHandOff]):
    target = serializers.CharField()
    state = serializers.ChoiceField(NcrHandOff.State.choices)
    reference = serializers.CharField(help_text="In the QMS; empty until it has answered.")
    last_error = serializers.CharField()


class NonconformanceShape(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uuid")
    site = serializers.CharField(source="site.code")
    line = serializers.CharField(source="line.code")
    rule = serializers.CharField(source="rule.name")
    kind = serializers.ChoiceField(NcrRule.Kind.choices)
    state = serializers.ChoiceField(Ncr.State.choices)
    cause = serializers.CharField()
    defect_class = serializers.CharField(help_text="Empty for a yield.")
    text = serializers.CharField()
    units = serializers.ListField(child=serializers.CharField(), source="evidence.units")
    withheld = serializers.IntegerField(
        default=0,
        help_text="How many more units it was raised by: you are judging them, or a part of their "
        "lot, yourself. They are named after your verdict, in “text” too.",
    )
    recurrence_of = serializers.UUIDField(source="recurrence_of.uuid", allow_null=True)
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.CharField(source="closed_by.username", allow_null=True)
    closed_reason = serializers.CharField()
    reference = serializers.CharField(help_text="In the QMS; empty until it has answered.")
    hand_offs = HandOffShape(many=True)

    def to_representation(self, instance: Ncr) -> dict[str, Any]:
        """Asks for `told` in the context: what this reader is told of each."""
        said = super().to_representation(instance)
        told = self.context["told"][instance.pk]
        return said | {"text": told.text, "units": told.units, "withheld": told.withheld}


class NonconformancePage(serializers.Serializer[Any]):
    items = NonconformanceShape(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Query of the next, older page; null on the last one."
    )


class Closure(serializers.Serializer[Any]):
    reason = serializers.CharField(
        max_length=nonconformances.LONGEST_REASON, help_text="What was done about the cause."
    )


class Nonconformances(APIView):
    """What the rules have raised, newest first."""

    capability: ClassVar = Capability.SEE_WRITE_BACKS

    @extend_schema(
        operation_id="nonconformances_list",
        parameters=[
            OpenApiParameter("state", str, enum=[s.value for s in Ncr.State]),
            OpenApiParameter("before", str, description="Go on after this id."),
            OpenApiParameter("limit", int, description=f"1 to {MOST}; 50 when left out."),
        ],
        responses=NonconformancePage,
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        state, limit = given.get("state", ""), limit_of(given.get("limit", "50"))
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        rows = nonconformances.selection(
            actor=actor, states=[state] if state else (), before=given.get("before", "")
        )
        found = list(rows.prefetch_related("hand_offs")[: limit + 1])
        following = None
        if len(found) > limit:
            before = str(found[limit - 1].uuid)
            following = query_of_next({"state": state}, limit=limit, before=before)
        answer = {"items": found[:limit], "next": following}
        told = nonconformance_unseen.told(found[:limit], actor=actor)
        return Response(NonconformancePage(answer, context={"told": told}).data)


class Nonconformance(APIView):
    """One of them, and how far it has come to the QMS."""

    capability: ClassVar = Capability.SEE_WRITE_BACKS

    @extend_schema(operation_id="nonconformances_read", responses=NonconformanceShape)
    def get(self, request: Request, uuid: UUID) -> Response:
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        found = nonconformances.find(actor=actor, capability=self.capability, uuid=uuid)
        return Response(_one(found, actor))


class NonconformanceClosure(APIView):
    """Close one with what was done about its cause."""

    capability: ClassVar = Capability.RESOLVE_WRITE_BACKS

    @extend_schema(
        operation_id="nonconformances_close", request=Closure, responses=NonconformanceShape
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """Closed again by the same person it stays as it was; 409 when somebody else has closed
        it."""
        given = Closure(data=request.data)
        given.is_valid(raise_exception=True)
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        nonconformances.close(
            actor=actor,
            uuid=uuid,
            reason=given.validated_data["reason"],
            at=datetime.now(UTC),
        )
        found = nonconformances.find(actor=actor, capability=self.capability, uuid=uuid)
        return Response(_one(found, actor))


def _one(ncr: Ncr, actor: Actor) -> dict[str, Any]:
    told = nonconformance_unseen.told([ncr], actor=actor)
    return dict(NonconformanceShape(ncr, context={"told": told}).data)
