"""Times and shares as the plant's pages show them."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def duration(seconds: float) -> str:
    """Seconds as one number with its unit."""
    whole = max(0, round(seconds))
    if whole < 100:
        return _("%(n)d s") % {"n": whole}
    if whole < 5400:
        return _("%(n)d min") % {"n": round(whole / 60)}
    if whole < 172_800:
        return _("%(n)d h") % {"n": round(whole / 3600)}
    return _("%(n)d d") % {"n": round(whole / 86_400)}


@register.filter
def age(moment: datetime, now: datetime) -> str:
    """How long ago `moment` was."""
    return duration((now - moment).total_seconds())


@register.filter
def until(moment: datetime, now: datetime) -> str:
    """A deadline as seen from now."""
    left = (moment - now).total_seconds()
    text = _("due in %(t)s") if left >= 0 else _("overdue by %(t)s")
    return text % {"t": duration(abs(left))}


@register.filter
def percent(share: float) -> str:
    """A share (0-1) as a percentage with one place below 10 %."""
    value = share * 100
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


@register.filter
def times(value: float, factor: float) -> str:
    """A product for a place in a drawing, with a point whatever the language."""
    return f"{value * factor:.2f}"
