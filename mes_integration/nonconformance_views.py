"""Pages: nonconformances, one of them, and the rules that raise them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.access import Actor, actor_from, check_covers, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from mes_integration import (
    nonconformance_form,
    nonconformance_hand_off,
    nonconformance_progress,
    nonconformance_settings,
    nonconformance_unseen,
    nonconformances,
)
from mes_integration.models import Ncr, NcrRule
from mes_integration.nonconformance_form import Typed
from mes_integration.nonconformance_rules import MOST_REHEARSED
from mes_integration.nonconformance_settings import Draft
from mes_integration.permits import covers
from traceability.models import Site
from traceability.refusals import Conflict, Invalid

SEE = Capability.SEE_WRITE_BACKS
PAGE_SIZE: Final = 50
UNCLOSED: Final = [Ncr.State.OPEN.value, Ncr.State.HANDED_OVER.value]
NEW: Final = Draft(name="", kind=NcrRule.Kind.CONSECUTIVE, count=3, cool_down_s=3600)


@require_safe
@page(SEE)
def ncr_list(request: HttpRequest) -> HttpResponse:
    """What is open, or what was chosen; the newest first."""
    asked = request.GET.get("state", "")
    chosen = {"": UNCLOSED, "all": []}.get(asked, [asked])
    actor = actor_from(request)
    rows = nonconformances.selection(
        actor=actor, states=chosen, before=request.GET.get("before", "")
    )
    found = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    told = nonconformances.told(shown)
    said = nonconformance_unseen.told(shown, actor=actor)
    older = {"state": asked, "before": str(shown[-1].uuid)} if len(found) > PAGE_SIZE else {}
    context = {
        "rows": [(each, said[each.pk].text, told.get(each.pk, [])) for each in shown],
        "state": asked,
        "states": [("", _("Open")), (Ncr.State.CLOSED.value, _("Closed")), ("all", _("All"))],
        "before": request.GET.get("before", ""),
        "older": urlencode(older),
        "now": timezone.now(),
    }
    return render(request, "nonconformances/list.html", context)


@require_safe
@page(SEE)
def ncr(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One of them, with its evidence and how far it has come to the QMS."""
    actor = actor_from(request)
    found = nonconformances.find(actor=actor, capability=SEE, uuid=uuid)
    hand_offs = nonconformances.told([found]).get(found.pk, [])
    before = found.recurrence_of
    said = nonconformance_unseen.told([found, *([before] if before else [])], actor=actor)
    context = {
        "ncr": found,
        "said": said[found.pk],
        "before": said[before.pk].text if before else "",
        "may_resolve": covers(
            actor, Capability.RESOLVE_WRITE_BACKS, site_id=found.site_id, line_id=found.line_id
        ),
        "hand_offs": hand_offs,
        "is_refused": any(each.state == "REFUSED" for each in hand_offs),
        "recurrences": found.recurrences.order_by("pk"),
        "longest": nonconformances.LONGEST_REASON,
        "now": timezone.now(),
    }
    return render(request, "nonconformances/one.html", context)


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def close(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Close it with a reason; without one the page asks for it."""
    actor = actor_from(request)
    nonconformances.find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    try:
        nonconformances.close(
            actor=actor, uuid=uuid, reason=request.POST.get("reason", ""), at=timezone.now()
        )
    except (Invalid, Conflict) as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, _("The nonconformance is closed."))
    return redirect("nonconformances:one", uuid=uuid)


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def send_again(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Tell the QMS again what it has refused."""
    actor = actor_from(request)
    found = nonconformances.find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    try:
        nonconformance_hand_off.send_again(actor=actor, ncr=found, at=timezone.now())
    except Conflict as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.info(request, _("It is sent again now."))
    return redirect("nonconformances:one", uuid=uuid)


@require_safe
@page(SEE)
def rules(request: HttpRequest) -> HttpResponse:
    """The rules of the actor's sites."""
    actor = actor_from(request)
    found = list(nonconformance_settings.visible(actor))
    counted = nonconformance_progress.so_far(found, at=timezone.now())
    context = {
        "rules": [(each, counted[each.pk], _may_set(actor, each.site)) for each in found],
        "sites": [
            site for site in sites_for(actor, Capability.SET_NCR_RULES) if _may_set(actor, site)
        ],
    }
    return render(request, "nonconformances/rules.html", context)


def _may_set(actor: Actor, site: Site) -> bool:
    """A rule is the whole site's, also where it looks at one line."""
    return covers(actor, Capability.SET_NCR_RULES, site_id=site.pk, line_id=None)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.SET_NCR_RULES)
def new_rule(request: HttpRequest) -> HttpResponse:
    """A new rule of a site."""
    code = request.POST.get("site") or request.GET.get("site")
    actor = actor_from(request)
    site = site_for(actor, Capability.SET_NCR_RULES, code)
    check_covers(actor, Capability.SET_NCR_RULES, site=site, line=None)
    return _edit(request, site, None)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.SET_NCR_RULES)
def rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    """One rule: shown, tried, saved."""
    found = nonconformance_settings.find(actor=actor_from(request), uuid=rule_id)
    return _edit(request, found.site, found)


def _edit(request: HttpRequest, site: Site, before: NcrRule | None) -> HttpResponse:
    form = nonconformance_form.typed_of(nonconformance_settings.draft_of(before) if before else NEW)
    context: dict[str, Any] = {"site": site, "rule": before, "most": MOST_REHEARSED}
    if request.method == "POST":
        form = nonconformance_form.typed(request.POST)
        # Another kind was chosen: its fields are shown, and nothing is judged yet.
        if "look" not in request.POST:
            try:
                if _saved(request, site, before, form, context):
                    return redirect("nonconformances:rules")
            except Invalid as refusal:
                context["error"] = refusal.sentence
    elif before is not None:
        context["so_far"] = nonconformance_progress.so_far([before], at=timezone.now())[before.pk]
    context |= {
        "form": form,
        "kinds": NcrRule.Kind.choices,
        "severities": NcrRule.AtLeast.choices,
        "lines": nonconformance_settings.lines_of(site),
        "classes": nonconformance_settings.classes_of(site),
    }
    status = 422 if "error" in context else 200
    return render(request, "nonconformances/rule.html", context, status=status)


def _saved(
    request: HttpRequest, site: Site, before: NcrRule | None, form: Typed, context: dict[str, Any]
) -> bool:
    """Whether it was saved; tried, `context` says how often it would have fired."""
    draft, now = nonconformance_form.read(form), timezone.now()
    if "try" in request.POST:
        context["tried"] = nonconformance_settings.tried(site=site, draft=draft, at=now)
        return False
    nonconformance_settings.set_rule(
        actor=actor_from(request), site=site, draft=draft, at=now, rule=before
    )
    messages.success(
        request,
        _(
            "Saved. The rule counts units seen from now on; "
            "parts already on the bench do not count."
        ),
    )
    return True
