"""What every page about write-backs carries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.template import Context

from governance.access import actor_from
from mes_integration import overview, presentation

register = template.Library()


@register.inclusion_tag("mes_integration/_tabs.html", takes_context=True)
def write_back_tabs(context: Context, tab: str) -> dict[str, Any]:
    """The rooms about write-backs, each with how many open things it has."""
    request = context["request"]
    return {"tab": tab, "open": overview.open_counts(actor_from(request))}


@register.filter
def since(moment: datetime, now: datetime) -> str:
    """How long ago, as one number and one unit."""
    return presentation.age((now - moment).total_seconds())
