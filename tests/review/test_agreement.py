"""Agreement figures against numbers computed elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.agreement import Share, agreement, definition


def against_reference(missed: int, alarms: int) -> list[tuple[str, str]]:
    """An appraiser of the AIAG study: 16 bad and 34 good parts, three trials each."""
    bad, good = 16 * 3, 34 * 3
    return (
        [("bad", "good")] * missed
        + [("bad", "bad")] * (bad - missed)
        + [("good", "bad")] * alarms
        + [("good", "good")] * (good - alarms)
    )


@pytest.mark.parametrize(
    ("missed", "alarms", "kappa", "miss_rate", "alarm_rate"),
    [(3, 5, 0.88, 6.2, 4.9), (3, 2, 0.92, 6.2, 2.0), (6, 9, 0.77, 12.5, 8.8)],
)
def test_the_aiag_study_gives_the_published_figures(
    missed: int, alarms: int, kappa: float, miss_rate: float, alarm_rate: float
) -> None:
    found = agreement(against_reference(missed, alarms))
    assert found.kappa.value is not None
    assert round(found.kappa.value, 2) == kappa
    assert Share(missed, 48).value * 100 == pytest.approx(miss_rate, abs=0.051)
    assert Share(alarms, 102).value * 100 == pytest.approx(alarm_rate, abs=0.051)
    assert found.share == Share(150 - missed - alarms, 150)


def kappa_of(shares: dict[tuple[str, str], float]) -> float:
    """Cohen's kappa of a table of shares, straight from its definition."""
    po = sum(share for (one, other), share in shares.items() if one == other)
    names = {name for pair in shares for name in pair}
    pe = sum(
        sum(s for (one, _), s in shares.items() if one == name)
        * sum(s for (_, other), s in shares.items() if other == name)
        for name in names
    )
    return (po - pe) / (1 - pe)


def test_the_interval_is_the_delta_methods() -> None:
    """By numbers: kappa's slope in each cell, and the covariance of multinomial shares."""
    counts = {("a", "a"): 40, ("a", "b"): 9, ("b", "a"): 6, ("b", "b"): 45, ("b", "c"): 3}
    total, step = sum(counts.values()), 1e-6
    shares = {pair: count / total for pair, count in counts.items()}
    slopes = {
        pair: (
            kappa_of({**shares, pair: shares[pair] + step})
            - kappa_of({**shares, pair: shares[pair] - step})
        )
        / (2 * step)
        for pair in shares
    }
    mean = sum(slopes[pair] * share for pair, share in shares.items())
    variance = sum(share * (slopes[pair] - mean) ** 2 for pair, share in shares.items()) / total
    found = agreement([pair for pair, count in counts.items() for _ in range(count)]).kappa
    assert found.value == pytest.approx(kappa_of(shares))
    assert found.low == pytest.approx(kappa_of(shares) - 1.959964 * variance**0.5, abs=1e-4)
    assert found.high == pytest.approx(kappa_of(shares) + 1.959964 * variance**0.5, abs=1e-4)


def test_nothing_to_tell_apart_has_no_kappa() -> None:
    assert agreement([("good", "good")] * 20).kappa.value is None
    assert agreement([]).kappa.value is None
    assert agreement([]).share.interval == (0.0, 1.0)


def test_the_definition_is_in_words() -> None:
    assert "(po - pe) / (1 - pe)" in definition()


said = st.sampled_from(["good", "scratch", "dent"])


@given(pairs=st.lists(st.tuples(said, said), max_size=60))
def test_kappa_stays_within_its_bounds_and_does_not_care_who_is_named_first(
    pairs: list[tuple[str, str]],
) -> None:
    found = agreement(pairs)
    turned = agreement([(b, a) for a, b in pairs])
    low, high = found.share.interval
    assert 0 <= low <= found.share.value <= high <= 1 or not pairs
    if found.kappa.value is None:
        assert turned.kappa.value is None
    elif found.kappa.low is None or found.kappa.high is None:
        # All alike, all different, or one of the two always says the same: nothing to tell from.
        ones, others = ({pair[side] for pair in pairs} for side in (0, 1))
        assert found.share.hits in (0, found.share.of) or 1 in (len(ones), len(others))
    else:
        assert -1 <= found.kappa.low <= found.kappa.value <= found.kappa.high <= 1
        assert turned.kappa.value == pytest.approx(found.kappa.value)
        assert turned.kappa.low == pytest.approx(found.kappa.low)


def test_pairs_without_spread_have_no_interval() -> None:
    found = agreement([("good", "scratch")] * 9).kappa
    assert found.value == 0
    assert (found.low, found.high) == (None, None)
