"""A clean state folder, and labelled plants to publish from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from labeling.models import Dataset
from tests import factories
from tests.traceability.s3 import s3_bucket, s3_endpoint

__all__ = ["s3_bucket", "s3_endpoint"]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The state folder of this test alone."""
    before = settings.LOUPE.state
    settings.LOUPE.state = tmp_path
    yield tmp_path
    settings.LOUPE.state = before


@pytest.fixture
def dataset(state: Path, db: None) -> Dataset:
    """An empty dataset of plant-1."""
    return Dataset.objects.create(site=factories.site(), slug="castings", name="Castings", seed=3)
