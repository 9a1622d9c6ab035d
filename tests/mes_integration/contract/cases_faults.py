"""Peers and relays that fail: nothing is lost, nothing is doubled."""

from __future__ import annotations

from functools import partial

from mes_integration.models import WriteBack
from tests import factories
from tests.mes_integration.contract.case import case
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.contract.world import World

DOUBTFUL = ("UNCERTAIN", "SENT", "RETRY")


def _is_applied(world: World, row: WriteBack) -> bool:
    return world.applied(row) == 1


@case
def while_the_peer_is_away_it_waits_and_goes_when_it_is_back(world: World) -> None:
    world.peer.away()
    world.impatient()
    row = world.decide()
    for _attempt in range(3):
        world.deliver()
        world.jump(61)
    assert world.state(row) in DOUBTFUL
    assert row.last_error
    assert world.applied(row) == 0
    world.peer.back()
    world.patient()
    world.comes_clear(row)


@case
def decided_anew_while_the_peer_is_away_the_last_word_counts(world: World) -> None:
    world.peer.away()
    world.impatient()
    unit = factories.unit()
    first = world.decide(unit, kind="ACCEPT")
    world.deliver()
    second = world.decide(unit, kind="HOLD")
    world.deliver()
    world.peer.back()
    world.patient()
    world.rest()
    world.reaches(first, "SUPERSEDED", "ACKNOWLEDGED", "NEEDS_PERSON")
    world.rest()
    world.arrives(second)
    assert world.words(unit)[-1] == world.peer.word("HOLD")
    assert world.applied(second) == 1


@case
def a_slow_peer_is_waited_for(world: World) -> None:
    world.peer.slow(0.5)
    row = world.decide()
    world.arrives(row)
    assert world.applied(row) == 1
    assert len(world.received(row)) == 1


@case
def what_a_late_peer_applies_within_its_time_is_not_sent_again(world: World) -> None:
    world.peer.apply_late(0.8)
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    assert world.state(row) in {"UNCERTAIN", "SENT"}
    world.jump(world.can.max_processing_s / 2)
    world.deliver()
    assert len(world.received(row)) == 1
    wait_until(lambda: world.applied(row) == 1, what="the late peer never applied it")
    world.peer.back()
    world.patient()
    world.comes_clear(row)
    assert world.applied(row) == 1


@case
def an_answer_that_is_lost_doubles_nothing(world: World) -> None:
    world.peer.lose_answers()
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    wait_until(partial(_is_applied, world, row), what="it was not applied")
    world.peer.back()
    world.patient()
    world.comes_clear(row)


@case
def what_is_taken_and_never_applied_is_sent_again(world: World) -> None:
    world.peer.hang()
    world.impatient()
    row = world.decide()
    world.deliver()
    assert world.state(row) != "ACKNOWLEDGED"
    assert world.applied(row) == 0
    world.peer.back()
    world.patient()
    world.comes_clear(row)


@case
def a_busy_peer_is_tried_again(world: World) -> None:
    world.peer.busy()
    row = world.decide()
    world.deliver()
    assert world.state(row) in DOUBTFUL
    world.peer.back()
    world.comes_clear(row)
    assert world.applied(row) == 1


@case
def the_same_message_delivered_twice_is_applied_once(world: World) -> None:
    row = world.decide()
    world.sends_and_dies(row)
    wait_until(partial(_is_applied, world, row), what="it was not applied")
    world.adapter.post(world.message(row))
    world.comes_clear(row)
    assert world.applied(row) == 1


@case
def a_relay_killed_before_it_sent_loses_nothing(world: World) -> None:
    row = world.decide()
    world.sends_and_dies(row, before_sending=True)
    assert world.state(row) == "UNCERTAIN"
    world.comes_clear(row)


@case
def a_relay_killed_after_it_sent_doubles_nothing(world: World) -> None:
    row = world.decide()
    world.sends_and_dies(row)
    wait_until(partial(_is_applied, world, row), what="it was not applied")
    world.comes_clear(row)


@case
def relays_killed_again_and_again_double_nothing(world: World) -> None:
    row = world.decide()
    for _kill in range(3):
        if world.state(row) == "ACKNOWLEDGED":
            break
        world.sends_and_dies(row)
        world.rest()
    world.comes_clear(row)


@case
def a_clock_three_hours_ahead_changes_nothing(world: World) -> None:
    world.jump(3 * 3600)
    row = world.decide()
    world.arrives(row)
    assert world.applied(row) == 1


@case
def a_clock_put_back_while_it_is_in_doubt_doubles_nothing(world: World) -> None:
    row = world.decide()
    world.sends_and_dies(row)
    world.jump(-3 * 3600)
    world.deliver()
    assert world.applied(row) <= 1
    world.jump(3 * 3600)
    world.comes_clear(row)


@case
def a_peer_that_restarts_still_knows_what_it_applied(world: World) -> None:
    first = world.decide()
    world.sends_and_dies(first)
    wait_until(lambda: world.applied(first) == 1, what="it was not applied")
    world.peer.restart()
    second = world.decide()
    world.comes_clear(first)
    world.arrives(second)
    assert (world.applied(first), world.applied(second)) == (1, 1)


@case
def a_wrong_secret_refuses_nothing_and_everything_goes_once_it_is_right(world: World) -> None:
    entry = world.peer.target()
    secret = type(entry.secret)("not-the-secret")
    world.use(entry.model_copy(update={"secret": secret, "timeout_s": 4.0}))
    rows = [world.decide(), world.decide()]
    world.deliver()
    assert all(world.state(row) in DOUBTFUL for row in rows)
    assert all(row.last_error for row in rows)
    assert all("not-the-secret" not in row.last_error for row in rows)
    world.patient()
    for row in rows:
        world.comes_clear(row)
        assert world.applied(row) == 1


@case
def an_answer_without_reference_acknowledges_nothing(world: World) -> None:
    world.peer.without_reference()
    row = world.decide()
    world.deliver()
    wait_until(partial(_is_applied, world, row), what="it was not applied")
    assert world.state(row) != "ACKNOWLEDGED"
    world.peer.back()
    world.comes_clear(row)
    assert row.reference or row.state == "NEEDS_PERSON"


@case
def a_peer_that_comes_and_goes_gets_each_once(world: World) -> None:
    rows = []
    for number in range(8):
        if number % 2:
            world.peer.lose_answers()
            world.impatient()
        else:
            world.peer.back()
            world.patient()
        row = world.decide()
        world.hands_over(row)
        wait_until(partial(_is_applied, world, row), what="it was not applied")
        rows.append(row)
    world.peer.back()
    world.patient()
    for row in rows:
        if world.state(row) != "ACKNOWLEDGED":
            world.comes_clear(row)
        assert world.applied(row) == 1


@case
def reconciliation_agrees_with_what_was_delivered(world: World) -> None:
    rows = [world.decide() for _ in range(3)]
    world.arrives(*rows)
    assert world.reconcile() == (3, {})


@case
def reconciliation_finds_what_the_peer_has_lost(world: World) -> None:
    kept, lost = world.decide(), world.decide()
    world.arrives(kept, lost)
    world.peer.forget(str(lost.uuid))
    assert world.reconcile() == (2, {lost.pk: "MISSING"})
