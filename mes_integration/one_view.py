"""The page of one write-back: what is sent, what was tried, what a person can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance import unseen
from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from mes_integration import canonical, mappings, messages, overview, resolution, rests
from mes_integration.mapping import Unmapped
from mes_integration.models import WriteBack
from mes_integration.next_steps import Missing, missing_words
from mes_integration.presentation import shown, tried
from mes_integration.rehearsal import pretty
from mes_integration.veil import veiled, veiled_record
from traceability.refusals import Refusal

MOST = 50


@dataclass(frozen=True, slots=True)
class Told:
    """What the target is told: as it was sent, or as it would be; `missing` words stop it."""

    body: str
    record: str
    version: int
    was_sent: bool
    why_not: str = ""
    missing: Sequence[Missing] = ()


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def write_back(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One write-back."""
    actor, at = actor_from(request), datetime.now(UTC)
    row = resolution.find(actor=actor, capability=Capability.SEE_WRITE_BACKS, uuid=uuid)
    withheld = unseen.units(actor)
    if row.unit_id in withheld:
        return _unseen(request, row, withheld)
    context = {
        "row": row,
        "now": at,
        "shown": shown([row], actor=actor, at=at, withheld=withheld)[0],
        "told": told(row),
        "attempts": tried(row, limit=MOST),
        "siblings": shown(overview.siblings(row), actor=actor, at=at, withheld=withheld),
        "chain": shown(overview.chain(row, limit=MOST), actor=actor, at=at, withheld=withheld),
        "exceptions": row.exceptions.order_by("-pk")[:MOST],
        "rests": rests.sentences([row], at=at).get(row.pk, ""),
        "why_not_resend": resolution.why_not_resend(row),
        "why_not_settle": resolution.why_not_settle(row, at=at),
    }
    return render(request, "mes_integration/write_back.html", context)


def _unseen(
    request: HttpRequest, row: WriteBack, withheld: Mapping[int, unseen.Phrase]
) -> HttpResponse:
    """What can be done about it, for who is judging the unit himself: nothing of what was said."""
    actor, at = actor_from(request), datetime.now(UTC)
    context = {
        "row": row,
        "shown": shown([row], actor=actor, at=at, withheld=withheld)[0],
        "why_unseen": unseen.sentence(withheld[row.unit_id]),
        "rests": rests.sentences([row], at=at).get(row.pk, ""),
        "why_not_resend": resolution.why_untold() if resolution.why_not_resend(row) else "",
        "why_not_settle": resolution.why_not_settle(row, at=at, is_withheld=True),
    }
    return render(request, "mes_integration/write_back_unseen.html", context)


def told(row: WriteBack) -> Told:
    """The message of a row, or why there is none."""
    was_sent = row.message is not None
    record = canonical.record_of(row)
    try:
        version, profile = messages.profile_of(row)
    except Refusal as refusal:
        # A mapping that cannot be read any more: the row can still be settled here.
        body = pretty(veiled(row.message, record["options"])) if row.message is not None else ""
        version = row.profile_version or mappings.SHIPPED
        why_not = "" if body else refusal.sentence
        return Told(body, pretty(veiled_record(record)), version, was_sent, why_not)
    try:
        message = messages.message_of(row, profile)
    except Unmapped as unmapped:
        codes = [each["code"] for each in record["defects"]]
        missing = missing_words(profile, record["verdict"], codes)
        return Told(
            "", pretty(veiled_record(record)), version, was_sent, unmapped.sentence, missing
        )
    body = veiled(message.body, message.record["options"])
    return Told(pretty(body), pretty(veiled_record(message.record)), version, was_sent)
