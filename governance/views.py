"""Signing in and out, and the audit trail."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance import audit, sign_in, unseen
from governance.access import Actor, actor_from, actor_of, address_of
from governance.models import AuditEntry, User
from governance.pages import page
from governance.roles import Capability

PAGE_SIZE = 100


class SignIn(LoginView):
    """The login page; in the demo it offers the demo logins."""

    template_name = "governance/login.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Who is at a tablet by his badge may still come in with his password."""
        self.redirect_authenticated_user = SESSION_KEY in request.session
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Sign in, unless the name has failed too often from this address."""
        name, where, at = request.POST.get("username", ""), address_of(request), timezone.now()
        rest = sign_in.begin(username=name, address=where, at=at)
        if rest:
            return self._told_to_wait(name, rest)
        form = self.get_form()
        if form.is_valid():
            return self.form_valid(form)
        sign_in.fail(username=name, address=where, at=at)
        return self.form_invalid(form)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user, where = form.get_user(), address_of(self.request)
        if not isinstance(user, User):
            raise TypeError(user)
        actor = actor_of(user, address=where)
        with audit.recorded(actor=actor, at=timezone.now()) as trail:
            sign_in.succeed(trail, username=self.request.POST["username"], address=where)
            return super().form_valid(form)

    def _told_to_wait(self, name: str, rest: timedelta) -> HttpResponse:
        """The same for a name that is nobody's."""
        form = self.get_form_class()(self.request, initial={"username": name})
        seconds = math.ceil(rest.total_seconds())
        minutes = math.ceil(seconds / 60)
        return self.render_to_response(
            self.get_context_data(form=form, wait_minutes=minutes),
            status=429,
            headers={"Retry-After": str(seconds)},
        )

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


@dataclass(frozen=True, slots=True)
class Told:
    """An entry, and why who reads is told no more of it than when it was and on what."""

    entry: AuditEntry
    unseen: str


def _told(actor: Actor, entries: Sequence[AuditEntry]) -> list[Told]:
    words = [(entry, [entry.subject, *_texts(entry.detail)]) for entry in entries]
    held = unseen.named(actor, {each for _entry, said in words for each in said})
    phrases = {(site or 0, each): phrase for (site, each), phrase in held.items()}
    return [
        Told(entry, next(filter(None, (phrases.get((entry.site_id or 0, w)) for w in said)), ""))
        for entry, said in words
    ]


def _texts(value: Any) -> Iterator[str]:
    """Everything in a detail that may be the name of something."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


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
            "entries": _told(actor_from(request), rows[:PAGE_SIZE]),
            "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
            "subject": subject,
        },
    )
