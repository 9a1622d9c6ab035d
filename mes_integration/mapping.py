"""Mapping profiles: how the canonical record is said in a target's own words. Pure.

A profile is data. What it does not map stops the disposition with a sentence that names it:
nothing is ever sent under a verdict or a code that nobody chose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, Literal

from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from mes_integration import document_faults, expressions
from mes_integration.expressions import Unreadable
from traceability.refusals import Invalid

SCHEMA: Final = "loupe.mapping/1"
VERDICTS: Final = ("ACCEPT", "REWORK", "SCRAP", "HOLD", "CONCESSION")
_LOOKED_UP: Final = re.compile(r"\b(images|score|supersedes)\b|[@*]")
Verdict = Literal["ACCEPT", "REWORK", "SCRAP", "HOLD", "CONCESSION"]


class Unmapped(Exception):
    """The profile has no word for something in the record; the sentence names it and the cure."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Capabilities(BaseModel):
    """What the target can do; delivery goes by these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: bool = Field(description="Applies the same key once, however often it is sent.")
    read_back: bool = Field(description="Can be asked whether it holds a key.")
    upsert: bool = Field(default=False, description="Finds or updates: sending twice is harmless.")
    ordered: bool = Field(description="Applies in the order in which it answers.")
    terminal_verdicts: tuple[Verdict, ...] = Field(
        default=(), description="After one of these the target takes nothing more for the unit."
    )
    max_processing_s: float = Field(
        ge=0, le=86400, description="Longest time it may still apply what was sent."
    )
    splits_lots: bool = Field(default=False, description="Part of a lot can be disposed of.")


class Profile(BaseModel):
    """A mapping document that was found whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["loupe.mapping/1"] = Field(alias="schema")
    adapter: str
    verdicts: Mapping[Verdict, JsonValue]
    defects: Literal["own"] | Mapping[str, JsonValue]
    required: tuple[str, ...] = ()
    subject: Literal["unit", "lot"] = "unit"
    body: dict[str, JsonValue]
    capabilities: Capabilities
    wire: dict[str, JsonValue] = Field(default_factory=dict)

    @cached_property
    def looks_up(self) -> bool:
        """Whether anything it says may need what has to be looked up beside the event."""
        told = [*_expressions(self.body, ""), *_expressions(self.wire, "")]
        return any(_LOOKED_UP.search(text) for text in [*self.required, *(e for _, e in told)])

    @model_validator(mode="after")
    def _expressions_compile(self) -> Profile:
        for where, expression in [
            *_expressions(self.body, "body"),
            *_expressions(self.wire, "wire"),
        ]:
            try:
                expressions.check(expression)
            except Unreadable as error:
                raise document_faults.unreadable(error, where=where, before=1) from error
        for number, path in enumerate(self.required):
            try:
                expressions.check(path)
            except Unreadable as error:
                where = f"required[{number}]"
                raise document_faults.unreadable(error, where=where, before=0) from error
        return self


def _expressions(value: JsonValue, where: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in _expressions(v, f"{where}.{k}")]
    if isinstance(value, list):
        return [pair for n, v in enumerate(value) for pair in _expressions(v, f"{where}[{n}]")]
    return [(where, value[1:])] if isinstance(value, str) and value.startswith("=") else []


def parse(document: object) -> Profile:
    """The profile of a document; Invalid names each place that is wrong."""
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        raise Invalid(
            _("This mapping profile cannot be used. %(faults)s")
            % {"faults": document_faults.said(error, under="")}
        ) from error


def mapped(profile: Profile, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the target's words in it; Unmapped where there is none."""
    verdict = record["verdict"]
    if verdict not in profile.verdicts:
        raise Unmapped(
            _(
                "The mapping has no word for the verdict %(verdict)s. Add it to “verdicts”, "
                "then send again."
            )
            % {"verdict": verdict}
        )
    missing = [path for path in profile.required if _answered(path, record) in (None, "")]
    if missing:
        raise Unmapped(
            _(
                "The target needs %(paths)s, which this disposition does not have. Supply it "
                "with the master data or take it out of “required”, then send again."
            )
            % {"paths": ", ".join(missing)}
        )
    return {
        **record,
        "defects": [
            {**defect, "mapped": _code(profile, defect["code"])} for defect in record["defects"]
        ],
        "terminal": verdict in profile.capabilities.terminal_verdicts,
        "mapped": {"verdict": profile.verdicts[verdict]},
    }


def _code(profile: Profile, code: str) -> JsonValue:
    if profile.defects == "own":
        return code
    if code not in profile.defects:
        raise Unmapped(
            _(
                "The mapping has no code for the defect %(code)s. Add it to “defects”, then send "
                "again."
            )
            % {"code": code}
        )
    return profile.defects[code]


def render(profile: Profile, record: Mapping[str, Any]) -> dict[str, Any]:
    """The body the target is sent; Unmapped where the profile has no word for something."""
    return body_of(profile, mapped(profile, record))


def body_of(profile: Profile, record: Mapping[str, Any]) -> dict[str, Any]:
    """The body for a record that has the target's words already."""
    body = filled(profile.body, record)
    if not isinstance(body, dict):
        raise Unmapped(_("The profile's “body” does not come to a JSON object."))
    return body


def filled(template: JsonValue, record: Mapping[str, Any]) -> Any:
    """A template with its expressions answered by the record."""
    if isinstance(template, dict):
        return {name: filled(value, record) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, record) for value in template]
    if not isinstance(template, str) or not template.startswith("="):
        return template
    return _answered(template[1:], record)


def _answered(expression: str, record: Mapping[str, Any]) -> Any:
    try:
        return expressions.search(expression, record)
    except Unreadable as error:
        raise Unmapped(
            _(
                "The expression %(expression)s cannot be answered: %(error)s. Change it in the "
                "mapping, then send again."
            )
            % {"expression": f"={expression[:200]}", "error": error}
        ) from error
