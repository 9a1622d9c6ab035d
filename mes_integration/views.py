"""Pages: every disposition's way to the MES, and what a person does about one that is stuck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from governance import unseen
from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from mes_integration import bulk, database_clock, overview, resolution, rests
from mes_integration.bulk import Reason
from mes_integration.presentation import selection, shown
from mes_integration.targets import targets
from mes_integration.transitions import State
from traceability.refusals import Invalid

PAGE_SIZE = 50
FARTHEST = 10_000
FILTERS = ("state", "target", "unit", "before")


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def write_backs(request: HttpRequest) -> HttpResponse:
    """What needs attention and the newest; where something is chosen, that alone."""
    # The demo's MES has a page of its own; a plant's MES address is a machine's.
    demo_mes = settings.LOUPE.mes_url if settings.LOUPE.demo else ""
    withheld = unseen.units(actor_from(request))
    table = _table(request, withheld)
    context = {**table, "demo_mes": demo_mes, "targets": _names()}
    if not table["query"]:
        context |= _attention(request, withheld)
    return render(request, "mes_integration/write_backs.html", context)


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def write_back_rows(request: HttpRequest) -> HttpResponse:
    """The table of the newest alone, asked for again and again by the page."""
    withheld = unseen.units(actor_from(request))
    return render(request, "mes_integration/rows.html", _table(request, withheld))


@require_safe
@page(Capability.SEE_WRITE_BACKS)
def undelivered(request: HttpRequest) -> HttpResponse:
    """What needs attention alone, asked for again and again by the page."""
    withheld = unseen.units(actor_from(request))
    return render(request, "mes_integration/_attention.html", _attention(request, withheld))


def _names() -> Sequence[str]:
    return [found.name for found in targets()]


def _table(request: HttpRequest, withheld: Mapping[int, str]) -> dict[str, Any]:
    asked = {name: request.GET.get(name, "").strip() for name in FILTERS}
    actor = actor_from(request)
    rows = list(selection(actor=actor, **asked)[: PAGE_SIZE + 1])
    kept = {name: value for name, value in asked.items() if value}
    older = {**kept, "before": str(rows[PAGE_SIZE - 1].uuid)} if len(rows) > PAGE_SIZE else None
    return {
        "rows": shown(rows[:PAGE_SIZE], actor=actor, at=datetime.now(UTC), withheld=withheld),
        "asked": asked,
        "query": urlencode(kept),
        "older": urlencode(older) if older else "",
        "states": [(state.value, state.label) for state in State],
    }


def _attention(request: HttpRequest, withheld: Mapping[int, str]) -> dict[str, Any]:
    actor, at = actor_from(request), datetime.now(UTC)
    start = _start(request.GET.get("from", ""))
    waiting = overview.undelivered(actor)
    rows = list(overview.worst_first(waiting)[start : start + PAGE_SIZE + 1])
    lines = shown(rows[:PAGE_SIZE], actor=actor, at=at, withheld=withheld)
    groups = overview.groups(waiting, actor=actor, withheld=withheld)
    return {
        "now": at,
        "alarms": overview.alarms(actor),
        "at_targets": overview.at_targets(actor),
        "groups": groups,
        "may_send_groups": any(group.own for group in groups),
        "undelivered": lines,
        "may_send": any(line.may_resend for line in lines),
        "start": start,
        "more": start + PAGE_SIZE if len(rows) > PAGE_SIZE else 0,
        "less": max(0, start - PAGE_SIZE),
    }


def _start(text: str) -> int:
    """How many of the worst are left out before the page begins."""
    if not text:
        return 0
    if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) <= FARTHEST:
        return int(text)
    raise Invalid(_("“from” is a number up to %(most)s.") % {"most": FARTHEST})


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def send_again(request: HttpRequest) -> HttpResponse:
    """Send again what is ticked, or everything that waits for one reason."""
    actor, given = actor_from(request), request.POST
    if given.get("all"):
        reason = Reason(*(given.get(name, "").replace("\0", "") for name in _REASON))
        rows = bulk.alike(actor=actor, reason=reason)
    else:
        rows = bulk.chosen(actor=actor, uuids=given.getlist("write_back"))
    sent = bulk.resend(actor=actor, rows=rows, at=database_clock.read())
    messages.info(request, sent_again(sent))
    return redirect("mes_integration:write_backs")


_REASON = ("site", "target", "state", "last_error")


def sent_again(number: int) -> str:
    """What a press on many came to."""
    if not number:
        return _("None of them can be sent again; they left meanwhile, or were decided anew.")
    return ngettext("%(n)s is sent again.", "%(n)s are sent again.", number) % {"n": number}


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def resend(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Send it again now."""
    actor = actor_from(request)
    row = resolution.find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    at = database_clock.read()
    row = resolution.resend(actor=actor, write_back=row, at=at)
    messages.info(request, rests.pressed(row, at=at))
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
        at=database_clock.read(),
    )
    messages.info(request, _("Settled by hand."))
    return redirect("mes_integration:write_back", uuid=uuid)
