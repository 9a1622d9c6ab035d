"""A backup restored: what the MES was told since is not told twice, and the window is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import ledger_checker, ledger_spoken
from benchmarks.figures import Figure
from benchmarks.ledger_notes import Notes
from benchmarks.ledger_plant import LEASE_S, Ground, wait_for
from benchmarks.ledger_seen import Seen, Violation

BEFORE, SINCE = 220, 44
SETTLES_S: Final = 180.0
_UNSETTLED: Final = "SELECT count(*) FROM mes_integration_writeback WHERE settled_at IS NULL"
_KEYS: Final = "SELECT uuid::text FROM mes_integration_writeback"


def measure(folder: Path, tree: Path, seed: int) -> Iterator[Figure | Violation]:
    """The peer knows no keys: told twice, it would apply it twice."""
    ground = Ground(folder, tree, seed, may_mount=False)
    try:
        ground.surround()
        ground.make_ready(1)
        ground.end("mes")
        ground.module("benchmarks.ledger_fill", str(BEFORE))
        ground.database.dump(folder / "backup")
        backup_at = datetime.now(UTC)
        kept = _keys(ground)
        ground.start_peer()
        ground.until_peer_answers()
        ground.start_nursery("nursery", "relay", armed=False)
        ground.module("benchmarks.ledger_fill", str(SINCE))
        if not wait_for(lambda: ground.outside.count(_UNSETTLED) == 0, seconds=SETTLES_S):
            yield Violation("I15", "before the restore not everything was delivered")
        window = _keys(ground) - kept
        ground.end("nursery")
        began = time.monotonic()
        ground.database.restore(folder / "backup")
        ground.manage("after_restore", "--backup-at", backup_at.isoformat())
        ground.start_nursery("nursery", "relay", armed=False)
        if not wait_for(lambda: ground.outside.count(_UNSETTLED) == 0, seconds=SETTLES_S):
            yield Violation("I16", "after the restore not everything came to rest")
        yield Figure("restore.took", time.monotonic() - began, "s")
        yield Figure("restore.write_backs", len(kept), "1")
        yield Figure("restore.window", len(window), "1")
        yield from _violations(ground, window)
    finally:
        ground.stop()


def _keys(ground: Ground) -> frozenset[str]:
    return frozenset(key for (key,) in ground.outside.rows(_KEYS))


def _violations(ground: Ground, window: frozenset[str]) -> Iterator[Violation]:
    """Nothing twice, nothing missing, and the reconciliation finds nothing to complain of."""
    seen = Seen(ground.database.url, ground.books, (), Notes(), LEASE_S, {}, forgotten=window)
    for one in (ledger_checker.one_effect, ledger_checker.in_order, ledger_spoken.last_word):
        for found in one(seen):
            yield Violation("I16", f"after a restore, {found}")
    try:
        ground.manage("reconcile_mes", "--days", "7")
    except RuntimeError as differs:
        yield Violation("I16", f"the reconciliation: {differs}")
