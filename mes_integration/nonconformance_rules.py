"""When a nonconformance is raised: pure rules over the units in the order the line saw them.

Every rule looks at the whole course of the units again; what was raised before is told to it, so
that looking twice raises nothing twice.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
_Runs = dict[str, dict[str, list["Seen"]]]
"""At each place the rows of each defect."""
_Hours = dict[str, deque["Seen"]]
"""Of each line the hour up to its latest unit."""
MOST_UNITS: Final = 50
MOST_REHEARSED: Final = 100
RANK: Final[Mapping[str, int]] = {"critical": 0, "major": 1, "minor": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One unit at one station with what was decided; `at`: when the station saw it. `is_first`:
    nobody had inspected the unit before. Without defects it is good. What is not `is_judged` only
    completes the hours of others."""

    at: datetime
    inspection: str
    unit: str
    line: str
    station: str = ""
    part_number: str = ""
    defects: Mapping[str, str] = field(default_factory=dict)
    is_first: bool = True
    is_judged: bool = True
    pk: int = 0

    @property
    def place(self) -> str:
        """Line and station."""
        return f"{self.line}/{self.station}" if self.station else self.line


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of a site; the fields its kind does not use are None or empty."""

    kind: str
    since: datetime
    line: str = ""
    part_number: str = ""
    defect_class: str = ""
    count: int | None = None
    at_least: str = ""
    below: float | None = None
    days: int | None = None
    cool_down: timedelta = timedelta()

    def concerns(self, seen: Seen) -> bool:
        """Whether line and part number are the rule's."""
        return self.line in ("", seen.line) and self.part_number in ("", seen.part_number)

    def names(self, seen: Seen) -> list[str]:
        """The unit's defects that the rule is about."""
        return [code for code in seen.defects if self.defect_class in ("", code)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The latest nonconformance of a cause; `closed_at` None while it is open."""

    key: str
    closed_at: datetime | None = None
    line: str = ""
    defect_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """What a rule raises, and the units it is shown by, the latest last."""

    cause: str
    line: str
    defect_class: str
    units: Sequence[Seen]
    good: int | None = None
    total: int | None = None
    recurrence_of: str = ""


def cause_of(defect_class: str, place: str) -> str:
    """The same defect at the same station has one cause, whichever rule sees it."""
    return f"{defect_class} @ {place}"


def yield_cause(line: str, part_number: str) -> str:
    """A yield has no one defect: its cause is the line, and the part where the rule names one."""
    return f"yield @ {line} {part_number}".strip()


def raised(
    rule: Rule,
    course: Sequence[Seen],
    past: Mapping[str, Past],
    *,
    whole_from: datetime | None = None,
) -> list[Raised]:
    """What the rule raises on this course, once for each cause that is not open already.

    After a closure only units seen later count, and none that ends within the cool-down raises it.
    Of units seen before `whole_from` some are missing: no hour that reaches there is judged.
    """
    found: dict[str, Raised] = {}
    for one in _all(rule, course, past, whole_from):
        if one.cause not in found and not _is_quiet(rule, one, past.get(one.cause)):
            found[one.cause] = one
    return list(found.values())


def rehearsed(
    rule: Rule,
    course: Sequence[Seen],
    past: Mapping[str, Past],
    *,
    whole_from: datetime | None = None,
) -> int:
    """How often it would have been raised, had each been closed the moment it was; stops at
    MOST_REHEARSED."""
    known, times = dict(past), 0
    while times < MOST_REHEARSED:
        new = raised(rule, course, known, whole_from=whole_from)
        if not new:
            break
        first = min(new, key=lambda one: one.units[-1].at)
        last = first.units[-1].at
        known[first.cause] = Past(key=f"{times}", closed_at=last)
        times += 1
    return times


def _is_quiet(rule: Rule, one: Raised, past: Past | None) -> bool:
    """Whether the cause is open, or was closed so lately that it is left alone."""
    if past is None:
        return False
    return past.closed_at is None or one.units[-1].at <= past.closed_at + rule.cool_down


def _all(
    rule: Rule, course: Sequence[Seen], past: Mapping[str, Past], whole_from: datetime | None
) -> Iterator[Raised]:
    counting = [s for s in course if s.at > rule.since and rule.concerns(s)]
    match rule.kind:
        case "CONSECUTIVE":
            yield from _in_a_row(rule, counting, past)
        case "SEVERITY":
            yield from _severe(rule, counting)
        case "FIRST_PASS_YIELD":
            judged_from = whole_from + HOUR if whole_from else None
            yield from _yield_fell(rule, counting, past, judged_from)
        case "RECURRENCE":
            yield from _recurs(rule, counting, past)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a rule has come: `have` of `need` for the cause that is nearest to being raised;
    `until`: the end of the hour that a yield is of."""

    units: int
    nearest: str = ""
    have: int = 0
    need: int = 0
    until: datetime | None = None


def progress(
    rule: Rule, course: Sequence[Seen], past: Mapping[str, Past], *, at: datetime
) -> Progress:
    """What the rule has counted on this course: of a row how long it is, of a yield the good ones
    of the hour it looks at, of a recurrence the closures it watches."""
    counting = [s for s in course if s.at > rule.since and rule.concerns(s)]
    units = sum(seen.is_judged for seen in counting)
    match rule.kind:
        case "CONSECUTIVE":
            runs: _Runs = defaultdict(dict)
            deque(_in_a_row(rule, counting, past, runs), maxlen=0)
            rows = [(len(r), cause_of(c, place)) for place in runs for c, r in runs[place].items()]
            have, nearest = max(rows, default=(0, ""))
            return Progress(units=units, nearest=nearest, have=have, need=rule.count or 0)
        case "SEVERITY":
            have = len({one.units[-1].inspection for one in _severe(rule, counting)})
            return Progress(units=units, have=have)
        case "FIRST_PASS_YIELD":
            hours: _Hours = defaultdict(deque)
            deque(_yield_fell(rule, counting, past, None, hours), maxlen=0)
            return _worst_hour(rule, hours, units)
        case _:
            since = at - timedelta(days=rule.days or 0)
            watched = sum(
                one.closed_at is not None and one.closed_at > since and _may_recur(rule, one)
                for one in past.values()
            )
            return Progress(units=units, have=watched)


def _may_recur(rule: Rule, past: Past) -> bool:
    """Whether the cause is one of a defect that the rule is about."""
    return (
        past.defect_class != ""
        and rule.defect_class in ("", past.defect_class)
        and rule.line in ("", past.line)
    )


def _worst_hour(rule: Rule, hours: _Hours, units: int) -> Progress:
    """The line with the lowest yield in its latest hour, of the lines that went on lately."""
    ends = {line: hour[-1].at for line, hour in hours.items() if hour[-1].is_judged}
    latest = max(ends.values(), default=None)
    if latest is None:
        return Progress(units=units)
    good = {
        line: [not rule.names(seen) for seen in hours[line]]
        for line, end in ends.items()
        if end > latest - HOUR
    }
    worst = min(good, key=lambda line: sum(good[line]) / len(good[line]))
    have, need = sum(good[worst]), len(good[worst])
    return Progress(units=units, nearest=worst, have=have, need=need, until=ends[worst])


def _after(past: Past | None, seen: Seen) -> bool:
    """Whether the unit is not one of those a closed nonconformance was about."""
    return past is None or past.closed_at is None or seen.at > past.closed_at


def _in_a_row(
    rule: Rule, course: Sequence[Seen], past: Mapping[str, Past], runs: _Runs | None = None
) -> Iterator[Raised]:
    """`runs`, where it is given, holds afterwards the rows that still stand."""
    runs = defaultdict(dict) if runs is None else runs
    for seen in course:
        run = runs[seen.place]
        # A unit without the defect ends its row; a row of one defect goes on beside another's.
        for code in [code for code in run if code not in seen.defects]:
            del run[code]
        for code in rule.names(seen):
            cause = cause_of(code, seen.place)
            if not _after(past.get(cause), seen):
                continue
            row = run.setdefault(code, [])
            row.append(seen)
            if rule.count is not None and len(row) >= rule.count:
                yield Raised(
                    cause=cause,
                    line=seen.line,
                    defect_class=code,
                    units=tuple(row[-MOST_UNITS:]),
                    total=len(row),
                )


def _severe(rule: Rule, course: Sequence[Seen]) -> Iterator[Raised]:
    for seen in course:
        for code in rule.names(seen):
            if RANK.get(seen.defects[code], len(RANK)) <= RANK[rule.at_least]:
                cause = cause_of(code, seen.place)
                yield Raised(cause=cause, line=seen.line, defect_class=code, units=(seen,))


def _yield_fell(
    rule: Rule,
    course: Sequence[Seen],
    past: Mapping[str, Past],
    judged_from: datetime | None,
    hours: _Hours | None = None,
) -> Iterator[Raised]:
    """`hours`, where it is given, holds afterwards the latest of each line."""
    hours = defaultdict(deque) if hours is None else hours
    for seen in course:
        cause = yield_cause(seen.line, rule.part_number)
        if not seen.is_first or not _after(past.get(cause), seen):
            continue
        hour = hours[seen.line]
        hour.append(seen)
        while hour[0].at <= seen.at - HOUR:
            hour.popleft()
        bad = [s for s in hour if rule.names(s)]
        total, good = len(hour), len(hour) - len(bad)
        if rule.count is None or rule.below is None or total < rule.count:
            continue
        if not seen.is_judged or (judged_from is not None and seen.at < judged_from):
            continue
        # Only a bad unit makes it worse; a good one that comes while it is low says nothing new.
        if bad and bad[-1] is seen and good / total < rule.below:
            yield Raised(
                cause=cause,
                line=seen.line,
                defect_class="",
                units=tuple(bad[-MOST_UNITS:]),
                good=good,
                total=total,
            )


def _recurs(rule: Rule, course: Sequence[Seen], past: Mapping[str, Past]) -> Iterator[Raised]:
    within = timedelta(days=rule.days or 0)
    for seen in course:
        for code in rule.names(seen):
            cause = cause_of(code, seen.place)
            before = past.get(cause)
            if before is None or before.closed_at is None:
                continue
            if before.closed_at < seen.at <= before.closed_at + within:
                yield Raised(
                    cause=cause,
                    line=seen.line,
                    defect_class=code,
                    units=(seen,),
                    recurrence_of=before.key,
                )


def opened(past: Mapping[str, Past], new: Sequence[Raised]) -> dict[str, Past]:
    """What is known after these were raised."""
    return {**past, **{one.cause: Past(key=one.cause) for one in new}}
