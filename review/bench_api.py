"""More of the bench's API: comments, own settings, a lead's answers, a fresh token."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.middleware.csrf import get_token
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from review import comments, escalations, preferences
from review.api import BenchView
from review.escalations import SHOWN, Answered

SINCE = OpenApiParameter("since", str, description="Only answers final after this moment.")


class CommentRequest(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=comments.LONGEST)


class CommentShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    text = serializers.CharField()


class PreferencesShape(serializers.Serializer[Any]):
    preferences = serializers.DictField(child=serializers.JSONField(allow_null=True))


class AnswersAsked(serializers.Serializer[Any]):
    since = serializers.DateTimeField(required=False)


class AnswerShape(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="the escalation's; named when it is marked as seen")
    task = serializers.UUIDField()
    serial = serializers.CharField()
    line = serializers.CharField()
    asked_at = serializers.DateTimeField()
    asked = serializers.CharField(allow_blank=True)
    answer = serializers.CharField()
    defect_class = serializers.CharField(allow_null=True)
    disposition = serializers.CharField()
    remark = serializers.CharField(allow_blank=True)
    by = serializers.CharField()
    at = serializers.DateTimeField()
    is_seen = serializers.BooleanField()


class Answers(serializers.Serializer[Any]):
    answers = AnswerShape(many=True)


class SeenRequest(serializers.Serializer[Any]):
    seen = serializers.ListField(child=serializers.UUIDField(), max_length=SHOWN)


class Unseen(serializers.Serializer[Any]):
    unseen = serializers.IntegerField()


class TokenShape(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="for X-CSRFToken")
    person = serializers.CharField(help_text="who is signed in in this browser")


class TaskComments(BenchView):
    """Note something about a unit."""

    @extend_schema(
        request=CommentRequest, responses={201: CommentShape}, operation_id="comment_on_task"
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        said = self.read(CommentRequest, request)
        made = comments.add(
            actor=self.actor(request), task_id=task_id, text=said["text"], at=timezone.now()
        )
        shown = {"id": made.uuid, "at": made.at, "by": str(made.author), "text": made.text}
        return Response(shown, status=status.HTTP_201_CREATED)


class Preferences(BenchView):
    """One's own settings of the bench."""

    @extend_schema(responses=PreferencesShape, operation_id="own_preferences")
    def get(self, request: Request) -> Response:
        return Response({"preferences": preferences.of(self.actor(request))})

    @extend_schema(
        request=PreferencesShape, responses=PreferencesShape, operation_id="change_own_preferences"
    )
    def put(self, request: Request) -> Response:
        """Sets the named ones, null forgets one; what is not named stays."""
        values = self.read(PreferencesShape, request)["preferences"]
        now = preferences.change(actor=self.actor(request), values=values, at=timezone.now())
        return Response({"preferences": now})


class LeadAnswers(BenchView):
    """What became of one's own escalations."""

    @extend_schema(parameters=[SINCE], responses=Answers, operation_id="own_answers")
    def get(self, request: Request) -> Response:
        asked = AnswersAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = escalations.answered(
            actor=self.actor(request), since=asked.validated_data.get("since"), at=timezone.now()
        )
        return Response({"answers": [_answer(each) for each in found]})

    @extend_schema(request=SeenRequest, responses=Unseen, operation_id="mark_answers_seen")
    def post(self, request: Request) -> Response:
        """Marks answers as seen."""
        actor, at = self.actor(request), timezone.now()
        escalations.mark_seen(
            actor=actor, escalations=self.read(SeenRequest, request)["seen"], at=at
        )
        return Response({"unseen": escalations.unseen(actor=actor, at=at)})


class Token(BenchView):
    """A token that is good for this session now: another tab may have logged in since."""

    @extend_schema(responses=TokenShape, operation_id="fresh_token")
    def get(self, request: Request) -> Response:
        plain = request._request  # noqa: SLF001  # the cookie goes with Django's answer
        return Response({"token": get_token(plain), "person": self.actor(request).name})


def _answer(found: Answered) -> dict[str, Any]:
    escalation, decision = found.escalation, found.decision
    kind = decision.disposition.kind if decision.disposition else decision.disposition_kind
    return {
        "id": escalation.uuid,
        "task": escalation.task.uuid,
        "serial": escalation.task.unit.serial,
        "line": escalation.task.line.code,
        "asked_at": escalation.at,
        "asked": escalation.comment,
        "answer": decision.answer,
        "defect_class": decision.defect_class or None,
        "disposition": kind,
        "remark": decision.comment,
        "by": str(decision.decided_by),
        "at": decision.decided_at,
        "is_seen": escalation.seen_at is not None,
    }
