"""Locks on names, for rows that several may make at once; held until the transaction ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from django.db import connection


def unit(site: str, serial: str) -> str:
    """The name under which a unit is made or changed; whoever makes units takes it first."""
    return f"unit {len(site)} {site} {serial}"


def take(names: Iterable[str]) -> None:
    """Wait for whoever holds one of these names."""
    with connection.cursor() as cursor:
        # In one order for everybody, so that two takers never wait for each other.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k",
            [sorted(_number(name) for name in names)],
        )


def _number(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
