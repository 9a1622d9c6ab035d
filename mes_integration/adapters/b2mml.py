"""Dispositions as B2MML documents, and the answers to them.

A profile's body names B2MML's own elements; their order, the envelope and the answers are known
here. The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.utils.translation import gettext as _
from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mes_integration import document_faults
from mes_integration.adapters.b2mml_xml import (
    NAMESPACE,
    Schemas,
    Unreadable,
    child,
    children,
    local,
    read,
    text,
    written,
)
from mes_integration.adapters.http_wire import Auth
from mes_integration.adapters.protocol import Message
from traceability.refusals import Invalid

RELEASE: Final = "7.0"
UNPREFIXED: Final[dict[Any, str]] = {None: NAMESPACE}
LONGEST_REFERENCE: Final = 200
LONGEST_REASON: Final = 300

MESSAGES: Final[Mapping[str, tuple[str, str]]] = {
    "SyncTestResult": ("Sync", "TestResult"),
    "ProcessTestResult": ("Process", "TestResult"),
    "ChangeMaterialLot": ("Change", "MaterialLot"),
    "SyncMaterialLot": ("Sync", "MaterialLot"),
    "ChangeMaterialSubLot": ("Change", "MaterialSubLot"),
    "SyncMaterialSubLot": ("Sync", "MaterialSubLot"),
    # V7 names the verb of this one Sync, whatever the document is called.
    "NotifyOperationsEvent": ("Sync", "OperationsEvent"),
}
"""What can be sent: verb and noun of each document."""

_VALUE: Final = ("ValueString", "DataType", "UnitOfMeasure", "Key")
_MATERIAL_HEAD: Final = (
    *("ID", "Version", "Description", "PublishedDate", "EffectiveStartDate", "EffectiveEndDate"),
    "HierarchyScope",
)
ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "TestResult": (
        *("ID", "Description", "EvaluationDate", "Expiration", "HierarchyScope"),
        *("TestableObjectID", "OperationsTestRequirementID", "EvaluatedCriterionResult"),
        *("TestResultChild", "PropertyMeasurement"),
    ),
    "TestResultChild": (
        *("ID", "Description", "EvaluationDate", "TestableObjectID", "EvaluatedCriterionResult"),
        "PropertyMeasurement",
    ),
    "PropertyMeasurement": (
        *("ID", "Description", "TestableObjectPropertyID", "MeasurementDate", "Value"),
        *("Expiration", "WorkDefinitionID"),
    ),
    "Value": _VALUE,
    "Quantity": ("QuantityString", *_VALUE[1:]),
    "HierarchyScope": (
        *("EquipmentID", "EquipmentElementLevel", "EquipmentLevel", "HierarchyScopeChild"),
    ),
    "HierarchyScopeChild": (
        *("EquipmentID", "EquipmentElementLevel", "EquipmentLevel", "HierarchyScopeChild"),
    ),
    "MaterialLot": (
        *_MATERIAL_HEAD,
        *("MaterialDefinitionID", "Status", "Disposition", "MaterialLotProperty"),
        *("MaterialSubLot", "StorageLocation", "Quantity", "TestSpecificationID"),
    ),
    "MaterialSubLot": (
        *_MATERIAL_HEAD,
        *("Status", "Disposition", "MaterialLotProperty", "StorageLocation", "Quantity"),
        *("TestSpecificationID", "MaterialSubLotChild", "MaterialLotID"),
    ),
    "MaterialLotProperty": (
        *("ID", "Description", "Value", "MaterialLotPropertyChild"),
        "MaterialDefinitionPropertyID",
    ),
    "MaterialLotPropertyChild": ("ID", "Description", "Value"),
    "StorageLocation": ("Location", "LocationType"),
    "OperationsEvent": (
        *("ID", "Description", "Version", "HierarchyScope", "EffectiveTimeStamp"),
        *("RecordTimeStamp", "Priority", "OperationsEventType", "OperationsEventLevel"),
        *("OperationsType", "MOMFunction", "EnterpriseFunction", "Category", "Acknowledgement"),
        *("Source", "OperationsDefinitionID", "OperationsEventChild"),
    ),
    "OperationsEventChild": (
        *("ID", "Description", "EffectiveTimeStamp", "OperationsEventType", "Category"),
    ),
}
"""The elements a body may name, in the order that B2MML asks for."""

_WORDS: Final = frozenset({"Description"})
"""Where a character XML cannot hold is replaced; anywhere else it would change who is meant."""
_NO_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_LINE: Final = re.compile("[\t\n\r]")


class Unsayable(Exception):
    """The body does not come to a B2MML document; the sentence names the place and the cure."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Wire(BaseModel):
    """What a profile's “wire” says to this adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: Literal[
        "SyncTestResult",
        "ProcessTestResult",
        "ChangeMaterialLot",
        "SyncMaterialLot",
        "ChangeMaterialSubLot",
        "SyncMaterialSubLot",
        "NotifyOperationsEvent",
    ]
    auth: Auth = "signature"
    sender: str = Field(default="Loupe", min_length=1, max_length=100)
    receiver: str = Field(default="", max_length=100)


def wire_of(message: Message) -> Wire:
    """The profile's “wire”; Unsayable names what is wrong with it."""
    return wire_from(message.profile.wire)


