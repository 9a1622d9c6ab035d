"""What is said: verdicts, codes, facts, lots; and what is not said because nobody chose a word."""

from __future__ import annotations

import pytest

from tests import factories
from tests.mes_integration.contract.case import case
from tests.mes_integration.contract.world import World
from tests.mes_integration.plant import disposition
from traceability.models import DeciderKind
from traceability.refusals import Conflict

LONGEST_REASON = 300


def _arrives_as(world: World, kind: str) -> None:
    row = world.decide(kind=kind)
    world.arrives(row)
    (effect,) = world.effects(row.unit)
    assert effect.key == str(row.uuid)
    assert effect.verdict == world.peer.word(kind)
    assert effect.revision in {1, None}
    assert row.reference
    assert row.settled_at is not None


@case
def an_accept_is_applied_in_the_peers_word(world: World) -> None:
    _arrives_as(world, "ACCEPT")


@case
def a_rework_is_applied_in_the_peers_word(world: World) -> None:
    _arrives_as(world, "REWORK")


@case
def a_scrap_is_applied_in_the_peers_word(world: World) -> None:
    _arrives_as(world, "SCRAP")


@case
def a_hold_is_applied_in_the_peers_word(world: World) -> None:
    _arrives_as(world, "HOLD")


@case
def a_concession_is_applied_in_the_peers_word(world: World) -> None:
    _arrives_as(world, "CONCESSION")


@case
def every_body_is_valid_in_the_peers_format(world: World) -> None:
    full = factories.unit(lot="L-1", supplier="Foundry & Sons")
    seen = factories.inspection(full)
    capture = factories.capture(seen)
    factories.prediction(capture)
    rows = [
        world.enqueue(disposition(inspection=seen, model=factories.model_version())),
        world.decide(nonconformities=[], reason="Nothing found."),
        world.decide(decider_kind=DeciderKind.MODEL, decider="bracket-3"),
        *[world.decide(kind=kind) for kind in ("ACCEPT", "REWORK", "SCRAP", "CONCESSION")],
    ]
    world.arrives(*rows)
    for row in rows:
        for received in world.received(row):
            world.peer.check(received.body)
        assert world.received(row)


@case
def many_defects_are_all_told(world: World) -> None:
    found = [
        {"defect_class": f"class-{n:02d}", "severity": "minor", "count": n + 1} for n in range(40)
    ]
    row = world.decide(nonconformities=found)
    world.arrives(row)
    (received,) = world.received(row)
    world.peer.check(received.body)
    assert all(f"class-{n:02d}".encode() in received.body for n in range(40))


@case
def a_defect_is_told_in_the_peers_code(world: World) -> None:
    world.remap(defects={"porosity": "NC-17"})
    row = world.decide()
    world.arrives(row)
    (received,) = world.received(row)
    assert b"NC-17" in received.body


@case
def a_huge_comment_harms_nothing(world: World) -> None:
    row = world.decide(reason="ü" * LONGEST_REASON, decider="x" * 100)
    world.arrives(row)
    assert world.applied(row) == 1
    world.peer.check(world.received(row)[0].body)


@case
def any_script_and_markup_in_a_serial_number_arrives_as_it_is(world: World) -> None:
    units = [factories.unit(s) for s in ("Größe-部品-☃-🔧", "a<b>&\"c'];", "back\\slash/50%?x=1#y")]
    rows = [world.decide(unit) for unit in units]
    world.arrives(*rows)
    for unit, row in zip(units, rows, strict=True):
        (effect,) = world.effects(unit)
        assert effect.key == str(row.uuid)
        world.peer.check(world.received(row)[0].body)


@case
def control_characters_in_a_comment_harm_nothing(world: World) -> None:
    row = world.decide(reason="Line one\nline\ttwo \x07\x1b[31m\u202e end \x7f\ufffe")
    world.arrives(row)
    assert world.applied(row) == 1
    world.peer.check(world.received(row)[0].body)


@case
def an_unknown_verdict_blocks(world: World) -> None:
    words = {k: v for k, v in world.document["verdicts"].items() if k != "SCRAP"}
    world.remap(verdicts=words)
    row, other = world.decide(kind="SCRAP"), world.decide(kind="HOLD")
    world.reaches(row, "NEEDS_PERSON")
    assert "SCRAP" in row.last_error
    world.arrives(other)
    assert world.received(row) == []


@case
def an_unknown_defect_code_blocks(world: World) -> None:
    world.remap(defects={"scratch": "NC-1"})
    row = world.decide()
    world.reaches(row, "NEEDS_PERSON")
    assert "porosity" in row.last_error
    assert world.received(row) == []


