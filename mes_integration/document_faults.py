"""What is wrong with a document that somebody wrote: where, and what has to stand there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mes_integration.expressions import Unreadable

_MOST: Final = 5
_DEEPEST: Final = 100
_LONGEST_PLACE: Final = 80
# JSON can write the halves of a character, and the database cannot hold them.
_HALF: Final = re.compile("[\ud800-\udfff]")
_QUOTED: Final = re.compile(r"'([^']*)'")
_BOOL: Final = gettext_lazy("“%(where)s” is true or false.")
_TEXT: Final = gettext_lazy("“%(where)s” is text in quotes.")
_WHOLE: Final = gettext_lazy("“%(where)s” is a whole number.")
_NUMBER: Final = gettext_lazy("“%(where)s” is a number.")
_OBJECT: Final = gettext_lazy("“%(where)s” is a JSON object: it begins with { and ends with }.")
_LIST: Final = gettext_lazy("“%(where)s” is a list: it begins with [ and ends with ].")
_TIME: Final = gettext_lazy("“%(where)s” is a time with its zone, as 2026-01-31T12:00:00Z.")
_OTHER: Final = gettext_lazy("“%(where)s” does not have a value that can stand there.")
_SENTENCES: Final[Mapping[str, Any]] = {
    "missing": gettext_lazy("“%(where)s” is missing."),
    "extra_forbidden": gettext_lazy("“%(where)s” is not known here; take it out."),
    "bool_type": _BOOL,
    "bool_parsing": _BOOL,
    "string_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "greater_than_equal": gettext_lazy("“%(where)s” is at least %(ge)s."),
    "greater_than": gettext_lazy("“%(where)s” is more than %(gt)s."),
    "less_than_equal": gettext_lazy("“%(where)s” is at most %(le)s."),
    "less_than": gettext_lazy("“%(where)s” is less than %(lt)s."),
    "string_too_short": gettext_lazy("“%(where)s” is text of at least %(min_length)s characters."),
    "string_too_long": gettext_lazy("“%(where)s” is text of at most %(max_length)s characters."),
    "too_short": gettext_lazy("“%(where)s” has at least %(min_length)s values."),
    "too_long": gettext_lazy("“%(where)s” has at most %(max_length)s values."),
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": _TIME,
    "uuid_type": gettext_lazy("“%(where)s” is a UUID."),
    "uuid_parsing": gettext_lazy("“%(where)s” is a UUID."),
    "recursion_loop": gettext_lazy("“%(where)s” is nested too deeply."),
}


class Unsound(ValueError):
    """Raised where a document is checked; its sentence is whole and names the place itself."""


def unreadable(error: Unreadable, *, where: str, before: int) -> Unsound:
    """An expression that is none; `before`: what stands at the place in front of it."""
    if error.position is None:
        return Unsound(
            _("The expression at “%(where)s” cannot be read: %(why)s.")
            % {"where": where, "why": error}
        )
    # Counted as typed: from one.
    return Unsound(
        _("The expression at “%(where)s” cannot be read, from character %(n)s on.")
        % {"where": where, "n": error.position + before + 1}
    )


def said(error: ValidationError, *, under: str) -> str:
    """A sentence for each of the first faults; `under`: where in the whole the document lies."""
    faults = error.errors(include_url=False, include_input=False)
    sentences = dict.fromkeys(_sentence(fault, under) for fault in faults)
    return " ".join(list(sentences)[:_MOST])


def why_not_kept(document: object) -> str:
    """What in a JSON document no database keeps, and where; empty when all can be kept."""
    left: list[tuple[str, object, int]] = [("", document, 0)]
    while left:
        where, value, depth = left.pop()
        said_there = {"where": where or _("the document")}
        if depth > _DEEPEST:
            return str(_SENTENCES["recursion_loop"]) % {"where": where[:_LONGEST_PLACE]}
        if isinstance(value, dict):
            left += [(path(where, str(name)), each, depth + 1) for name, each in value.items()]
            value = "".join(str(name) for name in value)
        elif isinstance(value, list):
            left += [(path(where, n), each, depth + 1) for n, each in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            return _("“%(where)s” is no number that can be written.") % said_there
        if isinstance(value, str) and "\0" in value:
            return _("“%(where)s” holds a NUL character; take it out.") % said_there
        if isinstance(value, str) and _HALF.search(value):
            return _("“%(where)s” holds half of a character; take it out.") % said_there
    return ""


def path(under: str, *parts: str | int) -> str:
    """Where in a document, as people write it: wire.then[0].path."""
    steps = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts]
    return f"{under}{''.join(steps)}".lstrip(".")


def _sentence(fault: ErrorDetails, under: str) -> str:
    place, context = fault["loc"], fault.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Unsound):
        return str(cause)
    if not under and place[:1] == ("defects",) and len(place) > 1:
        # One of two is asked for, and each of them complains.
        return _(
            '“defects” is "own", or a JSON object with the target\'s code for each defect class.'
        )
    is_name = bool(place) and place[-1] == "[key]"
    where = path(under, *(place[:-1] if is_name else place)) or _("the document")
    if isinstance(cause, ValueError):
        return _("“%(where)s”: %(why)s.") % {"where": where, "why": cause}
    if "expected" in context:
        known = ", ".join(_QUOTED.findall(str(context["expected"]))) or context["expected"]
        sentence = (
            _("“%(where)s” is not known here; known are: %(known)s.")
            if is_name
            else _("“%(where)s” is one of: %(known)s.")
        )
        return sentence % {"where": where, "known": known}
    return str(_SENTENCES.get(fault["type"], _OTHER)) % {**context, "where": where}