def check_wire(wire: Mapping[str, Any]) -> None:
    """Invalid names the place that is wrong."""
    try:
        wire_from(wire)
    except Unsayable as unsayable:
        raise Invalid(unsayable.sentence) from unsayable


def wire_from(given: Mapping[str, Any]) -> Wire:
    """The “wire” of a document alone."""
    try:
        return Wire.model_validate(given)
    except ValidationError as error:
        raise Unsayable(
            _("This mapping profile cannot be used. %(faults)s")
            % {"faults": document_faults.said(error, under="wire")}
        ) from error


def document(message: Message, schemas: Schemas | None = None) -> bytes:
    """The document of a disposition, valid where the schemas are at hand; Unsayable else.

    The same bytes on every attempt.
    """
    wire = wire_of(message)
    verb, noun = MESSAGES[wire.message]
    body = dict(message.body)
    created = body.pop("CreationDateTime", None)
    if not isinstance(created, str) or set(body) != {noun}:
        raise Unsayable(
            _("For %(message)s the profile's “body” holds CreationDateTime and %(noun)s.")
            % {"message": wire.message, "noun": noun}
        )
    root = _envelope(wire, message.key, created)
    area = etree.SubElement(root, _q("DataArea"))
    etree.SubElement(area, _q(verb))
    nouns = body[noun] if isinstance(body[noun], list) else [body[noun]]
    for value in nouns:
        _add(area, noun, value, noun)
    _check_valid(root, schemas)
    return written(root)


def query(message: Message) -> bytes:
    """The Get document that asks for what was sent in `message`."""
    wire = wire_of(message)
    noun = MESSAGES[wire.message][1]
    value = message.body.get(noun)
    first = value[0] if isinstance(value, list) and value else value
    identity = first.get("ID") if isinstance(first, Mapping) else None
    root = _envelope(
        wire, f"get-{message.key}", str(message.body.get("CreationDateTime")), name=f"Get{noun}"
    )
    area = etree.SubElement(root, _q("DataArea"))
    etree.SubElement(area, _q("Get"))
    _add(area, noun, {"ID": identity}, noun)
    return written(root)


def _check_valid(root: etree._Element, schemas: Schemas | None) -> None:
    fault = schemas.fault(root) if schemas else ""
    if fault:
        raise Unsayable(
            _("The document is not valid B2MML and was not sent; mend the profile. %(fault)s")
            % {"fault": fault}
        )


