"""When a restart is tried and when it is given up."""

from hypothesis import given
from hypothesis import strategies as st

from config.runner.restarts import ENOUGH, LONGEST_PAUSE, WINDOW_SECONDS, pause_before_restart

WHOLE_SECONDS = st.integers(min_value=0, max_value=300).map(float)
MOMENTS = st.lists(WHOLE_SECONDS, min_size=1, max_size=12).map(sorted)


@given(MOMENTS)
def test_it_is_given_up_exactly_when_enough_crashes_fall_into_the_window(
    crashes: list[float],
) -> None:
    recent = [crash for crash in crashes if crashes[-1] - crash < WINDOW_SECONDS]
    assert (pause_before_restart(crashes) is None) == (len(recent) >= ENOUGH)


@given(MOMENTS)
def test_a_pause_is_never_longer_than_a_person_would_wait(crashes: list[float]) -> None:
    pause = pause_before_restart(crashes)
    assert pause is None or 0 < pause <= LONGEST_PAUSE


def test_each_further_crash_waits_longer() -> None:
    pauses = [pause_before_restart([float(n) for n in range(count)]) for count in range(1, 5)]
    assert pauses == [0.5, 1.0, 2.0, 4.0]
