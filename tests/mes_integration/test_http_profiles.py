"""Each shipped profile over HTTP: the calls it makes, and the names its system knows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mes_integration import mapping, mappings
from mes_integration.adapters import http_wire
from mes_integration.adapters.http import HttpMes
from mes_integration.adapters.protocol import Answer, Applied, Message, Refused, TryLater, Uncertain
from mes_integration.mapping import Unmapped
from mes_integration.transitions import after_post
from tests.mes_integration.plant import Reply, Request, ScriptedMes

KEY = "0199b1c2-0000-7000-8000-000000000001"
OPTIONS = {
    "company": 1,
    "control": 4,
    "inspected_by": "loupe@plant.example",
    "team": 2,
    "test_type": 3,
    "database": "plant",
    "table": "T/1",
}
HTTP = ["erpnext", "generic", "odoo", "oracle", "standard-webhooks", "tryton", "tulip"]


def record(verdict: str = "REWORK", **more: Any) -> dict[str, Any]:
    """A canonical record with every fact."""
    return {
        "schema": "loupe.disposition/1",
        "disposition_id": KEY,
        "version": 2,
        "supersedes": None,
        "site": "plant-1",
        "area": None,
        "line": "line-1",
        "station": "st-1",
        "operation": "st-1",
        "work_order": "JC-0007",
        "unit": {
            "serial": "SN-Ü 1",
            "part_number": "P-4711",
            "part_revision": "C",
            "lot": "L-9",
            "supplier": "Foundry",
        },
        "quantity": 1,
        "uom": "EA",
        "inspection_id": "300100",
        "verdict": verdict,
        "defects": [
            {"code": "porosity", "severity": "major", "count": 2},
            {"code": "scratch", "severity": "minor", "count": 1},
        ],
        "images": [],
        "score": 0.91,
        "source": "model+human",
        "decided_by": {"kind": "inspector", "badge": "4711"},
        "decided_at": "2026-11-22T06:00:00.250Z",
        "recorded_at": "2026-11-22T06:00:00.300Z",
        "reason": "Pores at the sealing face.",
        "concession": None,
        "policy_version": 12,
        "model": None,
        "link": None,
        "options": OPTIONS,
        "event": {"data": {"unit": {"serial": "SN-Ü 1"}, "revision": 2}},
        **more,
    }


def message(name: str, verdict: str = "REWORK", **more: Any) -> Message:
    profile = mappings.shipped(name)
    whole = mapping.mapped(profile, record(verdict, **more))
    return Message(KEY, whole, mapping.body_of(profile, whole), profile)


@contextmanager
def speaking(mes: ScriptedMes) -> Iterator[HttpMes]:
    adapter = HttpMes(
        url=mes.url + "/base",
        user="api-user",
        secret="api-secret",
        timeout_s=60,
        name="peer",
        options=OPTIONS,
        clock=lambda: 1_000_000.0,
    )
    yield adapter
    adapter.close()


def post(mes: ScriptedMes, sent: Message, *replies: Reply) -> Answer:
    mes.says(*replies, Reply(599, b"one call too many"))
    with speaking(mes) as adapter:
        return adapter.post(sent)


def read_back(mes: ScriptedMes, sent: Message, reply: Reply) -> Answer | None:
    mes.says(reply)
    with speaking(mes) as adapter:
        return adapter.read_back(sent)


def said(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


def calls(mes: ScriptedMes) -> list[tuple[str, str]]:
    return [(r.method, urlsplit(r.path).path) for r in mes.requests]


def query(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.path).query)


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def test_every_profile_over_http_has_a_wire_that_parses() -> None:
    found = [n for n in mappings.shipped_names() if mappings.shipped(n).adapter == "http"]
    assert found == HTTP
    for name in found:
        http_wire.parse(mappings.shipped(name).wire)


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize("verdict", ["ACCEPT", "REWORK", "SCRAP", "HOLD", "CONCESSION"])
def test_every_profile_has_a_word_for_every_verdict(name: str, verdict: str) -> None:
    assert message(name, verdict).body


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("tryton", "options.company"),
        ("erpnext", "options.inspected_by"),
        ("odoo", "options.team"),
        ("tulip", "options.table"),
    ],
)
def test_a_number_of_the_plants_own_that_nobody_gave_blocks(name: str, missing: str) -> None:
    with pytest.raises(Unmapped, match=missing):
        message(name, options={})


# Tryton: also against a live one, tests/peers


def test_tryton_is_asked_told_and_made_to_process(scripted: ScriptedMes) -> None:
    sent = message("tryton", "ACCEPT")
    answer = post(
        scripted, sent, said([]), said({"id": 12, "state": "pending"}), said({"state": "passed"})
    )
    assert answer == Applied("12", 200)
    base = "/base/rest/model/quality.inspection"
    assert calls(scripted) == [("GET", base), ("POST", base), ("POST", f"{base}/12/process")]
    asked, created, processed = scripted.requests
    domain = json.loads(base64.urlsafe_b64decode(query(asked)["d"][0]))
    reference = f"SN-Ü 1 ACCEPT/2 {KEY}"
    assert domain == [["reference", "=", reference]]
    assert query(asked)["f"] == ["reference", "state"]
    assert json.loads(created.body) == {
        "reference": reference,
        "company": 1,
        "control": 4,
        "points": {"loupe": True},
    }
    assert processed.body == b""
    assert {r.headers["Authorization"] for r in scripted.requests} == {"Bearer api-secret"}


def test_tryton_keeps_a_held_part_pending(scripted: ScriptedMes) -> None:
    assert post(scripted, message("tryton", "HOLD"), said([]), said({"id": 3})) == Applied("3", 200)
    assert len(scripted.requests) == 2


def test_tryton_half_done_is_gone_on_with(scripted: ScriptedMes) -> None:
    found = [{"id": 7, "state": "pending"}]
    sent = message("tryton", "SCRAP")
    assert read_back(scripted, sent, said(found)) is None
    scripted.requests.clear()
    assert post(scripted, sent, said(found), said({}), said({})) == Applied("7", 200)
    base = "/base/rest/model/quality.inspection"
    assert calls(scripted) == [("GET", base), ("PUT", f"{base}/7"), ("POST", f"{base}/7/process")]
    assert json.loads(scripted.requests[1].body) == sent.body


def test_tryton_done_is_not_touched_again(scripted: ScriptedMes) -> None:
    found = [{"id": 7, "state": "failed"}]
    answer = post(scripted, message("tryton", "SCRAP"), said(found))
    assert answer == Applied("7", 200, verdict="failed")
    assert len(scripted.requests) == 1


def test_tryton_tells_state_and_copies(scripted: ScriptedMes) -> None:
    found = [{"id": 7, "state": "failed"}, {"id": 8, "state": "failed"}]
    answer = read_back(scripted, message("tryton"), said(found))
    assert answer == Applied("7", 200, verdict="failed", copies=2)


@pytest.mark.parametrize(
    ("reply", "kind", "arrived"),
    [
        (Reply(500, b""), TryLater, True),
        (Reply(429, b""), TryLater, True),
        (Reply(403, b""), TryLater, True),
        (Reply(reset=True), Uncertain, None),
        (Reply(400, b"no"), Refused, None),
    ],
)
def test_from_the_first_call_on_it_may_stand_half_done(
    scripted: ScriptedMes, reply: Reply, kind: type[object], arrived: bool | None
) -> None:
    answer = post(scripted, message("tryton"), said([]), said({"id": 7}), reply)
    assert isinstance(answer, kind)
    if isinstance(answer, TryLater):
        assert answer.may_have_arrived is arrived
    if isinstance(answer, Refused):
        assert "holds it as 7, but not finished" in answer.sentence


@pytest.mark.parametrize(
    "step",
    [
        {"path": "/units/{nobody}/finish"},
        {"path": "/finish", "when": "=abs(key)"},
        {"path": "/finish", "body": {"x": "=left(reference, key)"}},
        {"path": "/finish", "headers": {"X-Part": "=nobody || ''"}},
    ],
)
def test_what_follows_and_cannot_be_said_is_for_a_person_for_the_peer_holds_it(
    scripted: ScriptedMes, step: dict[str, Any]
) -> None:
    sent = message("generic")
    profile = sent.profile.model_copy(update={"wire": {"then": [step], "read_back": None}})
    answer = post(scripted, replace(sent, profile=profile), said({"reference": "Q-7"}, 201))
    assert isinstance(answer, Uncertain)
    assert answer.for_person
    assert "holds it as Q-7, but not finished" in answer.sentence
    assert after_post(answer) == ("NEEDS_PERSON", "UNCERTAIN")
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("reply", [Reply(500, b""), Reply(reset=True), Reply(200, b"<html>")])
def test_while_it_cannot_be_asked_nothing_is_created(scripted: ScriptedMes, reply: Reply) -> None:
    answer = post(scripted, message("tryton"), reply)
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert len(scripted.requests) == 1


# By field lists only: no live one was at hand


def test_erpnext_gets_a_quality_inspection_and_submits_it(scripted: ScriptedMes) -> None:
    sent = message("erpnext")
    answer = post(scripted, sent, said({"data": []}), said({"data": {"name": "QI-1"}}), said({}))
    assert answer == Applied("QI-1", 200)
    base = "/base/api/resource/Quality%20Inspection"
    assert calls(scripted) == [("GET", base), ("POST", base), ("PUT", f"{base}/QI-1")]
    asked, created, submitted = scripted.requests
    assert json.loads(query(asked)["filters"][0])[0] == ["remarks", "like", f"%{KEY}%"]
    body = json.loads(created.body)
    remarks = body.pop("remarks")
    assert body == {
        "report_date": "2026-11-22",
        "inspection_type": "In Process",
        "reference_type": "Job Card",
        "reference_name": "JC-0007",
        "item_code": "P-4711",
        "item_serial_no": "SN-Ü 1",
        "batch_no": "L-9",
        "sample_size": 1,
        "manual_inspection": 1,
        "status": "Rejected",
        "inspected_by": "loupe@plant.example",
        "verified_by": "4711",
    }
    assert remarks.splitlines() == [
        f"Loupe {KEY}",
        "Verdict: REWORK",
        "2 porosity major, 1 scratch minor",
        "Pores at the sealing face.",
    ]
    assert json.loads(submitted.body) == {"docstatus": 1}
    assert created.headers["Authorization"] == "token api-user:api-secret"


def test_erpnext_leaves_a_held_part_a_draft_and_finds_what_it_holds(scripted: ScriptedMes) -> None:
    sent = message("erpnext", "HOLD")
    answer = post(scripted, sent, said({"data": []}), said({"data": {"name": "QI-2"}}))
    assert answer == Applied("QI-2", 200)
    found = {"data": [{"name": "QI-2", "docstatus": 0, "status": "Rejected"}]}
    held = read_back(scripted, sent, said(found))
    assert held == Applied("QI-2", 200, verdict=sent.profile.verdicts["HOLD"])
    assert read_back(scripted, message("erpnext"), said(found)) is None


def test_odoo_gets_a_quality_check_by_json_2(scripted: ScriptedMes) -> None:
    sent = message("odoo")
    assert post(scripted, sent, said([41])) == Applied("41", 200)
    (created,) = scripted.requests
    assert calls(scripted) == [("POST", "/base/json/2/quality.check/create")]
    assert created.headers["Authorization"] == "Bearer api-secret"
    assert created.headers["X-Odoo-Database"] == "plant"
    (values,) = json.loads(created.body)["vals_list"]
    note = values.pop("note")
    assert values == {
        "title": f"Loupe {KEY}",
        "team_id": 2,
        "test_type_id": 3,
        "quality_state": "fail",
        "control_date": "2026-11-22 06:00:00",
    }
    assert "SN-Ü 1" in note
    assert "2 porosity major" in note


def test_odoo_is_asked_by_title(scripted: ScriptedMes) -> None:
    held = read_back(scripted, message("odoo"), said([{"id": 41, "quality_state": "fail"}]))
    assert held == Applied("41", 200, verdict="fail")
    (asked,) = scripted.requests
    assert (asked.method, asked.path) == ("POST", "/base/json/2/quality.check/search_read")
    assert json.loads(asked.body) == {
        "domain": [["title", "=", f"Loupe {KEY}"]],
        "fields": ["id", "quality_state"],
    }
    assert read_back(scripted, message("odoo"), said([])) is None


def test_tulip_gets_a_record_under_our_key(scripted: ScriptedMes) -> None:
    sent = message("tulip")
    assert post(scripted, sent, said({"id": KEY}, 201)) == Applied(KEY, 201)
    (created,) = scripted.requests
    assert created.path == "/base/tables/T%2F1/records"
    assert created.headers["Authorization"] == basic("api-user", "api-secret")
    assert json.loads(created.body) == {
        "id": KEY,
        "loupe_unit": "SN-Ü 1",
        "loupe_part": "P-4711",
        "loupe_revision": 2,
        "loupe_verdict": "REWORK",
        "loupe_defects": "2 porosity major, 1 scratch minor",
        "loupe_decided_by": "4711",
        "loupe_decided_at": "2026-11-22T06:00:00.250Z",
        "loupe_reason": "Pores at the sealing face.",
    }
    held = read_back(scripted, sent, said({"id": KEY, "loupe_verdict": "REWORK"}))
    assert held == Applied(KEY, 200, verdict="REWORK")
    assert scripted.requests[-1].path == f"/base/tables/T%2F1/records/{KEY}"
    assert read_back(scripted, sent, Reply(404, b"{}")) is None


def test_oracle_finds_or_updates_the_inspections_result(scripted: ScriptedMes) -> None:
    sent = message("oracle")
    answer = post(scripted, sent, said({"InspectionEventId": "300100"}, 201))
    assert answer == Applied("300100", 201)
    (created,) = scripted.requests
    assert created.path == "/base/fscmRestApi/resources/11.13.18.05/inspectionResults"
    assert created.headers["Upsert-Mode"] == "true"
    assert json.loads(created.body) == {
        "InspectionEventId": "300100",
        "SerialNumber": "SN-Ü 1",
        "DispositionStatus": "REJECT",
        "Status": "COMPLETE",
        "TransactionQuantity": "1",
    }
    assert isinstance(read_back(scripted, sent, said({})), Uncertain)
    assert len(scripted.requests) == 1
