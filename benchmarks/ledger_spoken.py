"""Whether what the MES says by itself, and what a lead says to it, came to what it should."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.ledger_seen import TAKEN, Seen, Violation

_ROWS: Final = """
    SELECT w.uuid::text, w.target, w.state, w.reference, (SELECT count(*)
        FROM governance_auditentry e WHERE e.subject = u.serial AND e.subject_kind = 'unit'
        AND e.action = 'write_back.acknowledge' AND e.detail->>'write_back' = w.uuid::text)
    FROM mes_integration_writeback w JOIN traceability_unit u ON u.id = w.unit_id
    WHERE w.uuid = ANY(%s::uuid[])
"""
_CONTRADICTIONS: Final = """
    SELECT w.uuid::text, c.word #>> '{}', c.reference, count(*)
    FROM mes_integration_meschange c JOIN mes_integration_writeback w ON w.id = c.write_back_id
    WHERE c.about = 'ACKNOWLEDGEMENT' GROUP BY 1, 2, 3
"""
_CHANGES: Final = """
    SELECT c.uuid::text, c.event_id, c.state, c.reason, c.about, c.target, c.kind, u.serial,
        array(SELECT s.kind FROM traceability_disposition s
            WHERE s.unit_id = c.unit_id AND s.xmin::text = c.xmin::text),
        array(SELECT w.target FROM mes_integration_writeback w
            JOIN traceability_disposition s ON s.id = w.disposition_id
            WHERE s.unit_id = c.unit_id AND s.xmin::text = c.xmin::text ORDER BY 1)
    FROM mes_integration_meschange c JOIN traceability_unit u ON u.id = c.unit_id
"""
_STANDING: Final = """
    SELECT u.serial, d.revision, d.kind,
        EXISTS (SELECT 1 FROM mes_integration_meschange c
            WHERE c.unit_id = u.id AND c.xmin::text = d.xmin::text),
        array(SELECT w.target FROM mes_integration_writeback w WHERE w.disposition_id = d.id)
    FROM traceability_unit u JOIN traceability_disposition d ON d.unit_id = u.id
    WHERE NOT EXISTS (SELECT 1 FROM traceability_dispositionwithdrawal x
        WHERE x.disposition_id = d.id) ORDER BY u.id, d.revision
"""


def word_closes_once(seen: Seen) -> Iterator[Violation]:
    """I4: an acknowledgement that came by itself closes one row, once, under the name it gave.

    That it brings no second effect is `one_effect`.
    """
    new = Counter(w.key for w in seen.notes.words if w.is_true and w.status == 201)
    for key, times in new.items():
        if times > 1:
            yield Violation("I4", f"{key} was new {times} times")
    told = {}
    for word in seen.notes.words:
        if word.is_true and word.status in TAKEN:
            told[word.key] = word
        elif word.is_true:
            about = f"the truth of {word.key}"
            yield Violation("I13", f"{about} was answered {word.status} {word.answer}")
    rows = {key: rest for key, *rest in seen.rows(_ROWS, [list(told)])}
    for key, word in told.items():
        if rows.get(key) != [word.target, "ACKNOWLEDGED", word.reference, 1]:
            yield Violation("I13", f"{key} was taken as {word.reference}: {rows.get(key)}")


def first_word_stands(seen: Seen) -> Iterator[Violation]:
    """I13: a word against what is known is refused, and kept for a person once."""
    kept = {(key, state, name): n for key, state, name, n in seen.rows(_CONTRADICTIONS)}
    said = set()
    for word in seen.notes.words:
        if word.is_true:
            continue
        said.add((word.key, word.state, word.reference))
        if word.status != 409:
            yield Violation("I13", f"{word.state} against {word.key} was answered {word.status}")
        elif kept.get((word.key, word.state, word.reference)) != 1:
            yield Violation("I13", f"{word.state} against {word.key} is not kept for a person once")
    for key, state, name in kept.keys() - said:
        yield Violation("I13", f"nobody said {state} {name} against {key}")


def change_is_kept(seen: Seen) -> Iterator[Violation]:
    """I13: what was changed over there and was taken is there, once."""
    kept = Counter((event, serial) for _u, event, *_s, serial, _made, _t in seen.rows(_CHANGES))
    for changed in seen.notes.changed:
        if changed.status not in TAKEN:
            yield Violation("I13", f"a change was answered {changed.status} {changed.answer}")
        elif kept[changed.event, changed.serial] != 1:
            yield Violation("I13", f"the change {changed.event} of {changed.serial} is not there")


def settled_once(seen: Seen) -> Iterator[Violation]:
    """I2, I13: a conflict is settled by one person's press, and what he said stands."""
    rows = {uuid: (state, reason) for uuid, _e, state, reason, *_rest in seen.rows(_CHANGES)}
    taken: dict[str, list[str]] = defaultdict(list)
    for settled in seen.notes.settled:
        state, reason = rows.get(settled.change, ("", ""))
        is_his = reason == settled.reason
        if settled.status == 302:
            taken[settled.change].append(settled.act)
            right = {"OURS_STANDS"} if settled.act == "ours" else {"THEIRS_STANDS", "AGREED"}
            if not is_his or state not in right:
                yield Violation("I13", f"{settled.act} was taken, {settled.change} is {state}")
        elif settled.status not in (404, 409):
            yield Violation("I13", f"a choice was answered {settled.status} {settled.answer}")
        elif settled.is_once and is_his:
            yield Violation("I13", f"{settled.act} was refused and {settled.change} is {state}")
    for change, acts in taken.items():
        if len(acts) > 1:
            yield Violation("I2", f"{change} was settled {acts}")


