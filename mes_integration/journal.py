"""What is written down of a write-back: each attempt, and in the audit trail what people mind."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from governance.audit import Trail
from mes_integration import transitions
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.transitions import Outcome, State
from traceability.inserts import insert_values

LONGEST_ERROR: Final = 500
LONGEST_ANSWER: Final = 1000
_AUDITED: Final = {
    State.ACKNOWLEDGED: "write_back.acknowledge",
    State.REJECTED: "write_back.reject",
    State.NEEDS_PERSON: "write_back.ask_person",
    State.SUPERSEDED: "write_back.supersede",
}


def attempted(
    row: WriteBack, outcome: Outcome, said: str, *, at: datetime, status: int | None = None
) -> None:
    """One more attempt of the row."""
    attempt = {
        "site_id": row.site_id,
        "write_back_id": row.pk,
        "at": at,
        "outcome": outcome,
        "status": status,
        "answer": said[:LONGEST_ANSWER],
    }
    insert_values(DeliveryAttempt, [attempt])


def noted(trail: Trail, row: WriteBack) -> None:
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


def set_aside(
    trail: Trail,
    row: WriteBack,
    state: State,
    outcome: Outcome,
    sentence: str,
    *,
    reference: str = "",
) -> None:
    """The row as it stands without a call having been made."""
    transitions.check(State(row.state), state)
    row.state, row.reference = state, reference
    row.last_error = "" if reference else sentence[:LONGEST_ERROR]
    if state in transitions.SETTLED:
        row.settled_at = trail.at
    row.save(update_fields=["state", "reference", "last_error", "settled_at"])
    attempted(row, outcome, sentence, at=trail.at)
    noted(trail, row)
