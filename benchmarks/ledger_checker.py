"""Whether anything was lost, doubled or overtaken: seen from outside, after all came to rest.

It reads tables, the peer's book, the queue's figures and what clients were told; it knows nothing
of the product's code. Each check is named after the invariant it stands for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from benchmarks import ledger_agreed, ledger_spoken
from benchmarks.ledger_notes import Claimed, Said
from benchmarks.ledger_seen import TAKEN, Seen, Violation

_REFUSED: Final = (404, 409)
# A part is used as it is neither on images from before its rework nor while asked about elsewhere.
_REFUSED_CONCESSION: Final = (*_REFUSED, 422)
# What a person has still to do something about; no fault of this programme leads there.
UNSETTLED: Final = """
    SELECT w.uuid, w.state, w.attempts, w.last_error FROM mes_integration_writeback w
    WHERE w.state NOT IN ('ACKNOWLEDGED', 'WITHDRAWN', 'SUPERSEDED') LIMIT 20
"""


def check(seen: Seen) -> list[Violation]:
    """Every invariant of this product that can be seen in the tables and books."""
    return [violation for one in CHECKS for violation in one(seen)]


def each_message_once(seen: Seen) -> Iterator[Violation]:
    """I1: an event is one prediction or one dead letter, and asks a person once."""
    taken = Counter(e for (e,) in seen.rows("SELECT event_id FROM traceability_prediction"))
    letters = Counter(
        m
        for (m,) in seen.rows(
            "SELECT split_part(message_id, '#', 1) FROM inference_bridge_deadletter"
        )
    )
    dead_of: dict[str, int] = defaultdict(int)
    sent_as: dict[str, list[str]] = defaultdict(list)
    for sent in seen.sent:
        if sent.is_poison:
            if letters[sent.message] != 1 or (sent.event and taken[sent.event]):
                yield Violation(
                    "I1", f"{sent.kind} {sent.message}: {letters[sent.message]} dead letters"
                )
        else:
            dead_of[sent.event] += letters[sent.message]
            sent_as[sent.event].append(sent.message)
    for event, dead in dead_of.items():
        if (taken[event], dead) != (1, 0):
            times = [seen.given_out(each) for each in sent_as[event]] if seen.given_out else []
            yield Violation(
                "I1", f"event {event}: {taken[event]} taken, {dead} dead letters, given out {times}"
            )
    for inspection, tasks in seen.rows("""
        SELECT i.external_id, count(t.id) FROM traceability_inspection i
        LEFT JOIN review_reviewtask t ON t.inspection_id = i.id AND t.purpose = 'FIRST'
        WHERE EXISTS (SELECT 1 FROM traceability_capture c JOIN traceability_prediction p
            ON p.capture_id = c.id WHERE c.inspection_id = i.id AND p.route <> 'PASS')
        GROUP BY i.id HAVING count(t.id) <> 1
    """):
        yield Violation("I1", f"inspection {inspection} is asked about {tasks} times")


def one_verdict_a_claim(seen: Seen) -> Iterator[Violation]:
    """I2: at most one verdict for each claim of a task, one standing, and it is the unit's."""
    for task, fence, count in seen.rows("""
        SELECT task_id, fence, count(*) FROM review_decision GROUP BY 1, 2 HAVING count(*) > 1
    """):
        yield Violation("I2", f"task {task} fence {fence} has {count} verdicts")
    for serial, says, last in seen.rows("""
        SELECT u.serial, u.disposition, s.kind FROM traceability_unit u
        JOIN LATERAL (SELECT kind FROM traceability_disposition d WHERE d.unit_id = u.id
            AND NOT EXISTS (SELECT 1 FROM traceability_dispositionwithdrawal x
                WHERE x.disposition_id = d.id) ORDER BY revision DESC LIMIT 1) s ON true
        WHERE u.disposition <> s.kind
    """):
        yield Violation("I2", f"unit {serial} stands at {says}, its last disposition is {last}")


def one_transaction(seen: Seen) -> Iterator[Violation]:
    """I3: a verdict, its disposition, its outbox rows and their audit entries are one commit.

    Whom a choice between two systems is told to is `ledger_spoken.choice_is_whole`.
    """
    for task, missing in seen.rows("""
        SELECT t.uuid, CASE WHEN s.id IS NULL THEN 'disposition of its own transaction'
            ELSE 'audit entry of its own transaction' END
        FROM review_decision d JOIN review_reviewtask t ON t.id = d.task_id
        LEFT JOIN traceability_disposition s
            ON s.id = d.disposition_id AND s.xmin::text = d.xmin::text
        LEFT JOIN governance_auditentry a ON a.xmin::text = d.xmin::text
            AND a.action = 'task.decide' AND a.subject = t.uuid::text
        WHERE a.id IS NULL OR (s.id IS NULL AND d.disposition_id IS NOT NULL)
    """):
        yield Violation("I3", f"a verdict on {task} has no {missing}")
    for revision, serial, rows in seen.rows(
        """
        SELECT s.revision, u.serial, count(w.id) FROM traceability_disposition s
        JOIN traceability_unit u ON u.id = s.unit_id
        LEFT JOIN (mes_integration_writeback w JOIN governance_auditentry a
            ON a.action = 'write_back.enqueue' AND a.detail->>'write_back' = w.uuid::text)
            ON w.disposition_id = s.id AND a.xmin::text = s.xmin::text
        WHERE NOT EXISTS (SELECT 1 FROM mes_integration_meschange c
            WHERE c.unit_id = s.unit_id AND c.xmin::text = s.xmin::text)
        GROUP BY s.id, u.serial HAVING count(w.id) <> %s
        """,
        [len(seen.books)],
    ):
        yield Violation("I3", f"revision {revision} of {serial} has {rows} whole outbox rows")


