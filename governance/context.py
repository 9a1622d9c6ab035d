"""What every page may show about the person who looks at it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.access import actor_from
from governance.roles import Capability


def person(request: HttpRequest) -> dict[str, Any]:
    """`actor` and `may`: {capability value: True} for what the actor holds anywhere."""
    if not hasattr(request, "user"):
        return {"may": {}}
    actor = actor_from(request)
    return {"actor": actor, "may": {c.value: True for c in Capability if actor.can(c)}}
