"""What stands at the other end of an adapter in the contract, and how it is made to misbehave."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from config.settings.environment import MesTarget
from mes_integration import inbound, mappings
from mes_integration.inbound import Said
from mes_integration.targets import PROFILES
from traceability.refusals import Conflict

TARGET = "peer"
SITE = "plant-1"


@dataclass(frozen=True)
class Effect:
    """One disposition as the peer has applied it; `revision` is None where its words have none."""

    key: str
    unit: str
    verdict: object
    revision: int | None


@dataclass(frozen=True)
class Received:
    """One message as it came over the wire, applied or not; times and signatures left out."""

    key: str
    body: bytes


class Peer(ABC):
    """Started once for a test file; `back()` between cases makes it behave again."""

    kind: ClassVar[str]
    threads: ClassVar[bool] = False
    """Its acknowledgements are written by a thread of the adapter's: the cases really commit."""
    cannot: ClassVar[Mapping[str, str]] = {}
    """Cases that cannot exist for this peer, each with its reason."""
    at_least: ClassVar[int] = 40

    @abstractmethod
    def start(self) -> None:
        """Come up; answers when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """Give everything back."""

    @abstractmethod
    def target(self) -> MesTarget:
        """Its line in the settings: name TARGET, a time-out of some seconds."""

    @abstractmethod
    def effects(self) -> list[Effect]:
        """What it has applied since it was started, in its order; one applied twice is two."""

    @abstractmethod
    def received(self) -> list[Received]:
        """Every disposition that came in, in order, whatever became of it."""

    @abstractmethod
    def check(self, body: bytes) -> None:
        """Raise AssertionError (or its own error) unless a received body is valid in its format."""

    def word(self, verdict: str) -> object:
        """How it names the verdict in an effect; as the shipped mapping has it."""
        return self.document()["verdicts"][verdict]

    def document(self) -> dict[str, Any]:
        """The shipped mapping it is spoken to by."""
        target = self.target()
        return mappings.shipped_document(target.profile or PROFILES[target.adapter])

    def acknowledge(self, key: str, state: Said, *, reference: str = "", reason: str = "") -> None:
        """Say by itself what became of a key; a contradiction is kept by Loupe, not raised."""
        with contextlib.suppress(Conflict):
            inbound.acknowledge(
                target=TARGET,
                key=key,
                state=state,
                reference=reference,
                reason=reason,
                at=datetime.now(UTC),
            )

    # How it misbehaves, until back(). What it has applied it never forgets by itself.

    @abstractmethod
    def back(self) -> None:
        """Behave, listen, answer at once; returns when it does."""

    @abstractmethod
    def away(self) -> None:
        """Not there: nothing can be handed to it."""

    @abstractmethod
    def slow(self, seconds: float) -> None:
        """Apply and answer that much later, within the time-out."""

    @abstractmethod
    def hang(self) -> None:
        """Take it, apply nothing, answer nothing."""

    @abstractmethod
    def apply_late(self, seconds: float) -> None:
        """Answer nothing, and apply that much later."""

    @abstractmethod
    def lose_answers(self) -> None:
        """Apply at once, and let the answer be lost."""

    @abstractmethod
    def refuse(self, sentence: str) -> None:
        """Apply nothing, and say that it never will."""

    @abstractmethod
    def busy(self) -> None:
        """Apply nothing, and say so."""

    @abstractmethod
    def restart(self) -> None:
        """Go and come back, with what was applied still known."""

    def without_reference(self) -> None:
        """Apply, and answer without naming a reference."""
        # Not every wire can: a peer that leaves it out names the cases that ask for it in `cannot`.
        raise NotImplementedError

    def forget(self, key: str) -> None:
        """Lose what was applied under a key; effects() no longer has it."""
        # As above: only a peer that can be asked for a key can be found to have lost it.
        raise NotImplementedError


def wait_until(condition: Callable[[], bool], *, seconds: float = 90, what: str = "") -> None:
    """Look until it is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, what or "it did not come to that"
        time.sleep(0.01)
