"""Runs and what may go wrong under way: crashes, kills, doubles, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from governance.access import system
from governance.models import AuditEntry
from governance.roles import Role
from labeling.models import Dataset, DatasetVersion
from retraining import deployments, registry, runs, triggers
from retraining.backends import choice
from retraining.backends.local import LocalBackend
from retraining.backends.processes import Process
from retraining.backends.protocol import JobSpec, JobState
from retraining.models import GatePolicy, RegisteredModel, RetrainTrigger, RunState, TrainingRun
from tests import factories
from tests.retraining import plant
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(now: datetime) -> Dataset:
    """A dataset with just enough labels to train on, and a gate content with a few."""
    made = plant.dataset()
    plant.labels(made.site, good=12, defect=10, at=now)
    GatePolicy.objects.create(
        site=made.site,
        dataset=made,
        min_defects=1,
        min_good=1,
        recall_floor=0,
        max_overkill=1,
        max_ece=1,
    )
    return made


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training is at work until it is ended, however late this test comes to it."""
    plant.stay_at_work(monkeypatch)


def record_of(state: Path, run: TrainingRun) -> dict[str, Any]:
    """What the backend noted of the run's process."""
    path = state / "training" / run.job_name / "process.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def trainer_of(state: Path, run: TrainingRun) -> Process:
    return Process(**record_of(state, run)["trainer"])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def group_is_there(leader: int) -> bool:
    """Whether a process of the group lives, or waits to be reaped by whoever inherited it."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def in_threads(
    work: Callable[[], Any], count: int = 2, pool: ThreadPoolExecutor | None = None
) -> list[Any]:
    """The same work at the same moment in several threads; what came of each, refusals too."""
    together = threading.Barrier(count)

    def one(_number: int) -> Any:
        together.wait()
        try:
            return work()
        except Conflict as refusal:
            return refusal
        finally:
            connection.close()

    if pool is not None:
        return list(pool.map(one, range(count)))
    with ThreadPoolExecutor(count) as own:
        return list(own.map(one, range(count)))


def test_one_run_at_a_time_for_a_dataset(now: datetime, dataset: Dataset) -> None:
    said = in_threads(lambda: plant.request(dataset, now), 4)
    refusals = [one for one in said if isinstance(one, Conflict)]
    assert len(refusals) == 3
    assert {refusal.reason for refusal in refusals} == {"run_open"}
    assert TrainingRun.objects.count() == 1
    assert AuditEntry.objects.filter(action="training_run.request").count() == 1


@pytest.mark.usefixtures("endless")
def test_two_workers_start_one_training(now: datetime, dataset: Dataset, state: Path) -> None:
    run = plant.request(dataset, now)
    # A training ends with the thread that started it: a worker's does not end meanwhile.
    with ThreadPoolExecutor(3) as workers:
        in_threads(lambda: runs.advance_all(at=now), 3, pool=workers)
        plant.follow(run, RunState.RUNNING, at=now)
    assert DatasetVersion.objects.count() == 1
    assert len(list((state / "training").iterdir())) == 1
    assert AuditEntry.objects.filter(action="training_run.start").count() == 1


def test_no_transaction_is_open_while_a_job_starts(
    now: datetime, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    start = LocalBackend.start

    def watched(self: LocalBackend, spec: JobSpec) -> str:
        seen.append(connection.in_atomic_block)
        return start(self, spec)

    monkeypatch.setattr(LocalBackend, "start", watched)
    plant.follow(plant.request(dataset, now), RunState.RUNNING, at=now)
    assert seen == [False]


def test_a_crash_after_the_start_adopts_the_running_training(
    now: datetime, dataset: Dataset, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """As if the worker were killed."""

    run = plant.request(dataset, now)
    change = runs._change

    def crashing(row: TrainingRun, at: datetime, verb: str, **fields: Any) -> bool:
        if verb == "start":
            raise Crash
        return change(row, at, verb, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_change", crashing)
        with pytest.raises(Crash):
            runs.advance_all(at=now)
    run.refresh_from_db()
    assert run.state == RunState.REQUESTED
    before = record_of(state, run)
    plant.follow(run, RunState.RUNNING, at=now)
    assert record_of(state, run) == before


def test_a_crash_while_judging_is_finished_by_the_next(
    now: datetime, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """As if the worker were killed."""

    def crashing(**_fields: Any) -> None:
        raise Crash

    run = plant.request(dataset, now)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "register", crashing)
        with pytest.raises(Crash):
            plant.follow(run, RunState.PASSED, at=now)
    run.refresh_from_db()
    assert run.state == RunState.TRAINED
    assert not hasattr(run, "gate_report")
    plant.follow(run, RunState.PASSED, at=now)
    assert RegisteredModel.objects.count() == 1


def test_a_fault_on_one_run_keeps_nothing_else_waiting(
    now: datetime, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(_pk: int, _at: datetime) -> None:
        raise RuntimeError("nobody thought of this")

    swept: list[datetime] = []
    plant.request(dataset, now)
    monkeypatch.setattr(runs, "_advance", faulty)
    monkeypatch.setattr(deployments, "sweep", lambda *, at: swept.append(at))
    runs.advance_all(at=now)
    assert swept == [now]


WORKER = """
import os, sys, time
from datetime import datetime
import django
import pytest
django.setup()
from django.conf import settings
from pathlib import Path
settings.LOUPE = settings.LOUPE.model_copy(update={"state": Path(sys.argv[1])})
from retraining import runs
from tests.retraining import plant
plant.stay_at_work(pytest.MonkeyPatch())
runs.advance_all(at=datetime.fromisoformat(sys.argv[2]))
print("advanced", flush=True)
time.sleep(600)
"""


@pytest.mark.usefixtures("endless")
def test_a_worker_killed_in_mid_training_costs_time_and_nothing_else(
    now: datetime, dataset: Dataset, state: Path
) -> None:
    run = plant.request(dataset, now)
    where = connection.settings_dict
    url = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**where)
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(state), now.isoformat()],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"advanced\n"
        run.refresh_from_db()
        assert run.state == RunState.RUNNING
        first = trainer_of(state, run)
        assert first.is_alive
    finally:
        worker.kill()
        worker.communicate()
    wait_for(lambda: not first.is_alive, "the trainer outlived its worker")
    run = plant.follow_until(
        run, lambda: run.attempt == 2 and run.state == RunState.RUNNING, at=now
    )
    assert trainer_of(state, run).is_alive
    assert AuditEntry.objects.filter(action="training_run.restart").count() == 1
    assert DatasetVersion.objects.count() == 1


@pytest.mark.usefixtures("endless")
def test_a_killed_trainer_is_a_failure_with_its_last_words(
    now: datetime, dataset: Dataset, state: Path
) -> None:
    run = plant.follow(plant.request(dataset, now), RunState.RUNNING, at=now)
    trainer = trainer_of(state, run)
    log = state / "training" / run.job_name / "train.log"
    wait_for(lambda: b"loupe:stage=" in log.read_bytes(), "the trainer said nothing")
    os.kill(trainer.pid, signal.SIGKILL)
    wait_for(lambda: not trainer.is_alive, "the trainer does not die")
    run = plant.follow(run, RunState.FAILED, at=now)
    assert "by the signal SIGKILL" in run.failure
    assert "Its last line: loupe:stage=" in run.failure
    assert run.ended_at == now
    wait_for(lambda: not group_is_there(trainer.pid), "the trainer's children live on")


@pytest.mark.usefixtures("endless")
def test_a_training_that_takes_too_long_is_ended(
    now: datetime, dataset: Dataset, state: Path
) -> None:
    run = plant.follow(plant.request(dataset, now), RunState.RUNNING, at=now)
    path = state / "training" / run.job_name / "process.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "until": 0}))
    trainer = trainer_of(state, run)
    run = plant.follow(run, RunState.FAILED, at=now)
    assert run.failure == "The training took too long and was ended."
    wait_for(lambda: not trainer.is_alive, "the trainer goes on")


@pytest.mark.usefixtures("endless")
def test_a_training_stopped_again_and_again_is_given_up(
    now: datetime, dataset: Dataset, state: Path
) -> None:
    run = plant.request(dataset, now)
    TrainingRun.objects.update(attempt=3)
    run = plant.follow(run, RunState.RUNNING, at=now)
    trainer = trainer_of(state, run)
    log = state / "training" / run.job_name / "train.log"
    wait_for(lambda: b"loupe:stage" in log.read_bytes(), "the trainer said nothing")
    choice.training("local").stop(run.handle)
    wait_for(lambda: not trainer.is_alive, "the trainer does not stop")
    run = plant.follow(run, RunState.FAILED, at=now)
    assert run.failure == "The training was interrupted 3 times."


def test_what_the_trainer_refuses_is_what_a_person_reads(
    now: datetime, dataset: Dataset, state: Path
) -> None:
    run = plant.request(dataset, now)
    broken = runs._spec

    def misnamed(row: TrainingRun) -> JobSpec:
        spec = broken(row)
        return type(spec)(
            **{
                **{name: getattr(spec, name) for name in spec.__dataclass_fields__},
                "hyperparameters": {**spec.hyperparameters, "seed": "many"},
            }
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_spec", misnamed)
        run = plant.follow(run, RunState.FAILED, at=now)
    assert run.failure.startswith("seed is 'many'")


def test_labels_that_cannot_be_published_are_a_failure_with_the_reason(now: datetime) -> None:
    empty = plant.dataset()
    run = plant.follow(plant.request(empty, now), RunState.FAILED, at=now)
    assert run.failure == "There are no labels yet. Judge some parts, or import labels."


def test_a_backend_without_its_settings_says_which(
    now: datetime, dataset: Dataset, settings: Any
) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"training_backend": "sagemaker"})
    run = plant.request(dataset, now)
    settings.LOUPE = settings.LOUPE.model_copy(update={"training_backend": "local"})
    run = plant.follow(run, RunState.FAILED, at=now)
    assert "LOUPE_TRAINING_ROLE_ARN" in run.failure


@pytest.mark.usefixtures("endless")
def test_only_the_last_job_folders_stay(now: datetime, dataset: Dataset, state: Path) -> None:
    record = {"pid": 2**22 + 1, "started": "long ago"}
    for number in range(6):
        folder = state / "training" / f"loupe-old-{number}"
        folder.mkdir(parents=True)
        noted = {"trainer": record, "starter": record, "until": 0}
        (folder / "process.json").write_text(json.dumps(noted))
        os.utime(folder / "process.json", (number, number))
    running = plant.follow(plant.request(dataset, now), RunState.RUNNING, at=now)
    choice.training("local").forget("loupe-old-0")
    left = {folder.name for folder in (state / "training").iterdir()}
    assert left == {"loupe-old-3", "loupe-old-4", "loupe-old-5", running.job_name}


def test_a_folder_that_is_gone_is_a_failure(state: Path) -> None:
    status = choice.training("local").status("loupe-never")
    assert status.state is JobState.FAILED
    assert str(state / "training" / "loupe-never") in status.failure


def test_a_trigger_fires_at_its_number_of_labels_and_only_once(now: datetime) -> None:
    dataset = plant.dataset()
    RetrainTrigger.objects.create(
        site=dataset.site, dataset=dataset, kind=RetrainTrigger.Kind.NEW_LABELS, threshold=3
    )
    plant.labels(dataset.site, good=2, defect=0, at=now)
    assert triggers.fire(at=now) == []
    assert triggers.labels_to_go(dataset) == (2, 3)
    plant.labels(dataset.site, good=1, defect=0, at=now)
    fired = in_threads(lambda: triggers.fire(at=now), 3)
    assert sorted(len(runs_) for runs_ in fired) == [0, 0, 1]
    assert triggers.fire(at=now) == []
    run = TrainingRun.objects.get()
    assert (run.trigger, run.reason) == ("new_labels", "3 new labels, 3 start a run")

    plant.follow(run, RunState.FAILED, at=now)
    assert triggers.fire(at=now) == [], "labels that were refused are not tried again by themselves"
    plant.labels(dataset.site, good=0, defect=3, at=now + timedelta(minutes=1))
    assert len(triggers.fire(at=now + timedelta(minutes=1))) == 1


def test_a_disabled_trigger_does_not_fire(now: datetime) -> None:
    dataset = plant.dataset()
    RetrainTrigger.objects.create(
        site=dataset.site,
        dataset=dataset,
        kind=RetrainTrigger.Kind.NEW_LABELS,
        threshold=1,
        is_enabled=False,
    )
    plant.labels(dataset.site, good=1, defect=0, at=now)
    assert triggers.fire(at=now) == []


def test_the_schedule_fires_after_its_hours_when_there_is_something_new(now: datetime) -> None:
    dataset = plant.dataset()
    RetrainTrigger.objects.create(
        site=dataset.site, dataset=dataset, kind=RetrainTrigger.Kind.SCHEDULE, threshold=24
    )
    assert triggers.fire(at=now) == []
    plant.labels(dataset.site, good=1, defect=0, at=now)
    (first,) = triggers.fire(at=now)
    plant.follow(first, RunState.FAILED, at=now)
    plant.labels(dataset.site, good=1, defect=0, at=now + timedelta(hours=1))
    assert triggers.fire(at=now + timedelta(hours=23)) == []
    assert len(triggers.fire(at=now + timedelta(hours=24))) == 1


def test_a_business_event_asks_for_a_run_and_is_on_record(now: datetime, dataset: Dataset) -> None:
    engineer = factories.actor(Role.QUALITY_ENGINEER)
    tell: dict[str, Any] = {"actor": engineer, "site": dataset.site, "at": now}
    (run,) = triggers.business_event(kind="supplier", reason="Acme delivers now", **tell)
    assert (run.trigger, run.reason) == ("business_event", "New supplier: Acme delivers now")
    entry = AuditEntry.objects.get(action="training_run.request")
    assert (entry.actor, entry.reason) == (engineer.name, run.reason)
    with pytest.raises(Conflict, match="under way"):
        triggers.business_event(kind="tooling", reason="again", **tell)
    with pytest.raises(Invalid, match="supplier, tooling"):
        triggers.business_event(kind="weather", reason="rain", **tell)
    with pytest.raises(Invalid, match="what happened"):
        triggers.business_event(kind="tooling", reason="  ", **tell)


def test_only_who_may_train_at_the_whole_site_asks_for_a_run(
    now: datetime, dataset: Dataset
) -> None:
    ask: dict[str, Any] = {"dataset": dataset, "trigger": "manual", "reason": "why not", "at": now}
    with pytest.raises(NotAllowed):
        runs.request(actor=factories.actor(Role.INSPECTOR), **ask)
    elsewhere = factories.actor(Role.QUALITY_ENGINEER, at=factories.site("plant-2"))
    with pytest.raises(Unknown):
        runs.request(actor=elsewhere, **ask)
    with pytest.raises(Unknown):
        runs.request(actor=factories.actor(Role.QUALITY_ENGINEER, on=factories.line()), **ask)
    with pytest.raises(Invalid):
        runs.request(actor=system("test"), **{**ask, "reason": " "})
    assert TrainingRun.objects.count() == 0
