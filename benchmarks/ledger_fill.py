"""Dispositions in the outbox, made by the product itself: `python -m benchmarks.ledger_fill 10000`.

With a pace they come one by one, so many a second; without, as fast as they can be written. Every
tenth unit is disposed of twice.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Final

import django

django.setup()

from django.db import connection  # noqa: E402  # Django first
from django.utils import timezone  # noqa: E402

from benchmarks import backlog  # noqa: E402
from governance.access import system  # noqa: E402
from governance.audit import recorded  # noqa: E402
from review.dispositions import Draft, dispose_all  # noqa: E402
from traceability.models import DeciderKind, DispositionKind, Inspection  # noqa: E402

BATCH: Final = 250
AGAIN: Final = 10
KINDS: Final = (DispositionKind.REWORK, DispositionKind.HOLD)


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_fill")
    parser.add_argument("count", type=int)
    parser.add_argument("--pace", type=float, default=0, help="dispositions a second")
    given = parser.parse_args()
    units = given.count if given.pace else given.count * AGAIN // (AGAIN + 1)
    backlog.fill(size=_there() + units)
    found = list(
        Inspection.objects.filter(unit__disposition_revision=0)
        .select_related("unit__part_revision__part_number", "unit__lot", "line", "station", "site")
        .order_by("pk")[:units]
    )
    if given.pace:
        _paced(found, 1 / given.pace)
        return
    again = found[::AGAIN][: given.count - units]
    for batch in _batches([*found, *again]):
        _dispose(batch)
    with connection.cursor() as cursor:
        # The server counts a table by itself within a minute; an outage lasts longer.
        cursor.execute("ANALYZE")


def _there() -> int:
    return Inspection.objects.filter(reviewtask__state="QUEUED").count()


def _paced(found: Sequence[Inspection], pause: float) -> None:
    due = time.monotonic()
    for inspection in found:
        _dispose([inspection])
        due += pause
        time.sleep(max(0.0, due - time.monotonic()))


def _batches(found: Sequence[Inspection]) -> list[Sequence[Inspection]]:
    return [found[n : n + BATCH] for n in range(0, len(found), BATCH)]


def _dispose(inspections: Sequence[Inspection]) -> None:
    at = timezone.now()
    drafts = [
        Draft(
            inspection=inspection,
            kind=KINDS[inspection.pk % len(KINDS)],
            decider_kind=DeciderKind.RULE,
            decider="faults",
            policy_version=1,
        )
        for inspection in inspections
    ]
    with recorded(actor=system("faults"), at=at) as trail:
        dispose_all(trail=trail, drafts=drafts, due_at=at)


if __name__ == "__main__":
    main()
