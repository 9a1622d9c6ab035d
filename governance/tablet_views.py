"""Pages: the tablets of the lines, who may use them, and how a tablet comes to be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urljoin
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance import devices, pins, tablets
from governance.access import actor_from, address_of
from governance.models import Device, User
from governance.pages import page
from governance.roles import Capability
from traceability.models import Station
from traceability.refusals import Conflict, Invalid, Refusal, Unknown

LINE = "/line/"


@require_safe
@page(Capability.SEE_TABLETS)
def tablet_list(request: HttpRequest) -> HttpResponse:
    """Every tablet by line and station, and the people."""
    actor, at = actor_from(request), timezone.now()
    named = request.GET.get("who", "").strip()[:64]
    return render(
        request,
        "governance/tablets.html",
        {
            "lines": tablets.lines(actor, at=at),
            "people": tablets.people(actor, named=named),
            "named": named,
            "demo_badges": tablets.demo_badges(),
            "own": devices.device_of(request),
            "now": at,
        },
    )


@never_cache
@require_POST
@page(Capability.REGISTER_TABLETS)
def make(request: HttpRequest, station_id: int) -> HttpResponse:
    """A new tablet at a station, and its code."""
    actor = actor_from(request)
    where = (
        Station.objects.filter(actor.within(Capability.REGISTER_TABLETS), pk=station_id)
        .select_related("site", "line")
        .first()
    )
    if where is None:
        raise Unknown(_("There is no such station for you."))
    device, code = devices.make(
        actor=actor,
        station=where,
        name=request.POST.get("name", ""),
        ahead=_number(request.POST.get("ahead", "20")),
        at=timezone.now(),
    )
    return _code_page(request, device, code)


@require_POST
@page(Capability.REGISTER_TABLETS)
def hold_place(request: HttpRequest, station_id: int) -> HttpResponse:
    """Where held parts are put at a station."""
    devices.set_hold_place(
        actor=actor_from(request),
        station=station_id,
        place=request.POST.get("place", ""),
        at=timezone.now(),
    )
    messages.info(request, _("The place of held parts is changed."))
    return redirect("governance:tablets")


@require_safe
@page(Capability.SEE_TABLETS)
def tablet(request: HttpRequest, device: UUID) -> HttpResponse:
    """One tablet, and what a lead can do about it."""
    allowed = devices.within(actor_from(request), Capability.SEE_TABLETS)
    found = Device.objects.filter(allowed, uuid=device).select_related(
        "station__line", "site", "made_by"
    )
    known, at = found.first(), timezone.now()
    if known is None:
        raise Unknown(_("There is no such tablet for you."))
    (row,) = tablets.rows_of([known], at=at)
    return render(
        request,
        "governance/tablet.html",
        {"row": row, "own": devices.device_of(request), "most": devices.AHEAD_MOST, "now": at},
    )


@never_cache
@require_POST
@page(Capability.REGISTER_TABLETS)
def new_code(request: HttpRequest, device: UUID) -> HttpResponse:
    """A code for a tablet that lost its token, or whose token was lost."""
    actor = actor_from(request)
    known, code = devices.renew_code(actor=actor, device=device, at=timezone.now())
    return _code_page(request, known, code)


def _code_page(request: HttpRequest, device: Device, code: str) -> HttpResponse:
    path = f"{reverse('governance:register')}?code={code}"
    return render(
        request,
        "governance/tablet_code.html",
        {
            "device": device,
            "code": f"{code[:4]} {code[4:]}",
            "link": _reachable(request, path),
            "minutes": round(devices.CODE_LASTS.total_seconds() / 60),
        },
    )


def _reachable(request: HttpRequest, path: str) -> str:
    """The address of `path` for a tablet: where `make tablets` opened Loupe, for who sits at it."""
    opened = settings.LOUPE.state / "tls" / "address"
    here = request.get_host().rpartition(":")[0] or request.get_host()
    if here in {"127.0.0.1", "localhost", "[::1]"} and opened.is_file():
        return urljoin(opened.read_text(), path)
    return request.build_absolute_uri(path)


@require_POST
@page(Capability.REGISTER_TABLETS)
def use_here(request: HttpRequest, device: UUID) -> HttpResponse:
    """Make the lead's own browser this tablet."""
    actor = actor_from(request)
    known, token = devices.register_here(actor=actor, device=device, at=timezone.now())
    # A tablet is sent to its station from the list; the lead who sits here would stay on it.
    station = quote(f"{known.station.line.code}:{known.station.code}", safe=":")
    return _with_token(redirect(f"{LINE}{station}/"), token)


