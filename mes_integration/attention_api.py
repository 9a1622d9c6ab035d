"""Write-backs that do not get through over the API: the worst first, one of them, send it again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import unseen
from governance.access import Actor, actor_from
from governance.roles import Capability
from mes_integration import attention, database_clock, resolution
from mes_integration.api import MOST, WriteBackShape, limit_of, query_of_next
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.next_steps import Code
from mes_integration.overview import WORST_FIRST
from mes_integration.presentation import Shown, shown, tried
from mes_integration.transitions import Outcome
from traceability.refusals import Invalid

TRIES = 50
SEE = Capability.SEE_WRITE_BACKS
RESOLVE = Capability.RESOLVE_WRITE_BACKS


class NextStepShape(serializers.Serializer[Any]):
    code = serializers.ChoiceField(Code.choices, help_text="For programs.")
    sentence = serializers.CharField(help_text="For people.")
    field = serializers.CharField(
        help_text="Of the mapping's form, where the step is to be done there; else empty."
    )


class AttentionShape(WriteBackShape):
    why = serializers.CharField(help_text="Why it stands where it stands.")
    next_step = NextStepShape()
    may_send_again = serializers.BooleanField(
        help_text="Whether you may, and no later revision has overtaken it; while “withheld” says "
        "why, only the first."
    )


class AttentionPage(serializers.Serializer[Any]):
    items = AttentionShape(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Query of the next page; null on the last one."
    )


class TryShape(serializers.Serializer[DeliveryAttempt]):
    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(Outcome.choices)
    status = serializers.IntegerField(allow_null=True, help_text="HTTP's, where it is HTTP.")
    answer = serializers.CharField(help_text="What the MES said.")


class OneShape(AttentionShape):
    why_not_send_again = serializers.CharField(help_text="Empty where it can be.")
    why_not_settle = serializers.CharField(help_text="By hand, on its page; empty where it can be.")
    tries = TryShape(
        many=True, help_text=f"The latest {TRIES}, newest first; none while “withheld” says why."
    )


class SendAgain(serializers.Serializer[Any]):
    attempts = serializers.IntegerField(
        min_value=0, help_text="As you read it; 409 `stale` when it was tried since."
    )
    state = serializers.ChoiceField(
        WriteBack.State.choices,
        help_text="The same; 409 `stale` when it stands elsewhere since. One that was asked for "
        "already and has not left yet is answered as it is.",
    )


class Undelivered(APIView):
    """What no target has taken yet: what needs a person, what is in doubt, what goes on by itself;
    of each the oldest first."""

    capability: ClassVar = SEE

    @extend_schema(
        operation_id="write_backs_undelivered",
        parameters=[
            OpenApiParameter("state", str, enum=[s.value for s in WORST_FIRST]),
            OpenApiParameter("target", str, description="Name of a target."),
            OpenApiParameter("unit", str, description="Serial of the unit."),
            OpenApiParameter(
                "needs_person", bool, description="Only what does not go on by itself."
            ),
            OpenApiParameter("after", str, description="Go on after this place."),
            OpenApiParameter("limit", int, description=f"1 to {MOST}; 50 when left out."),
        ],
        responses=AttentionPage,
    )
    def get(self, request: Request) -> Response:
        given, actor = request.query_params, _actor(request)
        asked = {name: given.get(name, "") for name in ("state", "target", "unit", "needs_person")}
        needs_person = _flag(asked["needs_person"])
        limit = limit_of(given.get("limit", "50"))
        found = attention.waiting(
            actor=actor,
            state=asked["state"],
            target=asked["target"],
            unit=asked["unit"],
            needs_person=needs_person,
            after=given.get("after", ""),
        )
        rows = list(found[: limit + 1])
        following = None
        if len(rows) > limit:
            last = attention.place(rows[limit - 1])
            following = query_of_next(asked, limit=limit, after=last)
        withheld = unseen.units(actor)
        lines = shown(rows[:limit], actor=actor, at=datetime.now(UTC), withheld=withheld)
        return Response({"items": [_item(line, withheld) for line in lines], "next": following})


class OneWriteBack(APIView):
    """One of them, whatever has become of it, with what was tried."""

    capability: ClassVar = SEE

    @extend_schema(operation_id="write_backs_read", responses=OneShape)
    def get(self, request: Request, uuid: UUID) -> Response:
        actor = _actor(request)
        return Response(_one(resolution.find(actor=actor, capability=SEE, uuid=uuid), actor))


class WriteBackSentAgain(APIView):
    """Send one again now, under its own key; what may have arrived is asked for first."""

    capability: ClassVar = RESOLVE

    @extend_schema(operation_id="write_backs_send_again", request=SendAgain, responses=OneShape)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Asked for again before it has left it stays as it was; 409 when it was tried since you
        looked, stands elsewhere by now, or cannot be sent again."""
        actor = _actor(request)
        row = resolution.find(actor=actor, capability=RESOLVE, uuid=uuid)
        given = SendAgain(data=request.data)
        given.is_valid(raise_exception=True)
        resolution.resend(
            actor=actor,
            write_back=row,
            seen=resolution.Seen(**given.validated_data),
            at=database_clock.read(),
        )
        return Response(_one(resolution.find(actor=actor, capability=RESOLVE, uuid=uuid), actor))


def _actor(request: Request) -> Actor:
    return actor_from(request._request)  # noqa: SLF001  # kept on Django's request


def _flag(text: str) -> bool:
    if text not in {"", "true", "false"}:
        raise Invalid(_("“needs_person” is true or false."))
    return text == "true"


def _item(line: Shown, withheld: Mapping[int, str]) -> dict[str, Any]:
    step = line.step
    return {
        **WriteBackShape(line.write_back, context={"unseen": withheld}).data,
        "why": line.why,
        "next_step": {
            "code": step.code.value,
            "sentence": step.words,
            "field": step.place if step.where == "mapping" else step.word,
        },
        "may_send_again": line.may_resend and not step.is_overtaken,
    }


def _one(row: WriteBack, actor: Actor) -> dict[str, Any]:
    at, withheld = datetime.now(UTC), unseen.units(actor)
    [line] = shown([row], actor=actor, at=at, withheld=withheld)
    why_not = resolution.why_not_resend(row)
    tries = [] if line.unseen else tried(row, limit=TRIES)
    return {
        **_item(line, withheld),
        "why_not_send_again": resolution.why_untold() if why_not and line.unseen else why_not,
        "why_not_settle": resolution.why_not_settle(row, at=at, is_withheld=bool(line.unseen)),
        "tries": [TryShape(each.attempt).data for each in tries],
    }
