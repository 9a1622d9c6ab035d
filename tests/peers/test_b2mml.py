"""A second opinion on every document we send: xmlschema, which shares no code with lxml."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from config.settings.environment import ROOT
from mes_integration.adapters import b2mml
from mes_integration.b2mml_answers import Result, answer
from mes_integration.b2mml_api import XmlRenderer
from mes_integration.b2mml_documents import opened
from tests.mes_integration.b2mml import SCHEMAS, confirm, document, message, needs_schemas
from tests.mes_integration.test_b2mml_documents_out import EVERY, said_of
from tests.mes_integration.test_b2mml_inbound import LOT, ORDER

pytestmark = [pytest.mark.peers, needs_schemas]
PACKAGE: Final = "xmlschema==4.3.*"
_HOME: Final = ROOT / "var" / "peers" / "xmlschema-4.3"
_VALIDATOR: Final = Path(__file__).with_name("b2mml_validator.py")


def _python() -> Path:
    """An environment of its own; made the first time."""
    python = _HOME / "bin" / "python"
    done = _HOME / "installed"
    if not done.exists():
        shutil.rmtree(_HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(_HOME)], check=True, timeout=300)
        command = [str(python), "-m", "pip", "install", "--quiet", PACKAGE]
        subprocess.run(command, check=True, timeout=600)
        done.touch()
    return python


def _faults(folder: Path) -> dict[str, str]:
    command = [str(_python()), str(_VALIDATOR), SCHEMAS, str(folder)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    said: dict[str, str] = json.loads(ended.stdout)
    return {name: fault for name, fault in said.items() if fault} | (
        {} if said else {"": "nothing was looked at"}
    )


def test_every_disposition_is_valid_to_another_validator_too(tmp_path: Path) -> None:
    for number, case in enumerate(EVERY):
        name = "-".join((f"{number:04d}", *case)).replace(" ", "_")
        (tmp_path / f"{name}.xml").write_bytes(b2mml.document(said_of(*case)))
    for profile in ("b2mml", "b2mml-lots", "b2mml-units"):
        (tmp_path / f"get-{profile}.xml").write_bytes(b2mml.query(message(profile)))
    assert _faults(tmp_path) == {}


def test_every_answer_is_valid_to_another_validator_too(tmp_path: Path) -> None:
    at = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    results = [
        Result("MaterialLot[ID='ü']", is_taken=True, code="created"),
        Result("", is_taken=False, code="invalid", sentence="“code” <is> missing & \x07 ☃."),
    ]
    received = {
        "confirm": document("SyncMaterialLot", f"<Sync/>{LOT}"),
        "acknowledge": document("ProcessMaterialLot", f"<Process/>{LOT}"),
        "orders": document("ProcessOperationsSchedule", f"<Process/>{ORDER}", bodid=""),
        "confirmed": confirm("k"),
    }
    for name, payload in received.items():
        (tmp_path / f"{name}.xml").write_bytes(answer(opened(payload), results, at=at))
    refusal = XmlRenderer().render({"code": "invalid", "detail": "Nö <&> \x07"})
    (tmp_path / "refusal.xml").write_bytes(refusal)
    assert _faults(tmp_path) == {}


def test_the_other_validator_does_find_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "wrong.xml").write_bytes(document("SyncTestResult", "<Sync/><TestResult/>"))
    assert "wrong.xml" in _faults(tmp_path)
