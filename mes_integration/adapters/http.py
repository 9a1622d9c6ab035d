"""Dispositions over HTTP, as the profile's `wire` says: signed, and read back where in doubt."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from pydantic import JsonValue

from mes_integration import mapping
from mes_integration.adapters import http_signing, http_wire
from mes_integration.adapters.http_line import (
    LARGEST_ANSWER,
    Line,
    Reply,
    Unanswered,
    url_fault,
)
from mes_integration.adapters.http_signing import signature
from mes_integration.adapters.http_wire import Call, ReadBack, Then, Wire
from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.mapping import Unmapped
from mes_integration.models.outbox import DEFAULT_TARGET
from mes_integration.targets import Target
from traceability.refusals import Invalid

__all__ = ["LARGEST_ANSWER", "HttpMes", "open_target", "signature"]

LONGEST_SENTENCE: Final = 300


def _value(reply: Reply) -> Any:
    """The JSON of the body; None for anything else."""
    try:
        return _writable(json.loads(reply.body))
    except (ValueError, RecursionError):
        return None


def _writable(value: Any) -> Any:
    """Without NUL and half a character: JSON writes them, no expression takes them."""
    if isinstance(value, str):
        return _UNWRITABLE.sub("\x01", value)
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {_writable(name): _writable(item) for name, item in value.items()}
    return value


_UNWRITABLE: Final = re.compile("[\x00\ud800-\udfff]")


def said(wire: Wire, reply: Reply) -> str:
    """What the MES wrote, as one short line a page and a table can take."""
    detail = http_wire.told(wire.said, {}, _value(reply))
    text = detail if isinstance(detail, str) else reply.body[:1000].decode(errors="replace")
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:LONGEST_SENTENCE]


def _ended(sentence: str) -> str:
    """A sentence that another may follow."""
    return sentence if sentence.endswith(".") else f"{sentence}."


def encoded(payload: Any) -> bytes:
    """The payload as it is sent: the same bytes on every attempt."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


@dataclass(frozen=True, slots=True)
class _Held:
    """What the target holds; `done` is False while further calls are still to come."""

    applied: Applied
    done: bool


@dataclass(frozen=True, slots=True)
class _Errand:
    """One message on its way: what is said, and by when all of it must be over."""

    wire: Wire
    key: str
    body: Mapping[str, Any]
    scope: dict[str, Any]
    ends: float

    def knowing(self, **more: Any) -> _Errand:
        """With more for the expressions to see."""
        return _Errand(self.wire, self.key, self.body, {**self.scope, **more}, self.ends)


