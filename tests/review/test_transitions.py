"""The tables of the bench's life cycles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.models import Answer, TaskState
from review.transitions import ALLOWED, DISPOSITIONS, check_disposition, check_transition
from traceability.models import DispositionKind
from traceability.refusals import Conflict, Invalid

states = st.sampled_from(list(TaskState))


def test_every_state_and_every_answer_is_in_its_table() -> None:
    assert set(ALLOWED) == set(TaskState)
    assert set(DISPOSITIONS) == set(Answer)


@given(before=states, after=states)
def test_a_step_is_taken_only_when_the_table_has_it(before: TaskState, after: TaskState) -> None:
    if after in ALLOWED[before]:
        check_transition(before, after)
    else:
        with pytest.raises(Conflict) as refusal:
            check_transition(before, after)
        assert str(before.label) in refusal.value.sentence


def test_closed_is_the_end() -> None:
    assert ALLOWED[TaskState.CLOSED] == frozenset()


@given(answer=st.sampled_from(list(Answer)), kind=st.sampled_from(list(DispositionKind)))
def test_a_confirmed_defect_is_never_simply_accepted(answer: Answer, kind: DispositionKind) -> None:
    allowed = kind in DISPOSITIONS[answer]
    if allowed:
        check_disposition(answer, kind)
    else:
        with pytest.raises(Invalid):
            check_disposition(answer, kind)
    if answer is not Answer.FALSE_CALL:
        assert DispositionKind.ACCEPT not in DISPOSITIONS[answer]


def test_accepting_a_nonconformity_is_refused_as_a_concession() -> None:
    with pytest.raises(Invalid, match="concession"):
        check_disposition(Answer.CONFIRMED, DispositionKind.ACCEPT)