def one_effect(seen: Seen) -> Iterator[Violation]:
    """I4: what is acknowledged was applied once; what was taken back or replaced, never."""
    for target in seen.books:
        yield from _one_effect(seen, target)


def _one_effect(seen: Seen, target: str) -> Iterator[Violation]:
    rows = {
        str(key): (state, serial, revision, kind)
        for key, state, serial, revision, kind in seen.rows(
            """
            SELECT w.uuid, w.state, u.serial, w.revision, s.kind FROM mes_integration_writeback w
            JOIN traceability_unit u ON u.id = w.unit_id
            JOIN traceability_disposition s ON s.id = w.disposition_id WHERE w.target = %s
            """,
            [target],
        )
    }
    effects = seen.effects(target)
    counted = Counter(key for _n, key, *_rest in effects)
    for key, (state, serial, revision, _kind) in rows.items():
        wanted = {"ACKNOWLEDGED": 1, "WITHDRAWN": 0, "SUPERSEDED": 0, "REJECTED": 0}.get(state)
        if wanted is not None and counted[key] != wanted:
            yield Violation(
                "I4", f"revision {revision} of {serial} ({key}, {state}): {counted[key]} effects"
            )
    of_revision: Counter[tuple[str, int]] = Counter()
    for _n, key, serial, revision, kind in effects:
        if key in seen.forgotten:
            continue
        of_revision[serial, revision] += 1
        if key not in rows:
            yield Violation("I4", f"the peer holds {serial} {revision} under {key}, nobody's key")
        elif rows[key][1:] != (serial, revision, kind):
            yield Violation("I4", f"the peer holds {key} as {serial} {revision} {kind}")
    for (serial, revision), count in of_revision.items():
        if count > 1:
            yield Violation("I4", f"revision {revision} of {serial} was applied {count} times")


def in_order(seen: Seen) -> Iterator[Violation]:
    """I5: a unit's effects come in the order of its revisions."""
    for target in seen.books:
        last: dict[str, int] = {}
        for _n, key, serial, revision, _kind in seen.effects(target):
            if key in seen.forgotten:
                continue
            if last.get(serial, 0) > revision:
                yield Violation("I5", f"{serial}: {revision} was applied after {last[serial]}")
            last[serial] = revision


def no_stale_fence(seen: Seen) -> Iterator[Violation]:
    """I6: nobody's verdict counts after somebody else was given the task, nor a stranger's."""
    given: dict[str, list[Claimed]] = defaultdict(list)
    for claimed in seen.notes.claimed:
        given[claimed.task].append(claimed)
    for said in seen.notes.said:
        if said.status not in TAKEN:
            continue
        if said.who < 0:
            yield Violation("I6", f"a stranger judged {said.task}")
        later = [c for c in given[said.task] if c.fence > said.fence and c.told < said.asked]
        if later and said.status == 201:
            yield Violation("I6", f"fence {said.fence} judged {said.task} after {later[0].fence}")


def deleted_after_commit(seen: Seen) -> Iterator[Violation]:
    """I7: no message was deleted before what it leads to was written."""
    for line in seen.deleted_early:
        yield Violation("I7", line)


def audited(seen: Seen) -> Iterator[Violation]:
    """I8, as far as there is a chain: every change of state has its entry, none is left over."""
    counted = dict(seen.rows("SELECT action, count(*) FROM governance_auditentry GROUP BY 1"))
    settled = dict(seen.rows("SELECT state, count(*) FROM mes_integration_writeback GROUP BY 1"))
    by_hand = counted.get("write_back.settle", 0)
    pairs = {
        "task.decide": _count(seen, "review_decision"),
        "task.undo": _count(seen, "review_decisionwithdrawal"),
        "unit.dispose": _count(seen, "traceability_disposition"),
        "unit.withdraw_disposition": _count(seen, "traceability_dispositionwithdrawal"),
        "write_back.enqueue": _count(seen, "mes_integration_writeback"),
        "approval.ask": _count(seen, "review_approval"),
        "approval.approve": _count(seen, "review_approval WHERE state = 'APPROVED'"),
        "approval.refuse": _count(seen, "review_approval WHERE state = 'REFUSED'"),
        "approval.withdraw": _count(seen, "review_approval WHERE state = 'WITHDRAWN'"),
        "approval.overtake": _count(seen, "review_approval WHERE state = 'OVERTAKEN'"),
        "mes_change.record": _count(seen, "mes_integration_meschange"),
        # What was agreed from the start was never open.
        "mes_change.resolve": _count(seen, "mes_integration_meschange WHERE reason <> ''"),
        "write_back.acknowledge": settled.get("ACKNOWLEDGED", 0) - by_hand,
        "write_back.withdraw": settled.get("WITHDRAWN", 0),
        "write_back.supersede": settled.get("SUPERSEDED", 0),
        "dead_letter.keep": _count(seen, "inference_bridge_deadletter"),
    }
    for action, rows in pairs.items():
        if counted.get(action, 0) != rows:
            yield Violation("I8", f"{counted.get(action, 0)} entries {action} for {rows} changes")


