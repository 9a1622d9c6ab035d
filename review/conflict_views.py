"""The two answers to a conflict with the MES; the pages themselves belong to the write-backs."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from review import mes_conflicts
from review.mes_conflicts import Choice
from traceability.refusals import Invalid


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def ours(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Send ours again."""
    choice = _choice(request, uuid)
    mes_conflicts.ours_stands(actor=actor_from(request), choice=choice, at=datetime.now(UTC))
    messages.info(request, _("Ours stands; it is sent again now."))
    return redirect("mes_integration:conflict", uuid=uuid)


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def theirs(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Take theirs over."""
    choice = _choice(request, uuid)
    mes_conflicts.theirs_stands(actor=actor_from(request), choice=choice, at=datetime.now(UTC))
    messages.info(request, _("Theirs stands."))
    return redirect("mes_integration:conflict", uuid=uuid)


def _choice(request: HttpRequest, uuid: UUID) -> Choice:
    given = request.POST
    revision = given.get("revision", "")
    if not (revision.isascii() and revision.isdecimal() and len(revision) < 10):
        raise Invalid(_("The page did not say which revision it showed; load it again."))
    return Choice(
        change=uuid,
        revision=int(revision),
        reason=given.get("reason", ""),
        kind=given.get("kind", ""),
    )
