"""B2MML documents posted over HTTP; the answer is the document that acknowledges them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from lxml import etree

from mes_integration.adapters import b2mml, http_signing
from mes_integration.adapters.b2mml import Unsayable, Word
from mes_integration.adapters.b2mml_xml import (
    Schemas,
    Unreadable,
    local,
    schemas_fault,
    schemas_in,
)
from mes_integration.adapters.http_line import (
    LARGEST_ANSWER,
    Line,
    Reply,
    Unanswered,
    url_fault,
)
from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    Handed,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.targets import Target

NOT_FOUND: Final = "notfound"
"""The Code by which a ConfirmBOD of a Get says that nothing is held."""
LONGEST_SENTENCE: Final = 300


class B2mmlMes:
    """An MES that takes documents at one address."""

    def __init__(
        self,
        target: Target,
        *,
        schemas: Schemas | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._target = target
        self._schemas = schemas
        self._clock = clock
        self._line = Line(url=target.url, timeout_s=target.timeout_s, name=target.name)

    def close(self) -> None:
        """Give the sockets back."""
        self._line.close()

    def post(self, message: Message) -> Answer:
        """Post the document; its acknowledgement may be the answer, or come by itself later."""
        try:
            payload = b2mml.document(message, self._schemas)
            reply = self._call(message, payload)
        except Unsayable as unsayable:
            return Refused(None, unsayable.sentence)
        except Unanswered as silence:
            return Uncertain(silence.sentence) if silence.sent else TryLater(silence.sentence)
        word = _word(reply)
        if word is not None and word.key == message.key and word.code.lower() != NOT_FOUND:
            return _of(word, reply.status)
        if not 200 <= reply.status < 300:
            return self._line.not_taken(reply, said=_said(reply))
        if not reply.body.strip():
            return Handed(_("The MES has it; its acknowledgement comes separately."), reply.status)
        return Uncertain(
            _("The MES answered %(status)s without a document that names the BODID.")
            % {"status": reply.status},
            reply.status,
        )

    def read_back(self, message: Message) -> Answer | None:
        """Ask by the Get document of the same noun. Silence is only "later"."""
        try:
            reply = self._call(message, b2mml.query(message))
        except Unsayable as unsayable:
            return Uncertain(unsayable.sentence)
        except Unanswered as silence:
            return TryLater(silence.sentence)
        root = b2mml.answered(reply.body, largest=LARGEST_ANSWER)
        if root is not None and local(root).startswith("Show") and 200 <= reply.status < 300:
            return _shown(root, message, reply.status)
        word = _word(reply)
        if word is not None and word.code.lower() == NOT_FOUND:
            return None
        return self._unread(reply)

    def _unread(self, reply: Reply) -> TryLater | Uncertain:
        """That it may not be read says nothing of whether it is held."""
        status = reply.status
        if 200 <= status < 300:
            return Uncertain(
                _("Asked for it, the MES answered %(status)s with neither Show nor “NotFound”.")
                % {"status": status},
                status,
            )
        unread = self._line.not_taken(reply, said=_said(reply))
        kind = Uncertain if isinstance(unread, Refused) else TryLater
        return kind(unread.sentence, status)

    def _call(self, message: Message, payload: bytes) -> Reply:
        target = self._target
        headers = {
            "Accept": "application/xml",
            "Accept-Encoding": "identity",
            "Content-Type": "application/xml; charset=utf-8",
            "User-Agent": "Loupe",
            "Idempotency-Key": message.key,
            **http_signing.headers(
                b2mml.wire_of(message).auth,
                user=target.user,
                secret=target.secret,
                body=payload,
                key=message.key,
                at=int(self._clock()),
            ),
        }
        ends = time.monotonic() + 3 * target.timeout_s
        return self._line.call("POST", "", headers=headers, body=payload, ends=ends)


def _word(reply: Reply) -> Word | None:
    """The acknowledgement an answer is, whatever its status."""
    root = b2mml.answered(reply.body, largest=LARGEST_ANSWER)
    try:
        return b2mml.word_in(root) if root is not None else None
    except Unreadable:
        return None


def _of(word: Word, status: int) -> Applied | Refused | TryLater:
    if word.is_taken and 200 <= status < 300:
        return Applied(word.reference, status)
    if word.is_taken or status >= 500:
        return TryLater(
            _("The MES answered %(status)s, and that it took it.") % {"status": status}
            if word.is_taken
            else word.reason,
            status,
            may_have_arrived=True,
        )
    return Refused(status, word.reason or _("The MES rejected it without saying why."))


def _shown(root: etree._Element, message: Message, status: int) -> Applied | None:
    """What it shows; None where the key is not in it."""
    held = b2mml.held_in(root, message.key)
    if not held:
        return None
    return Applied(
        b2mml.reference_in(root, message.key),
        status,
        verdict=b2mml.verdict_of(held[0]),
        copies=len(held),
    )


def _said(reply: Reply) -> str:
    """What the MES wrote, as one short line."""
    word = _word(reply)
    text = word.reason if word else reply.body[:1000].decode(errors="replace")
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:LONGEST_SENTENCE]


check_wire: Final = b2mml.check_wire


def fault_of(target: Target) -> str:
    """What is wrong with a target's settings; empty when nothing is."""
    return url_fault(target.url) or schemas_fault(settings.LOUPE.b2mml_schemas)


def open_target(target: Target) -> MesAdapter:
    """The adapter of a target in the settings."""
    return B2mmlMes(target, schemas=schemas_in(settings.LOUPE.b2mml_schemas))