def _count(seen: Seen, rows: str) -> int:
    return seen.count(f"SELECT count(*) FROM {rows}")  # noqa: S608  # our own names


def labelled(seen: Seen) -> Iterator[Violation]:
    """I9, as far as the ledger goes: a verdict that says something left a label, once."""
    for decision, labels in seen.rows("""
        SELECT d.uuid, count(l.id) FROM review_decision d
        LEFT JOIN labeling_label l ON l.decision = d.uuid
        GROUP BY d.id HAVING (d.answer = 'INCONCLUSIVE') <> (count(l.id) = 0)
    """):
        yield Violation("I9", f"verdict {decision} has {labels} labels")


def same_answer(seen: Seen) -> Iterator[Violation]:
    """I12: one key has one answer, however often it is pressed."""
    by_key: dict[str, list[Said]] = defaultdict(list)
    for said in seen.notes.said:
        by_key[said.key].append(said)
    for key, answers in by_key.items():
        told = {
            (s.answer.get("decision"), s.answer.get("disposition"), s.answer.get("revision"))
            if s.status in TAKEN
            else (s.status, s.answer.get("code"), None)
            for s in answers
        }
        if len(told) > 1:
            yield Violation("I12", f"key {key} was answered {told}")


def told_the_truth(seen: Seen) -> Iterator[Violation]:
    """I13: what a client was told is written, what it was refused is not, and nothing beside."""
    rows = {
        key: (str(decision), kind, revision)
        for key, decision, kind, revision in seen.rows("""
            SELECT d.idempotency_key, d.uuid, s.kind, s.revision FROM review_decision d
            LEFT JOIN traceability_disposition s ON s.id = d.disposition_id
        """)
    }
    known = set()
    for said in seen.notes.said:
        known.add(said.key)
        if said.status in TAKEN:
            told = tuple(said.answer.get(n) for n in ("decision", "disposition", "revision"))
            if rows.get(said.key) != told:
                yield Violation("I13", f"key {said.key} was told {told}: {rows.get(said.key)}")
        elif said.key in rows:
            yield Violation("I13", f"key {said.key} was refused {said.status} and is written")
        elif said.status not in (_REFUSED_CONCESSION if said.body.get("concession") else _REFUSED):
            yield Violation("I13", f"key {said.key} was answered {said.status} {said.answer}")
    for key in rows.keys() - known:
        yield Violation("I13", f"a verdict under {key} that nobody was told of")
    withdrawn = {
        str(d)
        for (d,) in seen.rows(
            "SELECT d.uuid FROM review_decisionwithdrawal w"
            " JOIN review_decision d ON d.id = w.decision_id"
        )
    }
    for decision in set(seen.notes.undone) - withdrawn:
        yield Violation("I13", f"{decision} was said to be taken back, and is not")


def never_broken(seen: Seen) -> Iterator[Violation]:
    """I13: whatever is struck, an answer says what is the matter; 500 says nothing."""
    for what in seen.notes.broken:
        yield Violation("I13", what)


def no_lease_taken_early(seen: Seen) -> Iterator[Violation]:
    """I14: a task is not given to another before its lease has run out, whoever's clock is wrong.

    Counted from before it was asked for to after it was given: always to the product's favour.
    """
    given = {(c.task, c.fence): c for c in seen.notes.claimed}
    decided = {(s.task, s.fence) for s in seen.notes.said if s.status in TAKEN}
    for (task, fence), claimed in given.items():
        following = given.get((task, fence + 1))
        if following is None or (task, fence) in decided | seen.notes.given_back:
            continue
        if following.told < claimed.asked + seen.lease_s:
            early = claimed.asked + seen.lease_s - following.told
            yield Violation("I14", f"{task} was taken from its holder {early:.2f} s too early")


CHECKS: Final = (
    *(each_message_once, one_verdict_a_claim, one_transaction, one_effect, in_order),
    *(no_stale_fence, deleted_after_commit, audited, labelled, same_answer, told_the_truth),
    *(never_broken, no_lease_taken_early),
    *ledger_agreed.CHECKS,
    *ledger_spoken.CHECKS,
)
# Those that no step in between may break either.
AT_ANY_TIME: Final = (
    *(
        one_effect,
        in_order,
        no_stale_fence,
        deleted_after_commit,
        same_answer,
        no_lease_taken_early,
    ),
    *ledger_agreed.AT_ANY_TIME,
)
