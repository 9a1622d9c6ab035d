"""What was changed in the MES behind our back: agreed, noted, or an open conflict for a person.

Nothing a target says changes a unit here. A unit that is held stays held until a person has
chosen whose word stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor, check_covers
from governance.audit import Trail, recorded
from governance.roles import Capability
from mes_integration import mappings
from mes_integration.mapping import Profile
from mes_integration.models import MesChange, WriteBack
from mes_integration.targets import PROFILES, target, targets_of
from traceability import locks
from traceability.models import Disposition, DispositionKind, Site, Unit
from traceability.refusals import Conflict, Invalid, Unknown

State = MesChange.State
About = MesChange.About
FARTHEST_AHEAD: Final = timedelta(minutes=5)
LONGEST_REASON: Final = 300
LONGEST_WORD: Final = 2000
_LONGEST: Final = {"event_id": 150, "serial": 128, "reference": 200, "by": 150, "remark": 500}
# Halves of a character, which JSON can write and the database cannot hold.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a target says was done there; `word` is its disposition as its mapping has it."""

    event_id: str
    serial: str
    word: Any
    changed_at: datetime
    reference: str = ""
    by: str = ""
    remark: str = ""


def record(
    *, actor: Actor, site: Site, target_name: str, said: Said, at: datetime
) -> tuple[MesChange, bool]:
    """Keep it, and say whether it was new. Raises Conflict for an event id used again otherwise."""
    if actor.kind != "system":
        check_covers(actor, Capability.REPORT_FROM_MES, site=site, line=None)
    _check(said, at=at)
    kinds = _kinds(_profile(site, target_name), said.word)
    with recorded(actor=actor, at=at) as trail:
        locks.take([f"mes change {site.pk} {target_name} {said.event_id}"])
        known = MesChange.objects.filter(
            site=site, target=target_name, event_id=said.event_id
        ).first()
        if known is not None:
            trail.nothing_changed()
            return _same(known, said), False
        unit = Unit.objects.select_for_update(no_key=True).filter(site=site, serial=said.serial)
        change = _change(_only(unit, said.serial), target_name, said, kinds, at=at)
        change.state = _state_of(change, kinds)
        _keep(trail, change)
    return change, True


def _check(said: Said, *, at: datetime) -> None:
    if said.changed_at > at + FARTHEST_AHEAD:
        raise Invalid(
            _("“at” is %(time)s, more than 5 minutes ahead; check the sender's clock.")
            % {"time": said.changed_at.astimezone(UTC).isoformat()}
        )
    if not said.event_id:
        raise Invalid(_("Each change has an event id of its own; “event_id” is empty."))
    for name, longest in _LONGEST.items():
        text = getattr(said, name)
        if len(text) > longest or "\0" in text:
            raise Invalid(
                _("“%(field)s” is text of at most %(most)s characters.")
                % {"field": name, "most": longest}
            )
    word = json.dumps(said.word, ensure_ascii=False)
    if len(word) > LONGEST_WORD or "\\u0000" in word or _SURROGATE.search(word):
        raise Invalid(
            _("“disposition” is JSON of at most %(most)s characters that can be read.")
            % {"most": LONGEST_WORD}
        )


def _only(units: QuerySet[Unit], serial: str) -> Unit:
    unit = units.first()
    if unit is None:
        raise Unknown(
            _("There is no unit %(serial)s here; send it as master data first.")
            % {"serial": serial[:128]}
        )
    return unit


def _profile(site: Site, name: str) -> Profile:
    if name not in targets_of(site.code):
        raise Unknown(
            _("There is no target %(name)s at %(site)s; the targets there are: %(names)s.")
            % {"name": name[:40], "site": site.code, "names": ", ".join(targets_of(site.code))}
        )
    found = target(name)
    if found is None:
        return mappings.shipped(PROFILES["http"])
    return mappings.in_force(site_id=site.pk, target=found)[1]


