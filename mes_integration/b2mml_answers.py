"""What a B2MML document is answered with: what was taken, and what was refused and why.

Process is answered by Acknowledge with the same nouns, everything else by ConfirmBOD.
The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _
from lxml import etree

from mes_integration.adapters.b2mml import RELEASE, UNPREFIXED
from mes_integration.adapters.b2mml_xml import NAMESPACE, child, children, written
from mes_integration.b2mml_documents import Document
from mes_integration.moments import moment

SENDER: Final = "Loupe"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry; `code` is for a program, `sentence` for a person."""

    place: str
    is_taken: bool
    code: str
    sentence: str = ""


def answer(document: Document, results: Sequence[Result], *, at: datetime) -> bytes:
    """The document that tells the sender."""
    if document.verb == "Process":
        root, area = _start(f"Acknowledge{document.noun}", document, at)
        root.set("releaseID", RELEASE)
        _verb(area, "Acknowledge", document, results)
        for noun in children(child(document.root, "DataArea"), document.noun):
            area.append(copy.deepcopy(noun))
        return written(root)
    root, area = _start("ConfirmBOD", document, at)
    _verb(area, "Confirm", document, results)
    bod = etree.SubElement(area, _q("BOD"))
    _original(bod, document)
    taken = sum(result.is_taken for result in results)
    _text(
        bod,
        "Description",
        _("%(taken)d taken, %(refused)d refused.")
        % {"taken": taken, "refused": len(results) - taken},
    )
    for result in results:
        if not result.is_taken:
            _text(bod, "Note", f"{result.place}: {result.sentence}")
    return written(root)


def _q(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _text(parent: etree._Element, name: str, said: str) -> None:
    printable = "".join(c if c.isprintable() else " " for c in said)
    etree.SubElement(parent, _q(name)).text = " ".join(printable.split())


def _own_area(root: etree._Element, at: datetime) -> etree._Element:
    own = etree.SubElement(root, _q("ApplicationArea"))
    _text(etree.SubElement(own, _q("Sender")), "LogicalID", SENDER)
    _text(own, "CreationDateTime", moment(at))
    return own


def _start(name: str, document: Document, at: datetime) -> tuple[etree._Element, etree._Element]:
    root = etree.Element(_q(name), nsmap=UNPREFIXED)
    own = _own_area(root, at)
    if document.bodid:
        _text(own, "BODID", f"answer-{document.bodid}")
    return root, etree.SubElement(root, _q("DataArea"))


def _original(parent: etree._Element, document: Document) -> None:
    """Whose document it was; nothing of the sender's own extensions is repeated."""
    original = etree.SubElement(parent, _q("OriginalApplicationArea"))
    _text(original, "CreationDateTime", document.created)
    if document.bodid:
        _text(original, "BODID", document.bodid)


def _verb(area: etree._Element, name: str, document: Document, results: Sequence[Result]) -> None:
    verb = etree.SubElement(area, _q(name))
    _original(verb, document)
    for result in results:
        _criteria(verb, result)


def _criteria(verb: etree._Element, result: Result) -> None:
    criteria = etree.SubElement(verb, _q("ResponseCriteria"))
    _text(criteria, "ResponseExpression", result.place)
    criteria[0].set("actionCode", "Accepted" if result.is_taken else "Rejected")
    status = etree.SubElement(criteria, _q("ChangeStatus"))
    _text(status, "Code", result.code)
    if result.sentence:
        _text(status, "Reason", result.sentence)
