"""A dead letter offered to the intake once more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.roles import Capability
from inference_bridge import dead_letters, intake
from inference_bridge.intake import Incoming, Outcome, Reading, Status
from inference_bridge.models import DeadLetter
from traceability.refusals import Conflict, Unavailable, Unknown

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Redriven:
    """What came of it: taken, or still refused and why."""

    letter: DeadLetter
    is_taken: bool
    sentence: str


def redrive(
    *,
    actor: Actor,
    letter_id: UUID,
    at: datetime,
    fetch: intake.Fetch = intake.fetch_sidecar,
) -> Redriven:
    """Take the body again. A letter that is still refused stays, with the reason of today."""
    letters = dead_letters.visible(actor, Capability.REDRIVE_DEAD_LETTERS)
    letter = letters.filter(uuid=letter_id).first()
    if letter is None:
        raise Unknown(_("There is no such dead letter for you."))
    message = Incoming(
        message_id=letter.message_id,
        body=letter.body,
        received_at=letter.received_at,
        is_kept=False,
    )
    readings = intake.read_message(message, at, fetch)
    pk = letter.pk
    try:
        return intake.past_deadlocks(lambda: _redrive(actor, pk, readings, at=at))
    except intake.UNFORESEEN as error:
        log.exception("a dead letter cannot be taken")
        faulty = [Reading(message, intake.unforeseen(error))]
    return intake.past_deadlocks(lambda: _redrive(actor, pk, faulty, at=at))


def _redrive(
    actor: Actor, letter_pk: int, readings: Sequence[Reading], *, at: datetime
) -> Redriven:
    with audit.recorded(actor=actor, at=at) as trail:
        letter = DeadLetter.objects.select_for_update().get(pk=letter_pk)
        if letter.redriven_at is not None:
            raise Conflict(_("This message has been redriven already."))
        outcomes = intake.absorb(
            trail=trail, readings=readings, needs=Capability.REDRIVE_DEAD_LETTERS
        )
        refused = next((o for o in outcomes if not _is_done(o)), None)
        _note(letter, refused, actor=actor, at=at)
        trail.add(
            "dead_letter.redrive",
            subject_kind="dead_letter",
            subject=letter.message_id,
            site_id=letter.site_id,
            detail={"is_taken": refused is None, "code": refused.code if refused else ""},
        )
    return Redriven(letter, is_taken=refused is None, sentence=refused.sentence if refused else "")


def _is_done(outcome: Outcome) -> bool:
    if outcome.status is Status.NOT_NOW:
        raise Unavailable(outcome.sentence)
    return outcome.status is not Status.REFUSED


def _note(letter: DeadLetter, refused: Outcome | None, *, actor: Actor, at: datetime) -> None:
    if refused is None:
        letter.redriven_at, letter.redriven_by = at, actor.name
        letter.save(update_fields=["redriven_at", "redriven_by"])
        return
    letter.code = refused.code
    letter.reason = dead_letters.writable(refused.sentence)[:1000]
    letter.save(update_fields=["code", "reason"])
