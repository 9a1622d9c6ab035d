"""What delivery asks of a target, whatever wire it hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mes_integration.mapping import Profile


@dataclass(frozen=True, slots=True)
class Message:
    """One disposition as a target is told of it.

    `key` is the same on every attempt and so is `body`, which the profile made of `record`.
    """

    key: str
    record: Mapping[str, Any]
    body: Mapping[str, Any]
    profile: Profile


@dataclass(frozen=True, slots=True)
class Applied:
    """The target holds it under `reference`.

    Where reading back tells: `verdict` is what it holds, in its own word (None: it does not say),
    and `copies` how often.
    """

    reference: str
    status: int | None = None
    verdict: Any = None
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Handed:
    """A middleman has taken it; the target's acknowledgement comes by itself, or not at all.

    `again_s`: seconds until the adapter is asked for it (`read_back`), for those whose
    acknowledgements have to be fetched; else it is asked when the longest processing time is over.
    """

    sentence: str
    status: int | None = None
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The target will not take it, however often it is sent."""

    status: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Not taken now. `may_have_arrived` is False only where it certainly was not applied."""

    sentence: str
    status: int | None = None
    may_have_arrived: bool = False


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have been applied; only the target can tell.

    `for_person`: it holds something of it, and neither asking nor sending again will finish that.
    """

    sentence: str
    status: int | None = None
    for_person: bool = False


Answer = Applied | Handed | Refused | TryLater | Uncertain


class MesAdapter(Protocol):
    """Both calls answer with a value, for everything that can happen on the wire."""

    def post(self, message: Message) -> Answer:
        """Hand the disposition over; the same key is applied at most once where the target can."""
        ...

    def read_back(self, message: Message) -> Answer | None:
        """What the target holds under the key; None when it holds nothing."""
        ...

    def close(self) -> None:
        """Give sockets and threads back."""
        ...


@runtime_checkable
class Listening(MesAdapter, Protocol):
    """An adapter whose acknowledgements come by themselves, also while nothing is sent."""

    def listen(self) -> None:
        """Take them from now on, until closed; again is harmless."""
        ...