def _kinds(profile: Profile, word: Any) -> frozenset[str]:
    """Every disposition of ours that the target is told with this word."""
    written = json.dumps(word, sort_keys=True)
    return frozenset(
        "ACCEPT" if verdict == "CONCESSION" else verdict
        for verdict, theirs in profile.verdicts.items()
        if json.dumps(theirs, sort_keys=True) == written
    )


def _same(known: MesChange, said: Said) -> MesChange:
    before = (known.unit.serial, known.word, known.changed_at)
    if before != (said.serial, said.word, said.changed_at):
        raise Conflict(
            _("The event id %(id)s was used before for something else; give each event its own.")
            % {"id": said.event_id},
            code="id_reused",
        )
    return known


def _change(
    unit: Unit, target_name: str, said: Said, kinds: frozenset[str], *, at: datetime
) -> MesChange:
    ours = standing(unit)
    return MesChange(
        site_id=unit.site_id,
        line_id=ours.inspection.line_id if ours else None,
        unit=unit,
        target=target_name,
        event_id=said.event_id,
        about=About.DISPOSITION,
        word=said.word,
        kind=next(iter(kinds)) if len(kinds) == 1 else "",
        reference=said.reference,
        by=said.by,
        remark=said.remark,
        changed_at=said.changed_at,
        received_at=at,
        our_revision=unit.disposition_revision,
        our_kind=unit.disposition,
    )


def standing(unit: Unit) -> Disposition | None:
    """The unit's disposition in force."""
    return (
        Disposition.objects.filter(unit=unit, withdrawal__isnull=True)
        .select_related("inspection", "model_version")
        .order_by("-revision")
        .first()
    )


def _state_of(change: MesChange, kinds: frozenset[str]) -> State:
    later = _of_unit(change).filter(changed_at__gt=change.changed_at)
    if not change.our_kind or later.exists():
        return State.NOTED
    if change.our_kind in kinds or _told_last(change) in kinds:
        return State.AGREED
    return State.OPEN


def _told_last(change: MesChange) -> str:
    """What the target was last told, while a later revision has certainly not left; else empty."""
    rows = WriteBack.objects.filter(unit=change.unit, target=change.target)
    held = rows.filter(state=WriteBack.State.ACKNOWLEDGED).order_by("-revision").first()
    if (
        held is None
        or not rows.filter(revision__gt=held.revision, state=WriteBack.State.PENDING).exists()
    ):
        return ""
    return held.disposition.kind


def _of_unit(change: MesChange) -> QuerySet[MesChange]:
    return MesChange.objects.filter(unit=change.unit, target=change.target, about=About.DISPOSITION)


def _keep(trail: Trail, change: MesChange) -> None:
    """Insert it; what was open before it of this unit is overtaken by it."""
    if change.state != State.NOTED:
        earlier = _of_unit(change).select_for_update().filter(state=State.OPEN)
        overtaken = State.NOTED if change.state == State.OPEN else State.AGREED
        sentence = _("The MES has changed it again.")
        _close(trail, list(earlier), state=overtaken, by="", reason=sentence)
    if change.state != State.OPEN:
        change.resolved_at = trail.at
    change.save()
    _note(trail, "mes_change.record", change)


def open_conflict(*, trail: Trail, change: MesChange) -> bool:
    """Keep a conflict that was found elsewhere; False when it is known."""
    locks.take([f"mes change {change.site_id} {change.target} {change.event_id}"])
    if MesChange.objects.filter(
        site=change.site_id, target=change.target, event_id=change.event_id
    ).exists():
        return False
    change.save()
    _note(trail, "mes_change.record", change)
    return True


def find(*, actor: Actor, capability: Capability, uuid: UUID) -> MesChange:
    """The actor's change; Unknown when it is not there or not his."""
    row = (
        MesChange.objects.filter(actor.within(capability), uuid=uuid)
        .select_related("unit", "site", "write_back")
        .first()
    )
    if row is None:
        raise Unknown(
            _("There is no such conflict here for you. The list shows those you may see.")
        )
    return row


