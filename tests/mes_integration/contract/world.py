"""A case's world: its peer, dispositions on their way there, and a clock that can be moved."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.access import system
from governance.audit import recorded
from governance.roles import Role
from mes_integration import (
    delivery,
    leases,
    mapping,
    messages,
    outbox,
    reconciliation,
    relay,
    resolution,
    targets,
)
from mes_integration.adapters.protocol import MesAdapter
from mes_integration.mapping import Capabilities
from mes_integration.models import MappingProfile, ReconciliationException, WriteBack
from mes_integration.transitions import Outcome, State
from tests import factories
from tests.mes_integration.contract.peer import SITE, TARGET, Effect, Peer, Received, wait_until
from tests.mes_integration.plant import disposition
from traceability.models import Disposition, Unit

IMPATIENT_S = 0.4
CONCESSION = {"approved_by": "8042", "reason": "Cosmetic, outside the sealing face."}


class World:
    """What a case acts with. Time runs as on the wall and jumps when told to.

    It starts an hour behind, except where an adapter's own thread writes by the wall's clock.
    """

    def __init__(self, peer: Peer, settings: Settings) -> None:
        self.peer = peer
        self._settings = settings
        self._base = datetime.now(UTC) - timedelta(hours=0 if peer.threads else 1)
        self._started = time.monotonic()
        self._before = len(peer.effects())
        self._received_before = len(peer.received())
        self.use(peer.target())

    # Settings and mapping

    def use(self, *entries: MesTarget) -> None:
        """Set these as the only targets."""
        self._close_adapters()
        self._settings.LOUPE = django_settings.LOUPE.model_copy(
            update={"mes_url": "", "mes_targets": list(entries)}
        )

    def impatient(self) -> None:
        """Wait only IMPATIENT_S for an answer, for peers that will not give one."""
        self.use(self.peer.target().model_copy(update={"timeout_s": IMPATIENT_S}))

    def patient(self) -> None:
        """Wait as long as the peer's line in the settings says."""
        self.use(self.peer.target())

    @property
    def document(self) -> dict[str, Any]:
        """A copy of the mapping document in force."""
        newest = MappingProfile.objects.filter(site__code=SITE, target=TARGET)
        row = newest.order_by("-version").first()
        return copy.deepcopy(row.document if row else self.peer.document())

    def remap(self, **changes: Any) -> int:
        """A new version of the site's mapping; `capabilities` are merged, all else replaced."""
        document = self.document
        can = {**document["capabilities"], **changes.pop("capabilities", {})}
        document |= {**changes, "capabilities": can}
        mapping.parse(document)
        newest = MappingProfile.objects.filter(site__code=SITE, target=TARGET)
        version = newest.count() + 1
        MappingProfile.objects.create(
            site=factories.site(),
            target=TARGET,
            version=version,
            document=document,
            author="lead-1",
            at=self.now(),
        )
        return version

    @property
    def can(self) -> Capabilities:
        """What the mapping in force says that the peer can do."""
        return mapping.parse(self.document).capabilities

    @property
    def adapter(self) -> MesAdapter:
        """The open adapter."""
        found = targets.adapter_of(TARGET)
        assert found is not None
        return found

    # Time

    def now(self) -> datetime:
        """The case's clock."""
        return self._base + timedelta(seconds=time.monotonic() - self._started)

    def jump(self, seconds: float) -> None:
        """Put the clock forward, or back."""
        self._base += timedelta(seconds=seconds)

    def rest(self) -> None:
        """Let the peer's longest processing time go by."""
        self.jump(self.can.max_processing_s + 1)

    # Dispositions

    def decide(
        self, unit: Unit | None = None, *, kind: str = "HOLD", due_in: float = 0, **fields: Any
    ) -> WriteBack:
        """The unit's next revision, on its way to the peer; CONCESSION is a kind, too."""
        if kind == "CONCESSION":
            kind, fields = "ACCEPT", {"concession": CONCESSION, **fields}
        made = disposition(unit, kind=kind, at=self.now(), **fields)
        return self.enqueue(made, due_in=due_in)

    def enqueue(self, made: Disposition, *, due_in: float = 0) -> WriteBack:
        """Its row for the peer."""
        at = self.now()
        with recorded(actor=system("test"), at=at) as trail:
            rows = outbox.enqueue_all(
                trail=trail, dispositions=[made], due_at=at + timedelta(seconds=due_in)
            )
        return next(row for row in rows if row.target == TARGET)

    def withdraw(self, row: WriteBack) -> None:
        """Take a verdict back."""
        with recorded(actor=system("test"), at=self.now()) as trail:
            outbox.withdraw(trail=trail, disposition=row.disposition)

    def resend(self, row: WriteBack) -> None:
        """As a lead does on the page."""
        row.refresh_from_db()
        resolution.resend(actor=factories.actor(Role.LEAD), write_back=row, at=self.now())

    def settle_by_hand(self, row: WriteBack, *, reference: str = "") -> None:
        """As a lead does on the page."""
        row.refresh_from_db()
        resolution.settle(
            actor=factories.actor(Role.LEAD),
            write_back=row,
            reference=reference,
            reason="Looked it up there.",
            at=self.now(),
        )

    # Delivery

    def deliver(self, *, limit: int = 100) -> int:
        """What is due now, through the real functions; how many calls were made."""
        return delivery.deliver_due(at=self.now(), limit=limit, target=TARGET)

    def hands_over(self, row: WriteBack) -> None:
        """Deliver until it has left.

        On a machine that stands still, a short wait may be over before anything is on the wire:
        the row says so, and is tried again.
        """
        self.deliver()
        wait_until(lambda: self._has_left(row), what=f"it never left: {row.last_error}")

    def _has_left(self, row: WriteBack) -> bool:
        if self.state(row) != "RETRY" or self.outcomes(row)[-1] != Outcome.NOT_TAKEN:
            return True
        assert not self.received(row)
        self._skip_backoff()
        self.deliver()
        return False

    def reaches(self, row: WriteBack, *states: str, seconds: float = 90) -> WriteBack:
        """Deliver until the row stands in one of the states; back-off is not waited for."""
        ends = time.monotonic() + seconds
        while self.state(row) not in states:
            assert time.monotonic() < ends, (
                f"{row.state} instead of {states}: {row.last_error!r} after {self.outcomes(row)}"
            )
            if not self.deliver():
                self._skip_backoff()
                time.sleep(0.01)
        return row

    def arrives(self, *rows: WriteBack) -> None:
        """Deliver until each is acknowledged."""
        for row in rows:
            self.reaches(row, "ACKNOWLEDGED")

    def comes_clear(self, row: WriteBack) -> None:
        """What may have arrived ends as the mapping's capabilities say, never twice at the peer.

        A peer that can neither be asked nor told twice needs a person.
        """
        self.rest()
        if self.can.key or self.can.read_back or self.can.upsert:
            self.arrives(row)
            assert self.applied(row) == 1
        else:
            self.reaches(row, "NEEDS_PERSON")
            assert self.applied(row) <= 1

    def stays(self, row: WriteBack, state: str) -> None:
        """Whatever is due is delivered, and the row still stands there."""
        before = len(self.received(row))
        self.deliver()
        assert self.state(row) == state, f"{row.state}: {row.last_error}"
        assert len(self.received(row)) == before

    def _skip_backoff(self) -> None:
        """On to the next retry that is not in doubt."""
        waiting = WriteBack.objects.filter(target=TARGET, state="RETRY", due_at__gt=self.now())
        first = waiting.order_by("due_at").first()
        if first is not None:
            self.jump((first.due_at - self.now()).total_seconds())

    def sends_and_dies(self, row: WriteBack, *, before_sending: bool = False) -> delivery.Called:
        """A relay takes the row, hands it over and is killed before it writes the answer down."""
        lease = leases.take_lease(at=self.now(), target=TARGET)
        called = delivery.Called(State.UNCERTAIN, Outcome.LOST, None)
        if lease is None:
            # Locked by the acknowledgement that is being written down just now.
            wait_until(lambda: self.state(row) == "ACKNOWLEDGED", what="it was not to be had")
            return called
        self.lease = lease
        assert lease.pk == row.pk
        if not before_sending:
            called = delivery.call(self.adapter, lease)
        # Its acknowledgement may have come by itself meanwhile.
        WriteBack.objects.filter(pk=row.pk, state="SENDING").update(
            lease_expires_at=datetime.now(UTC) - timedelta(hours=1)
        )
        leases.recover(at=self.now())
        return called

    @contextmanager
    def relays(self, number: int) -> Iterator[None]:
        """That many relay loops at once, each as a worker of its own would host it."""
        stop = threading.Event()
        loops = [threading.Thread(target=relay.run, args=(stop,)) for _ in range(number)]
        for loop in loops:
            loop.start()
        try:
            yield
        finally:
            stop.set()
            for loop in loops:
                loop.join(timeout=90)
            wait_until(lambda: not any(t.name == "relay-carrier" for t in threading.enumerate()))

    def reconcile(self) -> tuple[int, dict[int, str]]:
        """As every night: how many were compared, and what is wrong with which row."""
        at = max(self.now(), datetime.now(UTC)) + timedelta(seconds=1)
        run = reconciliation.start(site=factories.site(), name=TARGET, at=at)
        run = reconciliation.carry_through(run, clock=lambda: at)
        open_ones = ReconciliationException.objects.filter(state="OPEN")
        return run.compared, dict(open_ones.values_list("write_back", "kind"))

    # What came of it

    def state(self, row: WriteBack) -> str:
        """Where it stands now."""
        row.refresh_from_db()
        return row.state

    def outcomes(self, row: WriteBack) -> list[str]:
        """What was tried, in order."""
        return list(row.delivery_attempts.order_by("pk").values_list("outcome", flat=True))

    def effects(self, unit: Unit | None = None) -> list[Effect]:
        """What the peer has applied in this case."""
        found = self.peer.effects()[self._before :]
        return [e for e in found if unit is None or e.unit == unit.serial]

    def applied(self, row: WriteBack) -> int:
        """How often the peer has applied it."""
        return sum(effect.key == str(row.uuid) for effect in self.effects())

    def received(self, row: WriteBack | None = None) -> list[Received]:
        """What came in at the peer in this case."""
        found = self.peer.received()[self._received_before :]
        return [r for r in found if row is None or r.key == str(row.uuid)]

    def times_sent(self, row: WriteBack) -> int:
        """How often the peer has received what has left; it may look a moment later."""
        wait_until(lambda: bool(self.received(row)), what="it was not received")
        return len(self.received(row))

    def words(self, unit: Unit) -> list[object]:
        """The verdicts the peer has applied to a unit, in its order."""
        return [effect.verdict for effect in self.effects(unit)]

    def message(self, row: WriteBack) -> Any:
        """The row's message as it is or would be sent."""
        fresh = WriteBack.objects.select_related("unit__lot", "site", "disposition").get(pk=row.pk)
        return messages.message_of(fresh)

    def close(self) -> None:
        """Back to a peer that behaves, and no adapter left open."""
        self.peer.back()
        self._close_adapters()

    def _close_adapters(self) -> None:
        if targets._open.cache_info().currsize:
            for entry in targets.targets():
                adapter = targets.adapter_of(entry.name)
                assert adapter is not None
                adapter.close()
        targets._open.cache_clear()
