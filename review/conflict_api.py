"""One conflict with the MES over the API, what its two answers would come to, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import unseen
from governance.access import Actor, actor_from
from governance.roles import Capability
from mes_integration import changes
from mes_integration.changes import About, State
from mes_integration.conflict_api import ConflictShape
from mes_integration.models import MesChange
from mes_integration.permits import covers
from review import mes_conflicts
from review.mes_conflicts import Choice
from traceability.models import DispositionKind
from traceability.refusals import Conflict, Invalid

OURS, THEIRS = State.OURS_STANDS, State.THEIRS_STANDS


class MeaningShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(DispositionKind.choices)
    why_not = serializers.CharField(help_text="Empty where it may mean that.")


class OneConflictShape(ConflictShape):
    may_answer = serializers.BooleanField(help_text="Whether you may.")
    why_not_answer = serializers.CharField(help_text="Empty while somebody can answer.")
    why_not_ours = serializers.CharField(
        help_text="Why “ours stands” would be refused now; empty where it would not, and where you "
        "may not answer: then nothing was weighed for you."
    )
    why_not_theirs = serializers.CharField(help_text="The same of “theirs stands”.")
    meanings = MeaningShape(
        many=True, help_text="What their word may mean, where the mapping does not say one thing."
    )


class AnswerRequest(serializers.Serializer[Any]):
    answer = serializers.ChoiceField([OURS.value, THEIRS.value])
    revision = serializers.IntegerField(
        min_value=0,
        help_text="The unit's, as you read it; 409 when the unit was decided anew since.",
    )
    reason = serializers.CharField(
        allow_blank=True, help_text=f"Stands in the audit; up to {changes.LONGEST_REASON} letters."
    )
    kind = serializers.ChoiceField(
        DispositionKind.choices,
        required=False,
        default="",
        help_text="With “theirs stands” where “means” is empty: what their word means.",
    )


class OneConflict(APIView):
    """One change: both sides, and which answer would be refused."""

    capability: ClassVar = Capability.SEE_WRITE_BACKS

    @extend_schema(operation_id="conflicts_read", responses=OneConflictShape)
    def get(self, request: Request, uuid: UUID) -> Response:
        actor = _actor(request)
        found = changes.find(actor=actor, capability=self.capability, uuid=uuid)
        return Response(_one(found, actor))


class ConflictAnswer(APIView):
    """Say whose word stands: ours is told again, or theirs is taken over."""

    capability: ClassVar = Capability.RESOLVE_WRITE_BACKS

    @extend_schema(
        operation_id="conflicts_answer", request=AnswerRequest, responses=OneConflictShape
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """The same answer again by the same person changes nothing; 409 when it is settled
        otherwise, the unit was decided anew, or may not become that."""
        actor = _actor(request)
        change = changes.find(actor=actor, capability=self.capability, uuid=uuid)
        given = AnswerRequest(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data
        choice = _choice(actor, change, said)
        stands = (
            mes_conflicts.ours_stands if said["answer"] == OURS else mes_conflicts.theirs_stands
        )
        try:
            stands(actor=actor, choice=choice, at=timezone.now())
        except Conflict:
            # Two of the same at once: the one that came second finds it settled.
            now = changes.find(actor=actor, capability=self.capability, uuid=uuid)
            if not _is_repeated(actor, now, said["answer"], choice):
                raise
        found = changes.find(actor=actor, capability=self.capability, uuid=uuid)
        return Response(_one(found, actor))


def _choice(actor: Actor, change: MesChange, said: Mapping[str, Any]) -> Choice:
    is_against_mapping = change.kind and said["kind"] not in {"", change.kind}
    # Who is judging the unit is refused below, and not told first what they say there.
    if is_against_mapping and change.unit_id not in unseen.units(actor):
        raise Invalid(
            _("The mapping says that their word means %(kind)s; leave “kind” out, or say so.")
            % {"kind": change.kind}
        )
    return Choice(
        change=change.uuid, revision=said["revision"], reason=said["reason"], kind=said["kind"]
    )


def _is_repeated(actor: Actor, change: MesChange, answer: str, choice: Choice) -> bool:
    """Whether this person has said just that, and the unit is still what it came to."""
    expected = {OURS} if answer == OURS else {THEIRS, State.AGREED}
    came_to = choice.revision + (change.state != State.AGREED)
    is_same = (
        change.state in expected
        and (change.resolved_by, change.reason) == (actor.name, choice.reason.strip())
        and change.unit.disposition_revision == came_to
    )
    if not is_same or answer == OURS or change.about != About.DISPOSITION:
        return is_same
    return change.unit.disposition == (change.kind or choice.kind)


def _one(change: MesChange, actor: Actor) -> dict[str, Any]:
    """As its page has it; both answers are weighed for who may give one."""
    withheld = unseen.units(actor)
    phrase = withheld.get(change.unit_id)
    why_not = unseen.sentence(phrase) if phrase else changes.why_not_resolve(change)
    may = covers(
        actor, Capability.RESOLVE_WRITE_BACKS, site_id=change.site_id, line_id=change.line_id
    )
    ours = theirs = why_not
    meanings: list[dict[str, str]] = []
    if may and not why_not:
        weighed = mes_conflicts.answers(actor=actor, change=change, at=timezone.now())
        ours, theirs = weighed.why_not_ours, weighed.why_not_theirs
        meanings = [{"kind": each.kind, "why_not": each.why_not} for each in weighed.meanings]
    return {
        **ConflictShape(change, context={"unseen": withheld}).data,
        "may_answer": may and not why_not,
        "why_not_answer": why_not,
        "why_not_ours": ours,
        "why_not_theirs": theirs,
        "meanings": meanings,
    }


def _actor(request: Request) -> Actor:
    return actor_from(request._request)  # noqa: SLF001  # kept on Django's request
