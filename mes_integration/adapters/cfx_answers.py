"""What Loupe answers to the requests a CFX endpoint must answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from mes_integration import document_faults
from mes_integration.adapters import cfx_envelopes
from mes_integration.adapters.cfx_messages import (
    AreYouThereRequest,
    AreYouThereResponse,
    GetInspectionInfoRequest,
    GetInspectionInfoResponse,
    Heard,
    HeardEnvelope,
    InspectedUnit,
    NotSupportedResponse,
    RequestResult,
    SaidBody,
    WhoIsThereRequest,
    WhoIsThereResponse,
)
from mes_integration.models import WriteBack

TOPICS: Final = frozenset(
    {
        "CFX",
        "CFX.Production",
        "CFX.Production.TestAndInspection",
        "CFX.Production.ReworkAndRepair",
    }
)
_MOST_UNITS: Final = 100
_State = WriteBack.State
_SENT: Final = (_State.SENT, _State.ACKNOWLEDGED)
_Request = TypeVar("_Request", bound=Heard)


def answer_to(
    request: HeardEnvelope, *, target: str, handle: str, uri: str, queue: str | None
) -> SaidBody | None:
    """The body of the answer; None where there is none to give.

    Events are not answered, nor is what is meant for another endpoint or asks for other topics.
    """
    if not request.message_name.endswith("Request"):
        return None
    me = {"cfx_handle": handle, "request_network_uri": uri, "request_target_address": queue}
    try:
        if request.message_name == "CFX.AreYouThereRequest":
            asked = _read(AreYouThereRequest, request.message_body)
            mine = asked.cfx_handle in {None, "", handle}
            return AreYouThereResponse.model_validate(me) if mine else None
        if request.message_name == "CFX.WhoIsThereRequest":
            wanted = _read(WhoIsThereRequest, request.message_body)
            return WhoIsThereResponse.model_validate(me) if _matches(wanted) else None
        if request.message_name.endswith(".GetInspectionInfoRequest"):
            of = _read(GetInspectionInfoRequest, request.message_body)
            return GetInspectionInfoResponse(inspected_units=tuple(_told(_serials(of), target)))
    except ValidationError as error:
        faults = document_faults.said(error, under="MessageBody")
        return _not_supported(f"The request cannot be read. {faults}")
    return _not_supported("Not implemented message")


def _read(model: type[_Request], body: dict[str, Any]) -> _Request:
    return model.model_validate(body)


def _not_supported(sentence: str) -> NotSupportedResponse:
    return NotSupportedResponse(request_result=RequestResult(result="Failed", message=sentence))


def _matches(wanted: WhoIsThereRequest) -> bool:
    names = {topic.topic_name for topic in wanted.supported_topics}
    if wanted.supported_topic_query_type == "All":
        return names <= TOPICS
    return wanted.supported_topic_query_type == "Ignore" or bool(names & TOPICS)


def _serials(asked: GetInspectionInfoRequest) -> list[str]:
    named = [unit.unit_identifier for unit in asked.units or ()] or [asked.primary_identifier]
    # No serial number has a NUL, and no query takes one.
    asked_for = (name for name in named if name and "\0" not in name)
    return list(dict.fromkeys(asked_for))[:_MOST_UNITS]


def _told(serials: Iterable[str], target: str) -> Iterable[InspectedUnit]:
    """Each unit as this target was last told of it, in the order asked for."""
    for serial in serials:
        rows = WriteBack.objects.filter(
            unit__serial=serial, target=target, state__in=_SENT, message__isnull=False
        )
        row = rows.order_by("-revision").first()
        if row is not None and row.message is not None:
            yield from cfx_envelopes.inspected(str(row.uuid), row.message)
