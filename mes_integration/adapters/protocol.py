"""What delivery asks of an MES, whatever wire it hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Applied:
    """The MES holds it under `reference`."""

    reference: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The MES will not take it, however often it is sent."""

    status: int
    sentence: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Not taken now. `may_have_arrived` is False only where it certainly was not applied."""

    sentence: str
    status: int | None = None
    may_have_arrived: bool = False


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have been applied; only reading back can tell."""

    sentence: str
    status: int | None = None


Answer = Applied | Refused | TryLater | Uncertain


class MesAdapter(Protocol):
    """Both calls answer with a value, for everything that can happen on the wire."""

    def post(self, payload: Mapping[str, Any], key: str) -> Answer:
        """Hand the disposition over; the same key is applied at most once."""
        ...

    def read_back(self, key: str) -> Answer | None:
        """What the MES holds under the key; None when it holds nothing."""
        ...
