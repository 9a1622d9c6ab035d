"""Who works at the plant of the fault programme: `python -m benchmarks.ledger_seats 7 3`.

Prints the request headers of so many inspectors, so many leads and the MES as JSON.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from knox.models import AuthToken  # noqa: E402  # models need the apps

from benchmarks import backlog  # noqa: E402
from benchmarks.ledger_rules import CAREFUL  # noqa: E402
from governance.models import Grant, User  # noqa: E402
from governance.roles import Role  # noqa: E402
from tests.faults.seeding import signed_in  # noqa: E402
from traceability.models import Line, Site, Station  # noqa: E402


def main(inspectors: int, leads: int) -> None:
    """The site with its lines, and everybody signed in."""
    backlog.fill(size=0)
    site = Site.objects.get(code="bench")
    careful = Line.objects.create(site=site, code=CAREFUL)
    Station.objects.create(site=site, line=careful, code="st-2")
    people = [_person(Role.LEAD, f"lead-{number}", site) for number in range(leads)]
    _row, token = AuthToken.objects.create(_person(Role.MES, "mes", site))
    seats = {
        "inspectors": [signed_in(user) for user in backlog.inspectors(inspectors)],
        "leads": [signed_in(user) for user in people],
        "mes": {"Authorization": f"Bearer {token}"},
    }
    json.dump(seats, sys.stdout)


def _person(role: Role, name: str, site: Site) -> User:
    user = User.objects.create(username=name)
    Grant.objects.create(user=user, role=role, site=site)
    return user


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
