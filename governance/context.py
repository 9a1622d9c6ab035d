"""What every page may show about the person who looks at it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest

from governance.access import actor_from
from governance.devices import device_of
from governance.roles import Capability


def person(request: HttpRequest) -> dict[str, Any]:
    """`actor` and `may`: {capability value: True} for what the actor holds anywhere; `by_badge`:
    whether only a tablet says who it is."""
    if not hasattr(request, "user"):
        return {"may": {}}
    actor = actor_from(request)
    by_badge = device_of(request) is not None and SESSION_KEY not in request.session
    return {
        "actor": actor,
        "by_badge": by_badge,
        "may": {c.value: True for c in Capability if actor.can(c)},
    }
