"""The MES away and back again: how soon what was kept for it has gone; and on good days."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import ledger_checker, ledger_spoken
from benchmarks.figures import Figure, percentile
from benchmarks.ledger_notes import Notes
from benchmarks.ledger_plant import LEASE_S, Ground, wait_for
from benchmarks.ledger_seen import Seen, Violation

QUEUED: Final = 10_000
AWAY_S: Final = 15.0
LONGEST_S: Final = 1800.0
HEALTHY, PACE = 200, 10.0
_UNSETTLED: Final = """
    SELECT count(*) FROM mes_integration_writeback WHERE settled_at IS NULL
"""
_WAITS: Final = """
    SELECT extract(epoch FROM settled_at - due_at)::float8 FROM mes_integration_writeback
    WHERE state = 'ACKNOWLEDGED' AND enqueued_at > %s
"""


def measure(folder: Path, tree: Path, seed: int, queued: int) -> Iterator[Figure | Violation]:
    """One worker's relay and a peer that only knows what it is asked for: no keys, no faults."""
    # The settings as they are shipped, but for the address.
    patience = {"LOUPE_MES_TIMEOUT_S": "10", "LOUPE_MES_QUARANTINE_S": "30"}
    ground = Ground(folder, tree, seed, may_mount=False, settings=patience)
    try:
        ground.surround()
        ground.make_schema()
        ground.end("mes")
        ground.module("benchmarks.ledger_fill", str(queued))
        ground.start_nursery("nursery", "relay", armed=False)
        time.sleep(AWAY_S)
        ground.start_peer()
        ground.until_peer_answers()
        began = time.monotonic()
        done = wait_for(lambda: ground.outside.count(_UNSETTLED) == 0, seconds=LONGEST_S)
        took = time.monotonic() - began
        if not done:
            yield Violation("I15", f"after {took:.0f} s there are still write-backs to deliver")
        yield Figure("writeback.outage_queued", queued, "1")
        yield Figure(f"writeback.outage_{queued // 1000}k_drained", took, "s")
        yield Figure("writeback.outage_per_s", queued / took, "1/s")
        yield from _healthy(ground)
        yield from _violations(ground)
    finally:
        ground.stop()


def _healthy(ground: Ground) -> Iterator[Figure]:
    since = ground.outside.rows("SELECT now()")[0][0]
    ground.module("benchmarks.ledger_fill", str(HEALTHY), "--pace", str(PACE))
    wait_for(lambda: ground.outside.count(_UNSETTLED) == 0, seconds=60)
    waits = [wait for (wait,) in ground.outside.rows(_WAITS, [since])]
    yield Figure("writeback.p50", percentile(waits, 0.5), "s")
    yield Figure("writeback.p95", percentile(waits, 0.95), "s")
    yield Figure("writeback.p99", percentile(waits, 0.99), "s")


def _violations(ground: Ground) -> Iterator[Violation]:
    seen = Seen(ground.database.url, ground.books, (), Notes(), LEASE_S, {})
    for one in (ledger_checker.one_effect, ledger_checker.in_order, ledger_spoken.last_word):
        yield from one(seen)
