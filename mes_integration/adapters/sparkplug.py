"""A Sparkplug B mirror of the ledger's state, for dashboards and historians.

Sparkplug asks for QoS 0 here, which may lose anything: what is published shows how dispositions
stand, and nobody may act upon it as on the disposition itself.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError, InterfaceError, connections
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.packettypes import PacketTypes

from mes_integration.adapters.mqtt_connection import (
    Access,
    Connection,
    Unreachable,
    open_connection,
)
from mes_integration.adapters.mqtt_listener import seat
from mes_integration.adapters.mqtt_wire import Publication, SparkplugOptions, level, properties_for
from mes_integration.adapters.sparkplug_payload import DataType, Metric, asks_for, payload
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.transitions import backoff

REBIRTH: Final = "Node Control/Rebirth"
TICK_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_SEAT_PAUSE_S: Final = 5.0
_LOOK_BACK: Final = 500
"""Attempts that are looked at again: one that was begun earlier may be committed later."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the newest disposition of a station stands."""

    device: str
    key: str
    code: str
    unit: str
    version: int
    peer_state: str

    @property
    def metrics(self) -> list[Metric]:
        """As they are published."""
        return [
            Metric("Disposition/Id", DataType.STRING, self.key),
            Metric("Disposition/Code", DataType.STRING, self.code),
            Metric("Disposition/UnitId", DataType.STRING, self.unit),
            Metric("Disposition/Version", DataType.INT64, self.version),
            Metric("Disposition/PeerState", DataType.STRING, self.peer_state),
        ]


class Node:
    """One session of the edge node: from its birth to its death, under one bdSeq."""

    def __init__(
        self, where: SparkplugOptions, bd_seq: int, known: dict[str, Standing] | None = None
    ) -> None:
        self._where = where
        self._bd_seq = bd_seq
        self._seq = itertools.count()
        self._depth = 0
        # Devices outlive the session: they are born again in the next.
        self._last = {} if known is None else known
        self._born: set[str] = set()

    def topic(self, kind: str, device: str = "") -> str:
        """Where messages of a kind go."""
        tail = f"/{device}" if device else ""
        return f"spBv1.0/{self._where.group}/{kind}/{self._where.node}{tail}"

    def death(self) -> tuple[str, bytes]:
        """The death certificate: the broker's will, and the goodbye."""
        return self.topic("NDEATH"), payload([self._session()], at_ms=_now_ms(), seq=None)

    def birth(self, depth: int) -> Iterator[tuple[str, bytes]]:
        """The node's birth, and that of every device known."""
        self._seq = itertools.count()
        self._depth = depth
        metrics = [self._session(), Metric(REBIRTH, DataType.BOOLEAN, False), _depth(depth)]  # noqa: FBT003  # a value, not a switch
        self._born.clear()
        yield self._said("NBIRTH", metrics)
        for standing in list(self._last.values()):
            yield from self.standing(standing)

    def standing(self, standing: Standing) -> Iterator[tuple[str, bytes]]:
        """How a station's newest disposition stands; its birth where it had none."""
        kind = "DDATA" if standing.device in self._born else "DBIRTH"
        self._born.add(standing.device)
        self._last[standing.device] = standing
        yield self._said(kind, standing.metrics, standing.device)

    def queue_depth(self, depth: int) -> Iterator[tuple[str, bytes]]:
        """How many dispositions the target does not hold, when that has changed."""
        if depth != self._depth:
            self._depth = depth
            yield self._said("NDATA", [_depth(depth)])

    def _session(self) -> Metric:
        return Metric("bdSeq", DataType.INT64, self._bd_seq)

    def _said(self, kind: str, metrics: Sequence[Metric], device: str = "") -> tuple[str, bytes]:
        seq = next(self._seq) % 256
        return self.topic(kind, device), payload(metrics, at_ms=_now_ms(), seq=seq)


