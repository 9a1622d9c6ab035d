"""Inspectors at work while web server and worker are killed: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from tests.faults import inspectors as people
from tests.faults.inspectors import Inspector, Said
from tests.faults.plant import (
    QUIET,
    ROOT,
    Plant,
    Process,
    demo_mes,
    kill_one,
    until,
    web,
)

TASKS, PEOPLE = 60, 4
# Something is killed each time so many verdicts more are standing.
STEP = 4
# What an inspector could not tell waits for a lead, with his verdict standing.
UNDECIDED = "SELECT count(*) FROM review_reviewtask WHERE state <> 'DECIDED' AND NOT is_escalated"
STANDING = """
    SELECT count(*) FROM review_decision d WHERE NOT EXISTS
    (SELECT 1 FROM review_decisionwithdrawal w WHERE w.decision_id = d.id)
"""
ON_ITS_WAY = "SELECT count(*) FROM mes_integration_writeback WHERE settled_at IS NULL"

pytestmark = pytest.mark.timeout(600)


def signed_in(plant: Plant, *, tasks: int, number: int) -> list[dict[str, str]]:
    """Fills the queue; the request headers of that many inspectors."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.seeding", str(tasks), str(number)],
        cwd=ROOT,
        env=dict(plant.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    headers: list[dict[str, str]] = json.loads(done.stdout)
    return headers


@contextmanager
def celery(plant: Plant, mes: str) -> Iterator[Process]:
    """The worker, whose relay delivers to the MES."""
    arguments = ("celery", "--app", "config", "worker", "--concurrency", "1", *QUIET)
    with plant.process("worker", *arguments, LOUPE_MES_URL=mes) as process:
        yield process


def test_nothing_is_lost_or_doubled_while_web_and_worker_are_killed(
    make_plant: Callable[..., Plant], capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("LOUPE_FAULT_SEED") or random.SystemRandom().randrange(10**6))
    print(f"LOUPE_FAULT_SEED={seed} repeats this order of kills")
    plant = make_plant(lease_s="2", undo_window_s="1", mes_timeout_s="0.5", mes_quarantine_s="0.5")
    headers = signed_in(plant, tasks=TASKS, number=PEOPLE)
    with demo_mes(plant) as mes, celery(plant, mes) as worker, web(plant) as (server, port):
        staff = [
            Inspector(port, header, random.Random(seed * 10 + n), lambda: nothing_open(plant))
            for n, header in enumerate(headers)
        ]
        with at_work(staff) as threads:
            kills = kill_again_and_again(plant, server, worker, threads, random.Random(seed))
        assert [inspector.fault for inspector in staff] == [None] * PEOPLE
        until(lambda: plant.count(ON_ITS_WAY) == 0, seconds=200, what=str(worker.log))
        units = httpx.get(f"{mes}/units.json", timeout=60).json()["units"]

    cut = sum(inspector.cut for inspector in staff)
    with capsys.disabled():
        print(f"\nfaults.seed\t{seed}\t1\nfaults.kills\t{kills}\t1\nfaults.cut_off\t{cut}\t1")
    check_each_task(plant)
    check_each_decision(plant)
    check_answers(plant, [said for inspector in staff for said in inspector.said])
    undone = {decision for inspector in staff for decision in inspector.undone}
    check_undone(plant, undone)
    check_mes(plant, units)


def nothing_open(plant: Plant) -> bool:
    return plant.count(UNDECIDED) == 0


@contextmanager
def at_work(staff: Sequence[Inspector]) -> Iterator[list[threading.Thread]]:
    threads = [threading.Thread(target=inspector.work, daemon=True) for inspector in staff]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join(timeout=200)
    assert not any(thread.is_alive() for thread in threads)


def kill_again_and_again(
    plant: Plant,
    server: Process,
    worker: Process,
    threads: Sequence[threading.Thread],
    dice: random.Random,
) -> int:
    """Each time the inspectors have got further, until they are done; how many kills."""

    def kill_web_worker() -> None:
        if children := server.children():
            kill_one(dice.choice(children))

    def restart(process: Process) -> None:
        process.kill()
        process.start()

    kills = 0
    marks = range(STEP, TASKS, STEP)
    # The whole web server once, the worker several times, web workers for the rest.
    plan: list[Callable[[], None]] = [partial(restart, server)]
    plan += [partial(restart, worker)] * (len(marks) // 4)
    plan += [kill_web_worker] * (len(marks) - len(plan))
    dice.shuffle(plan)
    for mark, strike in zip(marks, plan, strict=True):
        until(
            partial(_got_to, plant, mark, threads),
            seconds=200,
            what=f"{mark} verdicts, see {server.log}",
        )
        strike()
        kills += 1
    return kills


def _got_to(plant: Plant, mark: int, threads: Sequence[threading.Thread]) -> bool:
    return plant.count(STANDING) >= mark or not any(thread.is_alive() for thread in threads)


def check_each_task(plant: Plant) -> None:
    """Decided or with a lead, held by nobody, one standing verdict that is the disposition."""
    assert plant.count(UNDECIDED) == 0
    assert plant.count("SELECT count(*) FROM review_reviewtask") == TASKS
    assert plant.count("SELECT count(*) FROM review_reviewtask WHERE state = 'LEASED'") == 0
    wrong = plant.rows("""
        SELECT t.uuid, count(d.id), max(d.disposition_kind), max(u.disposition)
        FROM review_reviewtask t JOIN traceability_unit u ON u.id = t.unit_id
        LEFT JOIN review_decision d ON d.task_id = t.id AND NOT EXISTS
            (SELECT 1 FROM review_decisionwithdrawal w WHERE w.decision_id = d.id)
        GROUP BY t.uuid
        HAVING count(d.id) <> 1 OR max(d.disposition_kind) <> max(u.disposition)
    """)
    assert wrong == []


def check_each_decision(plant: Plant) -> None:
    """One disposition, one write-back, labels unless inconclusive, one audit entry."""
    decisions = plant.count("SELECT count(*) FROM review_decision")
    assert plant.count("SELECT count(*) FROM traceability_disposition") == decisions
    assert plant.count("SELECT count(*) FROM mes_integration_writeback") == decisions
    wrong = plant.rows("""
        SELECT d.uuid, d.answer, w.state, labels, taken_back
        FROM review_decision d
        JOIN traceability_disposition s ON s.id = d.disposition_id
        LEFT JOIN mes_integration_writeback w ON w.disposition_id = s.id
        CROSS JOIN LATERAL (SELECT count(*) AS labels FROM labeling_label l
            WHERE l.decision = d.uuid) l
        CROSS JOIN LATERAL (SELECT count(*) > 0 AS taken_back FROM review_decisionwithdrawal x
            WHERE x.decision_id = d.id) x
        WHERE w.state IS DISTINCT FROM (CASE WHEN taken_back THEN 'WITHDRAWN'
                ELSE 'ACKNOWLEDGED' END)
           OR (d.answer = 'INCONCLUSIVE') <> (labels = 0)
           OR s.kind <> d.disposition_kind OR s.revision <> w.revision
           OR taken_back <> EXISTS (SELECT 1 FROM traceability_dispositionwithdrawal y
                WHERE y.disposition_id = s.id)
    """)
    assert wrong == []
    audited = "SELECT count(*) FROM governance_auditentry WHERE action = %s"
    assert plant.count(audited, ["task.decide"]) == decisions
    withdrawn = plant.count("SELECT count(*) FROM review_decisionwithdrawal")
    assert plant.count(audited, ["task.undo"]) == withdrawn
    assert plant.count(audited, ["write_back.acknowledge"]) == decisions - withdrawn


def check_answers(plant: Plant, said: Sequence[Said]) -> None:
    """What an inspector was told is what is written, and what was refused is not."""
    rows = {
        key: (str(decision), kind, revision, answer)
        for key, decision, kind, revision, answer in plant.rows("""
            SELECT d.idempotency_key, d.uuid, s.kind, s.revision, d.answer FROM review_decision d
            JOIN traceability_disposition s ON s.id = d.disposition_id
        """)
    }
    for one in said:
        if one.status in (200, 201):
            told = (one.answer["decision"], one.answer["disposition"], one.answer["revision"])
            assert rows.pop(one.key) == (*told, one.body["answer"])
        else:
            assert (one.status, one.answer["code"]) == (409, "lease_lost")
            assert one.key not in rows
    assert rows == {}, "verdicts nobody was told of"


def check_undone(plant: Plant, undone: set[str]) -> None:
    withdrawn = {
        str(decision)
        for (decision,) in plant.rows(
            "SELECT d.uuid FROM review_decisionwithdrawal w"
            " JOIN review_decision d ON d.id = w.decision_id"
        )
    }
    # An undo may have been made although its answer was cut off.
    assert undone <= withdrawn


def check_mes(plant: Plant, units: Sequence[dict[str, object]]) -> None:
    """The MES holds each unit once, at its last word."""
    held = {unit["serial"]: (unit["revision"], unit["disposition"]) for unit in units}
    assert len(held) == len(units) == TASKS
    last = plant.rows("SELECT serial, disposition_revision, disposition FROM traceability_unit")
    assert held == {serial: (revision, kind) for serial, revision, kind in last}


def test_a_verdict_cut_off_in_the_middle_is_not_half_there(
    make_plant: Callable[..., Plant],
) -> None:
    plant = make_plant()
    [headers] = signed_in(plant, tasks=1, number=1)
    key = {"Idempotency-Key": "a-verdict-that-is-cut-off"}
    with (
        web(plant) as (server, port),
        plant.connect() as hand,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1/review", headers=headers, timeout=120
        ) as client,
    ):
        [task] = client.post("/claims", json={"count": 1}).json()["tasks"]
        path = f"/tasks/{task['id']}/decision"
        body = {"fence": task["fence"], **people.VERDICTS[0]}
        killer = threading.Thread(target=_kill_once_it_waits, args=(plant, server))
        killer.start()
        with hand.transaction():
            # The verdict has closed the task and waits for the unit: the middle of it.
            hand.execute("SELECT id FROM traceability_unit FOR UPDATE")
            assert _decides(client, path, body, key) is None
        killer.join()
        until(lambda: _busy(plant) == 0)
        assert plant.rows(_WRITTEN) == [(0, 0, 0)]
        assert plant.rows("SELECT state FROM review_reviewtask") == [("LEASED",)]
        until(lambda: _decides(client, path, body, key) == 201)
        assert _decides(client, path, body, key) == 200
    assert plant.count(STANDING) == 1


_WRITTEN = """
    SELECT (SELECT count(*) FROM review_decision), (SELECT count(*) FROM labeling_label),
        (SELECT count(*) FROM traceability_disposition)
"""
_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


def _kill_once_it_waits(plant: Plant, server: Process) -> None:
    until(lambda: plant.count(_WAITING) == 1)
    for child in server.children():
        kill_one(child)


def _busy(plant: Plant) -> int:
    """The server notices a killed client when it next talks to it."""
    return plant.count(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state <> 'idle'"
    )


def _decides(
    client: httpx.Client, path: str, body: dict[str, object], key: dict[str, str]
) -> int | None:
    try:
        return client.post(path, json=body, headers=key).status_code
    except httpx.TransportError:
        return None
