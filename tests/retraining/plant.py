"""A small plant for the tests: drawn parts, their labels, a dataset; and how a run is followed."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from governance.access import system
from governance.audit import recorded
from labeling.models import Dataset, Label
from retraining import registry, runs
from retraining.backends.local import LocalBackend
from retraining.backends.protocol import JobSpec
from retraining.models import RegisteredModel, RunState, TrainingRun
from tests import factories
from traceability.gateways import object_store
from traceability.models import Site

PATIENCE_SECONDS = 120.0
SIDE = 64
_number = itertools.count(1)


def draw(number: int, *, is_defect: bool) -> bytes:
    """A brushed surface; a defect is a bright scratch across it."""
    rng = np.random.default_rng(number)
    grey = rng.normal(110, 12, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    if is_defect:
        x, y = rng.integers(8, 40, 2)
        ImageDraw.Draw(picture).line([(x, y), (x + 18, y + 14)], fill=235, width=4)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def label(site: Site, *, is_defect: bool, said: bool | None = None, at: datetime) -> Label:
    """A part photographed, stored and labelled; `said` is what the label says, if not the truth."""
    content = draw(next(_number), is_defect=is_defect)
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"{site.code}/{sha256}.png"
    object_store.images().put_if_absent(key, content)
    capture = factories.capture(
        factories.inspection(factories.unit(at=site)),
        key=key,
        sha256=sha256,
        media_type="image/png",
        width=SIDE,
        height=SIDE,
    )
    return relabel(capture, is_defect=is_defect if said is None else said, at=at)


def relabel(capture: Any, *, is_defect: bool, at: datetime) -> Label:
    """A label brought along from elsewhere; it supersedes the capture's last one."""
    site = capture.site
    return Label.objects.create(
        site=site,
        capture=capture,
        inspection=capture.inspection,
        unit=capture.inspection.unit,
        verdict=Label.Verdict.DEFECT if is_defect else Label.Verdict.GOOD,
        defect_class=factories.defect_class(at=site) if is_defect else None,
        origin=Label.Origin.IMPORT,
        labelled_by="import",
        recorded_at=at,
    )


def labels(site: Site, *, good: int, defect: int, at: datetime) -> list[Label]:
    """Several labelled parts, good ones first."""
    truths = [False] * good + [True] * defect
    return [label(site, is_defect=truth, at=at) for truth in truths]


def dataset(site: Site | None = None, slug: str = "casting") -> Dataset:
    """A dataset of a site."""
    return Dataset.objects.create(site=site or factories.site(), slug=slug, name=slug.title())


def request(of: Dataset, at: datetime) -> TrainingRun:
    """A run asked for by nobody in particular."""
    return runs.request(actor=system("test"), dataset=of, trigger="manual", reason="try it", at=at)


def follow(run: TrainingRun, *until: RunState, at: datetime) -> TrainingRun:
    """Advance as the beat does, until the run is in one of the states."""
    return follow_until(run, lambda: run.state in until, at=at, wanted=until)


def follow_until(
    run: TrainingRun, is_met: Callable[[], bool], *, at: datetime, wanted: object = ""
) -> TrainingRun:
    """Advance as the beat does, until the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        runs.advance_all(at=at)
        run.refresh_from_db()
        if is_met():
            return run
        if run.state in (RunState.PASSED, RunState.REFUSED, RunState.FAILED):
            raise AssertionError(f"{run.state} instead of {wanted}: {run.failure} {findings(run)}")
        if time.monotonic() > deadline:
            raise AssertionError(f"still {run.state}, {run.stage}")
        time.sleep(0.05)


def stay_at_work(patch: pytest.MonkeyPatch) -> None:
    """From here on a training reads at a picture that never ends, until it is killed."""
    spawn = LocalBackend._spawn

    def spawned(backend: LocalBackend, spec: JobSpec, root: Path) -> None:
        picture = max(p for p in (root / "input/data/train").rglob("*") if p.is_file())
        picture.unlink()
        os.mkfifo(picture)
        spawn(backend, spec, root)

    patch.setattr(LocalBackend, "_spawn", spawned)


def findings(run: TrainingRun) -> Sequence[str]:
    """The sentences of the checks that were not met."""
    report = getattr(run, "gate_report", None)
    return [] if report is None else [c["sentence"] for c in report.checks if not c["passed"]]


def model(site: Site, version: str, *, at: datetime, **more: Any) -> RegisteredModel:
    """A registered model with files in the store, trained by nobody."""
    prefix = registry.artifact_prefix(site=site, name="casting", version=version)
    store = object_store.datasets()
    store.put(f"{prefix}/model.json", f'{{"version": "{version}"}}'.encode())
    store.put(f"{prefix}/weights.npz", version.encode() * 100)
    with recorded(actor=system("test"), at=at) as trail:
        return registry.register(
            trail=trail,
            site=site,
            name="casting",
            version=version,
            prefix=prefix,
            sha256=registry.digest(store, prefix),
            **more,
        )
