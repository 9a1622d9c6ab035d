"""The alert topic hears of dispositions that do not get through, and when they do again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import system
from inference_bridge.gateways.sns import Topic, TopicUnavailable
from mes_integration.models import WriteBackAlarm

log = logging.getLogger(__name__)
_Told = Callable[[WriteBackAlarm], str]


def waiting() -> QuerySet[WriteBackAlarm]:
    """Alarms the topic has not heard of, and those it has not heard the end of."""
    return (
        WriteBackAlarm.objects.filter(
            Q(published_at__isnull=True)
            | Q(cleared_at__isnull=False, clearing_published_at__isnull=True)
        )
        .select_related("site")
        .order_by("pk")
    )


def publish(*, topic: Topic, at: datetime, limit: int = 100) -> int:
    """Send what has not been sent, the raising before the clearing; at least once each."""
    sent = 0
    for alarm in waiting()[:limit]:
        try:
            if alarm.published_at is None:
                topic.publish(subject=raised(alarm), message=_message(alarm, "RAISED", raised))
                _mark(alarm, "published_at", at=at)
                sent += 1
            if alarm.cleared_at is not None:
                topic.publish(subject=cleared(alarm), message=_message(alarm, "CLEARED", cleared))
                _mark(alarm, "clearing_published_at", at=at)
                sent += 1
        except TopicUnavailable as reason:
            log.warning("write-back alarms wait: %s", reason)
            break
    return sent


def _mark(alarm: WriteBackAlarm, column: str, *, at: datetime) -> None:
    with audit.recorded(actor=system("alerts"), at=at) as trail:
        WriteBackAlarm.objects.filter(pk=alarm.pk).update(**{column: at})
        trail.add(
            "write_back_alarm.publish",
            subject_kind="target",
            subject=alarm.target,
            site_id=alarm.site_id,
            detail={"alarm": str(alarm.uuid), "of": column},
        )


def raised(alarm: WriteBackAlarm) -> str:
    """The alarm in one line."""
    words = (
        _("%(site)s: %(n)s dispositions wait for %(target)s, the oldest since %(since)s UTC.")
        if alarm.kind == WriteBackAlarm.Kind.DELAYED
        else _("%(site)s: %(n)s dispositions for %(target)s need a person, since %(since)s UTC.")
    )
    return str(words % _values(alarm))[:300]


def cleared(alarm: WriteBackAlarm) -> str:
    """Its end in one line."""
    words = (
        _("%(site)s: dispositions reach %(target)s again.")
        if alarm.kind == WriteBackAlarm.Kind.DELAYED
        else _("%(site)s: no disposition for %(target)s waits for a person any more.")
    )
    return str(words % _values(alarm))[:300]


def _values(alarm: WriteBackAlarm) -> dict[str, object]:
    return {
        "site": alarm.site.code,
        "target": alarm.target,
        "n": alarm.waiting,
        "since": alarm.oldest_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M"),
    }


def _message(alarm: WriteBackAlarm, what: str, told: _Told) -> dict[str, str]:
    return {
        "id": str(alarm.uuid),
        "kind": f"WRITE_BACK_{alarm.kind}_{what}",
        "text": told(alarm),
        "site": alarm.site.code,
        "target": alarm.target,
        "waiting": str(alarm.waiting),
        "oldest_at": alarm.oldest_at.isoformat(),
        "raised_at": alarm.raised_at.isoformat(),
        "cleared_at": alarm.cleared_at.isoformat() if alarm.cleared_at else "",
    }
