"""What makes the station's page an app: its service worker and its manifest."""

from __future__ import annotations

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from review.line import shell
from traceability.refusals import Unavailable


@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker, with the version and the static files of the page put before it."""
    try:
        script = shell.worker_script()
    except FileNotFoundError as error:
        raise Unavailable(_("The page scripts are not built: run make assets.")) from error
    facts = {
        "version": shell.app_version(),
        "static": settings.STATIC_URL,
        "assets": shell.assets(),
    }
    return HttpResponse(
        f"self.LOUPE_SHELL = {json.dumps(facts)};\n{script}",
        content_type="text/javascript; charset=utf-8",
        headers={"Service-Worker-Allowed": "/line/", "Cache-Control": "no-cache"},
    )


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """What the home screen of a tablet shows. Browsers ask for it without saying who they are."""
    icons = [
        {"src": static(name), "sizes": size, "type": "image/png", "purpose": purpose}
        for name, size, purpose in (
            ("img/icon-192.png", "192x192", "any"),
            ("img/icon-512.png", "512x512", "any"),
            ("img/icon-maskable-512.png", "512x512", "maskable"),
        )
    ]
    return JsonResponse(
        {
            "id": "/line/",
            "name": _("Loupe at the line"),
            "short_name": "Loupe",
            "start_url": "/line/",
            "scope": "/line/",
            "display": "standalone",
            "background_color": "#1f262b",
            "theme_color": "#1f262b",
            "icons": icons,
        },
        content_type="application/manifest+json",
        headers={"Cache-Control": "no-cache"},
    )


# Below /line/, before the stations.
pwa_urls = [
    path("worker.js", worker, name="worker"),
    path("app.webmanifest", manifest, name="manifest"),
]
