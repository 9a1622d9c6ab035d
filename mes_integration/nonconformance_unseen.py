"""What of a nonconformance is not told to who is judging one of its units himself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from governance import unseen
from governance.access import Actor
from mes_integration.models import Ncr

LEFT_OUT: Final = "…"


@dataclass(frozen=True, slots=True)
class Told:
    """What one person is told of it: what it says, and of which units; `withheld`: how many more,
    with `phrases` that say why."""

    text: str
    units: Sequence[str]
    withheld: int
    phrases: Sequence[str]


def told(ncrs: Iterable[Ncr], *, actor: Actor) -> dict[int, Told]:
    """Of each, by its id; one statement, whatever their number."""
    found = list(ncrs)
    withheld = unseen.named(actor, {serial for each in found for serial in _units(each)})
    return {each.pk: _told(each, withheld) for each in found}


def _units(ncr: Ncr) -> Sequence[str]:
    units: Sequence[str] = ncr.evidence["units"]
    return units


def _told(ncr: Ncr, withheld: Mapping[tuple[int, str], str]) -> Told:
    # Its cause stands beside them, and is what the first inspector has said of every one.
    hidden = {
        serial: withheld[ncr.site_id, serial]
        for serial in _units(ncr)
        if (ncr.site_id, serial) in withheld
    }
    text = ncr.text
    # The longest first: one may be the beginning of another.
    for serial in sorted(hidden, key=len, reverse=True):
        text = text.replace(serial, LEFT_OUT)
    return Told(
        text=text,
        units=[serial for serial in _units(ncr) if serial not in hidden],
        withheld=len(hidden),
        phrases=list(dict.fromkeys(hidden.values())),
    )
