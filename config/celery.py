"""The Celery application, and the two loops its worker hosts beside the tasks."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, ClassVar, Final

from celery import Celery, bootsteps
from celery.schedules import crontab
from celery.signals import worker_shutting_down
from django.conf import settings
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

log = logging.getLogger(__name__)

PAUSE_S: Final = 5.0
STALE_S: Final = 60

app = Celery("loupe")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.beat_schedule = {
    "hold what is past its deadline": {
        "task": "review.tasks.hold_overdue",
        "schedule": 5.0,
    },
    "hold inspections that miss a view": {
        "task": "inference_bridge.tasks.hold_incomplete",
        "schedule": 30.0,
    },
    "make previews a crash left out": {
        "task": "traceability.tasks.sweep_previews",
        "schedule": 30.0,
    },
    "publish alerts": {
        "task": "inference_bridge.tasks.publish_alerts",
        "schedule": 5.0,
    },
    "escalate calls nobody answers": {
        "task": "inference_bridge.tasks.escalate_calls",
        "schedule": 2.0,
    },
    "start retraining when a trigger fires": {
        "task": "retraining.tasks.fire_triggers",
        "schedule": 5.0,
    },
    "follow training runs": {
        "task": "retraining.tasks.advance_runs",
        "schedule": 2.0,
    },
    "alarm when dispositions do not get through": {
        "task": "mes_integration.tasks.raise_alarms",
        "schedule": 30.0,
    },
    "raise nonconformances": {
        "task": "mes_integration.tasks.raise_nonconformances",
        "schedule": 30.0,
    },
    "hand nonconformances over": {
        "task": "mes_integration.tasks.hand_nonconformances_over",
        "schedule": 5.0,
    },
    "take B2MML files": {
        "task": "mes_integration.tasks.collect_b2mml",
        "schedule": 2.0,
    },
    "begin the night's reconciliations": {
        "task": "mes_integration.tasks.start_reconciliations",
        "schedule": crontab(hour=1, minute=43),
    },
    "carry on reconciliations": {
        "task": "mes_integration.tasks.carry_on_reconciliations",
        "schedule": 10.0,
    },
    "forget expired sessions": {
        "task": "governance.tasks.clear_sessions",
        "schedule": crontab(hour=3, minute=17),
    },
}

for _entry in app.conf.beat_schedule.values():
    if isinstance(_entry["schedule"], float):
        # The next one does the same: a worker that was away does not do it a thousand times.
        _entry["options"] = {"expires": STALE_S}


class HostedLoop(bootsteps.StartStopStep):
    """A loop in a thread of the worker's main process, started after the pool has forked.

    `runs` names a function that takes an event and returns soon after it is set; it is imported
    when the worker starts, because its modules need Django's apps.
    """

    requires = ("celery.worker.components:Pool",)
    title: ClassVar[str]
    switch: ClassVar[str]
    runs: ClassVar[str]

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.enabled = bool(getattr(settings.LOUPE, self.switch))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, parent: Any) -> None:
        self._stop.clear()
        # The worker's own loops take seconds to end before `stop` is called: nothing new is
        # begun meanwhile.
        worker_shutting_down.connect(self._end_soon)
        self._thread = threading.Thread(target=self._keep_up, name=self.title, daemon=True)
        self._thread.start()

    def _keep_up(self) -> None:
        """Run the loop; one that a fault has ended is started again, the worker looks healthy."""
        loop = import_string(self.runs)
        while not self._stop.is_set():
            try:
                loop(self._stop)
            except Exception:
                # Whatever the fault: it is logged whole, and intake or delivery must not stay dead.
                log.exception("the %s ended with a fault and is started again", self.title)
                self._stop.wait(PAUSE_S)
            else:
                return

    def _end_soon(self, **_signal: Any) -> None:
        # Sent from a signal handler, which must not wait for the event's lock.
        threading.Thread(target=self._stop.set, daemon=True).start()

    def stop(self, parent: Any) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)


class Heartbeat(HostedLoop):
    """Touches a file, so that whoever started the worker sees that it lives."""

    title = "heartbeat"
    switch = "heartbeat_file"
    runs = "config.heartbeat.run"


class Consumer(HostedLoop):
    """Reads predictions from SQS."""

    title = "consumer"
    switch = "hosts_consumer"
    runs = "inference_bridge.consumer.run"


class Relay(HostedLoop):
    """Delivers write-backs to the MES."""

    title = "relay"
    switch = "hosts_relay"
    runs = "mes_integration.relay.run"


for loop in (Heartbeat, Consumer, Relay):
    app.steps["worker"].add(loop)
