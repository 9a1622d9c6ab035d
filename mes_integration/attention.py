"""What does not get through, a page at a time: worst first, as the page has it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from mes_integration import overview
from mes_integration.models import WriteBack
from mes_integration.overview import WORST_FIRST
from mes_integration.presentation import selection
from mes_integration.transitions import State
from traceability.refusals import Invalid

_BETWEEN: Final = "."


def waiting(
    *,
    actor: Actor,
    state: str = "",
    target: str = "",
    unit: str = "",
    after: str = "",
    needs_person: bool = False,
) -> QuerySet[WriteBack]:
    """Undelivered ones that are asked for, worst first. `after`: the `place` the page before ended
    with; `needs_person`: only what does not go on by itself."""
    all_of_them = overview.needing_person(actor) if needs_person else overview.undelivered(actor)
    rows = all_of_them & selection(actor=actor, state=state, target=target, unit=unit)
    if after:
        rows = rows.filter(_behind(actor, after))
    return overview.worst_first(rows)


def place(row: WriteBack) -> str:
    """Where a row stands in the list; it stays there for who goes on, whatever becomes of it."""
    return f"{row.state}{_BETWEEN}{row.uuid}"


def _behind(actor: Actor, text: str) -> Q:
    name, _between, named = text.partition(_BETWEEN)
    try:
        state = State(name)
        worse = WORST_FIRST.index(state)
        last = selection(actor=actor).filter(uuid=UUID(named)).first()
    except ValueError:
        last = None
    if last is None:
        raise Invalid(_("“after” is what the page before gave as “next”; begin without it."))
    later = Q(enqueued_at__gt=last.enqueued_at) | Q(enqueued_at=last.enqueued_at, pk__gt=last.pk)
    return Q(state__in=WORST_FIRST[worse + 1 :]) | (Q(state=state) & later)
