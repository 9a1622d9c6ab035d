"""Loupe's settings with the floor's addresses and no middleware."""

from __future__ import annotations

from config.settings.local import *  # noqa: F403

ROOT_URLCONF = "benchmarks.floor_urls"
MIDDLEWARE = []
