"""B2MML on the wire: XML read without trust, and held against MESA's schemas.

The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.utils.translation import gettext as _
from lxml import etree

NAMESPACE: Final = "http://www.mesa.org/xml/B2MML"
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a document that is read."""
DEEPEST: Final = 40
MOST_ELEMENTS: Final = 100_000
MOST_ATTRIBUTES: Final = 32
ALL_SCHEMAS: Final = "AllSchemas.xsd"
_ENCODINGS: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15"})
_BOM: Final = b"\xef\xbb\xbf"
_DECLARED: Final = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([^\"']{1,40})[\"']")
_LONGEST_FAULT: Final = 200


class Unreadable(Exception):
    """A document that is not looked into any further; the sentence says why and what to mend."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def read(document: bytes, *, largest: int = LARGEST) -> etree._Element:
    """The root of a document; Unreadable for one that is malformed or out to harm.

    Nothing outside the document is ever opened, and nothing in it is expanded.
    """
    _check_bytes(document, largest)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        fault = " ".join(str(error.msg).split())[:_LONGEST_FAULT]
        raise Unreadable(_("This is no well-formed XML: %(fault)s.") % {"fault": fault}) from error
    except ValueError as error:
        raise Unreadable(_("This is no well-formed XML.")) from error
    _check_shape(root)
    return root


def _check_bytes(document: bytes, largest: int) -> None:
    """What can be told before a parser sees it."""
    if len(document) > largest:
        raise Unreadable(
            _("The document is larger than %(most)d MB; send it in parts.")
            % {"most": largest // (1024 * 1024)}
        )
    start = document.removeprefix(_BOM).lstrip()[:1]
    if not start:
        raise Unreadable(_("The document is empty."))
    declared = _DECLARED.search(document[:300])
    encoding = declared[1].decode("ascii", "replace").lower() if declared else "utf-8"
    if start != b"<" or b"\0" in document or encoding not in _ENCODINGS:
        raise Unreadable(_("The document is no XML in UTF-8; send it in that encoding."))
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise Unreadable(_("The document brings a document type of its own; send it without."))


def _check_shape(root: etree._Element) -> None:
    """Depth and number, counted without recursion."""
    depth = count = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth, count = depth + 1, count + 1
        if depth > DEEPEST:
            raise Unreadable(_("The document is nested too deeply."))
        if count > MOST_ELEMENTS or len(element.attrib) > MOST_ATTRIBUTES:
            raise Unreadable(_("The document holds more elements than are read; send fewer."))


def local(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return etree.QName(element).localname


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """The first element down a path of B2MML names."""
    for name in path:
        if element is None:
            return None
        element = element.find(f"{{{NAMESPACE}}}{name}")
    return element


def children(element: etree._Element | None, name: str) -> list[etree._Element]:
    """Every child of that B2MML name."""
    return [] if element is None else element.findall(f"{{{NAMESPACE}}}{name}")


def text(element: etree._Element | None, *path: str) -> str:
    """The words at a path, as one line; empty where there are none."""
    found = child(element, *path)
    return " ".join((found.text or "").split()) if found is not None else ""


def written(root: etree._Element) -> bytes:
    """The document as it is sent: the same bytes for the same content."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


class Schemas:
    """MESA's schemas as they lie in a folder; the project carries no copy."""

    def __init__(self, folder: Path) -> None:
        parser = etree.XMLParser(no_network=True, resolve_entities=False)
        self._schema = etree.XMLSchema(etree.parse(folder / ALL_SCHEMAS, parser))
        # The faults of the last document hang on the schema.
        self._lock = threading.Lock()

    def fault(self, root: etree._Element) -> str:
        """Why the document is not valid, in the validator's words; empty when it is."""
        with self._lock:
            try:
                self._schema.assertValid(root)
            except etree.DocumentInvalid as invalid:
                said = str(invalid)
            else:
                return ""
        return " ".join(said.replace(f"{{{NAMESPACE}}}", "").split())[:_LONGEST_FAULT]


def schemas_fault(setting: str) -> str:
    """What is wrong with the setting; empty when nothing is."""
    if not setting or (Path(setting) / ALL_SCHEMAS).is_file():
        return ""
    return _("LOUPE_B2MML_SCHEMAS names %(folder)s, where there is no %(name)s.") % {
        "folder": setting,
        "name": ALL_SCHEMAS,
    }


def schemas_in(setting: str) -> Schemas | None:
    """The schemas a setting names; None where it names none, OSError where they are not there."""
    if fault := schemas_fault(setting):
        raise FileNotFoundError(fault)
    return _read_schemas(setting) if setting else None


@lru_cache(maxsize=4)
def _read_schemas(setting: str) -> Schemas:
    return Schemas(Path(setting))
