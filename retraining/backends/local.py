"""Training in a process of this machine: the container's entry point on the container's paths."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from retraining.backends import tether
from retraining.backends.materials import EVALUATION, bring_back, lay_out, told_apart
from retraining.backends.processes import Process, end_group, identify, reap
from retraining.backends.protocol import BackendRefused, JobSpec, JobState, JobStatus
from traceability.gateways.contract import ObjectStore
from traceability.gateways.object_store import store

KEPT_FOLDERS = 3
# The trainer stops itself at its limit and says so; this is for one that no longer can.
OVERDUE_SECONDS = 30.0
LAST_LINE = 300
HANDED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class _Record:
    """What was started, by whom, and until when it may run (seconds since 1970)."""

    trainer: Process
    starter: Process
    until: float

    @classmethod
    def read(cls, path: Path) -> _Record | None:
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(Process(**raw["trainer"]), Process(**raw["starter"]), float(raw["until"]))

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".unfinished")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)


class LocalBackend:
    """One folder a job below `folder`; the handle is the job's name."""

    name = "local"

    def __init__(self, *, folder: Path, code: Path) -> None:
        self._folder = folder
        self._code = code

    def start(self, spec: JobSpec) -> str:
        """Lay the folder out and start the trainer, unless this job was started before."""
        root = self._folder / spec.job_name
        with told_apart(), _held(root):
            if _Record.read(root / "process.json") is None:
                lay_out(spec, store(spec.bucket), root)
                self._spawn(spec, root)
        return spec.job_name

    def status(self, handle: str) -> JobStatus:
        root = self._folder / handle
        with told_apart():
            record = _Record.read(root / "process.json")
            if record is None:
                return _failed(_("The folder of the training is gone: %(path)s."), path=root)
            if not record.trainer.is_alive:
                return _outcome(root, record)
            if time.time() > record.until:
                end_group(record.trainer)
                return _failed(_("The training took too long and was ended."))
            return _progress(root)

    def stop(self, handle: str) -> None:
        with told_apart():
            record = _Record.read(self._folder / handle / "process.json")
            if record is not None and record.trainer.is_alive:
                os.kill(record.trainer.pid, signal.SIGTERM)

    def collect(self, handle: str, spec: JobSpec, store: ObjectStore) -> None:
        with told_apart():
            bring_back(self._folder / handle, spec, store)

    def forget(self, handle: str) -> None:
        """Remove old job folders; the last few stay, for whoever wants to read their logs."""
        with told_apart():
            ended = []
            for path in self._folder.glob("*/process.json"):
                record = _Record.read(path)
                if record is not None and not record.trainer.is_alive:
                    ended.append((path.stat().st_mtime_ns, path.parent))
            for _when, folder in sorted(ended, reverse=True)[KEPT_FOLDERS:]:
                shutil.rmtree(folder, ignore_errors=True)

    def _spawn(self, spec: JobSpec, root: Path) -> None:
        environment = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        environment |= THREADS | {
            "LOUPE_ML_ROOT": str(root),
            "TRAINING_JOB_NAME": spec.job_name,
            "PYTHONUNBUFFERED": "1",
        }
        with (root / "train.log").open("wb") as log:
            trainer = subprocess.Popen(
                tether.command([sys.executable, "-m", "trainer", "train"]),
                cwd=self._code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # The process outlives this object: whoever asks for its status next reaps it.
        trainer.returncode = 0
        _Record(
            trainer=identify(trainer.pid),
            starter=identify(os.getpid()),
            until=time.time() + spec.max_seconds + OVERDUE_SECONDS,
        ).write(root / "process.json")


@contextmanager
def _held(root: Path) -> Iterator[None]:
    """Only one start of a job at a time, whoever else tries."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _progress(root: Path) -> JobStatus:
    try:
        told: dict[str, Any] = json.loads((root / "output" / "progress.json").read_bytes())
        fraction = min(1.0, max(0.0, float(told["fraction"])))
        stage = f"{told['stage']}: {told['detail']}" if told.get("detail") else str(told["stage"])
    except FileNotFoundError:
        return JobStatus(JobState.RUNNING, 0.0, _("starting"))
    except (ValueError, TypeError, KeyError) as error:
        raise BackendRefused(_("The training's progress file cannot be read.")) from error
    return JobStatus(JobState.RUNNING, fraction, stage[:120])


def _outcome(root: Path, record: _Record) -> JobStatus:
    """What an ended trainer left behind, and what that says."""
    code = reap(record.trainer.pid)
    end_group(record.trainer)
    failure = root / "output" / "failure"
    if failure.is_file():
        text = failure.read_text(encoding="utf-8", errors="replace").strip()
        if text == "stopped":
            return JobStatus(JobState.STOPPED)
        return JobStatus(JobState.FAILED, failure=text)
    done = root / "output" / "data" / EVALUATION
    if done.is_file() and (root / "model" / "model.json").is_file():
        return JobStatus(JobState.COMPLETED, 1.0)
    if not record.starter.is_alive and code is None:
        # Whoever started it went down as well: the machine or the worker stopped, not the job.
        return JobStatus(JobState.STOPPED)
    how = _("with exit code %(code)s") % {"code": code} if code is not None else _("unexpectedly")
    if code is not None and code < 0:
        how = _("by the signal %(name)s") % {"name": signal.Signals(-code).name}
    return _failed(
        _("The training was ended %(how)s and left no result. Its last line: %(line)s"),
        how=how,
        line=_last_line(root / "train.log"),
    )


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1][:LAST_LINE] if lines else _("(none)")


def _failed(sentence: str, **values: object) -> JobStatus:
    return JobStatus(JobState.FAILED, failure=sentence % values)