def choice_is_whole(seen: Seen) -> Iterator[Violation]:
    """I3: a choice, what the unit becomes by it and whom that is told to are one commit."""
    for uuid, _event, state, _reason, _about, target, kind, serial, made, told in seen.rows(
        _CHANGES
    ):
        others = sorted(set(seen.books) - {target})
        is_right = {
            "OURS_STANDS": len(made) == 1 and told == [target],
            "THEIRS_STANDS": made == [kind] and told in (others, sorted(seen.books)),
        }.get(state, not made)
        if not is_right:
            yield Violation("I3", f"{uuid} of {serial} is {state}: {made}, told to {told}")


@dataclass(frozen=True)
class _Held:
    """What a peer has of a unit; `revision` 0: its own people have changed it."""

    at: float
    revision: int
    kind: str


def last_word(seen: Seen) -> Iterator[Violation]:
    """I5: in the end each peer has a unit as it stands, told so or changed there by its people."""
    standing: dict[str, tuple[int, str]] = {}
    due: dict[tuple[str, str], int] = {}
    for serial, revision, kind, is_choice, targets in seen.rows(_STANDING):
        standing[serial] = (revision, kind)
        for target in targets if is_choice else seen.books:
            due[target, serial] = revision
    for target in seen.books:
        told = _told(seen, target)
        held = {**told}
        for changed in seen.notes.changed:
            last = held.get(changed.serial)
            if changed.target == target and (last is None or changed.at > last.at):
                held[changed.serial] = _Held(changed.at, 0, changed.kind)
        for serial, (revision, kind) in standing.items():
            last, word = held.get(serial), told.get(serial)
            if last is None or last.kind != kind or (word is None and (target, serial) in due):
                yield Violation(
                    "I5", f"{serial} stands at {revision} {kind}, at {target} it is {last}"
                )
            elif word is not None and word.revision != due.get((target, serial)):
                yield Violation("I5", f"{serial}: {target} was told {word.revision} last")


def _told(seen: Seen, target: str) -> dict[str, _Held]:
    query = "SELECT at, key, serial, revision, disposition FROM effect ORDER BY n"
    return {
        serial: _Held(at, revision, kind)
        for at, key, serial, revision, kind in seen.in_book(target, query)
        if key not in seen.forgotten
    }


CHECKS: Final = (
    *(word_closes_once, first_word_stands, change_is_kept, settled_once, choice_is_whole),
    last_word,
)
