"""Lots that only the holder of the key can foretell, and that fall the same each time."""

from __future__ import annotations

import hashlib


def draw(*, site: str, inspection: str, key: bytes, label: str = "") -> float:
    """A number in [0, 1) that only the key's holder can foretell; a replay draws the same.

    `label` (at most 16 bytes) names what is drawn: draws of different labels know nothing of
    each other.
    """
    subject = f"{len(site)}:{site}{inspection}".encode()
    digest = hashlib.blake2b(subject, key=key[:64], digest_size=8, person=label.encode()).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