@require_POST
@page(Capability.REGISTER_TABLETS)
def revoke(request: HttpRequest, device: UUID) -> HttpResponse:
    """Its token counts no longer."""
    known = devices.revoke(actor=actor_from(request), device=device, at=timezone.now())
    messages.info(request, _("%(name)s is revoked.") % {"name": known.name})
    return redirect("governance:tablet", device=device)


@require_POST
@page(Capability.REGISTER_TABLETS)
def ahead(request: HttpRequest, device: UUID) -> HttpResponse:
    """How many units it keeps ready."""
    count = _number(request.POST.get("ahead", ""))
    devices.set_ahead(actor=actor_from(request), device=device, ahead=count, at=timezone.now())
    messages.info(request, _("It keeps %(n)d units ready.") % {"n": count})
    return redirect("governance:tablet", device=device)


@require_safe
@page(Capability.REGISTER_TABLETS)
def person_page(request: HttpRequest, person: str) -> HttpResponse:
    """Somebody's badge and PIN, to be set."""
    return _person(request, person)


def _person(
    request: HttpRequest, person: str, refused: Mapping[str, str] | None = None
) -> HttpResponse:
    """The page; `refused` says by the field's name what was wrong with what was typed."""
    user: User = pins.person_of(actor_from(request), person)
    shown = {
        "row": tablets.person_row(user),
        "tries": settings.LOUPE.pin_tries,
        "refused": refused or {},
    }
    return render(request, "governance/tablet_person.html", shown, status=422 if refused else 200)


@require_POST
@page(Capability.REGISTER_TABLETS)
def set_pin(request: HttpRequest, person: str) -> HttpResponse:
    """A new PIN."""
    pin = request.POST.get("pin", "").strip()
    try:
        pins.set_pin(actor=actor_from(request), person=person, pin=pin, at=timezone.now())
    except Invalid as refusal:
        return _person(request, person, {"pin": refusal.sentence})
    messages.info(request, _("The PIN is set. Tell it to nobody else."))
    return redirect("governance:tablet_person", person=person)


@require_POST
@page(Capability.REGISTER_TABLETS)
def set_badge(request: HttpRequest, person: str) -> HttpResponse:
    """A new badge."""
    badge = request.POST.get("badge", "")
    try:
        pins.set_badge(actor=actor_from(request), person=person, badge=badge, at=timezone.now())
    except (Invalid, Conflict) as refusal:
        return _person(request, person, {"badge": refusal.sentence})
    messages.info(request, _("The badge is set."))
    return redirect("governance:tablet_person", person=person)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """Where a tablet's browser shows the code a lead was given, and becomes the tablet."""
    shown: dict[str, Any] = {"code": request.GET.get("code", "")[:16], "refusal": ""}
    status = 200
    if request.method == "POST":
        shown["code"] = request.POST.get("code", "")[:16]
        try:
            _device, token = devices.register(
                code=shown["code"], address=address_of(request), at=timezone.now()
            )
            return _with_token(redirect(LINE), token)
        except Refusal as refusal:
            shown["refusal"], status = refusal.sentence, 422
    context = {**shown, "own": devices.device_of(request)}
    return render(request, "governance/register.html", context, status=status)


def _with_token(response: HttpResponseRedirect, token: str) -> HttpResponse:
    response.set_cookie(
        devices.COOKIE,
        token,
        max_age=devices.COOKIE_AGE,
        path="/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


def _number(typed: str) -> int:
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
        raise Invalid(_("Type a number."))
    return int(typed)
