"""The mapping form: words as a table, the rest as JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from mes_integration.mapping import VERDICTS
from mes_integration.mapping_versions import LARGEST
from traceability.refusals import Invalid

_TABLES: Final = ("verdicts", "defects")
_MOST_CODES: Final = 400


@dataclass(frozen=True, slots=True)
class Word:
    """One row of a table: ours, and theirs as it is typed; empty has no word and blocks."""

    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Form:
    """The form as it stands."""

    verdicts: Sequence[Word]
    own_codes: bool
    defects: Sequence[Word]
    rest: str


def typed(value: Any) -> str:
    """A JSON value as a person types it: a plain word bare, everything else as JSON."""
    if isinstance(value, str) and not _is_json(value) and value == value.strip() and value:
        return value
    return json.dumps(value, ensure_ascii=False)


def read(text: str) -> Any:
    """What was typed; the inverse of `typed`."""
    text = text.strip()
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(name: str) -> None:
    """NaN and Infinity are words, not JSON."""
    raise ValueError(name)


def form_of(document: Mapping[str, Any], *, codes: Sequence[str]) -> Form:
    """A document in the form, with a row for every code that should have a word."""
    verdicts, defects = document.get("verdicts", {}), document.get("defects", {})
    own = defects == "own"
    words = {} if own else defects
    return Form(
        verdicts=[Word(v, typed(verdicts[v]) if v in verdicts else "") for v in VERDICTS],
        own_codes=own,
        defects=[Word(c, typed(words[c]) if c in words else "") for c in codes],
        rest=json.dumps(
            {name: value for name, value in document.items() if name not in _TABLES},
            indent=2,
            ensure_ascii=False,
        ),
    )


def posted(given: QueryDict) -> Form:
    """The form as it was sent."""
    pairs = zip(given.getlist("code"), given.getlist("word"), strict=False)
    return Form(
        verdicts=[Word(v, given.get(f"verdict-{v}") or "") for v in VERDICTS],
        own_codes=given.get("defects") == "own",
        defects=[Word(code.strip(), word) for code, word in pairs if code.strip()][:_MOST_CODES],
        rest=given.get("rest") or "",
    )


def document_of(form: Form) -> dict[str, Any]:
    """The document the form makes; Invalid where its text is no JSON object."""
    if len(form.rest) > LARGEST:
        raise Invalid(_("Keep “The rest” below %(most)s characters.") % {"most": LARGEST})
    try:
        rest = json.loads(form.rest, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise Invalid(
            _("“The rest” is not JSON: line %(line)s, column %(column)s cannot be read.")
            % {"line": error.lineno, "column": error.colno}
        ) from error
    except ValueError as error:
        raise Invalid(
            _("“The rest” is not JSON: %(word)s is no number.") % {"word": error}
        ) from error
    except RecursionError as error:
        raise Invalid(_("“The rest” is nested too deeply.")) from error
    if not isinstance(rest, dict):
        raise Invalid(_("“The rest” is a JSON object: it begins with { and ends with }."))
    if doubled := [name for name in _TABLES if name in rest]:
        raise Invalid(
            _("“%(name)s” stands in the tables above; take it out of “The rest”.")
            % {"name": doubled[0]}
        )
    schema = rest.pop("schema", None)
    return {
        "schema": schema,
        "adapter": rest.pop("adapter", ""),
        "verdicts": _table(form.verdicts),
        "defects": "own" if form.own_codes else _table(form.defects),
        **rest,
    }


def _table(words: Sequence[Word]) -> dict[str, Any]:
    return {word.ours: read(word.theirs) for word in words if word.theirs.strip()}
