"""The life of a write-back, as one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes_integration.adapters.protocol import Answer, Applied, Refused, TryLater, Uncertain
from mes_integration.transitions import (
    HOLDS_BACK,
    LEASABLE,
    MAY_HAVE_ARRIVED,
    RESOLVABLE,
    SETTLED,
    TRANSITIONS,
    Outcome,
    State,
    after_post,
    after_read_back,
    backoff,
    check,
)
from traceability.refusals import Conflict

DOCUMENT = Path(__file__).parents[2] / "docs/explanation/write-back.md"

answers: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Applied, reference=st.text(min_size=1)),
    st.builds(Refused, status=st.integers(400, 499), sentence=st.text()),
    st.builds(TryLater, sentence=st.text(), may_have_arrived=st.booleans()),
    st.builds(Uncertain, sentence=st.text()),
)


@given(st.lists(st.tuples(answers, st.booleans()), max_size=30))
def test_whatever_the_mes_answers_every_step_is_in_the_table(
    story: list[tuple[Answer, bool]],
) -> None:
    state, outcome = State.PENDING, None
    for answer, found in story:
        if state not in LEASABLE:
            break
        check(state, State.SENDING)
        if outcome in MAY_HAVE_ARRIVED:
            state, outcome = after_read_back(answer if found else None)
        else:
            state, outcome = after_post(answer)
        check(State.SENDING, state)
    if outcome in MAY_HAVE_ARRIVED:
        assert state in {State.RETRY, State.UNCERTAIN}


@given(answers)
def test_only_the_mes_word_acknowledges(answer: Answer) -> None:
    applied = isinstance(answer, Applied)
    assert (after_post(answer)[0] is State.ACKNOWLEDGED) == applied
    assert (after_read_back(answer)[0] is State.ACKNOWLEDGED) == applied


@given(st.sampled_from(State), st.sampled_from(State))
def test_a_step_outside_the_table_is_refused(before: State, after: State) -> None:
    if after in TRANSITIONS[before]:
        check(before, after)
    else:
        with pytest.raises(Conflict, match="cannot become"):
            check(before, after)


def test_every_state_is_reached_and_only_the_settled_ones_are_an_end() -> None:
    reached = {State.PENDING}.union(*TRANSITIONS.values())
    assert set(TRANSITIONS) == set(State) == reached
    assert {State.ACKNOWLEDGED, State.WITHDRAWN, State.SUPERSEDED} == SETTLED
    assert not SETTLED & (HOLDS_BACK | RESOLVABLE)


def test_from_every_state_that_is_not_an_end_acknowledgement_can_be_reached() -> None:
    for start in set(State) - SETTLED:
        seen, front = {start}, {start}
        while front:
            front = set().union(*(TRANSITIONS[state] for state in front)) - seen
            seen |= front
        assert State.ACKNOWLEDGED in seen


def test_what_nobody_knows_is_asked_for_before_it_is_sent_again() -> None:
    assert after_post(Uncertain("?"))[1] in MAY_HAVE_ARRIVED
    assert after_post(TryLater("500", 500, may_have_arrived=True))[1] in MAY_HAVE_ARRIVED
    assert after_post(TryLater("refused"))[1] not in MAY_HAVE_ARRIVED
    assert after_read_back(None) == (State.RETRY, Outcome.NOT_FOUND)
    assert Outcome.NOT_FOUND not in MAY_HAVE_ARRIVED


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_the_wait_stays_between_half_a_second_and_a_minute(attempts: int, jitter: float) -> None:
    assert 0.5 <= backoff(attempts, jitter=jitter) <= 60


@given(st.integers(1, 50), st.floats(0, 1))
def test_the_wait_never_shrinks_for_the_same_jitter(attempts: int, jitter: float) -> None:
    assert backoff(attempts + 1, jitter=jitter) >= backoff(attempts, jitter=jitter)


def test_the_document_shows_this_table() -> None:
    rows = re.findall(r"(?m)^\| `([A-Z_]+)` \| (.*?) \|", DOCUMENT.read_text(encoding="utf-8"))
    written = {State(name): set(re.findall(r"`([A-Z_]+)`", steps)) for name, steps in rows}
    assert written == {state: {s.value for s in steps} for state, steps in TRANSITIONS.items()}
