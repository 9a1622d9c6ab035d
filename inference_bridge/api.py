"""Predictions by HTTP, for a site without SQS: what is answered as taken is durable."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import actor_from
from governance.roles import Capability
from inference_bridge import intake
from inference_bridge.envelopes import Unreadable, load
from inference_bridge.intake import Incoming, Outcome, Status
from traceability.refusals import Invalid, Unavailable

MOST_EVENTS: Final = 100
_STATUS_OF_CODE: Final = {
    "unknown_site": 404,
    "unknown_line": 404,
    "id_reused": 409,
    "source_taken": 409,
}


class CloudEventShape(serializers.Serializer[Any]):
    """A `com.loupe.prediction.v1` CloudEvent; docs/reference/prediction-event.md has all of it."""

    specversion = serializers.ChoiceField(choices=["1.0"])
    id = serializers.CharField(max_length=128)
    source = serializers.CharField(max_length=256)  # type: ignore[assignment]  # the event's own name
    type = serializers.ChoiceField(choices=["com.loupe.prediction.v1"])
    time = serializers.DateTimeField()
    data = serializers.DictField()  # type: ignore[assignment]  # the event's own name


class OutcomeShape(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="the event's id, empty when it could not be read")
    source = serializers.CharField()  # type: ignore[assignment]  # the event's own name
    status = serializers.ChoiceField(choices=["taken", "repeated", "refused", "not_now"])
    route = serializers.CharField(help_text="CONTAIN, REVIEW, PASS or CAPTURE_CHECK when taken")
    code = serializers.CharField(help_text="why it was refused, for a program")
    detail = serializers.CharField(help_text="why it was refused, for a person")


class OutcomesShape(serializers.Serializer[Any]):
    results = OutcomeShape(many=True)


class Predictions(APIView):
    """One event or a list of at most 100."""

    capability: ClassVar[Capability] = Capability.SEND_PREDICTIONS

    @extend_schema(
        operation_id="send_predictions",
        request=PolymorphicProxySerializer(
            component_name="OneOrManyCloudEvents",
            serializers=[CloudEventShape, CloudEventShape(many=True)],
            resource_type_field_name=None,
            many=False,
        ),
        responses={201: OutcomesShape, 200: OutcomesShape, 207: OutcomesShape},
    )
    def post(self, request: Request) -> Response:
        """201: something was taken; 200: all known already; 207: some refused. One alone: 4xx."""
        events, is_list = _events(request)
        try:
            outcomes = intake.take(
                actor=actor_from(request._request),  # noqa: SLF001  # Django's own request
                messages=[
                    Incoming(message_id=str(number), body=json.dumps(event), is_kept=False)
                    for number, event in enumerate(events)
                ],
                at=timezone.now(),
                needs=self.capability,
            )
        except OperationalError as error:
            raise Unavailable(_("The database does not answer; send the events again.")) from error
        return _answer(outcomes, is_list=is_list)


def _events(request: Request) -> tuple[list[Any], bool]:
    """The body's events, read by the rules of the queue rather than a parser's."""
    try:
        text = request._request.body.decode()  # noqa: SLF001  # unparsed
        document = load(text, most=len(text))
    except RequestDataTooBig as error:
        raise Invalid(_("The request is too large; send fewer events at a time.")) from error
    except UnicodeDecodeError as error:
        raise Invalid(_("The body is not UTF-8 text.")) from error
    except Unreadable as reason:
        raise Invalid(reason.sentence, code=reason.code) from reason
    if not isinstance(document, list):
        return [document], False
    if not 1 <= len(document) <= MOST_EVENTS:
        raise Invalid(_("Send 1 to %(most)d events at a time.") % {"most": MOST_EVENTS})
    return document, True


def _answer(outcomes: list[Outcome], *, is_list: bool) -> Response:
    kinds = {outcome.status for outcome in outcomes}
    refused = kinds & {Status.REFUSED, Status.NOT_NOW}
    if refused and not is_list and len(outcomes) == 1:
        outcome = outcomes[0]
        status = 503 if outcome.status is Status.NOT_NOW else _STATUS_OF_CODE.get(outcome.code, 422)
        return Response({"code": outcome.code, "detail": outcome.sentence}, status=status)
    status = 207 if refused else 201 if Status.TAKEN in kinds else 200
    return Response({"results": [_result(outcome) for outcome in outcomes]}, status=status)


def _result(outcome: Outcome) -> dict[str, str]:
    return {
        "id": outcome.event_id,
        "source": outcome.source,
        "status": outcome.status.value,
        "route": outcome.route,
        "code": outcome.code,
        "detail": outcome.sentence,
    }
