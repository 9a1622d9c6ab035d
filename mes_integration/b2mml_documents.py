"""B2MML documents that come in, read into what Loupe keeps: items of master data and changes.

The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _
from lxml import etree

from mes_integration.adapters.b2mml import Word, material_word, word_in
from mes_integration.adapters.b2mml_xml import (
    LARGEST,
    NAMESPACE,
    Schemas,
    Unreadable,
    child,
    children,
    local,
    read,
    text,
)
from traceability.refusals import Invalid

LONGEST_BODID: Final = 120
MOST_ENTRIES: Final = 2000
_MASTER: Final = ("Sync", "Process")
_CHANGE: Final = ("Change",)
_STATES: Final[Mapping[str, str]] = {
    "Forecast": "PLANNED",
    "Waiting": "PLANNED",
    "Released": "RELEASED",
    "Ready": "RELEASED",
    "Running": "RUNNING",
    "Held": "HELD",
    "Suspended": "HELD",
    "Completed": "COMPLETED",
    "Closed": "COMPLETED",
    "Cancelled": "CANCELLED",
    "Aborted": "CANCELLED",
}
_PRODUCED: Final = frozenset({"Produced", "Material Produced", "Yield Produced"})


@dataclass(frozen=True, slots=True)
class Change:
    """What was done in the MES with a unit, or with the one unit of a lot."""

    serial: str
    lot: str
    word: Any
    remark: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing a document says: an item as `master_items` reads it, or a change."""

    place: str
    item: Mapping[str, Any] | None = None
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document that can be answered; `digest` is of its data, not of its envelope."""

    name: str
    verb: str
    noun: str
    bodid: str
    created: str
    by: str
    root: etree._Element
    digest: str
    word: Word | None = None
    entries: list[Entry] = field(default_factory=list)


def opened(payload: bytes, *, schemas: Schemas | None = None, largest: int = LARGEST) -> Document:
    """A document as it was sent; Invalid for what is no B2MML that Loupe takes."""
    try:
        root = read(payload, largest=largest)
        _check_envelope(root, schemas)
        word = word_in(root)
    except Unreadable as unreadable:
        raise Invalid(unreadable.sentence, code="unreadable") from unreadable
    verb, noun = _verb_and_noun(local(root))
    document = Document(
        name=local(root),
        verb=verb,
        noun=noun,
        bodid=text(root, "ApplicationArea", "BODID"),
        created=text(root, "ApplicationArea", "CreationDateTime"),
        by=text(root, "ApplicationArea", "Sender", "AuthorizationID"),
        root=root,
        digest=_digest(root),
        word=word,
    )
    if len(document.bodid) > LONGEST_BODID or not document.bodid.isprintable():
        raise Invalid(_("The BODID is one line of at most 120 characters."))
    if word is None:
        document.entries.extend(_entries(document))
    return document


def _check_envelope(root: etree._Element, schemas: Schemas | None) -> None:
    name = etree.QName(root)
    if name.namespace != NAMESPACE:
        raise Unreadable(
            _("The document is no B2MML V7: its namespace is not %(namespace)s.")
            % {"namespace": NAMESPACE}
        )
    for part in ("ApplicationArea", "DataArea"):
        if child(root, part) is None:
            raise Unreadable(_("The document has no %(part)s.") % {"part": part})
    fault = schemas.fault(root) if schemas else ""
    if fault:
        raise Unreadable(_("The document is not valid B2MML: %(fault)s") % {"fault": fault})


def _verb_and_noun(name: str) -> tuple[str, str]:
    for verb in (*_MASTER, *_CHANGE, "Confirm", "Acknowledge", "Respond"):
        if name.startswith(verb):
            return verb, name.removeprefix(verb)
    return "", name


def _digest(root: etree._Element) -> str:
    """The same for the same data, however it is written and whenever it was sent."""
    areas = children(root, "DataArea")
    said = b"".join(etree.tostring(area, method="c14n", exclusive=True) for area in areas)
    return hashlib.sha256(said).hexdigest()


def _entries(document: Document) -> list[Entry]:
    reader = _READERS.get((document.verb, document.noun))
    if reader is None:
        raise Invalid(
            _("Loupe does not take %(name)s; it takes: %(names)s.")
            % {
                "name": document.name[:80],
                "names": ", ".join(sorted(f"{verb}{noun}" for verb, noun in _READERS)),
            },
            code="not_taken",
        )
    area = child(document.root, "DataArea")
    _check_nothing_deleted(child(area, document.verb))
    entries = [
        entry for noun in children(area, document.noun) for entry in reader(noun, document.created)
    ]
    if not entries:
        raise Invalid(_("%(name)s names nothing.") % {"name": document.name})
    if len(entries) > MOST_ENTRIES:
        raise Invalid(
            _("Send at most %(most)d things in a document; this one names %(count)d.")
            % {"most": MOST_ENTRIES, "count": len(entries)}
        )
    return entries


def _check_nothing_deleted(verb: etree._Element | None) -> None:
    for criteria in children(verb, "ActionCriteria"):
        for expression in children(criteria, "ActionExpression"):
            if (expression.get("actionCode") or "").strip().lower() == "delete":
                raise Invalid(
                    _("Loupe deletes no master data: what refers to it stays. Leave it out.")
                )


def _definition(noun: etree._Element, created: str) -> list[Entry]:
    item = {
        "kind": "part_revision",
        "number": text(noun, "ID"),
        "revision": text(noun, "Version"),
        "changed_at": text(noun, "PublishedDate") or created,
        **_given(description=text(noun, "Description")),
    }
    return [Entry(_place(noun), item=item)]


def _lot(noun: etree._Element, created: str) -> list[Entry]:
    changed_at, code = text(noun, "PublishedDate") or created, text(noun, "ID")
    expires = _property(noun, "ExpirationDate") or text(noun, "EffectiveEndDate")
    item = {
        "kind": "lot",
        "code": code,
        "changed_at": changed_at,
        **_part(
            text(noun, "MaterialDefinitionID"),
            _property(noun, "PartRevision") or _revision_of(noun),
        ),
        **_given(
            supplier=_property(noun, "Supplier"),
            quantity=text(noun, "Quantity", "QuantityString"),
            uom=text(noun, "Quantity", "UnitOfMeasure"),
            expires_on=expires[:10],
        ),
    }
    return [
        Entry(_place(noun), item=item),
        *[
            entry
            for below in children(noun, "MaterialSubLot")
            for entry in _sub_lot(below, changed_at, of_lot=code)
        ],
    ]


def _sub_lot(noun: etree._Element, created: str, of_lot: str = "") -> list[Entry]:
    item = {
        "kind": "unit",
        "serial": text(noun, "ID"),
        "changed_at": text(noun, "PublishedDate") or created,
        **_part(_property(noun, "PartNumber"), _property(noun, "PartRevision")),
        **_given(
            lot=text(noun, "MaterialLotID") or of_lot,
            supplier=_property(noun, "Supplier"),
            order=_property(noun, "WorkOrder"),
        ),
    }
    return [Entry(_place(noun), item=item)]


def _information(noun: etree._Element, created: str) -> list[Entry]:
    """Definitions before lots, lots before units, whatever their order in the document."""
    published = text(noun, "PublishedDate") or created
    return [
        entry
        for name, reader in (
            ("MaterialDefinition", _definition),
            ("MaterialLot", _lot),
            ("MaterialSubLot", _sub_lot),
        )
        for below in children(noun, name)
        for entry in reader(below, published)
    ]


def _schedule(noun: etree._Element, created: str) -> list[Entry]:
    published = text(noun, "PublishedDate") or created
    return [
        entry
        for request in children(noun, "OperationsRequest")
        for entry in _request(request, published)
    ]


def _request(noun: etree._Element, created: str) -> list[Entry]:
    product = _product(noun)
    state = text(noun, "RequestState")
    item = {
        "kind": "order",
        "number": text(noun, "ID"),
        "changed_at": created,
        **_part(text(product, "MaterialDefinitionID"), _revision_of(product)),
        **_given(
            lot=text(product, "MaterialLotID"),
            quantity=text(product, "Quantity", "QuantityString"),
            state=_STATES.get(state, state),
        ),
    }
    return [Entry(_place(noun), item=item)]


def _product(request: etree._Element) -> etree._Element | None:
    """What the order makes: the first material that is produced, or the only one there is."""
    materials = [
        material
        for segment in children(request, "SegmentRequirement")
        for material in children(segment, "MaterialRequirement")
    ]
    made = [m for m in materials if text(m, "MaterialUse") in _PRODUCED]
    if made:
        return made[0]
    return materials[0] if len(materials) == 1 and not text(materials[0], "MaterialUse") else None


def _revision_of(material: etree._Element | None) -> str:
    """The version of the definition that is referred to, where its identifier names one."""
    found = child(material, "MaterialDefinitionID")
    return (found.get("schemeVersionID") or "").strip() if found is not None else ""


def _sub_lot_change(noun: etree._Element, _created: str) -> list[Entry]:
    change = Change(text(noun, "ID"), "", material_word(noun), text(noun, "Description"))
    return [Entry(_place(noun), change=change)]


def _lot_change(noun: etree._Element, _created: str) -> list[Entry]:
    serial = _property(noun, "Serial")
    change = Change(serial, text(noun, "ID"), material_word(noun), text(noun, "Description"))
    return [Entry(_place(noun), change=change)]


def _result_change(noun: etree._Element, _created: str) -> list[Entry]:
    word = text(noun, "EvaluatedCriterionResult")
    change = Change(text(noun, "TestableObjectID"), "", word, text(noun, "Description"))
    return [Entry(_place(noun), change=change)]


def _property(noun: etree._Element, name: str) -> str:
    for found in children(noun, "MaterialLotProperty"):
        if text(found, "ID") == name:
            return text(found, "Value", "ValueString")
    return ""


def _part(number: str, revision: str) -> dict[str, str]:
    if not number:
        return {}
    return {"part_number": number, **({"part_revision": revision} if revision else {})}


def _given(**values: Any) -> dict[str, Any]:
    """What is said; what is left out stays as it is."""
    return {name: value for name, value in values.items() if value}


def _place(noun: etree._Element) -> str:
    """Where in the document, as an expression of the answer."""
    return f"{local(noun)}[ID='{text(noun, 'ID')}']"


_READERS: Final[Mapping[tuple[str, str], Callable[[Any, str], list[Entry]]]] = {
    **{
        (verb, noun): reader
        for verb in _MASTER
        for noun, reader in (
            ("MaterialDefinition", _definition),
            ("MaterialLot", _lot),
            ("MaterialSubLot", _sub_lot),
            ("MaterialInformation", _information),
            ("OperationsSchedule", _schedule),
        )
    },
    ("Change", "MaterialLot"): _lot_change,
    ("Change", "MaterialSubLot"): _sub_lot_change,
    ("Change", "TestResult"): _result_change,
}
