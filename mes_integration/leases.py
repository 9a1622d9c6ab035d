"""Leases: a write-back taken for one call, under a fence, until the database's clock passes it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance.access import system
from governance.audit import Trail, recorded
from mes_integration import journal, messages, rests, succession, transitions, turns
from mes_integration.adapters.protocol import Message
from mes_integration.mapping import Unmapped
from mes_integration.messages import Pinned
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.models.outbox import DEFAULT_TARGET
from mes_integration.transitions import Outcome, State, Step
from traceability.refusals import Refusal
from traceability.statements import prepared

RELAY: Final = system("relay")
_TAKEN: Final = """
UPDATE mes_integration_writeback
SET state = 'SENDING', fence = fence + 1, attempts = attempts + %(counts)s,
    lease_expires_at = statement_timestamp() + make_interval(secs => %(lasts)s),
    message = %(message)s::jsonb,
    profile_version = %(version)s, profile_name = %(profile)s
WHERE id = %(pk)s
RETURNING fence
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A row taken for one call.

    `reads_back`: ask the target for it instead of sending it. `waits_on`: it was handed over, and
    its acknowledgement may still come. `until`: when it runs out, by `time.monotonic`.
    """

    pk: int
    fence: int
    message: Message
    reads_back: bool
    was_sent: bool = False
    waits_on: bool = False
    until: float = math.inf


def take_lease(*, at: datetime, target: str = DEFAULT_TARGET) -> Lease | None:
    """Take the row that is due longest, until the database's clock passes the lease.

    In the same transaction its unit's earlier revisions that never left are superseded: from here
    on this one can no longer be withdrawn. What cannot be called is put where it belongs (a person,
    later), and the next one is looked at.
    """
    while True:
        began = time.monotonic()
        with recorded(actor=RELAY, at=at) as trail:
            trail.nothing_changed()
            row = turns.next_locked(at=at, target=target)
            earlier = turns.earlier_locked(row, at=at) if row is not None else None
            if row is None or earlier is None:
                return None
            before = row.state
            lease = _leased(trail, row)
            # One that only has to wait a while may still be taken back: then the earlier leave.
            if lease is not None or row.state != before:
                succession.supersede(trail, earlier, by=row)
            until = began + messages.lease_time(row).total_seconds()
        if lease is not None:
            return replace(lease, until=until)


def _leased(trail: Trail, row: WriteBack) -> Lease | None:
    """The row's next call; None when it comes to none now, and the row says why."""
    last = _last_attempt(row)
    try:
        pinned = messages.pinned_of(row)
        messages.check_adapter(row, pinned)
        message = messages.message_of(row, pinned.profile)
    except (Unmapped, Refusal) as fault:
        # Also a mapping that cannot be read any more: it stops its own rows, not all the target's.
        journal.set_aside(trail, row, State.NEEDS_PERSON, Outcome.BLOCKED, fault.sentence)
        return None
    can = message.profile.capabilities
    step = transitions.next_step(State(row.state), Outcome(last.outcome) if last else None, can)
    if step is Step.ASK_PERSON:
        journal.set_aside(trail, row, State.NEEDS_PERSON, Outcome.SILENT, rests.cannot_tell())
        return None
    if step is Step.POST and not succession.may_follow(trail, row, can):
        return None
    was_sent = row.state == State.SENT
    return Lease(
        pk=row.pk,
        fence=_take(row, message, pinned, counts=not was_sent),
        message=message,
        reads_back=step is Step.READ_BACK,
        was_sent=was_sent,
        waits_on=was_sent
        and last is not None
        and trail.at < last.at + timedelta(seconds=can.max_processing_s),
    )


def _take(row: WriteBack, message: Message, pinned: Pinned, *, counts: bool) -> int:
    """The row, sending from now on; its fence."""
    transitions.check(State(row.state), State.SENDING)
    with prepared() as cursor:
        cursor.execute(
            _TAKEN,
            {
                "pk": row.pk,
                "counts": int(counts),
                "lasts": messages.lease_time(row).total_seconds(),
                "message": json.dumps(message.body),
                "version": pinned.version,
                "profile": pinned.name,
            },
        )
        fence: int = cursor.fetchone()[0]
    return fence


def _last_attempt(row: WriteBack) -> DeliveryAttempt | None:
    """The last that says whether it may have arrived; that it was blocked since says nothing."""
    if not row.attempts:
        return None
    return row.delivery_attempts.exclude(outcome=Outcome.BLOCKED).order_by("-pk").first()


def recover(*, at: datetime) -> int:
    """Leases the database's clock has passed: nobody knows what left, so they are uncertain."""
    with recorded(actor=RELAY, at=at) as trail:
        trail.nothing_changed()
        rows = list(
            WriteBack.objects.select_for_update(skip_locked=True).filter(
                state=State.SENDING, lease_expires_at__lt=Now()
            )
        )
        for row in rows:
            transitions.check(State.SENDING, State.UNCERTAIN)
            row.state, row.lease_expires_at = State.UNCERTAIN, None
            row.last_error = _("Sending was cut off; the MES will be asked whether it holds it.")
            row.due_at = at + messages.quarantine(row)
        if rows:
            fields = ["state", "lease_expires_at", "last_error", "due_at"]
            WriteBack.objects.bulk_update(rows, fields)
            DeliveryAttempt.objects.bulk_create(
                DeliveryAttempt(
                    site_id=row.site_id,
                    write_back=row,
                    at=at,
                    outcome=Outcome.LOST,
                    answer=row.last_error,
                )
                for row in rows
            )
    return len(rows)
