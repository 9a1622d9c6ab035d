"""A disposition as the CFX messages it comes to: pure, and the same on every attempt.

The mapping profile gives the messages' fields. What must not change between two attempts (every
identifier, the time) follows from the disposition's own id and time.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from django.utils.translation import gettext as _
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from mes_integration import document_faults
from mes_integration.adapters.cfx_messages import (
    Defect,
    Envelope,
    Image,
    InspectedUnit,
    Inspection,
    Repair,
    RepairedUnit,
    SaidBody,
    UnitsDisqualified,
    UnitsInspected,
    UnitsRepaired,
)

_EARLIER: Final = 0x4C6F_7570_6500_0000_0000_0000_0000_0000
"""Told apart by its first bits: the id of a message that goes before the one that has the key."""


class Unsayable(Exception):
    """What the profile made is not CFX; the sentence names each place."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Wire(BaseModel):
    """What a profile's `wire` may say to this adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settled_is_applied: bool = Field(
        default=False,
        description="Count a disposition as applied once the broker has taken it. Weaker: whether "
        "the MES ever reads it nobody knows.",
    )


class Body(BaseModel):
    """What a profile's `body` comes to: the messages, and what Loupe puts into them.

    `Confidence` (0-1) and `Images` (addresses) go to the defects; see `_defects`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_stamp: AwareDatetime = Field(alias="TimeStamp")
    confidence: float | None = Field(default=None, ge=0, le=1, alias="Confidence")
    images: tuple[str, ...] | None = Field(default=None, alias="Images")
    units_inspected: UnitsInspected | None = Field(default=None, alias="UnitsInspected")
    units_repaired: UnitsRepaired | None = Field(default=None, alias="UnitsRepaired")
    units_disqualified: UnitsDisqualified | None = Field(default=None, alias="UnitsDisqualified")


def wire_of(given: Mapping[str, Any]) -> Wire:
    """The profile's `wire`; Unsayable where it asks for something unknown."""
    try:
        return Wire.model_validate(given)
    except ValidationError as error:
        raise Unsayable(
            _("This mapping profile cannot be used. %(faults)s")
            % {"faults": document_faults.said(error, under="wire")}
        ) from error


def envelopes_of(key: str, body: Mapping[str, Any], *, handle: str) -> tuple[Envelope, ...]:
    """The messages in the order they are sent; the last one carries the key itself.

    So whoever answers the last one by its id answers for the disposition.
    """
    try:
        said = Body.model_validate(body)
        messages = _messages(said, UUID(key))
    except ValidationError as error:
        raise Unsayable(
            _("The mapping does not make a CFX message of it. %(faults)s")
            % {"faults": document_faults.said(error, under="body")}
        ) from error
    if not messages:
        raise Unsayable(
            _(
                "The mapping makes no CFX message of it. Give “body” UnitsInspected, "
                "UnitsRepaired or UnitsDisqualified."
            )
        )
    earlier = len(messages) - 1
    return tuple(
        Envelope(
            unique_id=earlier_id(key, number) if number < earlier else UUID(key),
            time_stamp=said.time_stamp,
            source=handle,
            message_body=message,
        )
        for number, message in enumerate(messages)
    )


def inspected(key: str, body: Mapping[str, Any]) -> tuple[InspectedUnit, ...]:
    """What was told of the units, as it was told; nothing where the body tells of none."""
    try:
        said = Body.model_validate(body)
    except ValidationError:
        return ()
    found = _with_inspected(said, UUID(key))
    return found.inspected_units if found else ()


def earlier_id(key: str, number: int) -> UUID:
    """The id of a disposition's message that is not its last one."""
    return UUID(int=UUID(key).int ^ (_EARLIER + (number << 68)))


def keys_of_earlier(unique_id: str) -> list[UUID]:
    """The keys of which an earlier message could have this id."""
    try:
        given = UUID(unique_id).int
    except ValueError:
        return []
    return [UUID(int=given ^ (_EARLIER + (number << 68))) for number in range(2)]


def _messages(said: Body, key: UUID) -> list[SaidBody]:
    """In the order in which they make sense to who reads them."""
    found: list[SaidBody | None] = [
        _with_inspected(said, key),
        _with_repairs(said, key),
        said.units_disqualified,
    ]
    return [message for message in found if message is not None]


def _with_inspected(said: Body, key: UUID) -> UnitsInspected | None:
    message = said.units_inspected
    if message is None:
        return None
    units = []
    for place, unit in enumerate(message.inspected_units):
        steps = tuple(
            _inspection(said, step, uuid5(key, f"inspection {place} {number}"))
            for number, step in enumerate(unit.inspections)
        )
        units.append(unit.model_copy(update={"inspections": steps}))
    return message.model_copy(
        update={"transaction_id": message.transaction_id or key, "inspected_units": tuple(units)}
    )


def _inspection(said: Body, step: Inspection, own: UUID) -> Inspection:
    return step.model_copy(
        update={
            "unique_identifier": step.unique_identifier or str(own),
            "defects_found": tuple(_defects(said, step, own)),
        }
    )


def _defects(said: Body, step: Inspection, own: UUID) -> list[Defect]:
    """Each with an id, the inspection's verification and the model's confidence.

    The pictures are the inspection's, so they hang on its first defect and are told once.
    """
    shown = tuple(_image(uri) for uri in said.images or ())
    return [
        found.model_copy(
            update={
                "unique_identifier": found.unique_identifier or str(uuid5(own, f"defect {n}")),
                "verification": found.verification or step.verification,
                "confidence_level": found.confidence_level or level(said.confidence),
                "defect_images": found.defect_images or (shown if n == 0 else ()),
            }
        )
        for n, found in enumerate(step.defects_found)
    ]


def level(confidence: float | None) -> float | None:
    """A probability (0-1) as CFX's confidence (1-100): hundredths, and 1 below that."""
    return None if confidence is None else max(1.0, round(confidence * 100, 4))


def _image(uri: str) -> Image:
    guessed, _encoding = mimetypes.guess_type(uri.partition("?")[0])
    return Image(mime_type=guessed or "application/octet-stream", image_url=uri)


def _with_repairs(said: Body, key: UUID) -> UnitsRepaired | None:
    message = said.units_repaired
    if message is None:
        return None
    units = tuple(_repaired(unit, key, n) for n, unit in enumerate(message.repaired_units))
    return message.model_copy(
        update={"transaction_id": message.transaction_id or key, "repaired_units": units}
    )


def _repaired(unit: RepairedUnit, key: UUID, place: int) -> RepairedUnit:
    repairs: list[Repair] = []
    for number, repair in enumerate(unit.repairs):
        own = repair.unique_identifier or str(uuid5(key, f"repair {place} {number}"))
        repairs.append(repair.model_copy(update={"unique_identifier": own}))
    return unit.model_copy(update={"repairs": tuple(repairs)})
