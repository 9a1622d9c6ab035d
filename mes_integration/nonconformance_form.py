"""What a rule's form says, as typed by a person: only the fields of its kind count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from mes_integration.models import NcrRule
from mes_integration.nonconformance_settings import Draft
from traceability.refusals import Invalid

_LONGEST: Final[Mapping[str, int]] = {
    "name": 200,
    "kind": 20,
    "line": 64,
    "part_number": 64,
    "defect_class": 64,
    "count": 12,
    "at_least": 8,
    "below": 12,
    "days": 12,
    "cool_down": 12,
}
_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    NcrRule.Kind.CONSECUTIVE: ("count",),
    NcrRule.Kind.SEVERITY: ("at_least",),
    NcrRule.Kind.FIRST_PASS_YIELD: ("below", "count"),
    NcrRule.Kind.RECURRENCE: ("days",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """The form as it stands: text, right or wrong; percent, and minutes."""

    name: str = ""
    kind: str = ""
    line: str = ""
    part_number: str = ""
    defect_class: str = ""
    count: str = ""
    at_least: str = ""
    below: str = ""
    days: str = ""
    cool_down: str = ""
    is_active: bool = True


def typed(posted: QueryDict) -> Typed:
    """The form as it was sent."""
    texts = {
        name: posted.get(name, "").replace("\0", "").strip()[:most]
        for name, most in _LONGEST.items()
    }
    return Typed(**texts, is_active="is_active" in posted)


def typed_of(draft: Draft) -> Typed:
    """The form as it would be typed for this rule."""
    return Typed(
        name=draft.name,
        kind=draft.kind,
        line=draft.line,
        part_number=draft.part_number,
        defect_class=draft.defect_class,
        count="" if draft.count is None else str(draft.count),
        at_least=draft.at_least,
        below="" if draft.below is None else f"{round(draft.below * 100, 2):g}",
        days="" if draft.days is None else str(draft.days),
        cool_down=str(draft.cool_down_s // 60),
        is_active=draft.is_active,
    )


def read(form: Typed) -> Draft:
    """The rule of the form. Raises Invalid for what is no number."""
    own = _OF_KIND.get(form.kind, ())
    below = form.below if "below" in own else ""
    percent = _number(below, _("The yield is a number, for instance 90."))
    return Draft(
        name=form.name,
        kind=form.kind,
        line=form.line,
        part_number=form.part_number,
        defect_class=form.defect_class,
        count=_whole(form.count) if "count" in own else None,
        at_least=form.at_least if "at_least" in own else "",
        below=None if percent is None else percent / 100,
        days=_whole(form.days) if "days" in own else None,
        cool_down_s=60 * (_whole(form.cool_down) or 0),
        is_active=form.is_active,
    )


def _whole(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise Invalid(_("“%(text)s” is no whole number.") % {"text": text})
    return int(text)


def _number(text: str, sentence: str) -> float | None:
    if not text:
        return None
    whole, _point, rest = text.replace(",", ".").partition(".")
    if not (whole.isascii() and whole.isdecimal() and (not rest or rest.isdecimal())):
        raise Invalid(sentence)
    return float(f"{whole}.{rest or 0}")
