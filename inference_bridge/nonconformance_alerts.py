"""The alert topic hears of nonconformances as they are raised."""

from __future__ import annotations

import logging
from datetime import datetime

from governance import audit
from governance.access import system
from inference_bridge.gateways.sns import Topic, TopicUnavailable
from mes_integration.models import Ncr

log = logging.getLogger(__name__)


def publish(*, topic: Topic, at: datetime, limit: int = 100) -> int:
    """Send what has not been sent; at least once each, as nothing is locked while SNS thinks."""
    waiting = Ncr.objects.filter(published_at__isnull=True).select_related("site", "line", "rule")
    sent = []
    for ncr in waiting.order_by("pk")[:limit]:
        try:
            topic.publish(subject=ncr.text, message=_message(ncr))
        except TopicUnavailable as reason:
            log.warning("nonconformances wait: %s", reason)
            break
        sent.append(ncr)
    if not sent:
        return 0
    with audit.recorded(actor=system("alerts"), at=at) as trail:
        Ncr.objects.filter(pk__in=[ncr.pk for ncr in sent]).update(published_at=at)
        for ncr in sent:
            trail.add(
                "nonconformance.publish",
                subject_kind="nonconformance",
                subject=ncr.uuid,
                site_id=ncr.site_id,
            )
    return len(sent)


def _message(ncr: Ncr) -> dict[str, str]:
    return {
        "id": str(ncr.uuid),
        "kind": f"NONCONFORMANCE_{ncr.kind}",
        "text": ncr.text,
        "site": ncr.site.code,
        "line": ncr.line.code,
        "cause": ncr.cause,
        "rule": ncr.rule.name,
        "opened_at": ncr.opened_at.isoformat(),
    }
