"""What pages show of a message: never what the target's options keep secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

HIDDEN: Final = "••••••"
SHORTEST: Final = 6
"""A shorter text is found everywhere and is no secret elsewhere."""
_SECRET: Final = re.compile("secret|token|passw|key|credential", re.IGNORECASE)


def veiled(value: Any, options: Mapping[str, Any]) -> Any:
    """What a mapping made, with each secret of the options hidden wherever it has put it."""
    return _without(value, {each for each in _secrets(options) if len(each) >= SHORTEST})


def veiled_record(record: Mapping[str, Any]) -> Any:
    """The record, also with what its own options keep secret hidden."""
    return {**veiled(record, record["options"]), "options": _hidden(record["options"])}


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if _SECRET.search(name) else _hidden(each) for name, each in value.items()
        }
    return [_hidden(each) for each in value] if isinstance(value, list) else value


def _secrets(value: Any, *, is_secret: bool = False) -> Iterator[str]:
    """The texts below a name that says secret, however deep."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _secrets(each, is_secret=is_secret or bool(_SECRET.search(name)))
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each, is_secret=is_secret)
    elif isinstance(value, str) and is_secret:
        yield value


def _without(value: Any, secrets: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _without(each, secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, secrets) for each in value]
    if isinstance(value, str) and any(secret in value for secret in secrets):
        return HIDDEN
    return value
