"""Whether what waits will be answered in time. Pure.

Work comes as it did in the last hour, and each person decides as fast as all did in the minutes in
which they decided at all. What waits is taken in the order of the queue by everyone active. For a
part that comes now, the wait follows from M/M/c (Erlang C), where the pace allows a steady state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import median
from typing import Final

# Below this a rate says more about chance than about the shift.
LEAST_DECISIONS: Final = 20
LEAST_MINUTES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was seen: counts over `window_s`, and who is at work.

    `person_minutes`: minutes in which a person decided at least once, over all persons.
    `left_s`: seconds to the deadline of each open task, in the order of the queue.
    `allowed_s`: seconds between opening and deadline of the same tasks.
    """

    arrived: int
    decided: int
    window_s: float
    person_minutes: int
    people: int
    left_s: Sequence[float]
    allowed_s: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Rates by the hour. `late` counts open tasks that will be late at this pace, `overdue` those
    that are; `first_late` is the place in the queue of the first that will be; `p_late` the
    chance that a part that comes now is late once the queue is level, None where it never is.
    """

    arrives: float
    decides: float
    could: float
    people: int
    overdue: int
    late: int
    first_late: int | None
    wait_s: float
    p_late: float | None
    grows: float


def forecast(seen: Measured) -> Forecast | None:
    """None when there is too little to go by."""
    if seen.window_s <= 0 or seen.people < 1:
        return None
    if seen.decided < LEAST_DECISIONS or seen.person_minutes < LEAST_MINUTES:
        return None
    each = seen.decided / (seen.person_minutes * 60)
    pace = each * seen.people
    arrives = seen.arrived / seen.window_s
    late = [
        place
        for place, left in enumerate(seen.left_s, start=1)
        if left >= 0 and place / pace > left
    ]
    return Forecast(
        arrives=arrives * 3600,
        decides=seen.decided / seen.window_s * 3600,
        could=pace * 3600,
        people=seen.people,
        overdue=sum(1 for left in seen.left_s if left < 0),
        late=len(late),
        first_late=late[0] if late else None,
        wait_s=len(seen.left_s) / pace,
        p_late=p_late(arrives=arrives, each=each, people=seen.people, allowed_s=seen.allowed_s),
        grows=max(0.0, (arrives - pace) * 3600),
    )


def p_late(*, arrives: float, each: float, people: int, allowed_s: Sequence[float]) -> float | None:
    """P(wait > time allowed) in the steady state; None without one, or without a time allowed."""
    spare = people * each - arrives
    if spare <= 0 or not allowed_s:
        return None
    return erlang_c(people, arrives / each) * exp(-spare * max(0.0, median(allowed_s)))


def erlang_c(servers: int, load: float) -> float:
    """The chance that all `servers` are busy at this offered load, in erlang, below `servers`."""
    # By the recursion of Erlang B: no factorials, no overflow.
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))
