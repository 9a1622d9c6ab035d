"""Identifiers that leave the house: time-ordered UUIDs."""

from __future__ import annotations

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """UUIDv7: sorts by the time it was made."""
    return uuid_utils.compat.uuid7()
