"""Signed names that hold for a shift: a picture's address is neither guessed nor kept for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.utils.translation import gettext as _

from traceability.refusals import Unknown


@dataclass(frozen=True, slots=True)
class Signed:
    """Names of one kind. Two made within `step_s` are equal, for the sake of the browser's cache;
    each holds for `holds_s`, less what had passed of its step."""

    salt: str
    step_s: int
    holds_s: int

    def token(self, name: UUID, *, at: datetime) -> str:
        """The name as it stands in an address."""
        until = int(at.timestamp()) // self.step_s * self.step_s + self.holds_s
        return self._signer().sign(f"{name.hex}.{until:x}")

    def read(self, token: str, *, at: datetime) -> UUID:
        """What an address names; Unknown when it is forged or has run out."""
        try:
            name, until = self._signer().unsign(token).split(".")
            ends, found = int(until, 16), UUID(hex=name)
        except (BadSignature, ValueError) as error:
            raise Unknown(_("This image address is not one of Loupe's.")) from error
        if at.timestamp() >= ends:
            raise Unknown(_("This image address has run out. Load the page again."))
        return found

    def _signer(self) -> Signer:
        return Signer(salt=self.salt, sep=".")


# What is leased, laid out in a lot or kept on a tablet is looked at for as long as it takes; who
# asks has to be signed in all the same, and to see the unit.
_STEP_S, _HOLDS_S = 3600, 12 * 3600
IMAGES: Final = Signed("traceability.images", _STEP_S, _HOLDS_S)
HEAT_MAPS: Final = Signed("traceability.heat_maps", _STEP_S, _HOLDS_S)
TILES: Final = Signed("traceability.tiles", _STEP_S, _HOLDS_S)
