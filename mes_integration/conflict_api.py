"""Conflicts with the MES over the API; one of them and its answers are above, where it is judged
what an answer comes to."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import unseen
from governance.access import actor_from
from governance.roles import Capability
from mes_integration import conflict_list
from mes_integration.api import MOST, limit_of, query_of_next
from mes_integration.models import MesChange


class ConflictShape(serializers.Serializer[MesChange]):
    id = serializers.UUIDField(source="uuid")
    site = serializers.CharField(source="site.code")
    unit = serializers.CharField(source="unit.serial")
    target = serializers.CharField(help_text="Which MES of the settings has changed it.")
    about = serializers.ChoiceField(MesChange.About.choices)
    state = serializers.ChoiceField(
        MesChange.State.choices,
        allow_null=True,
        help_text="Only an open one waits for an answer.",
    )
    theirs = serializers.JSONField(
        source="word", allow_null=True, help_text="The disposition in the MES's words."
    )
    means = serializers.CharField(
        source="kind", help_text="What that is here; empty where the mapping does not say."
    )
    reference = serializers.CharField()
    by = serializers.CharField()
    remark = serializers.CharField()
    event_id = serializers.CharField()
    changed_at = serializers.DateTimeField(help_text="The MES's own time.")
    received_at = serializers.DateTimeField()
    ours = serializers.CharField(source="our_kind", help_text="When it was heard of.")
    our_revision = serializers.IntegerField(allow_null=True, help_text="The same.")
    ours_now = serializers.CharField(source="unit.disposition")
    revision = serializers.IntegerField(
        source="unit.disposition_revision",
        allow_null=True,
        help_text="The unit's now; an answer names it.",
    )
    write_back = serializers.UUIDField(
        source="write_back.uuid", default=None, allow_null=True, help_text="Which it is about."
    )
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField()
    reason = serializers.CharField()
    withheld = serializers.CharField(
        default="",
        help_text="While you are judging the unit yourself: why nothing is told of what either "
        "side says and of a settled one's state. Else empty.",
    )

    def to_representation(self, instance: MesChange) -> dict[str, Any]:
        """Asks for `unseen` in the context: the units this reader is told nothing of."""
        said = super().to_representation(instance)
        if phrase := self.context["unseen"].get(instance.unit_id):
            said |= dict.fromkeys(_SAID, "") | dict.fromkeys(_COUNTED)
            said["withheld"] = phrase
            if instance.state != MesChange.State.OPEN:
                said["state"] = None
        return said


_SAID: Final = (
    *("means", "reference", "by", "remark", "event_id", "ours", "ours_now", "resolved_by"),
    "reason",
)
_COUNTED: Final = ("theirs", "our_revision", "revision", "resolved_at")


class ConflictPage(serializers.Serializer[Any]):
    items = ConflictShape(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Query of the next, older page; null on the last one."
    )


class Conflicts(APIView):
    """What was changed in the MES, newest first; `state=OPEN` is what waits for an answer."""

    capability: ClassVar = Capability.SEE_WRITE_BACKS

    @extend_schema(
        operation_id="conflicts_list",
        parameters=[
            OpenApiParameter("state", str, enum=[s.value for s in MesChange.State]),
            OpenApiParameter("target", str, description="Name of a target."),
            OpenApiParameter("unit", str, description="Serial of the unit."),
            OpenApiParameter("before", str, description="Go on after this id."),
            OpenApiParameter("limit", int, description=f"1 to {MOST}; 50 when left out."),
        ],
        responses=ConflictPage,
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = {name: given.get(name, "") for name in ("state", "target", "unit", "before")}
        limit = limit_of(given.get("limit", "50"))
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        rows = list(conflict_list.selection(actor=actor, **asked)[: limit + 1])
        following = None
        if len(rows) > limit:
            following = query_of_next(asked, limit=limit, before=str(rows[limit - 1].uuid))
        answer = {"items": rows[:limit], "next": following}
        return Response(ConflictPage(answer, context={"unseen": unseen.units(actor)}).data)
