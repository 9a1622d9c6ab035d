"""Shares and their intervals, and how they run in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.quality_rates import by_model, course, rate

PREDICTIONS = st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=200)


@given(of=st.integers(1, 5000), data=st.data())
def test_the_interval_holds_the_share_and_stays_between_nought_and_one(
    of: int, data: st.DataObject
) -> None:
    found = rate(data.draw(st.integers(0, of)), of)
    assert 0 <= found.low <= found.share + 1e-12
    assert found.share - 1e-12 <= found.high <= 1


def test_the_interval_is_wilsons() -> None:
    found = rate(8, 10)
    assert (round(found.low, 3), round(found.high, 3)) == (0.490, 0.943)


def test_nothing_seen_says_nothing() -> None:
    found = rate(0, 0)
    assert (found.share, found.low, found.high) == (0.0, 0.0, 1.0)


def test_more_hits_than_parts_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="11 of 10"):
        rate(11, 10)


@given(predictions=PREDICTIONS)
def test_every_prediction_counts_for_its_model_once(predictions: list[tuple[int, bool]]) -> None:
    rates = by_model(predictions)
    assert sum(r.of for r in rates.values()) == len(predictions)
    assert sum(r.hits for r in rates.values()) == sum(doubtful for _, doubtful in predictions)


@given(predictions=PREDICTIONS, length=st.integers(1, 50))
def test_the_course_covers_everything_in_order_and_never_mixes_models(
    predictions: list[tuple[int, bool]], length: int
) -> None:
    stretches = course(predictions, length=length)
    models = [s.model for s in stretches for _ in range(s.rate.of)]
    assert models == [model for model, _ in predictions]
    assert all(1 <= s.rate.of <= length for s in stretches)
