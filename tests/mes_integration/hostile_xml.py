"""Documents that are sent to do harm, or that no parser should be trusted with."""

from __future__ import annotations

from tests.mes_integration.b2mml import NAMESPACE, document

GOOD = document(
    "SyncMaterialDefinition", "<Sync/><MaterialDefinition><ID>P-1</ID></MaterialDefinition>"
)
_ROOT = f'<SyncMaterialDefinition xmlns="{NAMESPACE}" releaseID="7.0">'
_BODY = GOOD.decode().split("?>", 1)[1]


def _with_dtd(declarations: str, use: str = "&x;") -> bytes:
    named = _BODY.replace("P-1", use)
    return f"<!DOCTYPE SyncMaterialDefinition [{declarations}]>{named}".encode()


def _inside(more: bytes) -> bytes:
    """A good document that holds more than it should, where nobody looks."""
    return GOOD.replace(b"<ID>P-1</ID>", b"<ID>P-1</ID>" + more)


_LAUGHS = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10 if n else "ha"}">' for n in range(12))

HOSTILE: dict[str, bytes] = {
    "billion laughs": _with_dtd(_LAUGHS, "&x11;"),
    "quadratic blowup": _with_dtd(f'<!ENTITY x "{"a" * 50_000}">', "&x;" * 2000),
    "entity that holds itself": _with_dtd('<!ENTITY x "&y;"><!ENTITY y "&x;">'),
    "entity in an attribute": _with_dtd('<!ENTITY x "y">', '</ID><ID schemeID="&x;">'),
    "parameter entity": _with_dtd("<!ENTITY % p \"<!ENTITY x 'y'>\">%p;"),
    "external file": _with_dtd('<!ENTITY x SYSTEM "file:///etc/passwd">'),
    "external address": _with_dtd('<!ENTITY x SYSTEM "http://127.0.0.1:9/x">'),
    "external parameter entity": _with_dtd('<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;'),
    "public identifier": (
        f'<!DOCTYPE x PUBLIC "-//X//Y" "http://127.0.0.1:9/x.dtd">{_BODY}'.encode()
    ),
    "external document type": f'<!DOCTYPE x SYSTEM "file:///etc/hosts">{_BODY}'.encode(),
    "empty document type": f"<!DOCTYPE x>{_BODY}".encode(),
    "document type in UTF-16": _with_dtd('<!ENTITY x "y">').decode().encode("utf-16"),
    "document type in UTF-32": _with_dtd('<!ENTITY x "y">').decode().encode("utf-32"),
    "document type in UTF-7": (
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-' + _BODY.encode()
    ),
    "document type in EBCDIC": _with_dtd('<!ENTITY x "y">').decode().encode("cp500"),
    "unknown encoding": b'<?xml version="1.0" encoding="x-evil"?>' + _BODY.encode(),
    "nested without end": (_ROOT + "<a>" * 100_000).encode(),
    "nested deeply and closed": _inside(b"<a>" * 100 + b"</a>" * 100),
    "fifty megabytes": b"<a>" + b" " * (50 * 1024 * 1024) + b"</a>",
    "two hundred thousand elements": _inside(b"<a/>" * 200_000),
    "a thousand attributes": _inside(
        b"<a " + b" ".join(f'a{n}="x"'.encode() for n in range(1000)) + b"/>"
    ),
    "attribute said twice": b'<a b="1" b="2"/>',
    "cut off": GOOD[:-30],
    "two roots": GOOD + b"<a/>",
    "NUL inside": GOOD.replace(b"P-1", b"P\x001"),
    "invalid UTF-8": GOOD.replace(b"P-1", b"P\xff\xfe1"),
    "overlong UTF-8": GOOD.replace(b"P-1", b"\xc0\xbcscript\xc0\xbe"),
    "control characters": GOOD.replace(b"P-1", b"P\x081"),
    "character reference to nothing": GOOD.replace(b"P-1", b"&#0;"),
    "undeclared entity": GOOD.replace(b"P-1", b"&nbsp;"),
    "empty": b"",
    "blank": b" \n\t ",
    "JSON": b'{"SyncMaterialDefinition": {}}',
    "zip": b"PK\x03\x04" + b"\x00" * 100,
    "gzip": b"\x1f\x8b\x08" + b"\x00" * 100,
    "another namespace": GOOD.replace(NAMESPACE.encode(), b"http://www.mesa.org/xml/B2MML-V0600"),
    "no namespace": GOOD.replace(f' xmlns="{NAMESPACE}"'.encode(), b""),
    "include": GOOD.replace(
        b"<ID>P-1</ID>",
        b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"'
        b' parse="text"/>',
    ),
    "no envelope": f'<SyncMaterialDefinition xmlns="{NAMESPACE}"/>'.encode(),
    "no such document": GOOD.replace(b"SyncMaterialDefinition", b"SyncEverything"),
}
