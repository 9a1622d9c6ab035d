"""How a profile's `wire` says what is called over HTTP: paths, headers, and what answers mean.

Whatever begins with "=" is an expression over the record, with `key`, `body`, `options` (of the
settings), `reference` and `found` (in further calls) and `answer` (the answer's JSON).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlencode

from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from mes_integration import document_faults, expressions, mapping
from mes_integration.expressions import Unreadable
from mes_integration.mapping import Unmapped
from traceability.refusals import Invalid

_PLACE: Final = re.compile(r"\{([^{}]+)\}")
_FIXED: Final = re.compile(r"(/[A-Za-z0-9._~%:@!$&'()*+,;=-]*)*")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}")
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
LONGEST_REFERENCE: Final = 200
Scope = Mapping[str, Any]
Auth = Literal["signature", "standard-webhooks", "bearer", "basic", "token"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(_Part):
    """One request; its path stays under the target's address."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    path: str
    query: Mapping[str, JsonValue] = Field(default_factory=dict)
    headers: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("path")
    @classmethod
    def _stays_under_the_address(cls, path: str) -> str:
        for place in _PLACE.findall(path):
            try:
                expressions.check(place)
            except Unreadable as error:
                message = _("the place {%(place)s} is no JMESPath") % {"place": place}
                raise ValueError(message) from error
        fixed = _PLACE.sub("x", path)
        # As whoever takes it may read it.
        plain = unquote(fixed)
        climbs = {".", ".."} & set(plain.replace("\\", "/").split("/")) or not plain.isprintable()
        if not path.startswith("/") or climbs or "//" in fixed or not _FIXED.fullmatch(fixed):
            raise ValueError(_("a path begins with / and stays under the target's address"))
        return path

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name in headers:
            if not _HEADER.fullmatch(name) or name.lower() in _OURS:
                raise ValueError(_("the header %(name)s cannot be set") % {"name": name[:80]})
        return headers


class Create(Call):
    """The call that hands the mapping's body over."""

    path: str = "/dispositions"
    headers: Mapping[str, str] = Field(default_factory=lambda: {"Idempotency-Key": "=key"})
    # A reference is what the contract calls one: a number would be somebody's own idea.
    reference: JsonValue = "=type(answer.reference) == 'string' && answer.reference"
    applied: frozenset[int] = frozenset({200, 201, 202})
    exists: frozenset[int] = Field(
        default=frozenset({409}), description="Held already, where a reference is named."
    )
    later: frozenset[int] = Field(
        default=frozenset({425, 429}), description="Certainly not applied; may be sent again."
    )


class Then(Call):
    """A further call with the `reference`; harmless when it is made again."""

    body: JsonValue = None
    when: JsonValue = True


class ReadBack(Call):
    """How the target is asked what it holds under a key."""

    method: Literal["GET", "POST"] = "GET"
    path: str = "/dispositions/{key}"
    body: JsonValue = None
    reference: JsonValue = "=type(answer.reference) == 'string' && answer.reference"
    absent: frozenset[int] = frozenset({404, 405, 410, 501})
    absent_when: JsonValue = False
    done: JsonValue = Field(default=True, description="False: the further calls are still to come.")
    verdict: JsonValue = None
    copies: JsonValue = 1


class Wire(_Part):
    """A profile's `wire`; as it stands when nothing is said, it is the contract of dispositions."""

    about: str = ""
    auth: Auth = "signature"
    create: Create = Field(default_factory=Create)
    then: tuple[Then, ...] = ()
    read_back: ReadBack | None = Field(default_factory=ReadBack)
    said: JsonValue = "=answer.detail"


def parse(wire: Mapping[str, JsonValue]) -> Wire:
    """The wire of a profile; Invalid names each place that is wrong."""
    try:
        return Wire.model_validate(wire)
    except ValidationError as error:
        raise Invalid(
            _("This mapping profile cannot be used. %(faults)s")
            % {"faults": document_faults.said(error, under="wire")}
        ) from error


@dataclass(frozen=True, slots=True)
class Filled:
    """A call with its places filled."""

    method: str
    path: str
    headers: Mapping[str, str]


def fill(call: Call, scope: Scope) -> Filled:
    """The request of this record; Unmapped where a place has nothing to hold."""
    path = _PLACE.sub(lambda place: quote(_text(place[1], scope), safe=""), call.path)
    if {".", ".."} & set(path.split("/")):
        raise Unmapped(_("The path %(path)s would leave the target's address.") % {"path": path})
    query = {name: mapping.filled(value, scope) for name, value in call.query.items()}
    if query:
        path += "?" + urlencode(query, doseq=True, quote_via=quote)
    headers = {
        name: _header(name, value)
        for name, template in call.headers.items()
        if (value := mapping.filled(template, scope)) is not None
    }
    return Filled(call.method, path, headers)


def _text(place: str, scope: Scope) -> str:
    value = mapping.filled(f"={place}", scope)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Unmapped(
            _(
                "The target's address needs %(place)s, which this disposition does not have. "
                "Supply it, or change the mapping, then send again."
            )
            % {"place": place}
        )
    return str(value)


def _header(name: str, value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or not text.isascii() or not text.isprintable():
        raise Unmapped(_("The header %(name)s would be empty or not plain text.") % {"name": name})
    return text


def told(template: JsonValue, scope: Scope, answer: Any) -> Any:
    """What an expression makes of an answer; None where it cannot be answered."""
    try:
        return mapping.filled(template, {**scope, "answer": answer})
    except Unmapped:
        return None


def reference(template: JsonValue, scope: Scope, answer: Any) -> str:
    """The target's reference; empty when there is none that can be kept."""
    value = told(template, scope, answer)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isprintable():
        return ""
    return value.strip() if len(value) <= LONGEST_REFERENCE else ""
