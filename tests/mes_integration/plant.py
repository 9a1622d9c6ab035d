"""Dispositions, and two kinds of MES to send them to: the demo's process, and a scripted one."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from django.db import connection

from governance.access import system
from governance.audit import recorded
from mes_integration import outbox
from mes_integration.models import WriteBack
from tests import factories
from tests.ports import OwnPort
from traceability.models import DeciderKind, Disposition, Inspection, ModelVersion, Unit

NOW = factories.NOW
SECRET = "shared-with-the-mes"


def disposition(
    unit: Unit | None = None,
    *,
    kind: str = "HOLD",
    at: datetime = NOW,
    inspection: Inspection | None = None,
    model: ModelVersion | None = None,
    **fields: Any,
) -> Disposition:
    """The unit's next revision."""
    seen = inspection or factories.inspection(unit)
    seen.unit.disposition_revision += 1
    seen.unit.save(update_fields=["disposition_revision"])
    values = {
        "nonconformities": [{"defect_class": "porosity", "severity": "major", "count": 1}],
        "decider_kind": DeciderKind.INSPECTOR,
        "decider": "4711",
        "decided_at": at,
        "policy_version": 12,
        **fields,
    }
    return Disposition.objects.create(
        site=seen.site,
        unit=seen.unit,
        inspection=seen,
        revision=seen.unit.disposition_revision,
        kind=kind,
        model_version=model,
        **values,
    )


def enqueued(
    unit: Unit | None = None,
    *,
    kind: str = "HOLD",
    at: datetime = NOW,
    due_at: datetime | None = None,
    inspection: Inspection | None = None,
) -> WriteBack:
    """A write-back, due at once unless said otherwise."""
    made = disposition(unit, kind=kind, at=at, inspection=inspection)
    with recorded(actor=system("test"), at=at) as trail:
        return outbox.enqueue_all(trail=trail, dispositions=[made], due_at=due_at or at)[0]


def state_of(row: WriteBack) -> str:
    row.refresh_from_db()
    return row.state


def outcomes(row: WriteBack) -> list[str]:
    """What was tried, in order."""
    return list(row.delivery_attempts.order_by("pk").values_list("outcome", flat=True))


def expire_lease(row: WriteBack) -> None:
    """As if the database's clock had gone past the lease."""
    row.refresh_from_db()
    assert row.lease_expires_at is not None
    WriteBack.objects.filter(pk=row.pk).update(
        lease_expires_at=row.lease_expires_at - timedelta(hours=1)
    )


def somebody_waits_for_a_lock() -> bool:
    """Whether another connection has come so far that it waits for what this one holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


class DemoMes:
    """The demo MES as the process it is, with its faults open."""

    def __init__(self, state: Path) -> None:
        self._port = OwnPort()
        port = self._port.number
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "config.demo.mes", "--port", str(port)),
                *("--state", str(state), "--secret-env", "TEST_SECRET", "--allow-faults"),
            ],
            env=os.environ | {"TEST_SECRET": SECRET},
        )
        self._http = httpx.Client(base_url=self.url, timeout=60)
        ends = time.monotonic() + 90
        while not self._is_up():
            assert time.monotonic() < ends, "the demo MES did not come up"
            assert self._process.poll() is None, "the demo MES ended"

    def _is_up(self) -> bool:
        try:
            return self._http.get("/health").status_code == 200
        except httpx.TransportError:
            time.sleep(0.02)
            return False

    def fault(self, mode: str, **more: float) -> None:
        self._http.post("/faults", json={"mode": mode, **more}).raise_for_status()

    def held(self, row: WriteBack) -> dict[str, Any] | None:
        answer = self._http.get(f"/dispositions/{row.uuid}")
        return answer.json() if answer.status_code == 200 else None

    def deliveries(self) -> dict[str, int]:
        """How many deliveries were applied, repeated, stale ..., ever."""
        counted: dict[str, int] = self._http.get("/health").json()["deliveries"]
        return counted

    def stop(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(timeout=60)
        self._port.free()


@dataclass
class Request:
    """What a scripted MES was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What it answers; `seconds` later, or with a reset instead."""

    status: int = 201
    body: bytes = b'{"reference": "R-1"}'
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    reset: bool = False


class ScriptedMes:
    """A real server on a free port that answers as told, in order; the last reply stays."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: list[Reply] = [Reply()]
        self.during: Callable[[Request], None] = lambda request: None
        self._lock = threading.Lock()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                scripted.answer(self, Request(self.command, self.path, dict(self.headers), body))

            do_GET = do_POST = do_PUT = answer  # noqa: N815  # the names http.server looks for

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        self.during(request)
        if reply.reset:
            handler.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            handler.connection.close()
            return
        time.sleep(reply.seconds)
        try:
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            handler.wfile.write(reply.body)
        except OSError:
            """The client has gone away, as it should after its time-out."""

    def says(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def posted(self) -> list[dict[str, Any]]:
        return [json.loads(r.body) for r in self.requests if r.method == "POST"]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
