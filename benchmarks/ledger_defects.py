"""Defects that the fault programme has to find, as exact replacements in a copy of the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.ledger_people import SHARES
from benchmarks.ledger_strikes import Plan

TURNS: Final = "mes_integration/turns.py"
RELAY: Final = "mes_integration/relay.py"
KILLS: Final = Plan(kills=10, stops=0, restarts=0, seconds=15, with_once=False, latest=6)
LATE: Final = {"share": 0.5, "faults": ("late", "gateway")}
FAILING: Final = {"share": 0.6, "faults": ("500_before", "500_after", "reset_after")}


@dataclass(frozen=True)
class Defect:
    """Exact replacements, and the invariants by which it may be found."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    breaks: tuple[str, ...]
    plan: Plan = KILLS
    # How the MES misbehaves.
    peer: Mapping[str, object] = field(default_factory=lambda: {"share": 0.35})
    acts: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    # What leads press, and what the MES says by itself, where that is more than usual.
    presses: Mapping[str, float] = field(default_factory=dict)
    speaks: Mapping[str, float] = field(default_factory=dict)


_HOST_CLOCK: Final = (
    (RELAY, "    return _clock.now()\n", "    return datetime.now().astimezone()\n"),
    (RELAY, "    at = _clock.read()\n", "    at = _now()\n"),
)
_DONE_ALL_THE_SAME: Final = """\
        drafts = [_draft(approval, actor, at=at)]
        dispositions.dispose_all(trail=trail, drafts=drafts, due_at=at)
        _ask_a_lead(trail, approval)
"""
DEFECTS: Final = (
    Defect(
        "a message is deleted before the commit",
        (
            (
                "inference_bridge/consumer.py",
                "        outcomes = intake.take(\n",
                "        self._delete([m.receipt for m in received]);outcomes = intake.take(\n",
            ),
        ),
        ("I7", "I1"),
    ),
    Defect(
        "what may have arrived is sent again without asking",
        (
            (
                "mes_integration/transitions.py",
                "    if last not in MAY_HAVE_ARRIVED:\n        return Step.POST\n",
                "    if last is None or last:\n        return Step.POST\n",
            ),
        ),
        ("I4",),
    ),
    Defect(
        "a 5xx counts as not taken",
        (
            (
                "mes_integration/transitions.py",
                "        case TryLater(may_have_arrived=True):\n",
                "        case TryLater(may_have_arrived=True, status=0):\n",
            ),
        ),
        ("I4",),
    ),
    Defect(
        "the uncertain is asked for at once",
        (
            (
                "mes_integration/messages.py",
                "    return timedelta(seconds=target_of(row).quarantine_s or longest)\n",
                "    return timedelta(seconds=0 * longest)\n",
            ),
        ),
        ("I4",),
        peer=LATE,
    ),
    Defect(
        "a relay goes by the clock of its host",
        _HOST_CLOCK,
        ("I4",),
        peer=LATE,
    ),
    Defect(
        "a lease runs out by the clock of the host",
        (
            *_HOST_CLOCK,
            (
                "mes_integration/leases.py",
                "state=State.SENDING, lease_expires_at__lt=Now()",
                "state=State.SENDING, lease_expires_at__lt=at",
            ),
        ),
        ("I14",),
    ),
    Defect(
        "a unit's later word overtakes its earlier one",
        (
            (TURNS, "w.revision = 1 OR NOT EXISTS", "w.revision >= 1 OR NOT EXISTS"),
            (
                "mes_integration/succession.py",
                "row.attempts and _may_be_overtaken(row)",
                "row.attempts < 0",
            ),
            (
                TURNS,
                "            return None\n        before",
                "            continue\n        before",
            ),
        ),
        ("I4", "I5"),
        peer=FAILING,
    ),
    Defect(
        "one that may have arrived is superseded",
        (
            (
                TURNS,
                "        AND NOT EXISTS (\n            SELECT FROM {_table(DeliveryAttempt)}",
                "        OR EXISTS (\n            SELECT FROM {_table(DeliveryAttempt)}",
            ),
        ),
        ("I4", "I5"),
        peer=FAILING,
    ),
    Defect(
        "each attempt has a key of its own",
        (
            (
                "mes_integration/messages.py",
                "        return Message(str(row.uuid), record, row.message, profile)\n",
                "        return Message(f'{id(row)}', record, row.message, profile)\n",
            ),
        ),
        ("I4",),
    ),
    Defect(
        "a 202 without a reference settles",
        (
            (
                "mes_integration/adapters/http.py",
                "        if 200 <= status < 300:\n            return Uncertain(\n",
                "        if 200 <= status < 300:\n            return Applied('it') or Uncertain(\n",
            ),
        ),
        ("I4", "I5"),
    ),
    Defect(
        "the outbox row is written after the commit",
        (
            (
                "mes_integration/outbox.py",
                "    insert_all(rows)\n",
                "    transaction.on_commit(lambda: insert_all(rows))\n",
            ),
            (
                "mes_integration/outbox.py",
                "from django.db.models import ",
                "from django.db import transaction\nfrom django.db.models import ",
            ),
        ),
        ("I3", "I5", "I8"),
    ),
    Defect(
        "a verdict counts by whatever claim",
        (
            ("review/taking.py", "AND t.fence = %(fence)s", "AND %(fence)s > 0"),
            (
                "review/taking.py",
                "(t.state = 'LEASED' AND t.holder_id = %(holder)s\n",
                "(t.state = 'LEASED' AND %(holder)s > 0\n",
            ),
        ),
        ("I6", "I13"),
    ),
    Defect(
        "a verdict that was recorded is not known again",
        (
            (
                "review/decisions.py",
                "    if (earlier := _replayed(actor, key, digest)) is not None:\n",
                "    if (earlier := None) is not None:\n",
            ),
        ),
        ("I12", "I13"),
    ),
    Defect(
        "a claim takes what somebody holds",
        (
            (
                "review/queue.py",
                "t.state = 'QUEUED' OR t.lease_expires_at < clock_timestamp()",
                "t.state = 'QUEUED' OR t.lease_expires_at IS NOT NULL",
            ),
        ),
        ("I14",),
    ),
    Defect(
        "what is taken back goes to the MES all the same",
        (
            (
                "mes_integration/outbox.py",
                "state=WriteBack.State.WITHDRAWN, settled_at=trail.at",
                "due_at=trail.at",
            ),
            (
                "mes_integration/outbox.py",
                " or any(state != WriteBack.State.WITHDRAWN for _uuid, _target, state in left)",
                "",
            ),
        ),
        ("I3", "I4", "I5", "I8"),
        acts={"undo": 0.6},
    ),
    Defect(
        "what cannot be read is forgotten",
        (
            (
                "inference_bridge/dead_letters.py",
                "    if not refused:\n        return 0\n",
                "    if len(refused) < 1000:\n        return 0\n",
            ),
        ),
        ("I1",),
    ),
    Defect(
        "what waits for a second person is told to the MES at once",
        (
            (
                "review/approvals.py",
                "    return replace(ruling, kind=DispositionKind.HOLD, why=why)\n",
                "    return replace(ruling, why=why)\n",
            ),
        ),
        ("I3",),
    ),
    Defect(
        "what was refused is done all the same",
        (
            (
                "review/approvals.py",
                "        _ask_a_lead(trail, approval)\n",
                _DONE_ALL_THE_SAME,
            ),
        ),
        ("I3",),
        presses={"refuse": 0.6},
    ),
    Defect(
        "what the MES says against itself is believed",
        (
            (
                "mes_integration/inbound.py",
                "        sentence = _why_not(row, said)\n        changed =",
                "        sentence = ''\n        changed =",
            ),
        ),
        ("I13",),
        speaks={"word": 0.8, "against": 0.6},
    ),
    Defect(
        "ours stands, and the MES is not told so",
        (
            (
                "review/mes_conflicts.py",
                "        _dispose(trail, draft, without=others, reason=reason)\n",
                "        _dispose(trail, draft, without={*others, change.target}, reason=reason)\n",
            ),
        ),
        ("I3", "I5"),
        speaks={"change": 0.5},
    ),
)
