"""Which mapping profile speaks for a site at a target: its own newest one, else the shipped one."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

from mes_integration.mapping import Profile, parse
from mes_integration.models import MappingProfile
from mes_integration.targets import Target
from traceability.refusals import Unknown
from traceability.statements import prepared

_FOLDER: Final = Path(__file__).parent / "profiles"
SHIPPED: Final = 0
"""The version of a profile that came with Loupe."""
_NEWEST: Final = """
SELECT version, id, document::text FROM mes_integration_mappingprofile
WHERE site_id = %(site)s AND target = %(target)s
ORDER BY version DESC LIMIT 1
"""


def shipped_names() -> list[str]:
    """Every profile that comes with Loupe."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


@lru_cache(maxsize=32)
def shipped(name: str) -> Profile:
    """A profile that comes with Loupe."""
    return parse(shipped_document(name))


def shipped_document(name: str) -> dict[str, Any]:
    """As it was written; Unknown for a name nothing was shipped under."""
    if name not in shipped_names():
        raise Unknown(
            _("There is no mapping profile “%(name)s”; there are: %(names)s.")
            % {"name": name, "names": ", ".join(shipped_names())}
        )
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return document


def in_force(*, site_id: int, target: Target) -> tuple[int, Profile]:
    """Version and profile by which a disposition of this site is said now."""
    with prepared() as cursor:
        cursor.execute(_NEWEST, {"site": site_id, "target": target.name})
        newest = cursor.fetchone()
    if newest is None:
        return SHIPPED, shipped(target.profile)
    version, pk, document = newest
    return version, _parsed(pk, document)


def of_version(*, site_id: int, target: str, version: int, name: str) -> Profile:
    """The profile of that version, which never changes; `name` is what was shipped as 0."""
    if version == SHIPPED:
        return shipped(name)
    row = MappingProfile.objects.get(site=site_id, target=target, version=version)
    return _parsed(row.pk, json.dumps(row.document))


@lru_cache(maxsize=128)
def _parsed(_pk: int, document: str) -> Profile:
    return parse(json.loads(document))
