"""After a restore from a backup: what may have left meanwhile is asked for before it is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from governance.access import system
from governance.audit import recorded
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.transitions import LEASABLE, Outcome

_RESTORE: Final = system("restore")


def doubt_unsettled(*, backup_at: datetime, at: datetime) -> int:
    """Treat every unsettled write-back of the backup as one that may have arrived; how many.

    The backup knows them as waiting, and they may have been sent between `backup_at` and now.
    Repeating it changes nothing more than the times at which they are asked for.
    """
    said = _("Restored from a backup of %(at)s: it may have left since.") % {
        "at": f"{backup_at:%Y-%m-%d %H:%M} UTC"
    }
    with recorded(actor=_RESTORE, at=at) as trail:
        rows = list(
            WriteBack.objects.select_for_update().filter(
                state__in=LEASABLE, enqueued_at__lte=backup_at
            )
        )
        if not rows:
            trail.nothing_changed()
            return 0
        DeliveryAttempt.objects.bulk_create(
            DeliveryAttempt(
                site_id=row.site_id, write_back=row, at=at, outcome=Outcome.LOST, answer=said
            )
            for row in rows
        )
        WriteBack.objects.filter(pk__in=[row.pk for row in rows]).update(
            attempts=Greatest(F("attempts"), Value(1)), last_error=said
        )
        for site in sorted({row.site_id for row in rows}):
            count = sum(row.site_id == site for row in rows)
            trail.add(
                "write_back.doubt",
                subject_kind="backup",
                subject=backup_at.isoformat(),
                site_id=site,
                detail={"write_backs": count},
            )
    return len(rows)
