"""The forecast of being late: known values, and silence where there is too little to go by."""

from __future__ import annotations

import random
from typing import Any

import pytest

from review.forecast import Forecast, Measured, erlang_c, forecast, p_late


def measured(**fields: Any) -> Measured:
    values = {
        "arrived": 60,
        "decided": 120,
        "window_s": 3600.0,
        "person_minutes": 60,
        "people": 1,
        "left_s": [],
        "allowed_s": [],
        **fields,
    }
    return Measured(**values)


def known(**fields: Any) -> Forecast:
    found = forecast(measured(**fields))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("servers", "load", "chance"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (3, 0.0, 0.0)],
)
def test_erlang_c_agrees_with_the_tables(servers: int, load: float, chance: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(chance, abs=5e-5)


def test_the_chance_to_be_late_agrees_with_a_simulated_queue() -> None:
    rng = random.Random(7)
    arrives, each, people, allowed = 0.025, 0.01, 3, 60.0
    free = [0.0] * people
    now, late, served = 0.0, 0, 60_000
    for _ in range(served):
        now += rng.expovariate(arrives)
        first = min(range(people), key=free.__getitem__)
        begins = max(now, free[first])
        late += begins - now > allowed
        free[first] = begins + rng.expovariate(each)
    said = p_late(arrives=arrives, each=each, people=people, allowed_s=[allowed])
    assert said == pytest.approx(late / served, abs=0.02)


def test_what_cannot_be_reached_in_time_is_counted() -> None:
    # Two verdicts a minute: the third place is reached after 90 s.
    found = known(left_s=[-5, 100, 60, 400, 100], allowed_s=[900] * 5)
    assert (found.overdue, found.late, found.first_late) == (1, 2, 3)
    assert found.wait_s == pytest.approx(150)
    assert (found.arrives, found.decides, found.could) == pytest.approx((60, 120, 120))


def test_more_people_make_it_in_time() -> None:
    assert known(left_s=[100] * 6).late == 3
    assert known(left_s=[100] * 6, people=2).late == 0


def test_a_queue_that_only_grows_has_no_steady_state() -> None:
    found = known(arrived=300, allowed_s=[900.0])
    assert found.p_late is None
    assert found.grows == pytest.approx(180)


@pytest.mark.parametrize(
    "fields", [{"decided": 19}, {"person_minutes": 4}, {"people": 0}, {"window_s": 0.0}]
)
def test_too_little_data_gives_no_forecast(fields: dict[str, Any]) -> None:
    assert forecast(measured(**fields)) is None
