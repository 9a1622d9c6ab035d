"""Celery on PGMQ: what a killed worker was doing is done by the next one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.faults.plant import QUIET, ROOT, Plant, Process, kill_one, until

APP = "tests.faults.broker_app"
# More than two workers' hands can hold: some wait in the queue, some in the killed worker.
TASKS = 12
_SEND = f"""
from {APP} import work
for number in range({TASKS}):
    work.delay(number)
"""

# So many pictures take the two hands at least that long.
PICTURES = 200
_SEND_PICTURES = f"""
from {APP} import due, picture
for number in range({PICTURES}):
    picture.delay()
due.delay()
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def empty(make_plant: Callable[..., Plant]) -> Plant:
    """A plant with the tables the tasks write to."""
    made = make_plant()
    environment = {**made.environment, "FAULTS_FOLDER": str(made.folder)}
    made = Plant(made.url, made.folder, environment)
    with made.connect() as connection:
        connection.execute("CREATE TABLE started (number int NOT NULL)")
        connection.execute("CREATE TABLE done (number int PRIMARY KEY)")
    return made


@pytest.fixture
def plant(empty: Plant) -> Plant:
    """A plant whose tasks are sent."""
    send(empty, _SEND)
    return empty


def send(plant: Plant, script: str) -> None:
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=plant.environment, check=True)


def worker(plant: Plant) -> AbstractContextManager[Process]:
    arguments = ("celery", "--app", APP, "worker", "--concurrency", "2", *QUIET)
    return plant.process("worker", *arguments, "--loglevel", "INFO")


def waiting(plant: Plant) -> int:
    return plant.count("SELECT count(*) FROM pgmq.q_loupe")


def all_done(plant: Plant) -> bool:
    return plant.count("SELECT count(*) FROM done") == TASKS and waiting(plant) == 0


def test_what_a_killed_worker_was_doing_is_done_by_the_next_one(plant: Plant) -> None:
    assert waiting(plant) == TASKS
    with worker(plant) as first:
        until(lambda: plant.count("SELECT count(*) FROM started") >= 2, what=str(first.log))
        first.kill()
    begun = {number for (number,) in plant.rows("SELECT number FROM started")}
    assert begun
    assert plant.count("SELECT count(*) FROM done") == 0
    assert waiting(plant) == TASKS

    (plant.folder / "gate").touch()
    with worker(plant) as second:
        until(lambda: all_done(plant), seconds=180, what=str(second.log))
    again = dict(plant.rows("SELECT number, count(*) FROM started GROUP BY number"))
    assert again.keys() == set(range(TASKS))
    assert all(again[number] >= 2 for number in begun)


def test_a_task_whose_process_is_killed_goes_back_to_the_queue(plant: Plant) -> None:
    with worker(plant) as running:
        until(lambda: plant.count("SELECT count(*) FROM started") >= 2, what=str(running.log))
        for child in running.children():
            kill_one(child)
        (plant.folder / "gate").touch()
        until(lambda: all_done(plant), seconds=180, what=str(running.log))
    assert plant.count("SELECT count(*) FROM started") > TASKS


def test_what_is_due_does_not_stand_behind_the_pictures(empty: Plant) -> None:
    send(empty, _SEND_PICTURES)
    with worker(empty) as running:
        until(lambda: empty.count("SELECT count(*) FROM done") > 0, what=str(running.log))
        left = empty.count("SELECT count(*) FROM pgmq.q_loupe_pictures")
    assert left > PICTURES // 2
