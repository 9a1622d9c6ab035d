"""The bench's page: a frame with its configuration; the work itself goes through the API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from governance.access import actor_from, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from labeling import catalogue
from review import flow_words, preferences
from review.models import Answer, TaskKind
from review.unit_verdict import WORDS
from traceability.models import DispositionKind, Site

HEARTBEAT_S = 25
POLL_S = 2
IDLE_S = 120
PAUSE_S = 300


@require_safe
@page(Capability.REVIEW)
def bench(request: HttpRequest) -> HttpResponse:
    """The inspector's bench for one site; `?site=` chooses among several."""
    actor = actor_from(request)
    site = site_for(actor, Capability.REVIEW, request.GET.get("site"))
    return render(
        request,
        "review/bench.html",
        {
            "site": site,
            "sites": sites_for(actor, Capability.REVIEW),
            "config": _config(request, site),
            "key_acts": flow_words.key_acts(),
            "skip_reasons": [
                _("The image is blurred or badly lit"),
                _("The part is not wholly in the image"),
                _("A colleague knows this defect better"),
            ],
        },
    )


def _config(request: HttpRequest, site: Site) -> dict[str, Any]:
    """What the page's modules need; read from its JSON script."""
    return {
        "api": "/api/v1/review",
        "csrf": get_token(request),
        "login": f"{resolve_url(settings.LOGIN_URL)}?next={request.path}",
        "person": request.user.get_username(),
        "language": get_language(),
        "site": site.code,
        "classes": {site.code: defect_classes(site)},
        "heartbeat_seconds": min(HEARTBEAT_S, settings.LOUPE.lease_s / 3),
        "poll_seconds": POLL_S,
        "idle_seconds": IDLE_S,
        "pause_seconds": PAUSE_S,
        "preferences": preferences.of(actor_from(request)),
        "strings": {**_strings(), **flow_words.words()},
    }


def defect_classes(site: Site) -> list[dict[str, Any]]:
    """The site's classes as the page's modules need them."""
    return [
        {
            "code": defect.code,
            "name": defect.name,
            "severity": defect.severity,
            "severity_name": defect.get_severity_display(),
            "default_disposition": defect.default_disposition,
            "position": defect.position,
        }
        for defect in catalogue.classes_of(site).order_by("position", "code")
    ]


def _strings() -> dict[str, str]:
    """Words the modules show; {name} is filled in by them."""
    return {
        **{kind.value: str(kind.label) for kind in DispositionKind},
        **{answer.value: str(answer.label) for answer in Answer},
        **{f"kind_{kind.value}": str(kind.label) for kind in TaskKind},
        **_time_words(),
        "band_pass": _("below review"),
        "band_review": _("doubtful"),
        "band_contain": _("held at once"),
        "scale": _("review from {review}, held from {contain}"),
        "false_call": _("false call"),
        "concession": _("concession"),
        "good_part": _("good part"),
        "control_right": _("{serial} was a control. You were right: {truth}."),
        "control_wrong": _("{serial} was a control. It is: {truth}."),
        "which_defect": _("which defect?"),
        "image_fit": _("fit to judge"),
        "image_unfit": _("not fit to judge"),
        "sharpness": _("sharpness"),
        "exposure": _("exposure"),
        "glare": _("glare"),
        "framing": _("framing"),
        **_view_words(),
        "skip": _("Skip"),
        "escalate": _("Escalate"),
        "taking_back": _("taking back"),
        "on_its_way": _("on its way"),
        "connected": _("Connected"),
        "unreachable": _("No connection"),
        "unsent": _("Unsent: {n}"),
        "dismiss": _("Dismiss"),
        "log_in": _("Log in"),
        "signed_out": _("You are logged out. Nothing is lost: log in and it is sent."),
        "refused_gone": _("{serial} ({says}) was not recorded. {detail}"),
        "refused": _("{serial} ({says}) was not recorded and comes back to you. {detail}"),
        "became": _("{serial} was recorded as {says}. {detail}"),
        "heatmap_failed": _("The heat map cannot be shown."),
        "undo_failed": _("{serial} was not taken back. {detail}"),
    }


def _view_words() -> dict[str, str]:
    return {
        **{f"verdict_{code}": _(words) if words else "" for code, words in WORDS.items()},
        "within_limits": _("within limits: accept"),
        "hold_incomplete": _("Hold: inspection incomplete"),
        "held_incomplete": _("Hold: incomplete"),
        "view_came": _("View {view} has come."),
        "view_missing": _("View {n} of {count} has not come"),
        "unit_chance": _("{p} that a view shows a defect, if the views err independently"),
        "view_seen": _("✓ seen"),
        "view_coming": _("coming …"),
        "view_failed": _("no image"),
        "picture_coming": _("waits for an image"),
        "picture_failed": _("an image is missing"),
        "pictures_coming": _("The image has not come yet: {views}. Wait for it, or hold the unit."),
        "pictures_failed": _(
            "The image cannot be shown: {views}. Hold the unit, skip it or escalate it."
        ),
        "picture_older": _("view taken again"),
        "pictures_older": _("View {view} was taken again: look at the newer image (Tab)."),
        "picture_unseen": _("Image not seen: {views}."),
        "view_fit": _("fit"),
        "view_unfit": _("not fit"),
        "view_again": _("taken again"),
    }


def _time_words() -> dict[str, str]:
    return {
        "seconds": _("{n} s"),
        "minutes": _("{n} min"),
        "hours": _("{n} h"),
        "days": _("{n} d"),
        "due_in": _("due in {t}"),
        "overdue": _("overdue by {t}"),
    }
