"""The demo MES, spoken to over real HTTP as the process it is."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from config.demo.mes_app import sign
from tests.ports import OwnPort

SECRET = "a-shared-secret"


class Running:
    """One MES process and a client of it."""

    def __init__(self, state: Path, *options: str) -> None:
        self._own = OwnPort()
        self.port = self._own.number
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "config.demo.mes", "--port", str(self.port)),
                *("--state", str(state), "--secret-env", "TEST_SECRET", *options),
            ],
            env=os.environ | {"TEST_SECRET": SECRET},
            start_new_session=True,
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self._wait()

    def _wait(self) -> None:
        ends = time.monotonic() + 90
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                if self.http.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError("the MES did not come up")

    def post(
        self, event: dict[str, Any], *, key: str | None = None, signature: str | None = None
    ) -> httpx.Response:
        body = json.dumps(event).encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": event["id"] if key is None else key,
            "X-Loupe-Signature": signature or sign(SECRET, body, at=int(time.time())),
        }
        return self.http.post("/dispositions", content=body, headers=headers)

    def fault(self, mode: str, **more: float) -> None:
        assert self.http.post("/faults", json={"mode": mode, **more}).status_code == 200

    def units(self) -> dict[str, dict[str, Any]]:
        return {unit["serial"]: unit for unit in self.http.get("/units.json").json()["units"]}

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
        self._own.free()


@contextmanager
def running(state: Path, *options: str) -> Iterator[Running]:
    mes = Running(state, *options)
    try:
        yield mes
    finally:
        mes.stop()


@pytest.fixture(scope="module")
def mes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("mes")) as started:
        yield started


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("faulty"), "--allow-faults") as started:
        yield started


def event(disposition: str = "HOLD", *, serial: str = "", revision: int = 1) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "urn:loupe:site:plant-1",
        "type": "com.loupe.disposition.v1",
        "data": {
            "unit": {"serial": serial or f"SN-{uuid4().hex[:8]}", "part_number": "P-1"},
            "station": {"site": "plant-1", "line": "line-1"},
            "revision": revision,
            "disposition": disposition,
            "nonconformities": [{"defect_class": "blow<hole", "severity": "major", "count": 1}],
            "decided_by": {"kind": "inspector", "badge": "4711"},
        },
    }


def serial_of(sent: dict[str, Any]) -> str:
    return str(sent["data"]["unit"]["serial"])


def test_a_disposition_is_taken_once_and_read_back(mes: Running) -> None:
    sent = event("HOLD")
    first = mes.post(sent)
    assert first.status_code == 201
    reference = first.json()["reference"]
    assert reference.startswith("MES-")
    again = mes.post(sent)
    assert (again.status_code, again.json()) == (200, {"reference": reference})
    assert again.headers["X-Duplicate"] == "1"
    held = mes.http.get(f"/dispositions/{sent['id']}")
    assert (held.status_code, held.json()["reference"]) == (200, reference)
    assert held.json()["disposition"] == "HOLD"


def test_what_was_never_sent_cannot_be_read_back(mes: Running) -> None:
    assert mes.http.get(f"/dispositions/{uuid4()}").status_code == 404


def test_another_body_under_the_same_key_is_a_conflict(mes: Running) -> None:
    sent = event("HOLD")
    mes.post(sent)
    sent["data"]["disposition"] = "ACCEPT"
    refused = mes.post(sent)
    assert refused.status_code == 409
    assert "reference" not in refused.json()
    assert mes.units()[serial_of(sent)]["state"] == "HOLD"


def test_an_older_revision_is_acknowledged_but_overtakes_nothing(mes: Running) -> None:
    newer = event("HOLD", revision=3)
    older = event("ACCEPT", serial=serial_of(newer), revision=2)
    assert mes.post(newer).status_code == 201
    late = mes.post(older)
    assert late.status_code == 200
    assert late.json()["stale"] is True
    unit = mes.units()[serial_of(newer)]
    assert (unit["state"], unit["revision"], unit["id"]) == ("HOLD", 3, newer["id"])
    assert mes.http.get(f"/dispositions/{older['id']}").json()["stale"] is True


def test_a_newer_revision_moves_the_unit(mes: Running) -> None:
    first = event("HOLD")
    serial = serial_of(first)
    mes.post(first)
    for revision, disposition, state in ((2, "ACCEPT", "RELEASED"), (3, "SCRAP", "SCRAPPED")):
        sent = event(disposition, serial=serial, revision=revision)
        assert mes.post(sent).status_code == 201
        assert mes.units()[serial]["state"] == state


def test_one_revision_under_two_ids_is_a_conflict(mes: Running) -> None:
    first = event("HOLD")
    mes.post(first)
    assert mes.post(event("ACCEPT", serial=serial_of(first))).status_code == 409
    assert mes.units()[serial_of(first)]["state"] == "HOLD"


@pytest.mark.parametrize(("secret", "shift"), [("another", 0), (SECRET, -301), (SECRET, 310)])
def test_a_wrong_or_outdated_signature_is_refused(mes: Running, secret: str, shift: int) -> None:
    sent = event()
    # One that lies ahead comes nearer until it is looked at.
    signature = sign(secret, json.dumps(sent).encode(), at=int(time.time()) + shift)
    assert mes.post(sent, signature=signature).status_code == 401
    assert serial_of(sent) not in mes.units()


@pytest.mark.parametrize(
    "header", ["nonsense", "t=,v1=00", "v1=00", "t=-5,v1=00", "t=²,v1=0", f"t={'9' * 5000},v1=0"]
)
def test_a_garbled_signature_is_refused_with_the_form_it_must_have(
    mes: Running, header: str
) -> None:
    body = json.dumps(event()).encode()
    headers = [(b"Idempotency-Key", b"x"), (b"X-Loupe-Signature", header.encode())]
    answer = mes.http.post("/dispositions", content=body, headers=headers)
    assert answer.status_code == 401
    assert "t=<unix>,v1=<hex>" in answer.json()["detail"]


def test_a_signature_within_five_minutes_is_accepted(mes: Running) -> None:
    sent = event()
    signature = sign(SECRET, json.dumps(sent).encode(), at=int(time.time()) - 280)
    assert mes.post(sent, signature=signature).status_code == 201


def test_the_idempotency_key_must_be_there_and_be_the_events_id(mes: Running) -> None:
    assert mes.post(event(), key="").status_code == 400
    assert mes.post(event(), key="another").status_code == 400


def test_an_unknown_disposition_or_a_missing_serial_is_refused_in_words(mes: Running) -> None:
    unknown = mes.post(event("QUARANTINE"))
    assert unknown.status_code == 422
    assert "HOLD, ACCEPT, REWORK, SCRAP" in unknown.json()["detail"]
    nameless = event()
    nameless["data"]["unit"] = {}
    assert mes.post(nameless).json()["detail"] == "data.unit.serial is missing."
    assert mes.post(event(revision=0)).status_code == 422
    assert mes.post(event(revision=2**70)).status_code == 422


def test_the_page_shows_the_units_and_escapes_what_it_was_sent(mes: Running) -> None:
    sent = event("SCRAP")
    reference = mes.post(sent).json()["reference"]
    shown = mes.http.get("/")
    row = f'<tr data-serial="{serial_of(sent)}" data-state="SCRAPPED">'
    assert row in shown.text
    assert reference in shown.text
    assert "blow&lt;hole" in shown.text
    assert "<script" not in shown.text
    assert "style-src 'self'" in shown.headers["Content-Security-Policy"]
    assert mes.http.get("/mes.css").headers["Content-Type"].startswith("text/css")


def test_a_count_narrows_the_page_to_its_units(tmp_path: Path) -> None:
    with running(tmp_path) as mes:
        held, released = event("HOLD"), event("ACCEPT")
        mes.post(held)
        mes.post(released)
        shown = mes.http.get("/", params={"disposition": "HOLD"}).text
        assert serial_of(held) in shown
        assert serial_of(released) not in shown
        assert "On hold <b>1</b>" in shown
        assert "Released <b>1</b>" in shown
        assert "No unit is rework" in mes.http.get("/", params={"disposition": "REWORK"}).text


def test_unknown_addresses_methods_and_closed_faults_are_refused(mes: Running) -> None:
    assert mes.http.get("/nothing").status_code == 404
    assert mes.http.get("/dispositions").headers["Allow"] == "POST"
    assert mes.http.post("/faults", json={"mode": "500"}).status_code == 405


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    sent = event("HOLD")
    with running(tmp_path) as mes:
        reference = mes.post(sent).json()["reference"]
        mes.kill()
    with running(tmp_path) as mes:
        again = mes.post(sent)
        assert (again.status_code, again.json()) == (200, {"reference": reference})
        assert mes.units()[serial_of(sent)]["state"] == "HOLD"
        assert mes.post(event()).json()["reference"] > reference


@pytest.mark.parametrize(
    ("mode", "status", "applied"),
    [
        ("500", 500, False),
        ("500_after_apply", 500, True),
        ("429", 429, False),
        ("reject", 422, False),
        ("timeout", 503, False),
        ("late", 201, True),
    ],
)
def test_each_fault_answers_and_applies_as_it_says(
    faulty: Running, mode: str, status: int, applied: bool
) -> None:
    sent = event()
    faulty.fault(mode, seconds=0.05)
    assert faulty.post(sent).status_code == status
    assert (serial_of(sent) in faulty.units()) is applied
    faulty.fault("ok")
    assert faulty.post(sent).status_code == (200 if applied else 201)


def test_a_reset_cuts_the_line_after_the_disposition_is_held(faulty: Running) -> None:
    sent = event()
    faulty.fault("reset_after_apply")
    with pytest.raises(httpx.TransportError):
        faulty.post(sent)
    assert faulty.http.get(f"/dispositions/{sent['id']}").status_code == 200


def test_a_fault_meets_only_its_share(faulty: Running) -> None:
    faulty.fault("500", share=0.5)
    statuses = [faulty.post(event()).status_code for _ in range(30)]
    assert set(statuses) == {201, 500}
    faulty.fault("500", share=0)
    assert faulty.post(event()).status_code == 201


def test_without_a_secret_it_does_not_start_and_says_which_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "config.demo.mes", "--port", "1", "--state", str(tmp_path)],
        env={name: value for name, value in os.environ.items() if name != "LOUPE_MES_SECRET"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "LOUPE_MES_SECRET is not set" in ended.stderr
