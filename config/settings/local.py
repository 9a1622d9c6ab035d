"""One machine, loopback only: what `make run` starts."""

from __future__ import annotations

from config.settings.base import *  # noqa: F403
