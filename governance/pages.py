"""What a page asks before it shows itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django_htmx.http import HttpResponseClientRedirect

from governance.access import actor_from, check_can
from governance.roles import Capability

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def _to_login(request: HttpRequest) -> HttpResponseBase:
    """A live part sends the whole page there, and back to the page rather than to the part."""
    htmx = getattr(request, "htmx", None)
    if not htmx:
        return redirect_to_login(request.get_full_path())
    whole = redirect_to_login(htmx.current_url_abs_path or "/")
    return HttpResponseClientRedirect(whole.url)


def page(capability: Capability) -> Callable[[Page[P]], Page[P]]:
    """Only for those who hold `capability`; strangers are sent to the login page."""

    def decorate(view: Page[P]) -> Page[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_login(request)
            check_can(actor_from(request), capability)
            return view(request, *args, **kwargs)

        guarded.capability = capability  # type: ignore[attr-defined]  # read by the route tests
        return guarded

    return decorate
