"""The fault programme in small: every kind of strike once, and every point a relay can die at."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from benchmarks import ledger_checker, ledger_crashing, ledger_spoken
from benchmarks.ledger_crashing import ANSWER, COMMIT, Deaths
from benchmarks.ledger_notes import Notes
from benchmarks.ledger_plant import LEASE_S, Ground, wait_for
from benchmarks.ledger_run import Run, Tier
from benchmarks.ledger_seen import Seen
from benchmarks.ledger_strikes import Plan
from tests.faults.plant import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SMALL = Tier(60, Plan(kills=8, stops=1, restarts=1, seconds=8), only=ledger_crashing.FREQUENT)
WALKED = (ledger_crashing.LEASE, ledger_crashing.RECORD)
FEEDS = 30
UNSETTLED = "SELECT count(*) FROM mes_integration_writeback WHERE settled_at IS NULL"


def test_a_small_storm_loses_nothing_doubles_nothing_overtakes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("LOUPE_FAULT_SEED") or random.SystemRandom().randrange(10**6))
    run = Run(SMALL, seed, is_whole=False, targets=("mes", "qms"))
    figures = {figure.name: figure.value for figure in run.everything()}
    with capsys.disabled():
        print(f"\nLOUPE_FAULT_SEED={seed}: {figures['faults.decisions']:.0f} dispositions")
    assert [str(violation) for violation in run.violations] == []
    assert figures["faults.messages"] >= 10
    assert figures["faults.kills"] >= SMALL.plan.kills
    assert figures["faults.decisions"] >= 5
    assert figures["faults.deletes_checked"] > 0


def test_a_relay_may_die_at_every_point_of_taking_and_recording(tmp_path: Path) -> None:
    ground = Ground(tmp_path, ROOT, 1, may_mount=False)
    try:
        ground.surround()
        ground.make_ready(1)
        ground.tell_peer(share=0.1)
        ground.start_nursery("nursery", "relay", "relay", only=["lease", "record"])
        deaths = Deaths(ground.points)
        # How far a relay gets before the other one has nothing left to leave it is the machine's.
        for _feed in range(FEEDS):
            ground.module("benchmarks.ledger_fill", "100", "--pace", "25")
            if all(deaths.is_done(critical, 1) for critical in WALKED):
                break
        assert wait_for(lambda: ground.outside.count(UNSETTLED) == 0, seconds=240)
        met = deaths.read()
        for critical in WALKED:
            points = met[critical.name]
            assert {"1", "2", COMMIT, ANSWER} <= set(points), points
        seen = Seen(ground.database.url, ground.books, (), Notes(), LEASE_S, {})
        assert [str(found) for found in ledger_checker.one_effect(seen)] == []
        assert [str(found) for found in ledger_checker.in_order(seen)] == []
        assert [str(found) for found in ledger_spoken.last_word(seen)] == []
    finally:
        ground.stop()
