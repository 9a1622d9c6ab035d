"""Pages: whether the targets hold what we hold as acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from governance import unseen
from governance.access import Actor, actor_from, sites_for
from governance.pages import page
from governance.roles import Capability
from mes_integration import (
    database_clock,
    exceptions,
    mapping_versions,
    overview,
    reconciliation,
    resolution,
)
from mes_integration.bulk import newest_revisions
from mes_integration.models import Reconciliation, ReconciliationException
from mes_integration.permits import covers, reaches
from traceability.models import Site
from traceability.refusals import Conflict

SEE = Capability.SEE_WRITE_BACKS
RESOLVE = Capability.RESOLVE_WRITE_BACKS
PAGE_SIZE = 50
MOST_AT_ONCE = 500
OVERDUE = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Standing:
    """A site's target and its last reconciliation; `missing`: what whoever looks may send again."""

    site: Site
    target: str
    why_not: str
    last: Reconciliation | None
    exceptions: int
    missing: int
    is_overdue: bool
    may_run: bool

    @property
    def is_about_to_begin(self) -> bool:
        """Asked for, and nobody has compared anything yet."""
        return bool(self.last and not self.last.finished_at and not self.last.compared)


@dataclass(frozen=True, slots=True)
class Shown:
    """An exception, and why it cannot be sent again; whether whoever looks may act on it, and why
    he is not told what either side holds."""

    exception: ReconciliationException
    why_not_send: str
    may_resolve: bool
    unseen: str


@require_safe
@page(SEE)
def report(request: HttpRequest) -> HttpResponse:
    """Every target's last run, and what is open."""
    return render(request, "mes_integration/reconciliation.html", _report(request))


@require_safe
@page(SEE)
def live(request: HttpRequest) -> HttpResponse:
    """The whole report without its frame, asked for again and again by the page."""
    return render(request, "mes_integration/_report.html", _report(request))


def _report(request: HttpRequest) -> dict[str, Any]:
    actor, at = actor_from(request), datetime.now(UTC)
    found = list(overview.open_exceptions(actor)[: PAGE_SIZE + 1])
    withheld = unseen.units(actor)
    closed = (
        ReconciliationException.objects.filter(actor.within(SEE))
        .exclude(state=ReconciliationException.State.OPEN)
        .select_related("site", "write_back__unit")
        .order_by("-pk")[:PAGE_SIZE]
    )
    standings = _standings(actor, at)
    runs = [each.last for each in standings if each.last is not None]
    return {
        "now": at,
        "standings": standings,
        "is_running": any(run.finished_at is None for run in runs),
        "is_all_compared": all(each.last or each.why_not for each in standings),
        "is_troubled": any(run.trouble for run in runs),
        "open_exceptions": _shown(found[:PAGE_SIZE], actor, withheld),
        "are_more": len(found) > PAGE_SIZE,
        "closed": [(each, withheld.get(each.write_back.unit_id, "")) for each in closed],
    }


def _shown(
    found: Sequence[ReconciliationException], actor: Actor, withheld: Mapping[int, str]
) -> list[Shown]:
    newest = newest_revisions([each.write_back.unit_id for each in found])
    shown = []
    for each in found:
        unit = each.write_back.unit_id
        why_not = exceptions.why_not_send(each, newest[unit, each.target])
        shown.append(
            Shown(
                each,
                resolution.why_untold() if why_not and unit in withheld else why_not,
                covers(actor, RESOLVE, site_id=each.site_id, line_id=each.line_id),
                withheld.get(unit, ""),
            )
        )
    return shown


def _standings(actor: Actor, at: datetime) -> Sequence[Standing]:
    mine = {site.pk for site in sites_for(actor, SEE)}
    return [
        _standing(actor, pair.site, pair.target.name, at)
        for pair in reconciliation.pairs()
        if pair.site.pk in mine
    ]


def _standing(actor: Actor, site: Site, target: str, at: datetime) -> Standing:
    last = Reconciliation.objects.filter(site=site, target=target).order_by("-pk").first()
    why_not = reconciliation.why_not(site=site, name=target)
    here = overview.open_exceptions(actor).filter(site=site, target=target).order_by()
    mine = here.filter(actor.within(RESOLVE), kind=exceptions.Kind.MISSING)
    return Standing(
        site=site,
        target=target,
        why_not=why_not,
        last=last,
        exceptions=_bounded(here),
        missing=_bounded(mine),
        is_overdue=not why_not and (last is None or last.started_at < at - OVERDUE),
        may_run=reaches(actor, RESOLVE, site_id=site.pk),
    )


def _bounded(found: QuerySet[ReconciliationException]) -> int:
    return len(found.values_list("pk")[: overview.COUNTED_UP_TO])


@require_POST
@page(RESOLVE)
def run_now(request: HttpRequest) -> HttpResponse:
    """Begin a run; the worker takes it up within seconds."""
    actor = actor_from(request)
    where, to = _place(request, actor)
    reconciliation.start(site=where, name=to, at=database_clock.read(), actor=actor)
    # No message: it would stand there long after the run is over. The table says how it goes.
    return redirect("mes_integration:reconciliation")


def _place(request: HttpRequest, actor: Actor) -> tuple[Site, str]:
    where, to = mapping_versions.place(
        actor=actor,
        capability=RESOLVE,
        site=request.POST.get("site", ""),
        target=request.POST.get("target", ""),
    )
    return where, to.name


@require_POST
@page(RESOLVE)
def send(request: HttpRequest, exception: UUID) -> HttpResponse:
    """Send again what is missing there."""
    exceptions.send_missing(actor=actor_from(request), uuid=exception, at=database_clock.read())
    messages.info(request, _("It is sent again now."))
    return redirect("mes_integration:reconciliation")


@require_POST
@page(RESOLVE)
def send_missing(request: HttpRequest) -> HttpResponse:
    """Send again everything that is missing at one target."""
    actor = actor_from(request)
    where, to = _place(request, actor)
    found = overview.open_exceptions(actor).filter(
        actor.within(RESOLVE), site=where, target=to, kind=exceptions.Kind.MISSING
    )
    sent = 0
    for uuid in list(found.values_list("uuid", flat=True)[:MOST_AT_ONCE]):
        try:
            exceptions.send_missing(actor=actor, uuid=uuid, at=database_clock.read())
        except Conflict:
            # Decided anew since, or dealt with by somebody else meanwhile: it stays as it is.
            continue
        sent += 1
    messages.info(
        request,
        ngettext("%(n)s is sent again now.", "%(n)s are sent again now.", sent) % {"n": sent},
    )
    return redirect("mes_integration:reconciliation")


@require_POST
@page(RESOLVE)
def close(request: HttpRequest, exception: UUID) -> HttpResponse:
    """Take a person's word that it is in order."""
    exceptions.close_by_hand(
        actor=actor_from(request),
        uuid=exception,
        reason=request.POST.get("reason", ""),
        at=datetime.now(UTC),
    )
    messages.info(request, _("Closed."))
    return redirect("mes_integration:reconciliation")
