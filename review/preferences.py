"""How a person has set up the bench. Every name is known here, with what its value may be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from review.models import Preference
from traceability.refusals import Invalid

# Room for the light of every defect class of a large catalogue.
MOST_NAMES: Final = 300
MOST_BYTES: Final = 32_768
_LIGHT: Final = re.compile(r"light:[A-Za-z0-9_.:/ -]{0,64}\Z")
_CODE: Final = re.compile(r"(Shift\+)?[A-Z][A-Za-z0-9]{1,24}\Z")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _flags(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _NAME.match(str(name)) and isinstance(each, bool) for name, each in value.items()
    )


def _keys(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= 60
        and all(
            _NAME.match(str(act)) and isinstance(code, str) and _CODE.match(code)
            for act, code in value.items()
        )
        and len(set(value.values())) == len(value)
    )


def _light(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= 12
        and all(
            _NAME.match(str(name).lower())
            and (each is None or isinstance(each, bool | int | float))
            for name, each in value.items()
        )
    )


def _lights(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MOST_NAMES
        # Printable: no half of a character and no NUL, which the database would not take.
        and all(
            len(name) <= 80 and name.isprintable() and (each is None or _light(each))
            for name, each in value.items()
        )
    )


Check = Callable[[Any], bool]
_KNOWN: Final[Mapping[str, tuple[Check, str]]] = {
    "keys": (_keys, "an object of actions and key codes, each code once"),
    "opinion_shown": (_flag, "true or false"),
    "ask_for_box": (_flag, "true or false"),
    "light": (_lights, "an object of defect classes, each with its light"),
    "panels": (_flags, "an object of panels, each true or false"),
}
_OF_LIGHT: Final = (_light, "an object of up to 12 numbers or true and false")


def of(actor: Actor) -> dict[str, Any]:
    """All this person has set."""
    rows = Preference.objects.filter(user_id=cast(int, actor.user_id)).order_by("name")
    return dict(rows.values_list("name", "value"))


def change(*, actor: Actor, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Set the named preferences, None to forget one; the others stay. Returns all of them."""
    for name, value in values.items():
        _check(name, value)
    with audit.recorded(actor=actor, at=at) as trail:
        now = of(actor)
        changed = {name: value for name, value in values.items() if now.get(name) != value}
        after = {name: v for name, v in {**now, **changed}.items() if v is not None}
        if len(after) > MOST_NAMES:
            raise Invalid(_("There is room for %(n)d settings.") % {"n": MOST_NAMES})
        _write(cast(int, actor.user_id), changed, at)
        if changed:
            trail.add(
                "preference.change",
                subject_kind="person",
                subject=actor.name,
                site_id=None,
                detail={"names": sorted(changed)},
            )
        else:
            trail.nothing_changed()
        return after


def _write(user_id: int, changed: Mapping[str, Any], at: datetime) -> None:
    gone = [name for name, value in changed.items() if value is None]
    if gone:
        Preference.objects.filter(user_id=user_id, name__in=gone).delete()
    Preference.objects.bulk_create(
        [
            Preference(user_id=user_id, name=name, value=value, changed_at=at)
            for name, value in changed.items()
            if value is not None
        ],
        update_conflicts=True,
        unique_fields=["user", "name"],
        update_fields=["value", "changed_at"],
    )


def _check(name: str, value: Any) -> None:
    known = _OF_LIGHT if _LIGHT.match(name) else _KNOWN.get(name)
    if known is None:
        raise Invalid(_("There is no setting called %(name)s.") % {"name": name[:80]})
    if value is None:
        return
    is_right, shape = known
    if not is_right(value) or len(json.dumps(value)) > MOST_BYTES:
        raise Invalid(_("%(name)s must be %(shape)s.") % {"name": name, "shape": shape})