class Mirror:
    """One thread that mirrors while it has the seat, and waits for it otherwise."""

    def __init__(
        self, *, target: str, access: Access, where: SparkplugOptions, client: str
    ) -> None:
        self._target = target
        self._access = access
        self._where = where
        self._client = f"{client}-sparkplug"
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        # Hosts tell a session's death from its successor's birth by this number alone.
        self._bd_seqs = itertools.count(int(time.time()))
        self._known = Attempts(target)
        self._devices: dict[str, Standing] = {}

    def start(self) -> None:
        """Mirror from now on; again is harmless."""
        with self._starting:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="sparkplug", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Die in order."""
        with self._starting:
            self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            pause = _SEAT_PAUSE_S
            try:
                with seat(f"sparkplug {self._target}") as is_ours:
                    if is_ours:
                        pause = TICK_S
                        self._session()
                failures = 0
            except (Unreachable, DatabaseError, InterfaceError) as error:
                failures += 1
                pause = min(_LONGEST_PAUSE_S, backoff(failures, jitter=0))
                _log.warning("%s: not mirrored for %.0f s: %s", self._target, pause, error)
            finally:
                connections.close_all()
            self._stop.wait(pause)

    def _session(self) -> None:
        """One connection, from birth to death."""
        node = Node(self._where, next(self._bd_seqs) % 256, self._devices)
        commands: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()

        def will(client: Client) -> None:
            topic, certificate = node.death()
            client.will_set(topic, certificate, qos=1, retain=False)

        line = open_connection(
            self._access,
            client_id=self._client,
            heard=commands.put,
            will=will,
            answers=False,
        )
        try:
            line.subscribe(node.topic("NCMD"), qos=1, patience_s=self._access.patience_s)
            _tell(line, node.birth(self._known.depth()))
            while line.is_open and not self._stop.is_set():
                self._tick(line, node, commands)
            _tell(line, [node.death()], qos=1)
        finally:
            line.close()

    def _tick(self, line: Connection, node: Node, commands: queue.SimpleQueue[MQTTMessage]) -> None:
        while not commands.empty():
            if asks_for(bytes(commands.get().payload), REBIRTH):
                _tell(line, node.birth(self._known.depth()))
        for standing in self._known.new():
            _tell(line, node.standing(standing))
        _tell(line, node.queue_depth(self._known.depth()))
        self._stop.wait(TICK_S)


class Attempts:
    """What has been tried at a target since the last look."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._seen: set[int] = set()
        self._first: int | None = None

    def depth(self) -> int:
        """Dispositions the target does not hold yet, as far as Loupe knows."""
        return WriteBack.objects.filter(target=self._target, settled_at__isnull=True).count()

    def new(self) -> list[Standing]:
        """The dispositions something has become of, in the order it happened, each once."""
        rows = DeliveryAttempt.objects.filter(write_back__target=self._target)
        if self._first is None:
            newest = DeliveryAttempt.objects.order_by("-pk").values_list("pk", flat=True).first()
            self._first = (newest or 0) + 1
        found = list(
            rows.filter(pk__gte=self._first)
            .exclude(pk__in=self._seen)
            .select_related("write_back__unit", "write_back__disposition")
            .order_by("pk")
        )
        if not found:
            return []
        self._first = max(self._first, found[-1].pk - _LOOK_BACK)
        self._seen = {pk for pk in self._seen | {row.pk for row in found} if pk >= self._first}
        latest = {row.write_back_id: row.write_back for row in found}
        return [_standing(row) for row in latest.values()]


def _standing(row: WriteBack) -> Standing:
    station = row.payload["data"]["station"]
    names = (station["site"], station["line"], station["station"])
    return Standing(
        device=":".join(level(name) for name in names),
        key=str(row.uuid),
        code="CONCESSION" if row.disposition.concession else row.disposition.kind,
        unit=row.unit.serial,
        version=row.revision,
        peer_state=row.state,
    )


def _depth(depth: int) -> Metric:
    return Metric("Queue/Depth", DataType.INT64, depth)


def _tell(
    line: Connection, said: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]], *, qos: int = 0
) -> None:
    """Publish, never retained; with QoS 1 the broker's answer is waited for."""
    for topic, certificate in said:
        line.tell(Publication(topic, certificate, properties_for(PacketTypes.PUBLISH)), qos=qos)


def _now_ms() -> int:
    return int(time.time() * 1000)