@case
def a_missing_required_fact_blocks(world: World) -> None:
    world.remap(required=[*world.document.get("required", []), "unit.supplier"])
    row = world.decide(factories.unit())
    told = world.decide(factories.unit(supplier="Foundry"))
    world.reaches(row, "NEEDS_PERSON")
    assert "unit.supplier" in row.last_error
    world.arrives(told)
    assert world.received(row) == []


@case
def a_blocked_one_goes_after_a_new_mapping(world: World) -> None:
    before = world.document["defects"]
    world.remap(defects={"scratch": "NC-1"})
    row = world.decide()
    world.reaches(row, "NEEDS_PERSON")
    version = world.remap(defects=before if before != "own" else {"porosity": "NC-17"})
    world.resend(row)
    world.arrives(row)
    assert row.profile_version == version
    assert world.applied(row) == 1


@case
def a_blocked_one_sent_again_without_a_new_mapping_stays_blocked(world: World) -> None:
    world.remap(defects={"scratch": "NC-1"})
    row = world.decide()
    world.reaches(row, "NEEDS_PERSON")
    world.resend(row)
    world.reaches(row, "NEEDS_PERSON")
    assert world.received(row) == []


@case
def a_blocked_one_does_not_hold_back_the_next_and_never_goes_after_it(world: World) -> None:
    before = world.document["defects"]
    world.remap(defects={"scratch": "NC-1"})
    unit = factories.unit()
    first = world.decide(unit)
    world.reaches(first, "NEEDS_PERSON")
    world.remap(defects=before)
    second = world.decide(unit, kind="REWORK")
    world.arrives(second)
    with pytest.raises(Conflict):
        world.resend(first)
    assert world.words(unit) == [world.peer.word("REWORK")]


@case
def one_unit_of_a_lot_that_cannot_be_split_is_not_sent(world: World) -> None:
    world.remap(subject="lot", capabilities={"splits_lots": False})
    unit = factories.unit(lot="L-9")
    factories.unit(lot="L-9")
    row = world.decide(unit)
    world.reaches(row, "NEEDS_PERSON")
    assert "L-9" in row.last_error
    assert world.received(row) == []


@case
def one_unit_of_a_lot_that_can_be_split_is_sent(world: World) -> None:
    world.remap(subject="lot", capabilities={"splits_lots": True})
    unit = factories.unit(lot="L-9")
    factories.unit(lot="L-9")
    row = world.decide(unit)
    world.arrives(row)
    assert world.applied(row) == 1


@case
def a_lot_of_one_unit_is_sent_and_a_unit_without_lot_is_not(world: World) -> None:
    world.remap(subject="lot", capabilities={"splits_lots": False})
    alone, without = world.decide(factories.unit(lot="L-10")), world.decide(factories.unit())
    world.arrives(alone)
    world.reaches(without, "NEEDS_PERSON")
    assert world.received(without) == []


@case
def a_mapping_changed_on_the_way_keeps_the_bytes(world: World) -> None:
    world.peer.away()
    world.impatient()
    row = world.decide()
    world.deliver()
    said = world.message(row).body
    world.remap(defects={"porosity": "NC-99"})
    world.peer.back()
    world.patient()
    world.comes_clear(row)
    assert world.message(row).body == said
    assert row.profile_version == 0
    assert all(b"NC-99" not in received.body for received in world.received(row))


@case
def a_second_attempt_sends_the_same_bytes(world: World) -> None:
    world.peer.hang()
    world.impatient()
    row = world.decide()
    world.deliver()
    world.remap(defects={"porosity": "NC-99"})
    world.peer.back()
    world.patient()
    world.comes_clear(row)
    bodies = {received.body for received in world.received(row)}
    assert len(bodies) == 1


@case
def a_target_of_another_site_is_told_nothing(world: World) -> None:
    entry = world.peer.target()
    world.use(entry.model_copy(update={"sites": ["plant-2"]}))
    before = len(world.received())
    disposition(at=world.now())
    made = disposition(factories.unit(at=factories.site("plant-2")), at=world.now())
    row = world.enqueue(made)
    world.arrives(row)
    assert len(world.received()) == before + 1


@case
def a_target_that_the_settings_no_longer_name_waits_and_goes_when_it_is_back(world: World) -> None:
    row = world.decide()
    world.use()
    assert world.deliver() == 0
    assert world.state(row) == "PENDING"
    world.patient()
    world.arrives(row)
    assert world.applied(row) == 1
