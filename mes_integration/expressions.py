"""JMESPath as mappings speak it: the standard's functions and three of our own. Pure."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, Final

import jmespath
from django.utils.translation import gettext as _
from jmespath import functions
from jmespath.exceptions import (
    ArityError,
    EmptyExpressionError,
    JMESPathError,
    JMESPathTypeError,
    ParseError,
    UnknownFunctionError,
    VariadictArityError,
)

LONGEST: Final = 4000
"""Characters of an expression."""
LARGEST: Final = 200_000
"""Values and characters of what one comes to: far more than any target takes."""
# NUL and halves of a character: JSON can write them, and neither a database nor a wire can.
_UNWRITABLE: Final = re.compile("[\0\ud800-\udfff]")
# What a function makes of an argument nobody thought of; what it does to one row, it does to all.
_FAULTS: Final = (ArithmeticError, LookupError, TypeError, ValueError, RecursionError)


class Unreadable(JMESPathError):
    """It is no expression, or has no answer here: why, as the end of a sentence. `position`: the
    character that cannot be read, counted from none."""

    def __init__(self, why: str, position: int | None = None) -> None:
        super().__init__(why)
        self.position = position


class _Functions(functions.Functions):
    @functions.signature({"types": ["string"]})
    def _func_base64url(self, text: str) -> str:
        """Base64 for addresses, padded: `base64url(to_string(x))`."""
        return base64.urlsafe_b64encode(text.encode()).decode("ascii")

    @functions.signature({"types": ["string"]}, {"types": ["number"]})
    def _func_left(self, text: str, count: float) -> str:
        """The first characters: left(decided_at, `10`) is the day."""
        return text[: max(0, int(count))]

    @functions.signature({"types": ["string"]}, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace(self, text: str, old: str, new: str) -> str:
        """Every `old` replaced: replace(decided_at, 'T', ' ')."""
        if len(text) + (text.count(old) * len(new)) > LARGEST:
            raise _too_much()
        return text.replace(old, new)

    @functions.signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        """As the standard has it, of what has an end."""
        _check_sendable(value)
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


_OPTIONS: Final = jmespath.Options(custom_functions=_Functions())


def check(expression: str) -> None:
    """Raise Unreadable unless it is an expression."""
    _compiled(expression)


def search(expression: str, value: Any) -> Any:
    """What the expression comes to; Unreadable where it cannot be answered, or not be sent."""
    compiled = _compiled(expression)
    try:
        found = compiled.search(value, options=_OPTIONS)
        _check_sendable(found)
    except Unreadable:
        raise
    except _FAULTS as error:
        raise Unreadable(_why_not(error)) from error
    return found


def _why_not(error: Exception) -> str:
    """Without the value: it may be as long as it likes, cannot be written, or is a secret of the
    options."""
    match error:
        case JMESPathTypeError():
            return _("%(name)s() takes %(takes)s, not %(given)s") % {
                "name": error.function_name,
                "takes": ", ".join(error.expected_types),
                "given": error.actual_type,
            }
        case UnknownFunctionError():
            return _("there is no function %(name)s") % {"name": str(error).rpartition(" ")[2]}
        case ArityError():
            least = isinstance(error, VariadictArityError)
            words = (
                _("%(name)s() takes at least %(takes)s values, not %(given)s")
                if least
                else _("%(name)s() takes %(takes)s values, not %(given)s")
            )
            return words % {
                "name": error.function_name,
                "takes": error.expected_arity,
                "given": error.actual_arity,
            }
        case RecursionError():
            return _("it is nested too deeply")
        case _:
            return _("it cannot be worked out with what this disposition has")


def _compiled(expression: str) -> Any:
    if len(expression) > LONGEST:
        raise Unreadable(_("it is longer than %(most)s characters") % {"most": LONGEST})
    try:
        return jmespath.compile(expression)
    except EmptyExpressionError as error:
        raise Unreadable(_("it is empty")) from error
    except ParseError as error:
        position = error.lex_position
        raise Unreadable(_("it is no JMESPath"), position) from error
    except RecursionError as error:
        raise Unreadable(_("it is nested too deeply")) from error
    except _FAULTS as error:
        raise Unreadable(_("it is no JMESPath")) from error


def _check_sendable(value: Any) -> None:
    """Raise Unreadable for what has no end or cannot be written; counted without recursion."""
    left, still = LARGEST, [value]
    while still:
        one = still.pop()
        left -= 1
        if isinstance(one, dict):
            still += [*one, *one.values()]
        elif isinstance(one, list):
            still += one
        elif isinstance(one, str):
            left -= len(one)
            if _UNWRITABLE.search(one):
                raise Unreadable(_("it holds a character that cannot be written"))
        elif isinstance(one, float) and not math.isfinite(one):
            raise Unreadable(_("%(word)s is no number that can be written") % {"word": one})
        if left < 0:
            raise _too_much()


def _too_much() -> Unreadable:
    return Unreadable(_("it comes to more than %(most)s characters") % {"most": LARGEST})
