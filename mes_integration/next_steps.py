"""The one thing to do next about a write-back, and where it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

from django.db import models
from django.utils.translation import gettext as _

from mes_integration import mappings, rests
from mes_integration.bulk import OVERTAKABLE, newest_revisions
from mes_integration.mapping import Profile
from mes_integration.models import WriteBack
from mes_integration.targets import target
from mes_integration.transitions import SETTLED, State
from traceability.refusals import Refusal

Where = Literal["mapping", "page", "nowhere"]


class Code(models.TextChoices):
    """The steps by name, for programs; each sentence says more."""

    NOTHING = "nothing"
    WAIT = "wait"
    SEND_AGAIN = "send_again"
    MEND_THERE = "mend_there"
    LOOK_THERE = "look_there"
    SETTLE = "settle"
    SUPPLY = "supply"
    ADD_WORD = "add_word"
    MEND_MAPPING = "mend_mapping"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Missing:
    """What the mapping has no word for, and the field of its form where one goes."""

    ours: str
    field: str


@dataclass(frozen=True, slots=True)
class Step:
    """`where`: on the form of its mapping, on its own page, or nowhere; `place`: where on it.
    `word`: the field of the mapping's form that may be the cause as well. `is_overtaken`: by a
    later revision of its unit, so that it is not sent again."""

    words: str
    code: Code
    where: Where = "nowhere"
    place: str = ""
    word: str = ""
    is_overtaken: bool = False


_NONE: Final = Step("", Code.NOTHING)
Newest = dict[tuple[int, str], int]
ProfileOf = Callable[[int, str], Profile | None]


def next_steps(rows: Sequence[WriteBack], *, at: datetime) -> list[Step]:
    """One for each row; the statements do not depend on their number but on that of targets."""
    stuck = [row.unit_id for row in rows if row.state in OVERTAKABLE]
    newest = newest_revisions(stuck) if stuck else {}
    profile_of = cache(_profile_of)
    resting = rests.sentences([row for row in rows if row.state == State.RETRY], at=at)
    resting |= rests.behind(rows, at=at)
    return [
        Step(resting[row.pk], Code.WAIT)
        if row.pk in resting and target(row.target) is not None
        else replace(_step(row, newest, profile_of), is_overtaken=_is_overtaken(row, newest))
        for row in rows
    ]


def missing_words(profile: Profile, verdict: str, codes: Sequence[str]) -> list[Missing]:
    """What of this disposition the mapping has no word for."""
    found = [] if verdict in profile.verdicts else [Missing(verdict, f"verdict-{verdict}")]
    if profile.defects != "own":
        known = profile.defects
        found += [Missing(c, f"defect-{c}") for c in dict.fromkeys(codes) if c not in known]
    return found


def _profile_of(site_id: int, name: str) -> Profile | None:
    """By which a row would be said now; None where nothing can be said by the one in force."""
    found = target(name)
    if found is None:
        message = f"{name} is no target of the settings"
        raise LookupError(message)
    try:
        _version, profile = mappings.in_force(site_id=site_id, target=found)
    except Refusal:
        return None
    return profile if profile.adapter == found.adapter else None


def _step(row: WriteBack, newest: Newest, profile_of: ProfileOf) -> Step:
    state = State(row.state)
    if state in SETTLED:
        return _NONE
    if target(row.target) is None:
        return _settled_by_hand()
    if state is State.NEEDS_PERSON:
        return _of_blocked(row, profile_of) if row.message is None else _in_doubt()
    if state is State.REJECTED:
        if _is_overtaken(row, newest):
            return _settled_by_hand()
        words = _("Mend it there, then send again")
        return Step(words, Code.MEND_THERE, "page", "do", _verdict_field(row))
    return Step(_waiting(state), Code.WAIT)


def _is_overtaken(row: WriteBack, newest: Newest) -> bool:
    """As `resolution.why_not_resend` has it."""
    return row.state in OVERTAKABLE and newest.get((row.unit_id, row.target), 0) > row.revision


def _verdict_field(row: WriteBack) -> str:
    data = row.payload["data"]
    return "verdict-CONCESSION" if data["concession"] else f"verdict-{data['disposition']}"


def _in_doubt() -> Step:
    return Step(_("Look whether the MES has it"), Code.LOOK_THERE, "page", "do")


def _settled_by_hand() -> Step:
    return Step(_("Settle it by hand"), Code.SETTLE, "page", "do")


def _of_blocked(row: WriteBack, profile_of: ProfileOf) -> Step:
    profile, data = profile_of(row.site_id, row.target), row.payload["data"]
    if profile is None:
        return Step(_("To the mapping"), Code.MEND_MAPPING, "mapping")
    verdict = "CONCESSION" if data["concession"] else data["disposition"]
    if missing := missing_words(profile, verdict, _codes(data)):
        words = _("Add a word for %(word)s") % {"word": missing[0].ours}
        return Step(words, Code.ADD_WORD, "mapping", missing[0].field)
    if profile.subject == "lot":
        return _settled_by_hand()
    if profile.required:
        return Step(_("Supply what is missing"), Code.SUPPLY, "page")
    if row.revision > 1 and profile.capabilities.terminal_verdicts:
        # What the target holds of the unit is final there; sent again it would come back.
        return _settled_by_hand()
    return Step(_("Send again"), Code.SEND_AGAIN, "page", "do")


def _codes(data: dict[str, Any]) -> list[str]:
    return [each["defect_class"] for each in data["nonconformities"]]


def _waiting(state: State) -> str:
    if state is State.UNCERTAIN:
        return _("Nothing yet: the MES is asked by itself.")
    if state is State.RETRY:
        return _("Nothing: it is tried again by itself.")
    if state is State.SENT:
        return _("Nothing: the acknowledgement comes by itself.")
    return _("Nothing: it leaves by itself.")