def open_of(*, actor: Actor, unit: Unit) -> QuerySet[MesChange]:
    """What is open about a unit, for who may see write-backs; the oldest first."""
    return MesChange.objects.filter(
        actor.within(Capability.SEE_WRITE_BACKS), unit=unit, state=State.OPEN
    ).order_by("pk")


def take_open(*, actor: Actor, uuid: UUID, revision: int) -> MesChange:
    """An open change with its unit, both locked until the transaction ends, to be closed in it.

    Conflict when it is not open any more, or when the unit was decided anew since `revision`.
    """
    found = find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    unit = Unit.objects.select_for_update().get(pk=found.unit_id)
    change = MesChange.objects.select_for_update().get(pk=found.pk)
    if sentence := why_not_resolve(change):
        raise Conflict(sentence)
    if unit.disposition_revision != revision:
        raise Conflict(
            _("The unit was decided anew meanwhile (revision %(revision)s); look again.")
            % {"revision": unit.disposition_revision}
        )
    change.unit = unit
    return change


def why_not_resolve(change: MesChange) -> str:
    """The sentence that says why nobody can choose any more; empty while one can."""
    match State(change.state):
        case State.OPEN:
            return ""
        case State.OURS_STANDS:
            return _(
                "It is settled: what is decided here stands. Where that is wrong, decide the unit "
                "anew."
            )
        case State.THEIRS_STANDS:
            return _(
                "It is settled: what the MES says stands. Where that is wrong, decide the unit "
                "anew."
            )
        case State.AGREED:
            return _("It is settled: both sides say the same. There is nothing to choose.")
        case _:
            return _(
                "It is only noted: a later change has come, or nothing was decided here. Look at "
                "the unit's latest change."
            )


def check_was_told(change: MesChange) -> None:
    """Raise Conflict while what stands here has not left for the target: it goes by itself."""
    if WriteBack.objects.filter(
        unit=change.unit,
        target=change.target,
        revision=change.unit.disposition_revision,
        state=WriteBack.State.PENDING,
    ).exists():
        raise Conflict(
            _(
                "Revision %(revision)s has not left for %(target)s yet; it is told by itself. "
                "Wait until it has left, then choose."
            )
            % {"revision": change.unit.disposition_revision, "target": change.target}
        )


def close(*, trail: Trail, change: MesChange, state: State, reason: str) -> None:
    """Write down what a person chose; `change` is locked by `take_open`."""
    _close(trail, [change], state=state, by=trail.actor.name, reason=reason)


def _close(trail: Trail, rows: Sequence[MesChange], *, state: State, by: str, reason: str) -> None:
    for change in rows:
        change.state, change.resolved_at = state, trail.at
        change.resolved_by, change.reason = by, reason
        change.save(update_fields=["state", "resolved_at", "resolved_by", "reason"])
        _note(trail, "mes_change.resolve", change, reason=reason)


def checked_reason(text: str) -> str:
    """A reason a person gave; Invalid when there is none or too much of it."""
    reason = text.strip()
    if not reason:
        raise Invalid(_("Say why: it stands in the audit trail."))
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise Invalid(_("Keep the reason below %(most)s characters.") % {"most": LONGEST_REASON})
    return reason


def chosen_kind(change: MesChange, given: str) -> DispositionKind:
    """What the target's word comes to here; a person says it where the mapping does not."""
    kind = change.kind or given
    if kind not in DispositionKind.values:
        raise Invalid(_("The mapping does not say what their word means; choose a disposition."))
    return DispositionKind(kind)


def _note(trail: Trail, action: str, change: MesChange, *, reason: str = "") -> None:
    trail.add(
        action,
        subject_kind="unit",
        subject=change.unit.serial,
        site_id=change.site_id,
        detail={
            "change": str(change.uuid),
            "target": change.target,
            "event_id": change.event_id,
            "theirs": change.word,
            "means": change.kind,
            "ours": change.our_kind,
            "revision": change.our_revision,
            "state": change.state,
        },
        reason=reason,
    )
