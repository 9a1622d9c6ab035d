"""The tag of a board: it says which version of which station a tablet has on its screen.

Signed, so that only who was given a board may wait for its next version, and dated: who waits is
not asked who he is, so that he has to come for a new one before long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from django.core.signing import BadSignature, Signer

# A tag is waited with for this long at least, and never for twice as long.
HOLDS_S: Final = 900


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a tag says."""

    station_id: int
    version: str


@cache
def _signer() -> Signer:
    # Made when first used: the settings with its key need not be there when this is imported.
    return Signer(salt="review.line.board")


def tag(station_id: int, version: str, variant: str, *, at: datetime) -> str:
    """The tag of a board; `variant` tells boards of the same version apart."""
    return f'"{_signer().sign(f"{station_id}/{version}/{variant}/{_period(at)}")}"'


def _period(at: datetime) -> int:
    return int(at.timestamp()) // HOLDS_S


def bare(tagged: str) -> str:
    """The tag as it was given: a proxy that packs the answer marks it as weak."""
    return tagged.strip().removeprefix("W/")


def read(tagged: str, *, at: datetime) -> Ticket | None:
    """What it says; None when it is none of ours, or of too long ago."""
    try:
        station_id, version, _variant, period = _signer().unsign(bare(tagged).strip('"')).split("/")
        is_old = _period(at) - int(period) > 1
        return None if is_old else Ticket(int(station_id), version)
    except (BadSignature, ValueError):
        return None
