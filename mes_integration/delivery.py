"""Delivery: a write-back whose turn it is, called and recorded as answered.

Every call is lease, call, record: a short transaction takes the row under a fresh fence, the
call to the target is made with no transaction open, and a second transaction records the answer if
the fence still stands. Whoever dies in between leaves a lease that runs out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _

from governance.audit import recorded
from mes_integration import inbound, journal, leases, messages, rests, transitions, turns
from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    Handed,
    MesAdapter,
    TryLater,
)
from mes_integration.leases import RELAY, Lease
from mes_integration.models import WriteBack
from mes_integration.models.outbox import DEFAULT_TARGET
from mes_integration.targets import adapter_of
from mes_integration.transitions import Outcome, State
from traceability.models import Unit
from traceability.statements import prepared

WAITS_S: Final = 2.0
"""Seconds between two looks for an acknowledgement that has to be fetched."""
_IS_OVER: Final = frozenset({Outcome.REFUSED, Outcome.NOT_TAKEN})
"""After these the target is at work on nothing of the call."""
# In the order of the model, by which Django fills an instance.
_ROW: Final = (
    *("id", "uuid", "site_id", "unit_id", "target", "revision", "profile_version"),
    *("profile_name", "state", "due_at", "attempts", "reference", "last_error", "settled_at"),
)
# By the fence: who stood still past his lease finds another's, or nothing.
_CALLED: Final = f"""
SELECT {", ".join(f"w.{name}" for name in _ROW)}, u.serial
FROM mes_integration_writeback w JOIN traceability_unit u ON u.id = w.unit_id
WHERE w.id = %(pk)s AND w.fence = %(fence)s AND w.state = 'SENDING'
FOR UPDATE OF w
"""  # noqa: S608  # constants only
_ANSWERED: Final = """
UPDATE mes_integration_writeback
SET state = %(state)s, lease_expires_at = NULL, reference = %(reference)s,
    last_error = %(last_error)s, settled_at = %(settled_at)s, due_at = %(due_at)s
WHERE id = %(pk)s
"""


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to; `answer` is None when the target, asked for it, does not hold it."""

    state: State
    outcome: Outcome
    answer: Answer | None


def deliver_due(
    *, at: datetime, limit: int, mes: MesAdapter | None = None, target: str = DEFAULT_TARGET
) -> int:
    """Make up to `limit` calls for what is due to a target, in this thread; how many were made.

    Without an adapter (none given, none in the settings) everything stays as it is.
    """
    mes = mes or adapter_of(target)
    if mes is None:
        return 0
    leases.recover(at=at)
    now = _running_from(at)
    for made in range(limit):
        if deliver_one(mes=mes, target=target, at=now) is None:
            return made
    return limit


def deliver_one(*, mes: MesAdapter, target: str, at: Callable[[], datetime]) -> Called | None:
    """Lease, call, record, each at the time it happens; None when nothing was due."""
    lease = leases.take_lease(at=at(), target=target)
    if lease is None:
        return None
    called = call(mes, lease)
    record(lease=lease, called=called, at=at())
    return called


def _running_from(at: datetime) -> Callable[[], datetime]:
    started = time.monotonic()
    return lambda: at + timedelta(seconds=time.monotonic() - started)


def call(mes: MesAdapter, lease: Lease) -> Called:
    """Ask the target; no transaction may be open."""
    if time.monotonic() >= lease.until:
        return _too_late(lease)
    if not lease.reads_back:
        answer = mes.post(lease.message)
        return Called(*transitions.after_post(answer), answer)
    found = mes.read_back(lease.message)
    if lease.was_sent and (found is None or isinstance(found, TryLater)):
        can = lease.message.profile.capabilities
        return Called(*transitions.after_silence(can, waits_on=lease.waits_on), found)
    return Called(*transitions.after_read_back(found), found)


def _too_late(lease: Lease) -> Called:
    """This process stood still for so long that the row may be another's by now.

    What may have arrived before is as doubtful as it was.
    """
    if lease.was_sent:
        can = lease.message.profile.capabilities
        return Called(*transitions.after_silence(can, waits_on=True), None)
    if lease.reads_back:
        unread = TryLater(_("It was not asked for: its turn had passed before that."))
        return Called(*transitions.after_read_back(unread), unread)
    unsent = TryLater(_("It was not sent: its turn had passed before it could leave."))
    return Called(*transitions.after_post(unsent), unsent)


