"""One trained job for all tests that only look at what it left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.trainer.drawing import Job, draw_parts
from tests.trainer.running import Server, run_train, serving

KINDS = ("good", "scratch", "good", "pit")


@dataclass(frozen=True)
class Finished:
    job: Job
    run: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    job = Job(tmp_path_factory.mktemp("trained"))
    job.lay_out(train=draw_parts(64, KINDS), test=draw_parts(32, KINDS, start=1000))
    return Finished(job, run_train(job.root))


@pytest.fixture(scope="session")
def server(finished: Finished) -> Iterator[Server]:
    assert finished.run.returncode == 0, finished.run.stderr
    with serving(finished.job.root) as running:
        yield running