class HttpMes:
    """An MES under an address; what is called there is the profile's."""

    def __init__(
        self,
        *,
        url: str,
        secret: str,
        timeout_s: float,
        user: str = "",
        name: str = DEFAULT_TARGET,
        options: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._user = user
        self._options = dict(options or {})
        self._timeout_s = timeout_s
        self._clock = clock
        self._line = Line(url=url, timeout_s=timeout_s, name=name)

    def close(self) -> None:
        """Give the sockets back."""
        self._line.close()

    def post(self, message: Message) -> Answer:
        """Make the calls that hand it over; what an earlier attempt began is gone on with."""
        try:
            return self._post(self._errand(message))
        except Invalid as invalid:
            return Refused(None, str(invalid))
        except Unmapped as unmapped:
            return Refused(None, unmapped.sentence)

    def read_back(self, message: Message) -> Answer | None:
        """Ask for the key; changes nothing, so silence is only "later". Half done is not held."""
        try:
            found = self._look(self._errand(message))
        except Invalid as invalid:
            return Uncertain(str(invalid))
        except Unmapped as unmapped:
            return Uncertain(unmapped.sentence)
        if isinstance(found, _Held):
            return found.applied if found.done else None
        return found

    def _errand(self, message: Message) -> _Errand:
        verdict = message.profile.verdicts.get(message.record.get("verdict", ""))
        scope = {
            # What was said stays as it is when a fact has gone since; its word can be told still.
            "mapped": {"verdict": verdict},
            **message.record,
            "key": message.key,
            "body": message.body,
            "options": self._options,
            "found": False,
        }
        wire = http_wire.parse(message.profile.wire)
        ends = time.monotonic() + 3 * self._timeout_s
        return _Errand(wire, message.key, message.body, scope, ends)

    def _post(self, errand: _Errand) -> Answer:
        wire = errand.wire
        if wire.then and wire.read_back is not None:
            found = self._look(errand)
            if isinstance(found, _Held):
                if found.done:
                    return found.applied
                return self._go_on(errand.knowing(found=True), found.applied)
            if found is not None:
                return TryLater(found.sentence, found.status)
        try:
            reply = self._call(wire.create, errand, encoded(errand.body))
        except Unanswered as silence:
            return Uncertain(silence.sentence) if silence.sent else TryLater(silence.sentence)
        answer = self._after_create(errand, reply)
        return self._go_on(errand, answer) if isinstance(answer, Applied) else answer

    def _after_create(self, errand: _Errand, reply: Reply) -> Answer:
        create, status = errand.wire.create, reply.status
        if status in create.applied | create.exists:
            reference = http_wire.reference(create.reference, errand.scope, _value(reply))
            if reference:
                return Applied(reference, status)
        if 200 <= status < 300:
            return Uncertain(
                _("The MES answered %(status)s without a reference.") % {"status": status}, status
            )
        return self._not_taken(errand.wire, reply)

    def _go_on(self, errand: _Errand, applied: Applied) -> Answer:
        """The further calls. From the first on it may stand half done, which reading back tells."""
        errand = errand.knowing(reference=applied.reference)
        try:
            for step in errand.wire.then:
                if not mapping.filled(step.when, errand.scope):
                    continue
                trouble = self._step(errand, step, applied.reference)
                if trouble is not None:
                    return trouble
        except Unmapped as unmapped:
            sentence = _(
                "It holds it as %(reference)s, but not finished: what follows cannot be said. "
                "%(why)s Finish it there by hand, then settle this one."
            ) % {"reference": applied.reference, "why": _ended(unmapped.sentence)}
            return Uncertain(sentence, applied.status, for_person=True)
        return Applied(applied.reference, applied.status)

    def _step(self, errand: _Errand, step: Then, reference: str) -> Answer | None:
        """One further call; None when it is done."""
        body = mapping.filled(step.body, errand.scope)
        try:
            reply = self._call(step, errand, b"" if body is None else encoded(body))
        except Unanswered as silence:
            if silence.sent:
                return Uncertain(silence.sentence)
            return TryLater(silence.sentence, may_have_arrived=True)
        if 200 <= reply.status < 300:
            return None
        answer = self._not_taken(errand.wire, reply)
        if isinstance(answer, Refused):
            sentence = _("It holds it as %(reference)s, but not finished. %(said)s") % {
                "reference": reference,
                "said": answer.sentence,
            }
            return Refused(answer.status, sentence)
        return TryLater(answer.sentence, answer.status, may_have_arrived=True)

    def _look(self, errand: _Errand) -> _Held | TryLater | Uncertain | None:
        """What it holds under the key."""
        asks = errand.wire.read_back
        if asks is None:
            return Uncertain(_("The mapping does not say how the target is asked what it holds."))
        body = mapping.filled(asks.body, errand.scope)
        try:
            reply = self._call(asks, errand, b"" if body is None else encoded(body))
        except Unanswered as silence:
            return TryLater(silence.sentence)
        if reply.status in asks.absent:
            return None
        if 200 <= reply.status < 300:
            return self._held(errand, asks, reply)
        unread = self._not_taken(errand.wire, reply)
        # That it may not be read says nothing of whether it is held.
        if isinstance(unread, Refused):
            return Uncertain(unread.sentence, unread.status)
        return TryLater(unread.sentence, unread.status)

    @staticmethod
    def _held(errand: _Errand, asks: ReadBack, reply: Reply) -> _Held | Uncertain | None:
        value = _value(reply)
        if http_wire.told(asks.absent_when, errand.scope, value):
            return None
        reference = http_wire.reference(asks.reference, errand.scope, value)
        if not reference:
            return Uncertain(
                _("Asked for it, the MES answered %(status)s without a reference.")
                % {"status": reply.status},
                reply.status,
            )
        copies = http_wire.told(asks.copies, errand.scope, value)
        applied = Applied(
            reference,
            reply.status,
            verdict=http_wire.told(asks.verdict, errand.scope, value),
            copies=copies if isinstance(copies, int) else 1,
        )
        return _Held(applied, bool(http_wire.told(asks.done, errand.scope, value)))

    def _call(self, call: Call, errand: _Errand, body: bytes) -> Reply:
        filled = http_wire.fill(call, errand.scope)
        headers = {**self._headers(errand, body), **filled.headers}
        return self._line.call(
            filled.method, filled.path, headers=headers, body=body, ends=errand.ends
        )

    def _headers(self, errand: _Errand, body: bytes) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "Loupe",
            **http_signing.headers(
                errand.wire.auth,
                user=self._user,
                secret=self._secret,
                body=body,
                key=errand.key,
                at=int(self._clock()),
            ),
        }
        return headers | {"Content-Type": "application/json"} if body else headers

    def _not_taken(self, wire: Wire, reply: Reply) -> Refused | TryLater:
        return self._line.not_taken(reply, said=said(wire, reply), later=wire.create.later)


def fault_of(target: Target) -> str:
    """What is wrong with a target's settings; empty when nothing is."""
    return url_fault(target.url)


def check_wire(wire: Mapping[str, JsonValue]) -> None:
    """Invalid names each place that is wrong."""
    http_wire.parse(wire)


def open_target(target: Target) -> MesAdapter:
    """The adapter of a target in the settings."""
    return HttpMes(
        url=target.url,
        secret=target.secret,
        timeout_s=target.timeout_s,
        user=target.user,
        name=target.name,
        options=target.options,
    )
