"""An MES that reads IPC-CFX from a broker's queue, with both of their faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from proton import Delivery, Message

from config.settings.environment import MesTarget
from mes_integration.inbound import Said
from tests.mes_integration.cfx_broker import Broker, Publication
from tests.mes_integration.cfx_reading import checked
from tests.mes_integration.contract.peer import TARGET, Effect, Peer, Received

ACKS = "/queue/loupe.acks"
DISPOSITIONS = "/queue/cfx.dispositions"
_NO_ASKING = "CFX has no way to ask an MES what it holds, so nothing is compared"


class CfxPeer(Peer):
    """Applies each disposition once, by its id, and acknowledges it through the broker."""

    kind = "cfx"
    threads = True
    cannot: ClassVar[Mapping[str, str]] = {
        "reconciliation_agrees_with_what_was_delivered": _NO_ASKING,
        "reconciliation_finds_what_the_peer_has_lost": _NO_ASKING,
    }

    def __init__(self) -> None:
        self.broker = Broker()
        self.broker.on_publish = self._published
        self._effects: list[Effect] = []
        self._received: list[Received] = []
        self._parts: dict[str, dict[str, Any]] = {}
        self._meets: Callable[[Publication], None] = self._well

    def start(self) -> None:
        self.broker.up()

    def stop(self) -> None:
        self.broker.close()

    def target(self) -> MesTarget:
        return MesTarget.model_validate(
            {
                "name": TARGET,
                "adapter": "cfx",
                "url": self.broker.url,
                "user": self.broker.user,
                "secret": self.broker.secret,
                "timeout_s": 30,
                "options": {"address": DISPOSITIONS, "ack_queue": ACKS, "heartbeat_s": 1},
            }
        )

    def effects(self) -> list[Effect]:
        return list(self._effects)

    def received(self) -> list[Received]:
        return list(self._received)

    def check(self, body: bytes) -> None:
        checked(body)

    def word(self, verdict: str) -> object:
        return dict(self.document()["verdicts"][verdict])

    def acknowledge(self, key: str, state: Said, *, reference: str = "", reason: str = "") -> None:
        self._say(disposition_id=key, state=state, reference=reference, reason=reason)

    def back(self) -> None:
        self._meets = self._well
        self.broker.up()

    def away(self) -> None:
        self.broker.down()

    def slow(self, seconds: float) -> None:
        self._meets = lambda p: self.broker.later(seconds, lambda: self._well(p))

    def hang(self) -> None:
        self._meets = lambda p: None

    def apply_late(self, seconds: float) -> None:
        self._meets = lambda p: self.broker.later(seconds, lambda: self._apply(p) and None)

    def lose_answers(self) -> None:
        self._meets = lambda p: self._apply(p) and None

    def refuse(self, sentence: str) -> None:
        self._meets = lambda p: p.settle(Delivery.REJECTED, reason=sentence)

    def busy(self) -> None:
        self._meets = lambda p: p.settle(Delivery.RELEASED)

    def restart(self) -> None:
        self.broker.down()
        self.broker.up()

    def without_reference(self) -> None:
        def meets(published: Publication) -> None:
            published.settle(Delivery.ACCEPTED)
            key, state = self._apply(published)
            self._say(disposition_id=key, state=state)

        self._meets = meets

    def forget(self, key: str) -> None:
        self._effects = [effect for effect in self._effects if effect.key != key]

    @staticmethod
    def key_of(body: bytes) -> str:
        """The disposition a message is of."""
        return _key(json.loads(body))

    # In the broker's thread.

    def _published(self, published: Publication) -> None:
        body = published.body
        envelope = json.loads(body)
        if envelope["MessageName"] in {"CFX.EndpointConnected", "CFX.Heartbeat"}:
            published.settle(Delivery.ACCEPTED)
            return
        self._received.append(Received(_key(envelope), body))
        self._meets(published)

    def _well(self, published: Publication) -> None:
        published.settle(Delivery.ACCEPTED)
        key, state = self._apply(published)
        if state:
            self._say(disposition_id=key, state=state, reference=f"CFX-{key}")

    def _apply(self, published: Publication) -> tuple[str, str]:
        """The key, and what is to be said of it: nothing while more of it is to come."""
        envelope = json.loads(published.body)
        key, body = _key(envelope), envelope["MessageBody"]
        if envelope["UniqueID"] != key:
            self._parts[key] = _verdict(body)
            return key, ""
        if any(effect.key == key for effect in self._effects):
            return key, "duplicate"
        if "InspectedUnits" in body:
            verdict, unit = _verdict(body), body["InspectedUnits"][0]["UnitIdentifier"]
        else:
            verdict = {**self._parts[key], "disqualified": body["Reason"]}
            unit = body["Units"][0]["UnitIdentifier"]
        self._effects.append(Effect(key, unit, verdict, None))
        return key, "applied"

    def _say(self, **words: str) -> None:
        acknowledgement = Message(body=json.dumps(words).encode(), inferred=True)
        self.broker.put(ACKS, acknowledgement.encode())


def _key(envelope: dict[str, Any]) -> str:
    key = envelope["MessageBody"].get("TransactionId", envelope["UniqueID"])
    assert UUID(key)
    return str(key)


def _verdict(body: dict[str, Any]) -> dict[str, Any]:
    (unit,) = body["InspectedUnits"]
    return {"result": unit["OverallResult"], "verification": unit["Verification"]}
