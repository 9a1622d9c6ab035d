"""Pages: every disposition's way to the MES, and what a person does about one that is stuck."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from mes_integration import resolution
from mes_integration.presentation import selection, shown, tried
from mes_integration.transitions import State

PAGE_SIZE = 50


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def write_backs(request: HttpRequest) -> HttpResponse:
    """The newest write-backs, by state where one is chosen."""
    # The demo's MES has a page of its own; a plant's MES address is a machine's.
    demo_mes = settings.LOUPE.mes_url if settings.LOUPE.demo else ""
    context = {**_table(request), "demo_mes": demo_mes}
    return render(request, "mes_integration/write_backs.html", context)


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def write_back_rows(request: HttpRequest) -> HttpResponse:
    """The table alone, asked for again and again by the page."""
    return render(request, "mes_integration/rows.html", _table(request))


def _table(request: HttpRequest) -> dict[str, Any]:
    asked = {name: request.GET.get(name, "").strip() for name in ("state", "unit", "before")}
    rows = list(selection(actor=actor_from(request), **asked)[: PAGE_SIZE + 1])
    kept = {name: value for name, value in asked.items() if value}
    older = {**kept, "before": str(rows[PAGE_SIZE - 1].uuid)} if len(rows) > PAGE_SIZE else None
    return {
        "rows": shown(rows[:PAGE_SIZE], at=datetime.now(UTC)),
        "asked": asked,
        "query": urlencode(kept),
        "older": urlencode(older) if older else "",
        "states": [(state.value, state.label) for state in State],
    }


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def write_back(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One write-back: what was tried, what is sent, what a person can do."""
    row = resolution.find(
        actor=actor_from(request), capability=Capability.SEE_WRITE_BACKS, uuid=uuid
    )
    return render(
        request,
        "mes_integration/write_back.html",
        {
            "row": row,
            "payload": json.dumps(row.payload, indent=2, ensure_ascii=False),
            "shown": shown([row], at=datetime.now(UTC))[0],
            "attempts": tried(row, limit=PAGE_SIZE),
            "why_not_resend": resolution.why_not_resend(row),
            "why_not_settle": resolution.why_not_settle(row),
        },
    )


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def resend(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Send it again now."""
    actor = actor_from(request)
    row = resolution.find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    resolution.resend(actor=actor, write_back=row, at=datetime.now(UTC))
    messages.info(request, _("It is sent again now."))
    return redirect("mes_integration:write_back", uuid=uuid)


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def settle(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Take a person's word that the MES has it."""
    actor = actor_from(request)
    row = resolution.find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    resolution.settle(
        actor=actor,
        write_back=row,
        reference=request.POST.get("reference", ""),
        reason=request.POST.get("reason", ""),
        at=datetime.now(UTC),
    )
    messages.info(request, _("Settled by hand."))
    return redirect("mes_integration:write_back", uuid=uuid)
