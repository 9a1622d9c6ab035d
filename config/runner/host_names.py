"""Under which names and addresses tablets can reach this machine."""

import ipaddress
import socket
from contextlib import suppress

from config.runner.failures import CannotStart
from config.runner.language import in_language as _

LONGEST_NAME = 253


def checked_name(name: str) -> str:
    """A host name or IPv4 address as a person typed it; CannotStart when it is neither."""
    name = name.strip().lower().rstrip(".")
    if address := as_address(name):
        if address.version == 4:
            return name
        raise CannotStart(_("HOST=%(name)s: give an IPv4 address or a host name.") % {"name": name})
    labels = name.split(".")
    is_name = 0 < len(name) <= LONGEST_NAME and all(
        0 < len(label) <= 63
        and label.replace("-", "").isalnum()
        and label.isascii()
        and not label.startswith("-")
        and not label.endswith("-")
        for label in labels
    )
    if not is_name or labels[-1].isdecimal():
        raise CannotStart(
            _(
                "HOST=%(name)s is neither a host name nor an address. "
                "For instance: make tablets HOST=loupe.plant.example"
            )
            % {"name": name}
        )
    return name


def as_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def names_here() -> tuple[str, ...]:
    """This machine's addresses on its networks, then its host name and the same with .local."""
    found = dict.fromkeys(lan_addresses())
    short = socket.gethostname().lower().split(".")[0]
    # A host name no certificate may hold is left out; the addresses will do.
    with suppress(CannotStart):
        found |= dict.fromkeys([checked_name(short), f"{short}.local"])
    return tuple(found)


def lan_addresses() -> list[str]:
    """IPv4 addresses others reach this machine at, the one of the default route first."""
    found: dict[str, None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the kernel only chooses the interface.
            probe.connect(("192.0.2.1", 9))
            found[probe.getsockname()[0]] = None
        except OSError:
            pass
    try:
        named = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        named = []
    found |= dict.fromkeys(str(row[4][0]) for row in named)
    return [a for a in found if not ipaddress.ip_address(a).is_loopback and a != "0.0.0.0"]  # noqa: S104  # left out, not bound
