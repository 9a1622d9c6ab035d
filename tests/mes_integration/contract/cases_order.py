"""One unit's word after the other, and none that was taken back or overtaken."""

from __future__ import annotations

import pytest
from django.db import connections

from mes_integration import canonical, delivery
from mes_integration.models import WriteBack
from tests import factories
from tests.mes_integration.contract.case import case, threaded
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.contract.world import World
from traceability.refusals import Conflict


@case
def a_correction_follows_as_a_later_revision(world: World) -> None:
    unit = factories.unit()
    first = world.decide(unit, kind="ACCEPT")
    world.arrives(first)
    second = world.decide(unit, kind="HOLD")
    world.rest()
    world.arrives(second)
    assert [e.key for e in world.effects(unit)] == [str(first.uuid), str(second.uuid)]
    assert world.words(unit) == [world.peer.word("ACCEPT"), world.peer.word("HOLD")]
    assert canonical.record_of(second)["supersedes"] == str(first.uuid)


@case
def of_two_that_wait_only_the_later_leaves(world: World) -> None:
    unit = factories.unit()
    first, second = world.decide(unit, kind="ACCEPT"), world.decide(unit, kind="HOLD")
    world.arrives(second)
    assert world.state(first) == "SUPERSEDED"
    assert world.received(first) == []
    assert world.words(unit) == [world.peer.word("HOLD")]


@case
def revisions_that_come_due_out_of_order_leave_in_order(world: World) -> None:
    unit = factories.unit()
    first = world.decide(unit, kind="ACCEPT", due_in=5)
    second = world.decide(unit, kind="HOLD")
    world.arrives(second)
    world.jump(6)
    world.deliver()
    assert world.state(first) == "SUPERSEDED"
    assert world.words(unit) == [world.peer.word("HOLD")]


@case
def a_withdrawn_one_never_leaves(world: World) -> None:
    row = world.decide(due_in=8)
    assert world.deliver() == 0
    world.withdraw(row)
    world.jump(60)
    world.deliver()
    assert world.state(row) == "WITHDRAWN"
    assert world.received(row) == []


@case
def one_that_has_left_cannot_be_withdrawn(world: World) -> None:
    row = world.decide()
    world.arrives(row)
    with pytest.raises(Conflict):
        world.withdraw(row)
    assert world.applied(row) == 1


@case
def a_later_revision_waits_while_the_earlier_is_in_doubt(world: World) -> None:
    unit = factories.unit()
    first = world.decide(unit, kind="ACCEPT")
    world.sends_and_dies(first, before_sending=True)
    second = world.decide(unit, kind="HOLD")
    world.stays(second, "PENDING")
    world.comes_clear(first)
    world.rest()
    world.arrives(second)
    assert world.words(unit)[-1] == world.peer.word("HOLD")
    assert world.applied(second) == 1


@case
def a_refused_one_does_not_hold_back_the_next_and_never_goes_after_it(world: World) -> None:
    unit = factories.unit()
    world.peer.refuse("not in production")
    first = world.decide(unit, kind="ACCEPT")
    world.reaches(first, "REJECTED")
    world.peer.back()
    second = world.decide(unit, kind="HOLD")
    world.arrives(second)
    with pytest.raises(Conflict):
        world.resend(first)
    assert world.words(unit) == [world.peer.word("HOLD")]


@case
def after_a_final_verdict_another_is_for_a_person(world: World) -> None:
    world.remap(capabilities={"terminal_verdicts": ["SCRAP"]})
    unit = factories.unit()
    world.arrives(world.decide(unit, kind="SCRAP"))
    world.rest()
    second = world.decide(unit, kind="ACCEPT")
    world.reaches(second, "NEEDS_PERSON")
    assert "SCRAP" in second.last_error
    assert world.words(unit) == [world.peer.word("SCRAP")]
    assert world.received(second) == []


@case
def a_final_verdict_again_is_held_already(world: World) -> None:
    world.remap(capabilities={"terminal_verdicts": ["SCRAP"]})
    unit = factories.unit()
    first = world.decide(unit, kind="SCRAP")
    world.arrives(first)
    second = world.decide(unit, kind="SCRAP")
    world.arrives(second)
    assert second.reference == first.reference
    assert world.received(second) == []


@case
def a_peer_without_order_is_given_time_between_two_revisions(world: World) -> None:
    world.remap(capabilities={"ordered": False, "max_processing_s": 20})
    unit = factories.unit()
    world.arrives(world.decide(unit, kind="ACCEPT"))
    second = world.decide(unit, kind="HOLD")
    world.stays(second, "PENDING")
    world.jump(15)
    world.stays(second, "PENDING")
    world.jump(6)
    world.arrives(second)
    assert world.words(unit) == [world.peer.word("ACCEPT"), world.peer.word("HOLD")]


@threaded
def two_relays_at_once_double_nothing_and_overtake_nothing(world: World) -> None:
    units = [factories.unit() for _ in range(6)]
    with world.relays(2):
        for kind in ("ACCEPT", "HOLD", "REWORK"):
            for unit in units:
                world.decide(unit, kind=kind)
        _all_settle()
    for unit in units:
        keys = [effect.key for effect in world.effects(unit)]
        assert len(keys) == len(set(keys))
        assert world.words(unit)[-1] == world.peer.word("REWORK")
        rows = list(WriteBack.objects.filter(unit=unit).order_by("revision"))
        order = [str(row.uuid) for row in rows]
        assert keys == [key for key in order if key in keys]
        assert {str(row.uuid) for row in rows if row.state == "ACKNOWLEDGED"} == set(keys)


@threaded
def a_backlog_of_revisions_is_told_as_its_last_word(world: World) -> None:
    units = [factories.unit() for _ in range(6)]
    for kind in ("ACCEPT", "HOLD", "REWORK"):
        for unit in units:
            world.decide(unit, kind=kind)
    with world.relays(2):
        _all_settle()
    for unit in units:
        assert world.words(unit) == [world.peer.word("REWORK")]


def _all_settle() -> None:
    try:
        wait_until(
            lambda: not WriteBack.objects.filter(settled_at=None).exists(),
            seconds=60,
            what="not everything came to rest",
        )
    finally:
        connections.close_all()


@case
def a_relay_that_was_frozen_writes_nothing_when_it_wakes(world: World) -> None:
    row = world.decide()
    called = world.sends_and_dies(row)
    world.comes_clear(row)
    before = (row.state, row.reference, world.outcomes(row))
    assert not delivery.record(lease=world.lease, called=called, at=world.now())
    row.refresh_from_db()
    assert (row.state, row.reference, world.outcomes(row)) == before
