"""Refusals, acknowledgements that come by themselves, and what a person does."""

from __future__ import annotations

from mes_integration.models import MesChange
from tests.mes_integration.contract.case import case
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.contract.world import World


@case
def a_refusal_is_for_a_person_and_is_not_sent_again_by_itself(world: World) -> None:
    world.peer.refuse("not in production")
    row = world.decide()
    world.reaches(row, "REJECTED")
    assert "not in production" in row.last_error
    sent = len(world.received(row))
    world.jump(3600)
    world.stays(row, "REJECTED")
    assert len(world.received(row)) == sent
    assert world.applied(row) == 0


@case
def a_refused_one_sent_again_speaks_by_the_new_mapping(world: World) -> None:
    world.peer.refuse("no such code")
    row = world.decide()
    world.reaches(row, "REJECTED")
    world.peer.back()
    version = world.remap(defects={"porosity": "NC-17"})
    world.resend(row)
    world.arrives(row)
    assert row.profile_version == version
    assert b"NC-17" in world.received(row)[-1].body
    assert world.applied(row) == 1


@case
def a_refused_one_can_be_settled_by_hand_and_is_not_sent_again(world: World) -> None:
    world.peer.refuse("closed")
    row = world.decide()
    world.reaches(row, "REJECTED")
    world.peer.back()
    sent = len(world.received(row))
    world.settle_by_hand(row, reference="typed in")
    world.jump(3600)
    world.stays(row, "ACKNOWLEDGED")
    assert (row.reference, len(world.received(row))) == ("typed in", sent)


@case
def a_late_acknowledgement_settles_it(world: World) -> None:
    world.peer.hang()
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    sent = world.times_sent(row)
    world.peer.acknowledge(str(row.uuid), "applied", reference="LATE-1")
    wait_until(lambda: world.state(row) == "ACKNOWLEDGED", what=f"{row.state}: {row.last_error}")
    assert row.reference == "LATE-1"
    world.peer.back()
    world.patient()
    world.rest()
    world.deliver()
    assert len(world.received(row)) == sent


@case
def a_late_rejection_is_for_a_person(world: World) -> None:
    world.peer.hang()
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    sent = world.times_sent(row)
    world.peer.acknowledge(str(row.uuid), "rejected", reason="unit is shipped")
    wait_until(lambda: world.state(row) == "REJECTED", what=f"{row.state}: {row.last_error}")
    assert "unit is shipped" in row.last_error
    world.peer.back()
    world.patient()
    world.rest()
    world.deliver()
    assert len(world.received(row)) == sent


@case
def an_acknowledgement_that_comes_again_changes_nothing(world: World) -> None:
    row = world.decide()
    world.arrives(row)
    before = (row.reference, row.settled_at, world.outcomes(row))
    for state in ("applied", "duplicate"):
        world.peer.acknowledge(str(row.uuid), state, reference=row.reference)
    world.arrives(world.decide())
    row.refresh_from_db()
    assert (row.reference, row.settled_at, world.outcomes(row)) == before
    assert not MesChange.objects.exists()


@case
def an_acknowledgement_taken_back_is_kept_as_a_conflict(world: World) -> None:
    row = world.decide()
    world.arrives(row)
    world.peer.acknowledge(str(row.uuid), "rejected", reason="unit is shipped")
    wait_until(lambda: MesChange.objects.filter(state="OPEN").exists(), what="no conflict")
    assert world.state(row) == "ACKNOWLEDGED"
    change = MesChange.objects.get(state="OPEN")
    assert (change.write_back_id, change.target) == (row.pk, row.target)


@case
def one_in_doubt_that_a_person_settles_is_not_sent_again(world: World) -> None:
    world.peer.hang()
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    sent = world.times_sent(row)
    world.settle_by_hand(row)
    world.peer.back()
    world.patient()
    world.rest()
    world.stays(row, "ACKNOWLEDGED")
    assert len(world.received(row)) == sent


@case
def one_in_doubt_that_a_person_hurries_is_still_applied_once(world: World) -> None:
    world.peer.lose_answers()
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    wait_until(lambda: world.applied(row) == 1, what="it was not applied")
    world.peer.back()
    world.patient()
    world.resend(row)
    world.comes_clear(row)


@case
def one_rejected_late_and_hurried_waits_until_its_call_must_be_done(world: World) -> None:
    world.remap(capabilities={"key": False, "upsert": False, "read_back": False})
    world.peer.hang()
    world.impatient()
    row = world.decide()
    world.hands_over(row)
    sent = world.times_sent(row)
    world.peer.acknowledge(str(row.uuid), "rejected", reason="unit is shipped")
    wait_until(lambda: world.state(row) == "REJECTED", what=f"{row.state}: {row.last_error}")
    world.peer.back()
    world.patient()
    world.resend(row)
    world.jump(world.can.max_processing_s / 2)
    world.deliver()
    assert len(world.received(row)) == sent
    world.rest()
    world.arrives(row)
