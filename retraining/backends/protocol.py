"""What every place where training runs offers, and how it says no."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from traceability.gateways.object_store import ObjectStore


class BackendError(Exception):
    """The training could not be started, followed or fetched; the text is for a person."""


class BackendUnavailable(BackendError):
    """Nobody answered; the same call later may well succeed."""


class BackendRefused(BackendError):
    """It answered no; the same call later will be refused again."""


class JobState(StrEnum):
    """Where a job stands. STOPPED: taken down from outside, with nothing wrong with it."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """`fraction` 0-1; `stage` and `failure` are short sentences."""

    state: JobState
    fraction: float = 0.0
    stage: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One training: what goes in, and where in the dataset bucket the result belongs.

    Prefixes end without a slash. `splits` names those that hold at least one image.
    """

    job_name: str
    bucket: str
    dataset_prefix: str
    dataset_label: str
    splits: tuple[str, ...]
    hyperparameters: Mapping[str, str]
    artifact_prefix: str
    evaluation_key: str
    champion_prefix: str | None = None
    max_seconds: int = 3600
    tags: Mapping[str, str] = field(default_factory=dict)


class TrainingBackend(Protocol):
    """Starts, follows and fetches trainings. Every call raises BackendError and nothing else."""

    name: str

    def start(self, spec: JobSpec) -> str:
        """Start the job, or adopt the one of the same name; its handle."""
        ...

    def status(self, handle: str) -> JobStatus:
        """Where the job stands now."""
        ...

    def stop(self, handle: str) -> None:
        """End the job; no news when it has ended already."""
        ...

    def collect(self, handle: str, spec: JobSpec, store: ObjectStore) -> None:
        """Put the model and its evaluation where `spec` says; may be repeated."""
        ...

    def forget(self, handle: str) -> None:
        """The result is safe: whatever the job left behind may go."""
        ...


@dataclass(frozen=True, slots=True)
class Release:
    """A model on its way into service. `deployment` numbers the attempt, the job trained it."""

    deployment: int
    site: str
    model_name: str
    model_version: str
    bucket: str
    artifact_prefix: str
    job_name: str
    dataset_label: str
    content_sha256: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class Service:
    """Whether a release serves by now, and the package it was registered as, where there is one.

    `hindrance` says what keeps it from serving until somebody mends it; empty on the way.
    """

    is_serving: bool
    package_arn: str = ""
    hindrance: str = ""


class Serving(Protocol):
    """Brings a model before the line. Raises BackendError and nothing else."""

    name: str

    def put(self, release: Release) -> Service:
        """One step nearer to serving the release; called again until it serves."""
        ...

    def holds(self, release: Release) -> bool:
        """Whether what was put is still there, as far as can be told without asking outside."""
        ...


def job_name(*, slug: str, model_version: str, content_sha256: str, run: str, attempt: int) -> str:
    """The idempotency key of one attempt: at most 63 of letters, digits and dashes."""
    seal = hashlib.sha256(f"{content_sha256}\n{run}\n{attempt}".encode()).hexdigest()[:10]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{slug[:28]}-{model_version[:12]}").strip("-")
    return f"loupe-{readable}-{seal}"
