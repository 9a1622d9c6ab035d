"""What could not be taken, kept whole with the reason, and seen by those who can mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q, QuerySet

from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from inference_bridge.models import DeadLetter
from traceability.inserts import encoded, statement
from traceability.models import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message and why it was refused. `site_code` as it names it, perhaps of no site at all."""

    message_id: str
    body: str
    code: str
    reason: str
    site_code: str


def keep(*, trail: Trail, refused: Sequence[Refused]) -> int:
    """Keep each message; one that is kept already stays as it is. Returns how many are new."""
    if not refused:
        return 0
    codes = {letter.site_code for letter in refused if letter.site_code}
    sites = dict(Site.objects.filter(code__in=codes).values_list("code", "pk")) if codes else {}
    letters = [
        DeadLetter(
            site_id=sites.get(letter.site_code),
            message_id=_numbered(refused, number),
            body=writable(letter.body),
            code=letter.code,
            reason=writable(letter.reason)[:1000],
            received_at=trail.at,
        )
        for number, letter in enumerate(refused)
    ]
    kept = _insert(letters)
    for letter in letters:
        if letter.message_id in kept:
            trail.add(
                "dead_letter.keep",
                subject_kind="dead_letter",
                subject=letter.message_id,
                site_id=letter.site_id,
                detail={"code": letter.code},
            )
    return len(kept)


def _insert(letters: Sequence[DeadLetter]) -> set[str]:
    """Message ids of those that were not there yet."""
    names = [field.attname for field in DeadLetter._meta.concrete_fields if not field.primary_key]  # noqa: SLF001  # documented
    rows = [{name: getattr(letter, name) for name in names} for letter in letters]
    with connection.cursor() as cursor:
        cursor.execute(
            f"{statement(DeadLetter)} ON CONFLICT DO NOTHING RETURNING message_id", [encoded(rows)]
        )
        return {message_id for (message_id,) in cursor.fetchall()}


def _numbered(refused: Sequence[Refused], number: int) -> str:
    """The message's id; a message that names several events has several letters."""
    message_id = refused[number].message_id
    before = sum(1 for letter in refused[:number] if letter.message_id == message_id)
    return f"{message_id}#{before + 1}" if before else message_id


def writable(text: str) -> str:
    """The text as PostgreSQL can keep it: NUL and half UTF-16 pairs written out."""
    return text.replace("\x00", "\\u0000").encode(errors="backslashreplace").decode()


def visible(actor: Actor, capability: Capability) -> QuerySet[DeadLetter]:
    """The actor's letters; those without a site are for who holds the capability at a whole one."""
    found = actor.within(capability, line=None)
    if any(scope.line_id is None for scope in actor.scopes_for(capability)):
        found |= Q(site__isnull=True)
    return DeadLetter.objects.filter(found)
