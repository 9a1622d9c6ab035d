"""What was done to a plant in one run of the fault programme, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.figures import Figure
from benchmarks.ledger_crashing import ANSWER, OF_ROLE, Deaths
from benchmarks.ledger_notes import Notes
from benchmarks.ledger_plant import Ground
from benchmarks.ledger_strikes import Striker

_ANSWERED: Final = "SELECT count(*) FROM review_approval WHERE state = '{}'"
_CHOSEN: Final = "SELECT count(*) FROM mes_integration_meschange WHERE state = '{}'"
# What a run of some length has to come to: without it, a product that refuses all would pass.
MUST_COME: Final = (
    *("faults.approved", "faults.refused", "faults.ours_stands", "faults.theirs_stands"),
    *("faults.verdicts", "faults.kills", "faults.mes_words"),
)


def of_run(
    ground: Ground,
    striker: Striker,
    notes: Notes,
    *,
    only: Sequence[str],
    sent: int,
    violations: int,
    took: float,
) -> list[Figure]:
    """Names, values and units; what is not come to its end is said beside."""
    count = ground.outside.count
    decisions = count("SELECT count(*) FROM traceability_disposition")
    deaths = Counter({name: len(points) for name, points in Deaths(ground.points).read().items()})
    left = list(_walks_left(ground, only))
    for line in left:
        print(f"# a walk is left: {line}", flush=True)
    queue = ground.queue_figures()
    done = striker.done
    return [
        Figure("faults.messages", sent, "1"),
        Figure("faults.decisions", decisions, "1"),
        Figure("faults.verdicts", count("SELECT count(*) FROM review_decision"), "1"),
        Figure("faults.approved", count(_ANSWERED.format("APPROVED")), "1"),
        Figure("faults.refused", count(_ANSWERED.format("REFUSED")), "1"),
        Figure("faults.mes_words", len(notes.words), "1"),
        Figure("faults.mes_changes", len({changed.event for changed in notes.changed}), "1"),
        Figure("faults.ours_stands", count(_CHOSEN.format("OURS_STANDS")), "1"),
        Figure("faults.theirs_stands", count(_CHOSEN.format("THEIRS_STANDS")), "1"),
        Figure("faults.crash_points", deaths.total(), "1"),
        Figure("faults.crash_walks_left", len(left), "1"),
        Figure("faults.kills", done["kill"] + done["kill_whole"] + deaths.total(), "1"),
        Figure("faults.stops", done["stop"], "1"),
        Figure("faults.db_restarts", done["restart"], "1"),
        Figure("faults.disk_full", done["fill_disk"], "1"),
        Figure("faults.connections_cut", done["reset"] + done["terminate"], "1"),
        Figure("faults.commits_unanswered", ground.wire("slice")["lost"], "1"),
        Figure("faults.queue_twice", queue.get("twice", 0), "1"),
        Figure("faults.deletes_lost", queue.get("lost", 0) + queue.get("expired", 0), "1"),
        Figure("faults.deletes_checked", queue.get("checked", 0), "1"),
        Figure("faults.answers_cut", notes.cut, "1"),
        Figure("faults.answers_503", notes.away, "1"),
        Figure("faults.violations", violations, "1"),
        Figure("faults.bound_95", 3 / max(1, decisions), "1"),
        Figure("faults.took", took, "s"),
    ]


def _walks_left(ground: Ground, only: Sequence[str]) -> Iterator[str]:
    """Transactions whose last point was not come to, and how far they were walked over."""
    met = Deaths(ground.points).read()
    for critical in (each for criticals in OF_ROLE.values() for each in criticals):
        points = met[critical.name]
        if only and critical.name not in only:
            continue
        if (times := points.count(ANSWER)) < ground.rounds:
            far = points[-1] if points else "nowhere"
            yield f"{critical.name} {times} of {ground.rounds} times, last at {far}"
