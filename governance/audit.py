"""The record of what was done, written in the very transaction that does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from governance.access import Actor
from governance.models import AuditEntry
from traceability.identifiers import new_id
from traceability.inserts import insert_values


class UnauditedChange(AssertionError):
    """A transaction that writes ended without an audit entry: a fault of the program."""


@dataclass(slots=True)
class Trail:
    """The open transaction's audit entries; every function that writes asks for one.

    Entries reach the table in one statement, just before the commit.
    """

    actor: Actor
    at: datetime
    _entries: list[dict[str, Any]] = field(default_factory=list)
    _waived: bool = False

    def add(
        self,
        action: str,
        *,
        subject_kind: str,
        subject: object,
        site_id: int | None,
        detail: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """Note one change: `action` as object.verb, `detail` as what was and what is."""
        self._entries.append(
            {
                "uuid": new_id(),
                "site_id": site_id,
                "at": self.at,
                "actor_kind": self.actor.kind,
                "actor": self.actor.name,
                "action": action,
                "subject_kind": subject_kind,
                "subject": str(subject),
                "detail": detail or {},
                "reason": reason,
                "address": self.actor.address,
            }
        )

    def nothing_changed(self) -> None:
        """Say that this transaction turned out to change nothing (a replay, an empty queue)."""
        self._waived = True

    def _close(self) -> None:
        if not self._entries:
            if self._waived:
                return
            message = f"{self.actor.name} changed something without an audit entry"
            raise UnauditedChange(message)
        insert_values(AuditEntry, self._entries)


@contextmanager
def recorded(*, actor: Actor, at: datetime) -> Iterator[Trail]:
    """A transaction with its trail: commits the change and its audit entries, or neither."""
    with transaction.atomic():
        trail = Trail(actor=actor, at=at)
        yield trail
        trail._close()  # noqa: SLF001  # the trail's own other half
