"""Signing in and out, and the audit trail."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.access import actor_from
from governance.models import AuditEntry
from governance.pages import page
from governance.roles import Capability

PAGE_SIZE = 100


class SignIn(LoginView):
    """The login page; in the demo it offers the demo logins."""

    template_name = "governance/login.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        logins = settings.LOUPE.state / "demo" / "logins.txt"
        shown = []
        if settings.LOUPE.demo and logins.is_file():
            rows = (line.split("\t") for line in logins.read_text(encoding="utf-8").splitlines())
            shown = [
                {"username": row[0], "password": row[1], "role": row[2]}
                for row in rows
                if len(row) == 3
            ]
        return super().get_context_data(demo_logins=shown, **kwargs)


@require_safe
@page(Capability.SEE_AUDIT)
def audit_trail(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first, a page at a time by id."""
    entries = AuditEntry.objects.filter(
        actor_from(request).within(Capability.SEE_AUDIT, line=None)
    ).select_related("site")
    subject = request.GET.get("subject", "").strip()
    if subject:
        entries = entries.filter(subject=subject)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        entries = entries.filter(pk__lt=int(before))
    rows = list(entries.order_by("-pk")[: PAGE_SIZE + 1])
    return render(
        request,
        "governance/audit.html",
        {
            "entries": rows[:PAGE_SIZE],
            "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
            "subject": subject,
        },
    )