def _q(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _envelope(wire: Wire, bodid: str, created: str, *, name: str = "") -> etree._Element:
    root = etree.Element(_q(name or wire.message), nsmap=UNPREFIXED)
    root.set("releaseID", RELEASE)
    root.append(_application_area(wire.sender, wire.receiver, created, bodid))
    return root


def _application_area(sender: str, receiver: str, created: str, bodid: str) -> etree._Element:
    area = etree.Element(_q("ApplicationArea"))
    by = etree.SubElement(area, _q("Sender"))
    _leaf(by, "LogicalID", sender, "Sender")
    _leaf(by, "ConfirmationCode", "Always", "Sender")
    if receiver:
        _leaf(etree.SubElement(area, _q("Receiver")), "LogicalID", receiver, "Receiver")
    _leaf(area, "CreationDateTime", created, "ApplicationArea")
    _leaf(area, "BODID", bodid, "ApplicationArea")
    return area


def _add(parent: etree._Element, name: str, value: Any, path: str) -> None:
    """An element and all below it; nothing for what is null or empty."""
    if value is None or value in ("", {}, []):
        return
    if isinstance(value, list):
        for number, each in enumerate(value):
            _add(parent, name, each, f"{path}[{number}]")
        return
    if not isinstance(value, Mapping):
        _leaf(parent, name, value, path)
        return
    element = etree.SubElement(parent, _q(name))
    _attributes(element, value, path)
    if "#" in value:
        element.text = _said(name, value["#"], f"{path}.#")
    _add_children(element, name, value, path)
    if not len(element) and not element.attrib and not element.text:
        parent.remove(element)


def _add_children(element: etree._Element, name: str, value: Mapping[str, Any], path: str) -> None:
    order = ORDER.get(name, ())
    given = {key: below for key, below in value.items() if key != "#" and not key.startswith("@")}
    for key in given:
        if key not in order:
            raise Unsayable(
                _("The profile's “body” names %(key)s in %(path)s; known there: %(known)s.")
                % {"key": key, "path": path, "known": ", ".join(order) or "–"}
            )
    for key in order:
        _add(element, key, given.get(key), f"{path}.{key}")


def _attributes(element: etree._Element, value: Mapping[str, Any], path: str) -> None:
    for key, given in value.items():
        if not key.startswith("@") or given is None:
            continue
        if not re.fullmatch(r"@[A-Za-z]{1,40}", key):
            raise Unsayable(
                _("The profile's “body” names the attribute %(key)s in %(path)s.")
                % {"key": key, "path": path}
            )
        element.set(key[1:], _said(key, given, f"{path}.{key}"))


def _leaf(parent: etree._Element, name: str, value: Any, path: str) -> None:
    etree.SubElement(parent, _q(name)).text = _said(name, value, path)


def _said(name: str, value: Any, path: str) -> str:
    """A value as XML holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise Unsayable(_("The profile's “body” has no text at %(path)s.") % {"path": path})
    if name in _WORDS:
        return _NO_CHARACTER.sub("\ufffd", value)
    if _NO_CHARACTER.search(value) or _NOT_IN_LINE.search(value):
        raise Unsayable(
            _("%(path)s holds a character that B2MML cannot carry; correct it where it comes from.")
            % {"path": path}
        )
    return value


@dataclass(frozen=True, slots=True)
class Word:
    """What an acknowledging document says of one of ours."""

    key: str
    is_taken: bool
    reference: str
    reason: str
    code: str = ""


def word_in(root: etree._Element) -> Word | None:
    """The acknowledgement a document is; None for any other, Unreadable for one of nothing.

    ConfirmBOD and Acknowledge* count, and Respond* as the answer to Change*. A single “Rejected”
    refuses the whole: one document carries one disposition.
    """
    name = local(root)
    verb = next((v for v in ("Confirm", "Acknowledge", "Respond") if name.startswith(v)), None)
    if verb is None or etree.QName(root).namespace != NAMESPACE:
        return None
    area = child(root, "DataArea")
    said = child(area, verb)
    original = child(said, "OriginalApplicationArea")
    if original is None:
        original = child(area, "BOD", "OriginalApplicationArea")
    key = text(original, "BODID")
    if not key:
        raise Unreadable(_("%(name)s does not say which BODID it answers.") % {"name": name})
    refused = [
        criteria
        for criteria in children(said, "ResponseCriteria")
        if _action(criteria) == "rejected"
    ]
    return Word(
        key=key,
        is_taken=not refused,
        reference=reference_in(root, key),
        reason=_reason(area, refused),
        code=text(refused[0], "ChangeStatus", "Code") if refused else "",
    )


def _action(criteria: etree._Element) -> str:
    expression = child(criteria, "ResponseExpression")
    return (expression.get("actionCode") or "").strip().lower() if expression is not None else ""


def _reason(area: etree._Element | None, refused: list[etree._Element]) -> str:
    """Why, as one line: of the refused parts, else what the document notes."""
    said = []
    for criteria in refused:
        status = child(criteria, "ChangeStatus")
        said += [text(status, "ReasonCode"), *_texts(status, "Reason", "Description")]
    bod = child(area, "BOD")
    said += _texts(bod, "Description", "Note")
    return "; ".join(part for part in said if part)[:LONGEST_REASON]


def _texts(parent: etree._Element | None, *names: str) -> list[str]:
    return [text(each) for name in names for each in children(parent, name)]


def reference_in(root: etree._Element, key: str) -> str:
    """The answerer's own name for what it holds, where it has one; else the BODID it took."""
    own = text(root, "ApplicationArea", "Sender", "ReferenceID")
    return own if own and len(own) <= LONGEST_REFERENCE and own.isprintable() else key


def held_in(root: etree._Element, key: str) -> list[etree._Element]:
    """What a Show document shows of what was sent under the key."""
    area = child(root, "DataArea")
    nouns = list(area)[1:] if area is not None else []
    return [n for n in nouns if any((e.text or "").strip() == key for e in n.iter())]


def verdict_of(noun: etree._Element) -> Any:
    """The verdict of a noun as a mapping's “verdicts” has it; None where it does not say all."""
    if local(noun) == "TestResult":
        return text(noun, "EvaluatedCriterionResult") or None
    word = material_word(noun)
    return word if len(word) == 2 else None


def material_word(noun: etree._Element) -> dict[str, Any]:
    """Status and Disposition as a mapping's “verdicts” has them, as far as they are said."""
    disposition = child(noun, "Disposition")
    other = disposition.get("OtherValue") if disposition is not None else None
    said = text(noun, "Disposition")
    word = {
        "Status": text(noun, "Status"),
        "Disposition": {"#": said, "@OtherValue": other} if said and other else said,
    }
    return {name: value for name, value in word.items() if value}


def answered(payload: bytes, *, largest: int) -> etree._Element | None:
    """The B2MML document of an answer; None for anything else."""
    try:
        return read(payload, largest=largest)
    except Unreadable:
        return None
