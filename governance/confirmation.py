"""A password typed again where a signature is given."""

from __future__ import annotations

import math
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from governance import sign_in
from governance.access import Actor
from governance.models import User
from traceability.refusals import NotAllowed


def confirm(*, actor: Actor, password: str, at: datetime) -> None:
    """Raise NotAllowed unless this is the actor's password; tries count as those of a login do."""
    person = User.objects.get(username=actor.name)
    name, where = person.username, actor.address
    if rest := sign_in.begin(username=name, address=where, at=at):
        minutes = math.ceil(rest.total_seconds() / 60)
        raise NotAllowed(
            ngettext(
                "Too many tries. Wait %(n)d minute, then sign again.",
                "Too many tries. Wait %(n)d minutes, then sign again.",
                minutes,
            )
            % {"n": minutes},
            code="password_rests",
        )
    if not person.check_password(password):
        sign_in.fail(username=name, address=where, at=at)
        raise NotAllowed(_("The password is not yours. Nothing is signed."), code="password_wrong")
    sign_in.clear(username=name, address=where)
