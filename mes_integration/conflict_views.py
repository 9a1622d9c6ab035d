"""Pages: what was changed in the MES behind our back, and whose word stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from governance import unseen
from governance.access import Actor, actor_from
from governance.pages import page
from governance.roles import Capability
from mes_integration import changes, conflict_list
from mes_integration.changes import About, State
from mes_integration.models import MesChange
from mes_integration.permits import covers
from traceability.models import DispositionKind

MOST: Final = 100
_TONES: Final = {
    State.OPEN: "hold",
    State.OURS_STANDS: "ok",
    State.THEIRS_STANDS: "ok",
    State.AGREED: "quiet",
    State.NOTED: "quiet",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One change as the pages say it; `unseen`: why nothing of it is told to who looks."""

    change: MesChange
    state: str
    tone: str
    theirs: str
    ours: str
    ours_now: str
    unseen: str = ""


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def conflicts(request: HttpRequest) -> HttpResponse:
    """What is open first, then the newest."""
    actor = actor_from(request)
    withheld = unseen.units(actor)
    shown = [_shown(row, withheld) for row in _rows(actor)[:MOST]]
    return render(request, "mes_integration/conflicts.html", {"rows": shown})


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def conflict(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One change: both sides, and what a person can choose."""
    actor = actor_from(request)
    row = changes.find(actor=actor, capability=Capability.SEE_WRITE_BACKS, uuid=uuid)
    withheld = unseen.units(actor)
    if row.unit_id in withheld:
        context = {
            "row": row,
            "shown": _shown(row, withheld),
            "why_unseen": unseen.sentence(withheld[row.unit_id]),
        }
        return render(request, "mes_integration/conflict_unseen.html", context)
    return render(request, "mes_integration/conflict.html", _told(row, actor))


def _told(row: MesChange, actor: Actor) -> dict[str, Any]:
    earlier = _rows(actor).filter(unit=row.unit, target=row.target).exclude(pk=row.pk)
    return {
        "row": row,
        "shown": _shown(row, {}),
        "may_resolve": covers(
            actor, Capability.RESOLVE_WRITE_BACKS, site_id=row.site_id, line_id=row.line_id
        ),
        "is_about_unit": row.about == About.DISPOSITION,
        "why_not": changes.why_not_resolve(row),
        "earlier": [_shown(each, {}) for each in earlier[:MOST]],
    }


def _rows(actor: Actor) -> QuerySet[MesChange]:
    is_open = Case(When(state=State.OPEN, then=Value(0)), default=Value(1))
    return conflict_list.visible(actor).order_by(is_open, "-pk")


def _shown(row: MesChange, withheld: Mapping[int, str]) -> Shown:
    if phrase := withheld.get(row.unit_id, ""):
        is_open = row.state == State.OPEN
        word = _("Open") if is_open else _("Closed")
        tone = _TONES[State.OPEN] if is_open else "quiet"
        return Shown(row, word, tone, phrase, phrase, phrase, phrase)
    return Shown(
        change=row,
        state=str(State(row.state).label),
        tone=_TONES[State(row.state)],
        theirs=_theirs(row),
        ours=_kind(row.our_kind),
        ours_now=_kind(row.unit.disposition),
    )


def _theirs(row: MesChange) -> str:
    """What they say, in our words where the mapping has one; else as it came."""
    if row.about == About.ACKNOWLEDGEMENT:
        return row.remark
    word = row.word if isinstance(row.word, str) else json.dumps(row.word, ensure_ascii=False)
    if not row.kind:
        return _("“%(word)s”, which the mapping does not say") % {"word": word}
    return _("%(kind)s (“%(word)s”)") % {"kind": _kind(row.kind), "word": word}


def _kind(kind: str) -> str:
    return str(DispositionKind(kind).label) if kind else _("open")
