"""The changes made in the MES, as pages and the API list them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.roles import Capability
from mes_integration.models import MesChange
from traceability.refusals import Invalid


def visible(actor: Actor) -> QuerySet[MesChange]:
    """The actor's, in no order yet."""
    return MesChange.objects.filter(actor.within(Capability.SEE_WRITE_BACKS)).select_related(
        "unit", "site", "write_back"
    )


def selection(
    *, actor: Actor, state: str = "", target: str = "", unit: str = "", before: str = ""
) -> QuerySet[MesChange]:
    """The newest first; `before` is the id the page before ended with."""
    rows = visible(actor)
    last = _known(rows, before) if before else None
    if state and state not in MesChange.State.values:
        states = ", ".join(MesChange.State)
        raise Invalid(_("The state is one of: %(states)s.") % {"states": states})
    if state:
        rows = rows.filter(state=state)
    if state not in {"", MesChange.State.OPEN}:
        # Whose word stood is told after his own verdict.
        rows = rows.exclude(unseen.about(actor))
    if target:
        rows = rows.filter(target=target)
    if unit:
        rows = rows.filter(unit__serial=unit)
    if last is not None:
        rows = rows.filter(pk__lt=last.pk)
    return rows.order_by("-pk")


def _known(rows: QuerySet[MesChange], text: str) -> MesChange:
    try:
        found = rows.filter(uuid=UUID(text)).first()
    except ValueError as error:
        raise Invalid(_("“before” is the id of a conflict.")) from error
    if found is None:
        raise Invalid(_("There is no conflict %(id)s to go on from.") % {"id": text[:36]})
    return found
