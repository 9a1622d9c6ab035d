"""The thin floors: a loop's least statements, as SQL and as a throw-away view.

Tables of their own, so that nothing of Loupe (constraints, triggers, indexes) is paid for here.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.runner.postgres import EmbeddedPostgres, binaries

TABLES = """
CREATE TABLE floor_task (id bigserial PRIMARY KEY, state text NOT NULL, due timestamptz NOT NULL,
    holder bigint, lease timestamptz, fence bigint NOT NULL DEFAULT 0, body jsonb NOT NULL);
CREATE INDEX floor_task_open ON floor_task (due, id) WHERE state IN ('QUEUED', 'LEASED');
CREATE TABLE floor_token (key text PRIMARY KEY, person bigint NOT NULL);
CREATE TABLE floor_decision (id bigserial PRIMARY KEY, task bigint UNIQUE, key text UNIQUE,
    answer text);
CREATE TABLE floor_label (id bigserial PRIMARY KEY, task bigint, verdict text);
CREATE TABLE floor_outbox (id bigserial PRIMARY KEY, task bigint, body jsonb);
CREATE TABLE floor_audit (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), what text);
"""
FILL = """
INSERT INTO floor_task (state, due, body) SELECT 'QUEUED', now() + n * interval '1 ms',
    '{"serial": "SN-1", "score": 0.5}' FROM generate_series(1, %s) n;
"""
CLAIM = """
UPDATE floor_task SET state = 'LEASED', holder = {person}, fence = fence + 1,
    lease = now() + interval '90 s'
WHERE id = (SELECT id FROM floor_task WHERE state IN ('QUEUED', 'LEASED')
    AND (state = 'QUEUED' OR lease < now()) ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, fence, body
"""
DECIDE = (
    """UPDATE floor_task SET state = 'DECIDED' WHERE id = {task} AND fence = {fence}
    AND state = 'LEASED'""",
    "INSERT INTO floor_decision (task, key, answer) VALUES ({task}, {key}, 'FALSE_CALL')",
    "INSERT INTO floor_label (task, verdict) VALUES ({task}, 'good')",
    """INSERT INTO floor_outbox (task, body) VALUES ({task}, '{{"disposition": "ACCEPT"}}')""",
    "INSERT INTO floor_audit (what) VALUES ('task.decide'), ('unit.dispose')",
)


def fill(size: int, people: int) -> None:
    """Make the throw-away tables with `size` open tasks and a token a person."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        cursor.execute(FILL, [size])
        cursor.execute(
            "INSERT INTO floor_token SELECT 'token-' || n, n FROM generate_series(0, %s) n",
            [people],
        )
        cursor.execute("ANALYZE")


class Floor(APIView):
    """A token look-up and the statements, nothing else."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @staticmethod
    def person(request: Request, cursor: Any) -> int:
        """Who calls."""
        key = request.headers["X-Token"]
        cursor.execute("SELECT person FROM floor_token WHERE key = %s", [key])
        found: int = cursor.fetchone()[0]
        return found


class FloorClaim(Floor):
    """Claim the next task."""

    def post(self, request: Request) -> Response:
        """The task as JSON."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(CLAIM.format(person="%s"), [self.person(request, cursor)])
            task, fence, body = cursor.fetchone()
        return Response({"tasks": [{"id": task, "fence": fence, "body": body}]})


class FloorDecide(Floor):
    """Decide it."""

    def post(self, request: Request, task: int) -> Response:
        """Nothing of interest."""
        body: Any = request.data
        values = {"task": task, "fence": body["fence"], "key": str(uuid4())}
        with transaction.atomic(), connection.cursor() as cursor:
            self.person(request, cursor)
            for statement in DECIDE:
                names = re.findall(r"{(\w+)}", statement)
                sql = statement.format(**dict.fromkeys(names, "%s")) if names else statement
                cursor.execute(sql, [values[name] for name in names] or None)
        return Response({"decided": task}, status=201)


def sql_loops_per_s(server: EmbeddedPostgres, *, clients: int, seconds: int) -> float:
    """Whole loops a second of pgbench on the same statements."""
    script = "BEGIN;\n" + CLAIM.format(person=":client_id").strip() + " \\gset\n"
    for statement in DECIDE:
        names = {"task": ":id", "fence": ":fence", "key": "gen_random_uuid()::text"}
        script += statement.format(**names) + ";\n"
    script += "COMMIT;\n"
    with NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [
                *(str(Path(binaries()) / "pgbench"), "-n", "-f", file.name, "-c", str(clients)),
                *("-j", "2", "-T", str(seconds), server.url),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ,
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench gave no figure: {done.stdout[-500:]}")
    return float(found.group(1))
