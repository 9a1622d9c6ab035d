"""A Celery application with Loupe's own broker settings and one task that can be killed in work."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import django
import psycopg
from celery import Celery
from django.conf import settings

django.setup()

PICTURE_S: Final = 0.2

app = Celery("faults")
app.config_from_object("django.conf:settings", namespace="CELERY")
# As Loupe's, but for the patience: half an hour is nothing to wait for in a test.
app.conf.broker_transport_options = {
    **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
    "visibility_timeout": 3,
}


@app.task(name="faults.work")
def work(number: int) -> None:
    """Says that it started, waits for the gate, then leaves its mark, a single one."""
    folder = Path(os.environ["FAULTS_FOLDER"])
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("INSERT INTO started (number) VALUES (%s)", [number])
        while not (folder / "gate").exists():
            time.sleep(0.02)
        connection.execute("INSERT INTO done (number) VALUES (%s) ON CONFLICT DO NOTHING", [number])


@app.task(name="traceability.tasks.of_a_test")
def picture() -> None:
    """Takes as long as a picture."""
    time.sleep(PICTURE_S)


@app.task(name="faults.due")
def due() -> None:
    """Says when it was done."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("INSERT INTO done (number) VALUES (-1)")
