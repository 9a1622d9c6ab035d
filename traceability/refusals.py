"""Why something was not done, as a sentence for a person and a code for a program."""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """A request that was understood and not carried out; nothing was changed."""

    code: ClassVar[str] = "refused"

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.reason = code or self.code


class Invalid(Refusal):
    """The request itself is wrong; the sentence says what to mend."""

    code = "invalid"


class Conflict(Refusal):
    """The thing has changed, or is in a state that does not allow this."""

    code = "conflict"


class NotAllowed(Refusal):
    """This person may not do this here."""

    code = "not_allowed"


class Unknown(Refusal):
    """There is no such thing, or not for this person."""

    code = "unknown"


class Unavailable(Refusal):
    """Something outside does not answer; trying again later may help."""

    code = "unavailable"
