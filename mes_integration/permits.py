"""Whether somebody may act on what a page shows: a role holds at a site or for a line of it."""

from __future__ import annotations

from governance.access import Actor
from governance.roles import Capability


def covers(actor: Actor, capability: Capability, *, site_id: int, line_id: int | None) -> bool:
    """Whether it holds there; what has no line of its own is the whole site's."""
    return any(
        scope.site_id == site_id and scope.line_id in (None, line_id)
        for scope in actor.scopes_for(capability)
    )


def reaches(actor: Actor, capability: Capability, *, site_id: int) -> bool:
    """Whether it holds at the site, for all of it or a line."""
    return any(scope.site_id == site_id for scope in actor.scopes_for(capability))
