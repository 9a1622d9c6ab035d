"""Pages: how a site's dispositions are said to a target, and what a change would do."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance import unseen
from governance.access import Actor, actor_from
from governance.pages import page
from governance.roles import Capability
from mes_integration import bulk, database_clock, mapping_form, mapping_versions, rehearsal
from mes_integration.mapping_form import Form
from mes_integration.mapping_versions import InForce
from mes_integration.permits import covers
from mes_integration.rehearsal import Rehearsal, pretty
from mes_integration.views import sent_again
from traceability.refusals import Conflict, Invalid

SEE = Capability.SEE_WRITE_BACKS
MANAGE = Capability.MANAGE_MAPPINGS
MOST = 50


@require_safe
@page(SEE)
def mappings(request: HttpRequest) -> HttpResponse:
    """The mapping of every target of every site."""
    context = {"all": list(mapping_versions.all_in_force(actor=actor_from(request)))}
    return render(request, "mes_integration/mappings.html", context)


@require_safe
@page(SEE)
def mapping(request: HttpRequest, site: str, target: str) -> HttpResponse:
    """One mapping as it stands, or one of its earlier versions, as a readable table."""
    actor = actor_from(request)
    where, to = mapping_versions.place(actor=actor, capability=SEE, site=site, target=target)
    now = mapping_versions.in_force(site=where, target=to)
    version = _number(request.GET.get("version", ""), now.version)
    document = mapping_versions.document_of(site=where, target=to, version=version)
    profile, fault = mapping_versions.readable(document)
    codes = mapping_versions.known_codes(site=where, document=document)
    context = {
        "now": now,
        "may_change": covers(actor, MANAGE, site_id=where.pk, line_id=None),
        "version": version,
        "form": mapping_form.form_of(document, codes=codes),
        "profile": profile,
        "fault": fault,
        "body": pretty(document.get("body")),
        "wire": pretty(document["wire"]) if document.get("wire") else "",
        "versions": mapping_versions.versions(site=where, target=to)[:MOST],
        "blocked": bulk.blocked(actor=actor, site=where, target=to.name).distinct().count(),
    }
    return render(request, "mes_integration/mapping.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page(MANAGE)
def edit(request: HttpRequest, site: str, target: str) -> HttpResponse:
    """The form; posted it is tried on past dispositions, and saved once that was seen."""
    actor = actor_from(request)
    where, to = mapping_versions.place(actor=actor, capability=MANAGE, site=site, target=target)
    now = mapping_versions.in_force(site=where, target=to)
    if request.method != "POST":
        codes = mapping_versions.known_codes(site=where, document=now.document)
        form = mapping_form.form_of(now.document, codes=codes)
        _profile, fault = mapping_versions.readable(now.document)
        return _form(request, now, form, base=now.version, refusal=fault)
    form, base = mapping_form.posted(request.POST), _number(request.POST.get("base", ""), 0)
    reason = request.POST.get("reason", "")
    try:
        document = mapping_form.document_of(form)
        tried = _tried(actor, now, document)
        if request.POST.get("do") == "save" and request.POST.get("seen") == _seal(document, base):
            row = mapping_versions.save(
                actor=actor,
                site=where,
                target=to,
                document=document,
                reason=reason,
                base=base,
                at=datetime.now(UTC),
            )
            messages.info(request, _("Version %(n)s is in force.") % {"n": row.version})
            return redirect("mes_integration:mapping", site=site, target=target)
    except (Invalid, Conflict) as refusal:
        status = 422 if isinstance(refusal, Invalid) else 409
        return _form(
            request, now, form, base=base, reason=reason, refusal=refusal.sentence, status=status
        )
    return _form(
        request,
        now,
        form,
        base=base,
        reason=reason,
        tried=tried,
        seen=_seal(document, base),
        is_tried_again=request.POST.get("do") == "save",
    )


def _tried(actor: Actor, now: InForce, document: dict[str, Any]) -> Rehearsal:
    return rehearsal.rehearse(
        site=now.site,
        target=now.target,
        before=now.profile,
        after=mapping_versions.checked(document, target=now.target),
        withheld=unseen.units(actor),
    )


def _seal(document: dict[str, Any], base: int) -> str:
    """Of exactly what was tried: another document is tried before it is saved."""
    text = json.dumps([base, document], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _form(
    request: HttpRequest,
    now: InForce,
    form: Form,
    *,
    base: int,
    reason: str = "",
    refusal: str = "",
    tried: Rehearsal | None = None,
    seen: str = "",
    is_tried_again: bool = False,
    status: int = 200,
) -> HttpResponse:
    context = {
        "now": now,
        "form": form,
        "base": base,
        "reason": reason,
        "refusal": refusal,
        "tried": tried,
        "seen": seen,
        "is_tried_again": is_tried_again,
        "next": now.version + 1,
    }
    return render(request, "mes_integration/mapping_form.html", context, status=status)


def _number(text: str, otherwise: int) -> int:
    """A version; what is none is the one that stands."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else otherwise


@require_POST
@page(MANAGE)
def roll_back(request: HttpRequest, site: str, target: str) -> HttpResponse:
    """An earlier version once more."""
    actor = actor_from(request)
    where, to = mapping_versions.place(actor=actor, capability=MANAGE, site=site, target=target)
    row = mapping_versions.roll_back(
        actor=actor,
        site=where,
        target=to,
        version=_number(request.POST.get("version", ""), 0),
        reason=request.POST.get("reason", ""),
        base=_number(request.POST.get("base", ""), 0),
        at=datetime.now(UTC),
    )
    messages.info(request, _("Version %(n)s is in force.") % {"n": row.version})
    return redirect("mes_integration:mapping", site=site, target=target)


@require_POST
@page(Capability.RESOLVE_WRITE_BACKS)
def send_blocked(request: HttpRequest, site: str, target: str) -> HttpResponse:
    """Send again what this mapping had no word for."""
    actor = actor_from(request)
    where, to = mapping_versions.place(
        actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, site=site, target=target
    )
    rows = bulk.blocked(actor=actor, site=where, target=to.name)
    sent = bulk.resend(actor=actor, rows=rows, at=database_clock.read())
    messages.info(request, sent_again(sent))
    return redirect("mes_integration:mapping", site=site, target=target)
