"""B2MML for tests: where the schemas lie, documents to send, and a record to speak of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from mes_integration import mapping, mappings
from mes_integration.adapters.b2mml_xml import Schemas, schemas_in
from mes_integration.adapters.protocol import Message

SCHEMAS = os.environ.get("LOUPE_B2MML_SCHEMAS", "")
NAMESPACE = "http://www.mesa.org/xml/B2MML"
KEY = "01938c5e-0000-7000-8000-00000000abcd"

needs_schemas = pytest.mark.skipif(
    not Path(SCHEMAS, "AllSchemas.xsd").is_file() or not SCHEMAS,
    reason="LOUPE_B2MML_SCHEMAS names no folder with MESA's B2MML V7 schemas",
)


def schemas() -> Schemas:
    """MESA's own, as they lie in the folder of the environment."""
    found = schemas_in(SCHEMAS)
    assert found is not None
    return found


def record(**more: Any) -> dict[str, Any]:
    """A canonical record with every fact there is."""
    return {
        "schema": "loupe.disposition/1",
        "disposition_id": KEY,
        "version": 2,
        "supersedes": "01938c5e-0000-7000-8000-00000000aaaa",
        "site": "plant-1",
        "area": None,
        "line": "line-4",
        "station": "aoi-2",
        "operation": "aoi-2",
        "work_order": "WO-7",
        "unit": {
            "serial": "SN-1",
            "part_number": "P-1",
            "part_revision": "C",
            "lot": "L-1",
            "supplier": "Foundry & Sons",
        },
        "quantity": 1,
        "uom": "EA",
        "inspection_id": "01938c5e-0000-7000-8000-00000000bbbb",
        "verdict": "HOLD",
        "defects": [{"code": "porosity", "severity": "major", "count": 2}],
        "images": [],
        "score": 0.91,
        "source": "model+human",
        "decided_by": {"kind": "inspector", "badge": "4711"},
        "decided_at": "2026-11-22T06:00:00.000Z",
        "recorded_at": "2026-11-22T06:00:01.000Z",
        "reason": "Open pore at the sealing face.",
        "concession": None,
        "policy_version": 12,
        "model": {"name": "casting", "version": "7"},
        "link": "https://loupe.example/units/SN-1/",
        "event": {},
        **more,
    }


def message(
    profile_name: str = "b2mml", /, *, body: Any = None, wire: Any = None, **more: Any
) -> Message:
    """What is handed to an adapter under a shipped profile."""
    document = mappings.shipped_document(profile_name)
    if wire is not None:
        document["wire"] = wire
    if body is not None:
        document["body"] = body
    profile = mapping.parse(document)
    said = mapping.mapped(profile, record(**more))
    return Message(said["disposition_id"], said, mapping.body_of(profile, said), profile)


def document(
    name: str,
    data: str,
    *,
    bodid: str = "BOD-1",
    created: str = "2026-11-22T06:00:00Z",
    release: str = ' releaseID="7.0"',
    reference: str = "",
) -> bytes:
    """A document of an MES: `data` is what stands in its DataArea."""
    identity = f"<BODID>{bodid}</BODID>" if bodid else ""
    sender = "<LogicalID>MES</LogicalID>"
    sender += f"<ReferenceID>{reference}</ReferenceID>" if reference else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{NAMESPACE}"{release}>'
        f"<ApplicationArea><Sender>{sender}</Sender>"
        f"<CreationDateTime>{created}</CreationDateTime>{identity}</ApplicationArea>"
        f"<DataArea>{data}</DataArea></{name}>"
    ).encode()


def confirm(key: str, *, reason: str = "", reference: str = "R-1", code: str = "") -> bytes:
    """A ConfirmBOD of a key: taken, or rejected for a reason."""
    criteria = ""
    if reason:
        criteria = (
            '<ResponseCriteria><ResponseExpression actionCode="Rejected">/</ResponseExpression>'
            f"<ChangeStatus><Code>{code or 'E1'}</Code><Reason>{reason}</Reason></ChangeStatus>"
            "</ResponseCriteria>"
        )
    original = (
        "<OriginalApplicationArea><CreationDateTime>2026-11-22T06:00:00Z</CreationDateTime>"
        f"<BODID>{key}</BODID></OriginalApplicationArea>"
    )
    data = f"<Confirm>{original}{criteria}</Confirm><BOD>{original}</BOD>"
    return document("ConfirmBOD", data, bodid=f"c-{key}", reference=reference, release="")


def parsed(payload: bytes) -> etree._Element:
    """A document as a tree."""
    return etree.fromstring(payload)


def said(payload: bytes, *path: str) -> list[str]:
    """Every text at a path of B2MML names, from anywhere."""
    steps = "/".join(f"{{{NAMESPACE}}}{name}" for name in path)
    found: Any = etree.ETXPath(f"//{steps}")(parsed(payload))
    return [element.text or "" for element in found]
