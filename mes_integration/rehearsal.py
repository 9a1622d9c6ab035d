"""A mapping tried on what was decided lately, before anybody is told anything with it."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mes_integration import canonical, messages
from mes_integration.mapping import Profile, Unmapped
from mes_integration.models import WriteBack
from mes_integration.targets import Target
from mes_integration.transitions import State
from mes_integration.veil import veiled
from traceability.models import Site

TRIED_ON: Final = 500
_SHOWN: Final = 3
_AROUND: Final = 2
"""Lines shown before and after a changed one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a message: `mark` is empty where both have it."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """One disposition said in two ways: what differs, and a few lines around it."""

    row: WriteBack
    before: Sequence[Line]
    after: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Blocked:
    """What the mapping has no word for, how often, and how often it had none before."""

    sentence: str
    count: int
    was: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a mapping would have made of the last dispositions."""

    of: int
    blocked: Sequence[Blocked]
    changed: int
    same: int
    freed: int
    sides: Sequence[Side]

    @property
    def blocking(self) -> int:
        """How many would not be sent."""
        return sum(each.count for each in self.blocked)


@dataclass(frozen=True, slots=True)
class _Said:
    body: dict[str, Any] | None
    why_not: str
    options: Mapping[str, Any]


def rehearse(
    *,
    site: Site,
    target: Target,
    before: Profile | None,
    after: Profile,
    withheld: Container[int] = (),
) -> Rehearsal:
    """Both mappings on the same dispositions, newest first; sends and changes nothing.

    `before` is None where what is in force cannot be read any more, and so says nothing. Of units
    `withheld` from who reads it, it is counted what was decided, and not shown.
    """
    rows = _specimens(site, target)
    facts = canonical.facts_of(rows)
    shared = messages.shared_lots(rows, *([before] if before else []), after)
    pairs = []
    for row, known in zip(rows, facts, strict=True):
        record = canonical.record_of(row, known)
        pairs.append((row, _said(row, before, record, shared), _said(row, after, record, shared)))
    spoken = [(row, old, new) for row, old, new in pairs if new.body is not None]
    changed = [(row, old, new) for row, old, new in spoken if old.body != new.body]
    return Rehearsal(
        of=len(rows),
        blocked=_blocked([old for _row, old, _new in pairs], [new for _row, _old, new in pairs]),
        changed=sum(old.body is not None for _row, old, _new in changed),
        same=len(spoken) - len(changed),
        freed=sum(old.body is None for _row, old, _new in changed),
        sides=[
            _side(*each)
            for each in _different([p for p in changed if p[0].unit_id not in withheld])
        ],
    )


def _specimens(site: Site, target: Target) -> list[WriteBack]:
    """The target's latest; where it has none yet, those of the site's other targets."""
    rows = (
        WriteBack.objects.filter(site=site)
        .exclude(state=State.WITHDRAWN)
        .select_related("unit__lot", "unit__work_order", "disposition")
        .order_by("-pk")
    )
    own = list(rows.filter(target=target.name)[:TRIED_ON])
    if own:
        return own
    once = {row.disposition_id: row for row in rows[:TRIED_ON]}
    return list(once.values())


def _said(
    row: WriteBack, profile: Profile | None, record: dict[str, Any], shared: Collection[int] | None
) -> _Said:
    if profile is None:
        return _Said(None, "", record["options"])
    try:
        body = messages.said(row, profile, record, shared=shared).body
        return _Said(dict(body), "", record["options"])
    except Unmapped as unmapped:
        return _Said(None, unmapped.sentence, record["options"])


def _blocked(before: Sequence[_Said], after: Sequence[_Said]) -> list[Blocked]:
    was = Counter(said.why_not for said in before if said.why_not)
    now = Counter(said.why_not for said in after if said.why_not)
    return [Blocked(sentence, count, was[sentence]) for sentence, count in now.most_common()]


_Pair = tuple[WriteBack, _Said, _Said]


def _different(changed: Sequence[_Pair]) -> list[_Pair]:
    """A few that show different things: another verdict or another set of codes first."""
    found: dict[str, _Pair] = {}
    for pair in changed:
        data = pair[0].payload["data"]
        codes = sorted(each["defect_class"] for each in data["nonconformities"])
        found.setdefault(json.dumps([data["disposition"], codes]), pair)
    return list(found.values())[:_SHOWN]


def _side(row: WriteBack, old: _Said, new: _Said) -> Side:
    before, after = _lines(old), _lines(new)
    left: list[Line] = []
    right: list[Line] = []
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for group in matcher.get_grouped_opcodes(_AROUND):
        if left or right:
            left.append(Line("", "…"))
            right.append(Line("", "…"))
        for step, a, b, c, d in group:
            mark = "" if step == "equal" else "changed"
            left += [Line(mark, text) for text in before[a:b]]
            right += [Line(mark, text) for text in after[c:d]]
    return Side(row, left, right)


def _lines(said: _Said) -> list[str]:
    if said.body is None:
        return [said.why_not]
    return pretty(veiled(said.body, said.options)).splitlines()


def pretty(value: object) -> str:
    """JSON as a person reads it."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
