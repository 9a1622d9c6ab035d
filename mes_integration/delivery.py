"""The relay: write-backs that are due, called one by one and recorded as answered.

Every call is lease, call, record: a short transaction takes the row under a fresh fence, the
call to the MES is made with no transaction open, and a second transaction records the answer if
the fence still stands. Whoever dies in between leaves a lease that runs out.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
)
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance.access import system
from governance.audit import Trail, recorded
from mes_integration import transitions
from mes_integration.adapters import http
from mes_integration.adapters.protocol import Answer, Applied, MesAdapter
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.transitions import HOLDS_BACK, LEASABLE, MAY_HAVE_ARRIVED, Outcome, State

_RELAY: Final = system("relay")
_DATABASE_AWAY: Final = (OperationalError, InterfaceError)
LONGEST_ERROR: Final = 500
_MAY_BE_SKIPPED: Final = (State.PENDING, State.RETRY)
_AUDITED: Final = {
    State.ACKNOWLEDGED: "write_back.acknowledge",
    State.REJECTED: "write_back.reject",
    State.NEEDS_PERSON: "write_back.ask_person",
}


@dataclass(frozen=True, slots=True)
class Lease:
    """A row taken for one call. `reads_back`: ask the MES for it instead of sending it."""

    pk: int
    key: str
    fence: int
    payload: Mapping[str, Any]
    reads_back: bool


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to; `answer` is None when the MES, asked for it, does not hold it."""

    state: State
    outcome: Outcome
    answer: Answer | None


def deliver_due(*, at: datetime, limit: int, mes: MesAdapter | None = None) -> int:
    """Make up to `limit` calls for what is due, in this thread; how many were made.

    Without an MES (none given, none in the settings) everything stays as it is.
    """
    mes = mes or http.configured()
    if mes is None:
        return 0
    recover(at=at)
    return _drain(mes, at=at, limit=limit)


def _drain(mes: MesAdapter, *, at: datetime, limit: int) -> int:
    """Lease, call, record; time goes on from `at` while the MES thinks."""
    now = _running_from(at)
    for made in range(limit):
        lease = take_lease(at=now())
        if lease is None:
            return made
        called = call(mes, lease)
        record(lease=lease, called=called, at=now())
    return limit


def _running_from(at: datetime) -> Callable[[], datetime]:
    started = time.monotonic()
    return lambda: at + timedelta(seconds=time.monotonic() - started)


def deliverable(*, at: datetime) -> QuerySet[WriteBack]:
    """What may be called now: due, nothing of the unit's past in the way, no later one to go first.

    An earlier revision that never left is not in the way: it is superseded when this one leaves.
    """
    rows = WriteBack.objects.filter(settled_at__isnull=True)
    of_unit = rows.filter(unit=OuterRef("unit"))
    in_the_way = of_unit.filter(revision__lt=OuterRef("revision"), state__in=HOLDS_BACK).exclude(
        _never_left()
    )
    due_later = of_unit.filter(
        revision__gt=OuterRef("revision"), state__in=_MAY_BE_SKIPPED, due_at__lte=at
    )
    return rows.filter(
        ~Exists(in_the_way),
        ~(_never_left() & Q(Exists(due_later))),
        state__in=LEASABLE,
        due_at__lte=at,
    )


def _never_left() -> Q:
    arrived = DeliveryAttempt.objects.filter(
        write_back=OuterRef("pk"), outcome__in=MAY_HAVE_ARRIVED
    )
    return Q(~Exists(arrived), state__in=_MAY_BE_SKIPPED)


def take_lease(*, at: datetime) -> Lease | None:
    """Take the row that is due longest, until the database's clock passes the lease.

    In the same transaction its unit's earlier revisions that never left are superseded: from here
    on this one can no longer be withdrawn.
    """
    with recorded(actor=_RELAY, at=at) as trail:
        trail.nothing_changed()
        row = (
            deliverable(at=at).select_for_update(skip_locked=True).order_by("due_at", "pk").first()
        )
        if row is None or not _supersede_before(trail, row):
            return None
        transitions.check(State(row.state), State.SENDING)
        reads_back = _last_outcome(row) in MAY_HAVE_ARRIVED
        WriteBack.objects.filter(pk=row.pk).update(
            state=State.SENDING,
            fence=row.fence + 1,
            attempts=row.attempts + 1,
            lease_expires_at=Now() + _lease_time(),
        )
    return Lease(row.pk, str(row.uuid), row.fence + 1, row.payload, reads_back)


def _supersede_before(trail: Trail, row: WriteBack) -> bool:
    """Whether the way is free: locks the earlier revisions, newest first, and looks again."""
    if row.revision == 1:
        return True
    earlier = list(
        WriteBack.objects.select_for_update(of=("self",))
        .select_related("unit")
        .filter(unit=row.unit_id, revision__lt=row.revision, state__in=HOLDS_BACK)
        .annotate(idle=Case(When(_never_left(), then=True), default=False))
        .order_by("-revision")
    )
    if not all(before.idle for before in earlier):
        return False
    for before in earlier:
        transitions.check(State(before.state), State.SUPERSEDED)
        trail.add(
            "write_back.supersede",
            subject_kind="unit",
            subject=before.unit.serial,
            site_id=before.site_id,
            detail={
                "write_back": str(before.uuid),
                "revision": before.revision,
                "by": row.revision,
            },
        )
    WriteBack.objects.filter(pk__in=[before.pk for before in earlier]).update(
        state=State.SUPERSEDED, settled_at=trail.at
    )
    return True


def _lease_time() -> timedelta:
    """Longer than a call can take: sending and reading may each use the whole time-out."""
    return timedelta(seconds=3 * settings.LOUPE.mes_timeout_s + 10)


