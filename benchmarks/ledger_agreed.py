"""Whether two people agreed where two are asked for: seen from outside, as `ledger_checker` is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from benchmarks.ledger_notes import Answered
from benchmarks.ledger_rules import CAREFUL
from benchmarks.ledger_seen import Seen, Violation

_STATES: Final = {"approve": "APPROVED", "refuse": "REFUSED"}
# By the line the unit was seen on, not by what the product put before a second person.
_ALONE: Final = """
    SELECT u.serial, s.revision, s.kind, s.decider FROM traceability_disposition s
    JOIN traceability_unit u ON u.id = s.unit_id
    JOIN traceability_inspection i ON i.id = s.inspection_id
    JOIN traceability_line l ON l.id = i.line_id
    WHERE ((s.kind = 'SCRAP' AND l.code = %s) OR (s.kind = 'ACCEPT' AND s.concession IS NOT NULL))
    AND NOT EXISTS (SELECT 1 FROM traceability_disposition e WHERE e.unit_id = s.unit_id
        AND e.kind = 'SCRAP' AND s.kind = 'SCRAP' AND e.revision < s.revision)
    AND NOT EXISTS (SELECT 1 FROM review_approval a WHERE a.unit_id = s.unit_id
        AND a.state = 'APPROVED' AND a.decided_by_id <> a.asked_by_id
        AND a.kind = CASE s.kind WHEN 'SCRAP' THEN 'SCRAP' ELSE 'CONCESSION' END
        AND a.xmin::text = s.xmin::text)
    AND NOT EXISTS (SELECT 1 FROM mes_integration_meschange c WHERE c.unit_id = s.unit_id
        AND c.state IN ('OURS_STANDS', 'THEIRS_STANDS') AND c.xmin::text = s.xmin::text)
"""
_ANSWERS: Final = """
    SELECT a.uuid::text, a.state, coalesce(p.username, ''), count(DISTINCT s.id),
        min(s.kind), min(CASE a.kind WHEN 'SCRAP' THEN 'SCRAP' ELSE 'ACCEPT' END),
        min(u.serial), min(s.revision), count(DISTINCT e.id)
    FROM review_approval a JOIN traceability_unit u ON u.id = a.unit_id
    LEFT JOIN governance_user p ON p.id = a.decided_by_id
    LEFT JOIN traceability_disposition s
        ON s.unit_id = a.unit_id AND s.xmin::text = a.xmin::text
    LEFT JOIN governance_auditentry e ON e.xmin::text = a.xmin::text
        AND e.subject_kind = 'approval' AND e.subject = a.uuid::text
        AND e.action IN ('approval.approve', 'approval.refuse')
    WHERE a.state IN ('APPROVED', 'REFUSED') GROUP BY a.id, p.username
"""


def agreed_by_another(seen: Seen) -> Iterator[Violation]:
    """I3: what takes two people is disposed in the very commit in which the second agreed."""
    for serial, revision, kind, who in seen.rows(_ALONE, [CAREFUL]):
        yield Violation(
            "I3", f"revision {revision} of {serial}, {kind}, is the word of {who} alone"
        )


def told_by_two(seen: Seen) -> Iterator[Violation]:
    """I4: no peer holds a part accepted with its defect but by two people's names."""
    for target in seen.books:
        for key, serial, body in seen.in_book(
            target, "SELECT key, serial, body FROM effect WHERE disposition = 'ACCEPT' ORDER BY n"
        ):
            data = json.loads(body)["data"]
            if not data["nonconformities"] or key in seen.forgotten:
                continue
            given = data.get("concession") or {}
            names = {given.get("asked_by"), given.get("approved_by")} - {None, ""}
            if len(names) != 2:
                yield Violation("I4", f"{target} holds {serial} accepted by {names} alone")


def answered_once(seen: Seen) -> Iterator[Violation]:
    """I2, I3: a question has one answer, whole or not there; a refused one disposes of nothing."""
    of_question: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for told in _taken(seen):
        of_question[told.approval].add((told.who, told.act))
    for approval, answers in of_question.items():
        if len(answers) > 1:
            yield Violation("I2", f"{approval} was answered {sorted(answers)}")
    for approval, state, _who, made, kind, wanted, serial, _revision, entries in seen.rows(
        _ANSWERS
    ):
        if (made, kind) != ((1, wanted) if state == "APPROVED" else (0, None)):
            yield Violation("I3", f"{approval} of {serial} is {state}, with {made} times {kind}")
        if entries != 1:
            yield Violation("I3", f"{approval} of {serial} has {entries} entries of its commit")


def answers_are_true(seen: Seen) -> Iterator[Violation]:
    """I12, I13: who was told that his answer counts finds it written, and nobody else does."""
    rows = {row[0]: (row[2], row[1]) for row in seen.rows(_ANSWERS)}
    taken = {(told.approval, told.who, told.act) for told in _taken(seen)}
    for approval, who, act in taken:
        if rows.get(approval) != (who, _STATES[act]):
            yield Violation("I13", f"{who} was told that {act} counts: {rows.get(approval)}")
    known = {approval for approval, _who, _act in taken}
    for approval in rows.keys() - known:
        yield Violation("I13", f"{approval} is {rows[approval]}, and nobody was told")
    for told in seen.notes.answered:
        if told.status == 200:
            said = (told.answer.get("decided_by"), told.answer.get("state"))
            if said != (told.who, _STATES[told.act]):
                yield Violation("I12", f"{told.who} pressed {told.act} and was answered {said}")
        elif told.status != 409:
            yield Violation("I13", f"{told.act} was answered {told.status} {told.answer}")
        elif (told.approval, told.who, told.act) not in taken and (
            rows.get(told.approval) == (told.who, _STATES[told.act])
        ):
            yield Violation("I13", f"{told.who} was refused to {told.act}, and it is written")


def approved_arrives(seen: Seen) -> Iterator[Violation]:
    """I4: what was agreed reaches each peer once, or is contained in a later word; refused, never.

    A later word may leave in its place; that it says the same is `last_word`.
    """
    for target in seen.books:
        of_revision: dict[tuple[str, int], int] = defaultdict(int)
        latest: dict[str, int] = defaultdict(int)
        for _n, key, serial, revision, _kind in seen.effects(target):
            if key not in seen.forgotten:
                of_revision[serial, revision] += 1
                latest[serial] = max(latest[serial], revision)
        for approval, state, _who, _made, _kind, _wanted, serial, revision, _e in seen.rows(
            _ANSWERS
        ):
            if state != "APPROVED" or revision is None:
                continue
            times = of_revision[serial, revision]
            if times != 1 and (times, latest[serial] > revision) != (0, True):
                yield Violation("I4", f"{approval}: {target} holds {serial} {revision} {times}x")


def _taken(seen: Seen) -> list[Answered]:
    return [told for told in seen.notes.answered if told.status == 200]


CHECKS: Final = (
    *(agreed_by_another, told_by_two, answered_once, answers_are_true),
    approved_arrives,
)
AT_ANY_TIME: Final = (agreed_by_another, told_by_two)
