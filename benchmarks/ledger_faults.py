"""`make faults`: a plant under every fault; what it tells the MES is not lost, doubled, overtaken.

Names, values and units come out tab-separated; the seed that is printed first repeats the order of
the faults. A run that fails keeps its history as a file, and ends with 1.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import ledger_database, ledger_outage, ledger_planted, ledger_restore
from benchmarks.figures import Figure, show
from benchmarks.ledger_crashing import FREQUENT
from benchmarks.ledger_figures import MUST_COME
from benchmarks.ledger_run import Run, Tier
from benchmarks.ledger_seen import Violation
from benchmarks.ledger_strikes import Plan
from tests.faults.plant import ROOT

TIERS: Final = {
    "small": Tier(150, Plan(kills=12, stops=2, restarts=1, seconds=12), only=FREQUENT),
    "change": Tier(3000, Plan(kills=100, stops=10, restarts=5, seconds=170)),
    "nightly": Tier(30_000, Plan(kills=1000, stops=100, restarts=50, seconds=1300), rounds=20),
    "release": Tier(300_000, Plan(kills=10_000, stops=1000, restarts=300, seconds=13_000), 100),
}
TARGETS: Final = ("mes", "qms")
PARTS: Final = ("programme", "restore", "outage", "planted")
SHOWN: Final = 40
# Messages from which on a run meets everything.
LONG: Final = 1000


def main() -> None:
    """Everything that was asked for; 1 when anything was violated."""
    given = _asked()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    may_mount = ledger_database.own_mounts()
    seed, queued = given.seed, given.outage
    print(f"# seed {seed}", flush=True)
    violations: list[Violation] = []
    if "programme" in given.only:
        tier = _tier(given)
        run = Run(tier, seed, may_mount=may_mount, targets=TARGETS[: given.targets])
        figures = run.everything()
        show(figures)
        violations += [*run.violations, *_never_met(figures, tier)]
    if "restore" in given.only:
        violations += _beside(lambda folder: ledger_restore.measure(folder, ROOT, seed))
    if "outage" in given.only:
        violations += _beside(lambda folder: ledger_outage.measure(folder, ROOT, seed, queued))
    if "planted" in given.only:
        violations += _beside(lambda folder: ledger_planted.measure(folder, seed, given.defect))
    for violation in violations[:SHOWN]:
        print(f"# {violation}", flush=True)
    if violations:
        sys.exit(1)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_faults")
    parser.add_argument("--tier", choices=TIERS, default="change")
    parser.add_argument("--messages", type=int, help="instead of the tier's")
    parser.add_argument("--kills", type=int, help="instead of the tier's")
    parser.add_argument("--seconds", type=float, help="how long it is struck at most")
    parser.add_argument("--targets", type=int, choices=(1, 2), default=1, help="told of each")
    parser.add_argument("--outage", type=int, default=ledger_outage.QUEUED, help="write-backs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--defect", default="", help="of the planted ones those whose name has it")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    return parser.parse_args()


def _tier(given: argparse.Namespace) -> Tier:
    tier = TIERS[given.tier]
    plan = replace(
        tier.plan,
        kills=given.kills or tier.plan.kills,
        seconds=given.seconds or tier.plan.seconds,
    )
    return replace(tier, messages=given.messages or tier.messages, plan=plan)


def _never_met(figures: Iterable[Figure], tier: Tier) -> list[Violation]:
    """What a run of that length has to come to, and did not."""
    if tier.messages < LONG:
        return []
    values = {figure.name: figure.value for figure in figures}
    missing = [name for name in MUST_COME if not values[name]]
    found = [Violation("I15", f"{name} is 0: nothing is shown of it") for name in missing]
    left = values["faults.crash_walks_left"]
    if left and tier.rounds > 1:
        found.append(Violation("I15", f"{left:.0f} crash walks are left"))
    return found


def _beside(measure: Callable[[Path], Iterable[Figure | Violation]]) -> list[Violation]:
    """A part on plants of its own: its figures are printed, what it violates comes back."""
    folder = Path(tempfile.mkdtemp(prefix="loupe-ledger-"))
    violations = []
    try:
        for found in measure(folder):
            if isinstance(found, Figure):
                show([found])
            else:
                violations.append(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return violations


if __name__ == "__main__":
    main()