def _last_outcome(row: WriteBack) -> str | None:
    if not row.attempts:
        return None
    return row.delivery_attempts.order_by("-pk").values_list("outcome", flat=True).first()


def call(mes: MesAdapter, lease: Lease) -> Called:
    """Ask the MES; no transaction may be open."""
    if lease.reads_back:
        found = mes.read_back(lease.key)
        return Called(*transitions.after_read_back(found), found)
    answer = mes.post(lease.payload, lease.key)
    return Called(*transitions.after_post(answer), answer)


def record(*, lease: Lease, called: Called, at: datetime) -> bool:
    """Write down what the call came to; False, and nothing written, when the fence is stale."""
    with recorded(actor=_RELAY, at=at) as trail:
        row = (
            WriteBack.objects.select_for_update(of=("self",))
            .select_related("unit")
            .filter(pk=lease.pk, fence=lease.fence, state=State.SENDING)
            .first()
        )
        if row is None:
            trail.nothing_changed()
            return False
        _apply(row, called, at=at)
        _note(trail, row)
    return True


def _apply(row: WriteBack, called: Called, *, at: datetime) -> None:
    """Row and attempt as the answer leaves them; the caller holds the row's lock."""
    answer, outcome = called.answer, called.outcome
    transitions.check(State(row.state), called.state)
    row.state = called.state
    row.lease_expires_at = None
    if isinstance(answer, Applied):
        row.reference, row.last_error, row.settled_at = answer.reference, "", at
    else:
        sentence = answer.sentence if answer else _("The MES does not hold it.")
        row.last_error = sentence[:LONGEST_ERROR]
        row.due_at = at + _rest(outcome, attempts=row.attempts)
    row.save(
        update_fields=[
            *("state", "lease_expires_at", "reference", "last_error", "settled_at", "due_at")
        ]
    )
    DeliveryAttempt.objects.create(
        site_id=row.site_id,
        write_back=row,
        at=at,
        outcome=outcome,
        status=answer.status if answer else None,
        answer=row.reference or row.last_error,
    )


def _rest(outcome: Outcome, *, attempts: int) -> timedelta:
    """How long a row rests: an uncertain one until the MES must be done with it."""
    if outcome is Outcome.NOT_FOUND:
        return timedelta(0)
    if outcome in {Outcome.UNCERTAIN, Outcome.LOST}:
        return timedelta(seconds=settings.LOUPE.mes_quarantine_s)
    jitter = random.random()  # noqa: S311  # spreads load, guards nothing
    return timedelta(seconds=transitions.backoff(attempts, jitter=jitter))


def _note(trail: Trail, row: WriteBack) -> None:
    """Audit what a person cares about; of retries the attempts themselves are the record."""
    action = _AUDITED.get(State(row.state))
    if action is None:
        trail.nothing_changed()
        return
    trail.add(
        action,
        subject_kind="unit",
        subject=row.unit.serial,
        site_id=row.site_id,
        detail={
            "write_back": str(row.uuid),
            "revision": row.revision,
            "attempts": row.attempts,
            "reference": row.reference,
            "error": row.last_error,
        },
    )


def recover(*, at: datetime) -> int:
    """Leases the database's clock has passed: nobody knows what left, so they are uncertain."""
    with recorded(actor=_RELAY, at=at) as trail:
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
            row.due_at = at + _rest(Outcome.LOST, attempts=row.attempts)
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


THREADS: Final = 4
AT_ONCE: Final = 20
PAUSE_S: Final = 0.3
_log = logging.getLogger(__name__)


def run(stop: threading.Event) -> None:
    """Deliver until told to stop; the loop that a worker hosts.

    This thread looks for what is due and wakes four others, so that one slow call keeps nothing
    else waiting. They are daemons: a call that hangs does not hold up the end, its lease runs out.
    """
    due = threading.Event()
    crew: list[threading.Thread] = []
    try:
        while not stop.is_set():
            crew = _manned(crew, stop, due)
            try:
                if _look(at=datetime.now(UTC)):
                    due.set()
            except _DATABASE_AWAY as error:
                _wait_for_database(stop, error)
            stop.wait(PAUSE_S)
    finally:
        due.set()
        for thread in crew:
            thread.join(timeout=1)
        connections.close_all()


def _manned(
    crew: list[threading.Thread], stop: threading.Event, due: threading.Event
) -> list[threading.Thread]:
    """Four living threads; one that a fault has ended is replaced, its row's lease runs out."""
    living = [thread for thread in crew if thread.is_alive()]
    for _number in range(THREADS - len(living)):
        thread = threading.Thread(
            target=_carry, args=(stop, due), name="relay-carrier", daemon=True
        )
        thread.start()
        living.append(thread)
    return living


def _look(*, at: datetime) -> bool:
    """Free what a crash left leased; whether there is anything to carry."""
    if http.configured() is None:
        return False
    close_old_connections()
    recover(at=at)
    return deliverable(at=at).exists()


def _carry(stop: threading.Event, due: threading.Event) -> None:
    """One thread of the crew: drains what is due, then sleeps until woken."""
    try:
        while not stop.is_set():
            if not due.wait(timeout=1):
                continue
            try:
                mes = http.configured()
                if mes is None or not _drain(mes, at=datetime.now(UTC), limit=AT_ONCE):
                    due.clear()
            except _DATABASE_AWAY as error:
                _wait_for_database(stop, error)
            close_old_connections()
    finally:
        connections.close_all()


def _wait_for_database(stop: threading.Event, error: Exception) -> None:
    """What was being sent keeps its lease until that runs out, and is then read back."""
    _log.warning("The database does not answer, trying again in a second: %s", error)
    connections.close_all()
    stop.wait(1)
