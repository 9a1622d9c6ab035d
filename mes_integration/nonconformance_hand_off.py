"""Nonconformances on their way to the QMS: lease, call, record, as dispositions go.

POST <url>/nonconformances with the nonconformance's uuid as Idempotency-Key, signed as dispositions
are; GET <url>/nonconformances/<uuid> asks for it where it may have arrived.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance.access import Actor, system
from governance.audit import recorded
from mes_integration.adapters.http_line import Line, Reply, Unanswered
from mes_integration.adapters.http_signing import signature
from mes_integration.adapters.protocol import Answer, Applied, Refused, TryLater, Uncertain
from mes_integration.models import Ncr, NcrHandOff
from mes_integration.targets import Target, targets
from mes_integration.transitions import backoff
from traceability.refusals import Conflict

_ACTOR: Final = system("nonconformances")
PATH: Final = "/nonconformances"
LONGEST_ERROR: Final = 500
State = NcrHandOff.State


@dataclass(frozen=True, slots=True)
class Lease:
    """A row taken for one call. `asks`: it may be there, so it is asked for, not sent."""

    pk: int
    fence: int
    key: str
    body: bytes
    target: Target
    asks: bool


def hand_over_due(*, at: datetime, limit: int = 50) -> int:
    """Make up to `limit` calls for what is due; how many were made."""
    _recover(at=at)
    for made in range(limit):
        lease = _take(at=at)
        if lease is None:
            return made
        _record(lease, _call(lease), at=at)
    return limit


def body_of(ncr: Ncr) -> dict[str, Any]:
    """As the QMS is told it."""
    return {
        "schema": "loupe.nonconformance/1",
        "id": str(ncr.uuid),
        "site": ncr.site.code,
        "line": ncr.line.code,
        "kind": ncr.kind,
        "cause": ncr.cause,
        "defect_class": ncr.defect_class or None,
        "text": ncr.text,
        "evidence": ncr.evidence,
        "recurrence_of": str(ncr.recurrence_of.uuid) if ncr.recurrence_of else None,
        "rule": ncr.rule.name,
        "opened_at": ncr.opened_at.astimezone(UTC).isoformat(),
    }


def _recover(*, at: datetime) -> None:
    """Rows whose sender died: they may have arrived."""
    lost = NcrHandOff.objects.filter(state=State.SENDING, lease_expires_at__lt=Now())
    if not lost.exists():
        return
    with recorded(actor=_ACTOR, at=at) as trail:
        trail.nothing_changed()
        rest = timedelta(seconds=settings.LOUPE.mes_quarantine_s)
        lost.update(
            state=State.PENDING,
            lease_expires_at=None,
            due_at=at + rest,
            may_have_arrived=True,
            fence=F("fence") + 1,
            last_error=_("Whoever sent it stopped before the answer came."),
        )


def _take(*, at: datetime) -> Lease | None:
    with recorded(actor=_ACTOR, at=at) as trail:
        trail.nothing_changed()
        known = {found.name: found for found in targets()}
        waiting = NcrHandOff.objects.filter(state=State.PENDING, due_at__lte=at)
        # The settings have its target no more; it waits for when they do, seen on its page.
        waiting.exclude(target__in=known).update(
            due_at=at + timedelta(minutes=1), last_error=_("No such target is set.")
        )
        row = (
            waiting.filter(target__in=known)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("ncr__site", "ncr__line", "ncr__rule", "ncr__recurrence_of")
            .order_by("due_at", "pk")
            .first()
        )
        if row is None:
            return None
        to = known[row.target]
        row.fence, row.attempts = row.fence + 1, row.attempts + 1
        NcrHandOff.objects.filter(pk=row.pk).update(
            state=State.SENDING,
            fence=row.fence,
            attempts=row.attempts,
            lease_expires_at=Now() + timedelta(seconds=3 * to.timeout_s + 10),
        )
        text = json.dumps(body_of(row.ncr), sort_keys=True, separators=(",", ":"))
        return Lease(row.pk, row.fence, str(row.ncr.uuid), text.encode(), to, row.may_have_arrived)


def _call(lease: Lease) -> Answer | None:
    """Ask or tell the QMS; no transaction may be open. None: asked, it does not hold it."""
    to = lease.target
    line = Line(url=to.url, timeout_s=to.timeout_s, name=to.name)
    body = b"" if lease.asks else lease.body
    headers = {
        "X-Loupe-Signature": signature(to.secret, body, at=int(time.time())),
        "Accept": "application/json",
    }
    ends = time.monotonic() + 3 * to.timeout_s
    try:
        if lease.asks:
            reply = line.call("GET", f"{PATH}/{lease.key}", headers=headers, body=body, ends=ends)
            return None if reply.status == 404 else _understood(line, reply)
        headers |= {"Content-Type": "application/json", "Idempotency-Key": lease.key}
        return _understood(line, line.call("POST", PATH, headers=headers, body=body, ends=ends))
    except Unanswered as error:
        if error.sent and not lease.asks:
            return Uncertain(error.sentence)
        return TryLater(error.sentence)
    finally:
        line.close()


def _understood(line: Line, reply: Reply) -> Answer:
    reference = _reference(reply)
    # A conflict that names a reference is the first call's answer: it was applied.
    if reply.status in {200, 201, 409} and reference:
        return Applied(reference, reply.status)
    if reply.status in {200, 201, 202}:
        return Uncertain(_("The QMS answered without a reference."), reply.status)
    text = reply.body[:300].decode(errors="replace")
    said = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line.not_taken(reply, said=said)


def _reference(reply: Reply) -> str:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    reference = found.get("reference") if isinstance(found, dict) else None
    is_line = isinstance(reference, str) and reference.isprintable() and len(reference) <= 200
    return str(reference) if is_line else ""


def _record(lease: Lease, answer: Answer | None, *, at: datetime) -> None:
    """Write down what the call came to, if the fence still stands."""
    with recorded(actor=_ACTOR, at=at) as trail:
        trail.nothing_changed()
        row = (
            NcrHandOff.objects.select_for_update(of=("self",))
            .filter(pk=lease.pk, fence=lease.fence, state=State.SENDING)
            .first()
        )
        if row is None:
            return
        _apply(row, answer, asked=lease.asks, at=at)
        row.save()
        if row.state == State.ACKNOWLEDGED:
            ncr = Ncr.objects.select_for_update(of=("self",)).get(pk=row.ncr_id)
            if ncr.state == Ncr.State.OPEN:
                ncr.state = Ncr.State.HANDED_OVER
            ncr.reference = ncr.reference or row.reference
            ncr.save(update_fields=["state", "reference"])
        if row.state != State.PENDING:
            trail.add(
                f"nonconformance.{row.state.lower()}",
                subject_kind="nonconformance",
                subject=lease.key,
                site_id=row.site_id,
                detail={"target": row.target, "reference": row.reference},
                reason=row.last_error,
            )


def _apply(row: NcrHandOff, answer: Answer | None, *, asked: bool, at: datetime) -> None:
    row.state, row.lease_expires_at, row.due_at = State.PENDING, None, at
    match answer:
        case None:
            row.may_have_arrived, row.last_error = False, _("The QMS does not hold it.")
        case Applied(reference=reference):
            row.state, row.reference, row.settled_at, row.last_error = (
                *(State.ACKNOWLEDGED, reference, at),
                "",
            )
        case Refused(sentence=sentence):
            row.state, row.last_error = State.REFUSED, sentence[:LONGEST_ERROR]
        case TryLater(sentence=sentence):
            row.may_have_arrived = asked or answer.may_have_arrived
            row.last_error, row.due_at = sentence[:LONGEST_ERROR], at + _rest(row)
        case _:
            row.may_have_arrived = True
            row.last_error, row.due_at = answer.sentence[:LONGEST_ERROR], at + _rest(row)


def _rest(row: NcrHandOff) -> timedelta:
    """How long it rests: what may have arrived until the QMS must be done with it."""
    jitter = random.random()  # noqa: S311  # spreads load, guards nothing
    again = timedelta(seconds=backoff(row.attempts, jitter=jitter))
    if row.may_have_arrived:
        return max(again, timedelta(seconds=settings.LOUPE.mes_quarantine_s))
    return again


def send_again(*, actor: Actor, ncr: Ncr, at: datetime) -> int:
    """What the QMS refused is sent again, once a person has mended why; how many."""
    with recorded(actor=actor, at=at) as trail:
        refused = NcrHandOff.objects.filter(ncr=ncr, state=State.REFUSED)
        count = refused.update(state=State.PENDING, due_at=at)
        if not count:
            raise Conflict(_("The QMS has refused nothing of it; there is nothing to send again."))
        trail.add(
            "nonconformance.send_again",
            subject_kind="nonconformance",
            subject=ncr.uuid,
            site_id=ncr.site_id,
        )
        return count