def record(*, lease: Lease, called: Called, at: datetime) -> bool:
    """Write down what the call came to; False, and nothing written, when the fence is stale.

    An acknowledgement may have closed the row while the call was open: what the call says then is
    taken as one more.
    """
    with recorded(actor=RELAY, at=at) as trail:
        row = _called(lease)
        if row is not None:
            _apply(row, called, at=at)
            journal.noted(trail, row)
            return True
        trail.nothing_changed()
    answer, pk, fence = called.answer, lease.pk, lease.fence
    is_new = answer is not None and inbound.answered_after(pk=pk, fence=fence, answer=answer, at=at)
    _end_rest(lease, called, at=at)
    return is_new


def _end_rest(lease: Lease, called: Called, *, at: datetime) -> None:
    """What was rejected in flight rests as if the call might go on: now its end is known."""
    with recorded(actor=RELAY, at=at) as trail:
        trail.nothing_changed()
        row = (
            WriteBack.objects.select_for_update(of=("self",))
            .filter(pk=lease.pk, fence=lease.fence, state__in=[State.REJECTED, State.RETRY])
            .first()
        )
        if row is None:
            return
        row.due_at = min(row.due_at, _is_done(row, lease, called, at=at))
        row.save(update_fields=["due_at"])


def _is_done(row: WriteBack, lease: Lease, called: Called, *, at: datetime) -> datetime:
    """When the target must be done with all it was sent, the call's end being known."""
    # What was cut off may be this very call.
    if lease.reads_back:
        # It sent nothing: only what was sent before it counts.
        others = rests.AT_WORK - {Outcome.LOST} if lease.was_sent else rests.AT_WORK
        return rests.since_sent(row, at=at, ended=others)
    if called.outcome in _IS_OVER:
        return rests.since_sent(row, at=at, ended=turns.MAY_LAND - {Outcome.LOST})
    return at + messages.quarantine(row)


def _called(lease: Lease) -> WriteBack | None:
    """The leased row, locked, with its unit's serial; None when the lease is not ours any more."""
    with prepared() as cursor:
        cursor.execute(_CALLED, {"pk": lease.pk, "fence": lease.fence})
        values = cursor.fetchone()
    if values is None:
        return None
    row = WriteBack.from_db(DEFAULT_DB_ALIAS, _ROW, values[:-1])
    row.unit = Unit.from_db(DEFAULT_DB_ALIAS, ["id", "serial"], [row.unit_id, values[-1]])
    return row


def _apply(row: WriteBack, called: Called, *, at: datetime) -> None:
    """Row and attempt as the answer leaves them; the caller holds the row's lock."""
    answer, outcome = called.answer, called.outcome
    transitions.check(State(row.state), called.state)
    row.state = called.state
    if isinstance(answer, Applied):
        row.reference, row.last_error, row.settled_at = answer.reference, "", at
    else:
        sentence = answer.sentence if answer else _not_held(outcome)
        row.last_error = sentence[: journal.LONGEST_ERROR]
        row.due_at = _due(row, called, at=at)
    with prepared() as cursor:
        cursor.execute(
            _ANSWERED,
            {
                "pk": row.pk,
                "state": row.state,
                "reference": row.reference,
                "last_error": row.last_error,
                "settled_at": row.settled_at,
                "due_at": row.due_at,
            },
        )
    if outcome is not Outcome.WAITING:
        said = row.reference or row.last_error
        status = answer.status if answer else None
        journal.attempted(row, outcome, said, at=at, status=status)


def _not_held(outcome: Outcome) -> str:
    if outcome is Outcome.NOT_FOUND:
        return _("The MES does not hold it.")
    if outcome is Outcome.WAITING:
        return _("Its acknowledgement has not come yet.")
    return _("No acknowledgement came within the longest processing time.")


def _due(row: WriteBack, called: Called, *, at: datetime) -> datetime:
    """When it may leave again, or what comes after one that was refused."""
    if called.outcome is Outcome.REFUSED:
        # It speaks of this call; one before it may be applied yet.
        return rests.since_sent(row, at=at, ended=turns.MAY_LAND)
    return at + _rest(row, called)


def _rest(row: WriteBack, called: Called) -> timedelta:
    """How long a row rests: an uncertain one until the target must be done with it."""
    outcome = called.outcome
    if outcome in {Outcome.NOT_FOUND, Outcome.SILENT}:
        return timedelta(0)
    if outcome is Outcome.WAITING:
        return timedelta(seconds=WAITS_S)
    if isinstance(called.answer, Handed) and called.answer.again_s is not None:
        return timedelta(seconds=called.answer.again_s)
    if outcome in {Outcome.UNCERTAIN, Outcome.LOST, Outcome.HANDED}:
        return messages.quarantine(row)
    jitter = random.random()  # noqa: S311  # spreads load, guards nothing
    rest = timedelta(seconds=transitions.backoff(row.attempts, jitter=jitter))
    # What answers for the target may have given up on it while it goes on.
    if outcome is Outcome.FAILED and messages.doubles(row):
        return max(rest, messages.quarantine(row))
    return rest
