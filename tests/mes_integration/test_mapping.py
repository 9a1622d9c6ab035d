"""Mapping profiles: the record in a target's words, and what stops it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes_integration import mapping, mappings
from mes_integration.canonical import record_of
from mes_integration.mapping import VERDICTS, Unmapped
from mes_integration.models import WriteBack
from tests.mes_integration.plant import NOW, enqueued
from traceability.refusals import Invalid

DOCUMENT: dict[str, Any] = {
    "schema": "loupe.mapping/1",
    "adapter": "http",
    "verdicts": {"ACCEPT": "OK", "SCRAP": {"code": 60}},
    "defects": {"porosity": "NC-17"},
    "required": ["unit.lot"],
    "body": {
        "serial": "=unit.serial",
        "status": "=mapped.verdict",
        "codes": "=defects[].mapped",
        "fixed": "as it stands",
        "many": ["=version", 7],
    },
    "capabilities": {"key": True, "read_back": True, "ordered": True, "max_processing_s": 30},
}
RECORD: dict[str, Any] = {
    "verdict": "ACCEPT",
    "version": 3,
    "unit": {"serial": "SN-1", "lot": "L9"},
    "defects": [{"code": "porosity", "severity": "major", "count": 1}],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DOCUMENT), **fields}


def test_the_record_is_said_in_the_targets_words() -> None:
    assert mapping.render(mapping.parse(DOCUMENT), RECORD) == {
        "serial": "SN-1",
        "status": "OK",
        "codes": ["NC-17"],
        "fixed": "as it stands",
        "many": [3, 7],
    }


def test_a_word_of_the_target_may_be_any_json() -> None:
    said = mapping.render(mapping.parse(DOCUMENT), {**RECORD, "verdict": "SCRAP"})
    assert said["status"] == {"code": 60}


@given(st.sampled_from(VERDICTS), st.text(max_size=12), st.sets(st.sampled_from(VERDICTS)))
def test_no_verdict_and_no_code_is_ever_said_by_a_word_nobody_chose(
    verdict: str, code: str, known: set[str]
) -> None:
    words = {name: f"their {name}" for name in known}
    profile = mapping.parse(changed(verdicts=words))
    record = {**RECORD, "verdict": verdict, "defects": [{"code": code}]}
    if verdict in known and code == "porosity":
        assert mapping.render(profile, record)["status"] == f"their {verdict}"
        return
    with pytest.raises(Unmapped) as stopped:
        mapping.render(profile, record)
    assert (verdict if verdict not in known else code) in stopped.value.sentence


@pytest.mark.parametrize("lot", [None, ""])
def test_a_fact_the_target_needs_and_the_record_lacks_stops_it(lot: str | None) -> None:
    with pytest.raises(Unmapped, match=r"unit\.lot"):
        mapping.render(mapping.parse(DOCUMENT), {**RECORD, "unit": {"serial": "SN-1", "lot": lot}})


def test_an_expression_that_cannot_be_answered_stops_it() -> None:
    profile = mapping.parse(changed(body={"sum": "=sum(unit.serial)"}))
    with pytest.raises(Unmapped, match="sum"):
        mapping.render(profile, RECORD)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"schema": "loupe.mapping/2"}, "schema"),
        ({"verdicts": {"MAYBE": "x"}}, "verdicts"),
        ({"body": {"a": {"b": "=unit.["}}}, "body.a.b"),
        ({"required": ["unit.["]}, "required"),
        ({"capabilities": {"key": True}}, "capabilities"),
        ({"capabilities": {**DOCUMENT["capabilities"], "max_processing_s": -1}}, "max_processing"),
        ({"surprise": 1}, "surprise"),
        ({"body": "=unit"}, "body"),
    ],
)
def test_a_wrong_profile_is_refused_by_the_name_of_the_place(
    fault: dict[str, Any], named: str
) -> None:
    with pytest.raises(Invalid, match=named):
        mapping.parse(changed(**fault))


@pytest.mark.parametrize("name", mappings.shipped_names())
def test_every_shipped_profile_is_whole_and_has_a_word_for_every_verdict(name: str) -> None:
    assert set(mappings.shipped(name).verdicts) == set(VERDICTS)


@pytest.mark.django_db
def test_the_generic_profile_says_the_event_as_it_is() -> None:
    row = enqueued()
    assert mapping.render(mappings.shipped("generic"), record_of(row)) == row.payload


@pytest.mark.django_db
def test_the_record_carries_what_the_event_does_not() -> None:
    row = enqueued()
    record = record_of(row)
    assert record["disposition_id"] == str(row.uuid)
    assert record["supersedes"] is None
    assert record["source"] == "human"
    WriteBack.objects.filter(pk=row.pk).update(state="ACKNOWLEDGED", settled_at=NOW)
    later = enqueued(row.unit, kind="ACCEPT", inspection=row.disposition.inspection)
    assert record_of(later)["supersedes"] == str(row.uuid)
