"""An inspector who comes back to a task he lost: only his newest claim counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from review import decisions, queue
from review.models import Answer, Decision
from review.queue import Lease, LeaseLost
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from traceability.models import DispositionKind

ACCEPT = Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT)


@pytest.mark.django_db
def test_an_earlier_claim_of_ones_own_decides_nothing() -> None:
    factories.task()
    mine = factories.actor()
    earlier, now = (
        queue.claim(actor=mine, site=factories.site(), count=1, lease=lease, at=NOW)[0]
        for lease in (timedelta(seconds=-1), timedelta(seconds=90))
    )
    assert (earlier.uuid, earlier.fence + 1) == (now.uuid, now.fence)
    window = timedelta(seconds=8)
    with pytest.raises(LeaseLost):
        decisions.decide(
            actor=mine,
            held=Lease(earlier.uuid, earlier.fence),
            verdict=ACCEPT,
            key="key-earlier",
            undo_window=window,
            at=NOW,
        )
    assert not Decision.objects.exists()
    recorded = decisions.decide(
        actor=mine,
        held=Lease(now.uuid, now.fence),
        verdict=ACCEPT,
        key="key-now-00",
        undo_window=window,
        at=NOW,
    )
    assert recorded.decision.fence == now.fence
