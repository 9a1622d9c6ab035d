"""Guessing passwords gets slow: a name rests after five failures from one address."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from governance import audit
from governance.access import Actor
from governance.models import SignInFailure

FREE_FAILURES: Final = 5
WINDOW: Final = timedelta(minutes=15)
FIRST_REST: Final = timedelta(seconds=30)
LONGEST_REST: Final = timedelta(minutes=15)


def key_of(username: str) -> str:
    """The name as the form reads it, so that no spelling of it gets tries of its own."""
    return unicodedata.normalize("NFKC", username.strip())[:150]


def rest_after(failures: int) -> timedelta:
    """How long a name rests after so many failures: doubling, at most a quarter of an hour."""
    if failures < FREE_FAILURES:
        return timedelta(0)
    doublings: int = 2 ** min(failures - FREE_FAILURES, 10)
    return min(LONGEST_REST, FIRST_REST * doublings)


def begin(*, username: str, address: str, at: datetime) -> timedelta:
    """Count a try before its password is looked at; how long it must wait if it may not be made.

    Counted first, so that many at once do not get a try each. `succeed` takes it back.
    """
    with transaction.atomic():
        tries, _new = SignInFailure.objects.select_for_update().get_or_create(
            username=key_of(username), address=address, defaults={"last_at": at}
        )
        if tries.refused_until is not None and at < tries.refused_until:
            return tries.refused_until - at
        if (tries.refused_until or tries.last_at) + WINDOW < at:
            tries.failures = 0
        tries.failures += 1
        rest = rest_after(tries.failures)
        tries.last_at, tries.refused_until = at, (at + rest if rest else None)
        tries.save()
    return timedelta(0)


def fail(*, username: str, address: str, at: datetime) -> None:
    """The password did not fit: on record once the name rests because of it."""
    tries = SignInFailure.objects.filter(
        username=key_of(username), address=address, refused_until__gt=at
    ).first()
    if tries is None:
        return
    anonymous = Actor(kind="anonymous", name="", user_id=None, address=address)
    with audit.recorded(actor=anonymous, at=at) as trail:
        trail.add(
            "person.lock_out",
            subject_kind="person",
            subject=tries.username,
            site_id=None,
            detail={
                "failures": tries.failures,
                "seconds": round(rest_after(tries.failures).total_seconds()),
            },
        )


def succeed(trail: audit.Trail, *, username: str, address: str) -> None:
    """Forget the failures, and note who came in."""
    clear(username=username, address=address)
    trail.add("person.sign_in", subject_kind="person", subject=trail.actor.name, site_id=None)


def clear(*, username: str, address: str) -> None:
    """Forget the failures of this name from this address."""
    SignInFailure.objects.filter(username=key_of(username), address=address).delete()


def forget(*, at: datetime) -> None:
    """Drop what has been quiet for a day."""
    SignInFailure.objects.filter(last_at__lt=at - timedelta(days=1)).delete()
