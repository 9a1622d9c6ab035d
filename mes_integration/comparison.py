"""One acknowledged write-back against what its target holds; changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from mes_integration import messages
from mes_integration.adapters.protocol import Answer, Applied, MesAdapter
from mes_integration.mapping import Unmapped
from mes_integration.models import ReconciliationException, WriteBack
from mes_integration.transitions import State
from traceability.refusals import Refusal

Kind = ReconciliationException.Kind
LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What the target said of one row; `kind` is None where both agree.

    `is_silent`: it gave no answer at all, which says more of the target than of the row.
    `is_unasked`: it could not be asked for the row, which says nothing of the target.
    """

    row: WriteBack
    kind: Kind | None = None
    theirs: str = ""
    is_silent: bool = False
    is_unasked: bool = False


def compare(mes: MesAdapter, row: WriteBack) -> Finding:
    """Ask the target; no transaction may be open. The row comes with its disposition and unit."""
    try:
        message = messages.message_of(row)
    except (Unmapped, Refusal) as fault:
        # Such as a mapping that cannot be read any more; the next row may have another.
        return Finding(row, Kind.UNREAD, fault.sentence[:LONGEST], is_unasked=True)
    answer = mes.read_back(message)
    verdict = message.profile.verdicts.get(message.record["verdict"])
    return _finding(row, answer, verdict)


def _finding(row: WriteBack, answer: Answer | None, ours: Any) -> Finding:
    if answer is None:
        if _held_under_an_earlier_one(row):
            return Finding(row)
        return Finding(row, Kind.MISSING, _("The MES does not hold it."))
    if not isinstance(answer, Applied):
        return Finding(row, Kind.UNREAD, answer.sentence[:LONGEST], answer.status is None)
    return _held(row, answer, ours)


def _held(row: WriteBack, answer: Applied, ours: Any) -> Finding:
    if answer.copies > 1:
        sentence = _("The MES holds it %(n)s times.") % {"n": answer.copies}
        return Finding(row, Kind.DOUBLED, sentence)
    if answer.verdict is not None and answer.verdict != ours:
        sentence = _("The MES holds %(theirs)s, we said %(ours)s.") % {
            "theirs": _word(answer.verdict),
            "ours": _word(ours),
        }
        return Finding(row, Kind.VERDICT, sentence[:LONGEST])
    if answer.reference != row.reference:
        sentence = _("The MES holds it as %(reference)s.") % {"reference": answer.reference}
        return Finding(row, Kind.REFERENCE, sentence[:LONGEST])
    return Finding(row)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _held_under_an_earlier_one(row: WriteBack) -> bool:
    """Whether it was never sent because the target's word was final and the same already."""
    return WriteBack.objects.filter(
        unit=row.unit_id,
        target=row.target,
        revision__lt=row.revision,
        state=State.ACKNOWLEDGED,
        reference=row.reference,
    ).exists()


def can_be_asked(row: WriteBack) -> bool:
    """Whether its target can be asked by key, as it was told; where nobody knows, it is tried."""
    try:
        profile = messages.profile_of(row)[1]
    except Refusal:
        return True
    return profile.capabilities.read_back and profile.adapter == messages.target_of(row).adapter


def _is_one_for_each_unit(row: WriteBack) -> bool:
    try:
        return messages.profile_of(row)[1].capabilities.upsert
    except Refusal:
        return False


def overwritten(rows: Sequence[WriteBack]) -> set[int]:
    """Those of a target that keeps one record for each unit and has a later one: not comparable."""
    candidates = [row.pk for row in rows if _is_one_for_each_unit(row)]
    if not candidates:
        return set()
    later = WriteBack.objects.filter(
        unit=OuterRef("unit"),
        target=OuterRef("target"),
        revision__gt=OuterRef("revision"),
        state=State.ACKNOWLEDGED,
    )
    return set(
        WriteBack.objects.filter(Exists(later), pk__in=candidates).values_list("pk", flat=True)
    )
