from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.models import RegisteredModel, RunState
from retraining.transitions import MODEL_STEPS, OPEN, RUN_STEPS, check_model, check_run
from traceability.refusals import Conflict

ENDS = {RunState.PASSED, RunState.REFUSED, RunState.FAILED}


def test_the_tables_name_every_state() -> None:
    assert set(RUN_STEPS) == set(RunState)
    assert set(MODEL_STEPS) == set(RegisteredModel.State)


def test_the_open_states_are_those_the_database_keeps_to_one() -> None:
    assert {RunState.REQUESTED, RunState.RUNNING, RunState.TRAINED} == OPEN


@given(st.lists(st.sampled_from(list(RunState)), max_size=30))
def test_a_run_moves_along_the_table_and_an_ended_one_never_again(tried: list[RunState]) -> None:
    now, ended = RunState.REQUESTED, False
    for state in tried:
        if state in RUN_STEPS[now]:
            check_run(now, state)
            assert not ended
            now = state
        else:
            with pytest.raises(Conflict, match=str(now.label)):
                check_run(now, state)
        ended = now in ENDS
    assert ended == (now not in OPEN)


@given(st.sampled_from(sorted(OPEN)))
def test_every_open_run_can_still_end(state: RunState) -> None:
    reached = {state}
    seen: set[RunState] = set()
    while reached - seen:
        seen |= reached
        reached = {after for one in seen for after in RUN_STEPS[one]} | seen
    assert reached >= ENDS


@pytest.mark.parametrize("after", list(RegisteredModel.State))
def test_a_refused_model_never_comes_in_force(after: RegisteredModel.State) -> None:
    with pytest.raises(Conflict):
        check_model(RegisteredModel.State.REFUSED, after)
