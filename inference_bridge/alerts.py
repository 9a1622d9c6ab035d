"""What a person must hear of now: written with its cause, published after the commit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import system
from governance.audit import Trail
from inference_bridge.consequences import Standing
from inference_bridge.gateways.sns import Topic, TopicUnavailable
from inference_bridge.models import Alert
from review.models import AndonCall, TaskKind

log = logging.getLogger(__name__)


def raise_all(*, trail: Trail, standings: Sequence[Standing]) -> None:
    """One alert for each inspection the model holds; a second one changes nothing."""
    if not standings:
        return
    Alert.objects.bulk_create(
        [
            Alert(
                site_id=standing.inspection.site_id,
                inspection=standing.inspection,
                kind=TaskKind.CONTAIN,
                text=_text(standing),
                raised_at=trail.at,
            )
            for standing in standings
        ],
        ignore_conflicts=True,
    )


def _text(standing: Standing) -> str:
    worst = standing.worst
    text = _("%(serial)s held: %(what)s, score %(score)s.") % {
        "serial": standing.inspection.unit.serial,
        "what": worst.defect_class or _("defect suspected"),
        "score": f"{worst.score:.2f}",
    }
    return str(text)[:300]


def publish(*, topic: Topic, at: datetime, limit: int = 100) -> int:
    """Send what has not been sent; at least once each, as nothing is locked while SNS thinks."""
    waiting = list(
        Alert.objects.filter(published_at__isnull=True)
        .select_related("site", "inspection__unit", "inspection__line")
        .order_by("pk")[:limit]
    )
    sent = []
    for alert in waiting:
        try:
            topic.publish(subject=alert.text, message=_message(alert))
        except TopicUnavailable as reason:
            log.warning("alerts wait: %s", reason)
            break
        sent.append(alert)
    _mark_sent(sent, at=at)
    return len(sent)


def _mark_sent(sent: Sequence[Alert], *, at: datetime) -> None:
    if not sent:
        return
    with audit.recorded(actor=system("alerts"), at=at) as trail:
        Alert.objects.filter(pk__in=[alert.pk for alert in sent]).update(published_at=at)
        for alert in sent:
            trail.add(
                "alert.publish", subject_kind="alert", subject=alert.uuid, site_id=alert.site_id
            )


def publish_calls(*, topic: Topic, at: datetime, limit: int = 100) -> int:
    """Send the escalated calls nobody has answered since; at least once each, like alerts."""
    sent = []
    for call in calls_to_publish().order_by("pk")[:limit]:
        try:
            topic.publish(subject=_call_text(call), message=_call_message(call))
        except TopicUnavailable as reason:
            log.warning("calls wait: %s", reason)
            break
        sent.append(call)
    if not sent:
        return 0
    with audit.recorded(actor=system("alerts"), at=at) as trail:
        AndonCall.objects.filter(pk__in=[call.pk for call in sent]).update(published_at=at)
        for call in sent:
            trail.add("call.publish", subject_kind="call", subject=call.uuid, site_id=call.site_id)
    return len(sent)


def calls_to_publish() -> QuerySet[AndonCall]:
    """What the topic has not heard of and somebody still has to come for."""
    return AndonCall.objects.filter(
        closed_at__isnull=True,
        answered_at__isnull=True,
        escalated_at__isnull=False,
        published_at__isnull=True,
    ).select_related("site", "line", "station")


def _call_text(call: AndonCall) -> str:
    waited = call.escalated_at - call.called_at if call.escalated_at else timedelta()
    words = (
        _("Stop at %(line)s, station %(station)s: nobody has answered for %(n)s s.")
        if call.kind == AndonCall.Kind.STOP
        else _("Help wanted at %(line)s, station %(station)s: nobody has answered for %(n)s s.")
    )
    values = {
        "line": call.line.code,
        "station": call.station.code,
        "n": round(waited.total_seconds()),
    }
    return str(words % values)[:300]


def _call_message(call: AndonCall) -> dict[str, str]:
    return {
        "id": str(call.uuid),
        "kind": f"CALL_{call.kind}",
        "text": _call_text(call),
        "site": call.site.code,
        "line": call.line.code,
        "station": call.station.code,
        "called_at": call.called_at.isoformat(),
        "escalated_at": call.escalated_at.isoformat() if call.escalated_at else "",
    }


def _message(alert: Alert) -> dict[str, str]:
    return {
        "id": str(alert.uuid),
        "kind": alert.kind,
        "text": alert.text,
        "site": alert.site.code,
        "line": alert.inspection.line.code,
        "unit": alert.inspection.unit.serial,
        "inspection_id": alert.inspection.external_id,
        "raised_at": alert.raised_at.isoformat(),
    }
