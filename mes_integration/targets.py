"""Where dispositions go: the MES and QMS that the settings name."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mes_integration.adapters.protocol import MesAdapter
from mes_integration.models.outbox import DEFAULT_TARGET

ADAPTERS: Final[Mapping[str, str]] = {
    "http": "mes_integration.adapters.http",
    "mqtt": "mes_integration.adapters.mqtt",
    "cfx": "mes_integration.adapters.cfx",
    "b2mml-http": "mes_integration.adapters.b2mml_http",
    "b2mml-files": "mes_integration.adapters.b2mml_files",
}
"""Imported when a target asks for it: each may need libraries that Loupe itself does not.

Each has `open_target`, `fault_of` (what is wrong with a target's settings) and `check_wire`.
"""

PROFILES: Final[Mapping[str, str]] = {
    "http": "generic",
    "mqtt": "mqtt",
    "cfx": "cfx",
    "b2mml-http": "b2mml",
    "b2mml-files": "b2mml-files",
}
"""The shipped mapping of each adapter, where a target names none."""

# Two who ask at once for the first time share one adapter, and with it its threads.
_opening: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Target:
    """One system that is told of dispositions; its secret never leaves this object."""

    name: str
    adapter: str
    url: str
    profile: str
    user: str = ""
    secret: str = field(default="", repr=False)
    sites: tuple[str, ...] = ()
    timeout_s: float = 10.0
    quarantine_s: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def serves(self, site_code: str) -> bool:
        """Whether dispositions of this site go there."""
        return not self.sites or site_code in self.sites


def targets() -> tuple[Target, ...]:
    """Every target of the settings, in their order."""
    loupe = settings.LOUPE
    found = [
        Target(
            name=given.name,
            adapter=given.adapter,
            url=given.url,
            profile=given.profile or PROFILES[given.adapter],
            user=given.user,
            secret=given.secret.get_secret_value(),
            sites=tuple(given.sites),
            timeout_s=given.timeout_s or loupe.mes_timeout_s,
            options=given.options,
        )
        for given in loupe.mes_targets
    ]
    if loupe.mes_url:
        found.insert(
            0,
            Target(
                name=DEFAULT_TARGET,
                adapter="http",
                url=loupe.mes_url,
                profile=PROFILES["http"],
                secret=loupe.mes_secret.get_secret_value(),
                timeout_s=loupe.mes_timeout_s,
                quarantine_s=loupe.mes_quarantine_s,
            ),
        )
    return tuple(found)


def target(name: str) -> Target | None:
    """The target of that name; None when the settings have none."""
    return next((found for found in targets() if found.name == name), None)


def targets_of(site_code: str) -> tuple[str, ...]:
    """Whom a site's dispositions go to; without any, rows wait for the one there will be."""
    names = tuple(found.name for found in targets() if found.serves(site_code))
    return names or (DEFAULT_TARGET,)


def adapter_of(name: str) -> MesAdapter | None:
    """The open adapter of a target; None when the settings have none of that name."""
    found = target(name)
    if found is None:
        return None
    with _opening:
        return _open(found)


def fault_of(found: Target) -> str:
    """Why nothing can go to a target as it is set, and how to mend that; empty when it can.

    Nothing is opened or asked there.
    """
    try:
        fault: str = import_string(f"{ADAPTERS[found.adapter]}.fault_of")(found)
    except ImportError as error:
        return _lacks_library(found, error)
    if not fault:
        return ""
    return _("%(fault)s Mend the target %(name)s in the settings and start Loupe again.") % {
        "fault": fault if fault.endswith(".") else f"{fault}.",
        "name": found.name,
    }


def check_wire(found: Target, wire: Mapping[str, Any]) -> None:
    """Invalid where a mapping's “wire” says what the target's adapter cannot go by.

    An adapter whose libraries are not installed is not asked; nothing leaves by it either.
    """
    with contextlib.suppress(ImportError):
        import_string(f"{ADAPTERS[found.adapter]}.check_wire")(wire)


def _lacks_library(found: Target, error: ImportError) -> str:
    return _(
        "The target %(name)s uses the adapter %(adapter)s, which needs a library that is not "
        "installed (%(error)s): pip install -r requirements-adapters.txt"
    ) % {"name": found.name, "adapter": found.adapter, "error": error}


@lru_cache(maxsize=32)
def _open(found: Target) -> MesAdapter:
    """One adapter for each target and process; other settings open another one."""
    try:
        opens = import_string(f"{ADAPTERS[found.adapter]}.open_target")
    except ImportError as error:
        raise ImproperlyConfigured(_lacks_library(found, error)) from error
    try:
        adapter: MesAdapter = opens(found)
    except OSError as error:
        message = f"The target {found.name} cannot be used: {error}"
        raise ImproperlyConfigured(message) from error
    return adapter
