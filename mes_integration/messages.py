"""A write-back as its target is told of it: said once, and kept as it was said."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _

from mes_integration import mapping, mappings
from mes_integration.adapters.protocol import Message
from mes_integration.canonical import NOT_LOOKED_UP, record_of
from mes_integration.mapping import Profile, Unmapped
from mes_integration.models import WriteBack
from mes_integration.targets import PROFILES, Target, target
from traceability.models import Unit
from traceability.refusals import Refusal


def target_of(row: WriteBack) -> Target:
    """The row's target; one that the settings no longer name is spoken of as the generic MES."""
    return target(row.target) or Target(row.target, "http", "", PROFILES["http"])


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a row is said with. `name` is the shipped profile's, None where it is the site's own."""

    version: int
    name: str | None
    profile: Profile


def pinned_of(row: WriteBack) -> Pinned:
    """What the row was said with, or would be said with now.

    A row from before names were kept speaks by the profile its target names now.
    """
    to = target_of(row)
    if row.profile_version is None:
        version, profile = mappings.in_force(site_id=row.site_id, target=to)
        return Pinned(version, to.profile if version == mappings.SHIPPED else None, profile)
    version = row.profile_version
    name = (row.profile_name or to.profile) if version == mappings.SHIPPED else None
    profile = mappings.of_version(
        site_id=row.site_id, target=row.target, version=version, name=name or ""
    )
    return Pinned(version, name, profile)


def profile_of(row: WriteBack) -> tuple[int, Profile]:
    """Version and profile the row was said with, or would be said with now."""
    pinned = pinned_of(row)
    return pinned.version, pinned.profile


def check_adapter(row: WriteBack, pinned: Pinned) -> None:
    """Unmapped where the target is reached by another adapter than the row is said for."""
    to = target_of(row)
    said = {"adapter": pinned.profile.adapter, "target": to.name, "now": to.adapter}
    if pinned.profile.adapter == to.adapter:
        return
    if row.message is None:
        raise Unmapped(
            _(
                "The mapping is for the adapter %(adapter)s, and %(target)s is reached by %(now)s. "
                "Put a mapping for %(now)s in force, then send again."
            )
            % said
        )
    raise Unmapped(
        _(
            "It was said for the adapter %(adapter)s, and %(target)s is reached by %(now)s now. "
            "Set that adapter again until such write-backs are through, or look at the target and "
            "settle this one."
        )
        % said
    )


def doubles(row: WriteBack) -> bool:
    """Whether the target would apply it a second time, told again; so does one nobody knows."""
    try:
        can = profile_of(row)[1].capabilities
    except Refusal:
        return True
    return not (can.key or can.upsert)


def quarantine(row: WriteBack) -> timedelta:
    """The longest the target may still be at work on what it was sent."""
    try:
        longest = profile_of(row)[1].capabilities.max_processing_s
    except Refusal:
        # A mapping that cannot be read any more: a person is asked at its next turn.
        longest = 0
    return timedelta(seconds=target_of(row).quarantine_s or longest)


def lease_time(row: WriteBack) -> timedelta:
    """Longer than a call can take: sending and reading may each use the whole time-out."""
    return timedelta(seconds=3 * target_of(row).timeout_s + 10)


def message_of(row: WriteBack, profile: Profile | None = None) -> Message:
    """What is sent; the row keeps it where it was sent before. Unmapped where it cannot be said.

    The row comes with its disposition and unit. Changes nothing: who sends it stores `body`. The
    record has images, score and the earlier key only where the profile speaks of them.
    """
    profile = profile or profile_of(row)[1]
    record = record_of(row, None if profile.looks_up else NOT_LOOKED_UP)
    if row.message is not None:
        # A fact that has gone since does not take back what was said.
        with contextlib.suppress(Unmapped):
            record = mapping.mapped(profile, record)
        return Message(str(row.uuid), record, row.message, profile)
    return said(row, profile, record)


def said(
    row: WriteBack,
    profile: Profile,
    record: Mapping[str, Any],
    *,
    shared: Collection[int] | None = None,
) -> Message:
    """What a profile makes of the record now, whatever was sent before. Unmapped where nothing.

    `shared`: which lots have several units, where that is known already.
    """
    _check_lot(row, profile, shared)
    whole = mapping.mapped(profile, record)
    return Message(str(row.uuid), whole, mapping.body_of(profile, whole), profile)


def shared_lots(rows: Iterable[WriteBack], *profiles: Profile) -> set[int] | None:
    """Which of the rows' lots have several units; None where no profile would ask."""
    if not any(_is_of_whole_lots(profile) for profile in profiles):
        return None
    lots = {row.unit.lot_id for row in rows}
    units = Unit.objects.filter(lot__in=lots - {None}).values("lot").annotate(units=Count("pk"))
    return set(units.filter(units__gt=1).values_list("lot", flat=True).order_by())


def _is_of_whole_lots(profile: Profile) -> bool:
    return profile.subject == "lot" and not profile.capabilities.splits_lots


def _check_lot(row: WriteBack, profile: Profile, shared: Collection[int] | None) -> None:
    """A target that disposes of whole lots is not told of one unit of several."""
    if not _is_of_whole_lots(profile):
        return
    lot = row.unit.lot
    if lot is None:
        raise Unmapped(_("The target disposes of lots, and this unit belongs to none."))
    if lot.pk in shared if shared is not None else Unit.objects.filter(lot=lot).count() > 1:
        raise Unmapped(
            _(
                "The target cannot split lot %(lot)s: one unit's disposition would be that of all. "
                "Set “splits_lots” where it can, or settle it there by hand."
            )
            % {"lot": lot.code}
        )
