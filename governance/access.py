"""Who is acting, and where they may do what."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from governance.models import Grant, User
from governance.roles import CAPABILITIES, MACHINES, Capability, Role
from traceability.models import Line, Site
from traceability.refusals import NotAllowed, Unknown

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Scope:
    """Where one role holds: a whole site, or one line of it."""

    role: Role
    site_id: int
    line_id: int | None


@dataclass(frozen=True, slots=True)
class Granted:
    """What a user was granted when this request looked him up, and the sites of it."""

    scopes: tuple[Scope, ...]
    sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, a machine, or the system itself for what happens by rule."""

    kind: str
    name: str
    user_id: int | None
    badge: str = ""
    address: str = ""
    scopes: tuple[Scope, ...] = ()
    sites: tuple[Site, ...] = field(default=(), compare=False)

    def scopes_for(self, capability: Capability) -> tuple[Scope, ...]:
        """Where this actor holds `capability`."""
        return tuple(s for s in self.scopes if capability in CAPABILITIES[s.role])

    def can(self, capability: Capability) -> bool:
        """Whether the actor holds `capability` anywhere."""
        return bool(self.scopes_for(capability))

    def within(
        self, capability: Capability, *, site: str = "site_id", line: str | None = "line_id"
    ) -> Q:
        """Filter for rows this actor may touch; `site` and `line` are the rows' own columns.

        Rows without a line of their own (`line=None`) are the whole site's: a role that holds
        for one line only does not reach them.
        """
        found = Q(pk__in=[])
        for scope in self.scopes_for(capability):
            if scope.line_id is None:
                found |= Q(**{site: scope.site_id})
            elif line is not None:
                found |= Q(**{site: scope.site_id, line: scope.line_id})
        return found


def system(name: str) -> Actor:
    """The actor of what no person did: a rule, a sweep, the consumer."""
    return Actor(kind="system", name=name, user_id=None)


def actor_of(user: User | AnonymousUser, *, address: str = "") -> Actor:
    """The actor behind a signed-in user; one query for the grants unless he came with them."""
    if not isinstance(user, User) or not user.is_active:
        return Actor(kind="anonymous", name="", user_id=None, address=address)
    granted: Granted = getattr(user, "granted", None) or _granted(user)
    scopes = granted.scopes
    is_machine = bool(scopes) and all(s.role in MACHINES for s in scopes)
    return Actor(
        kind="machine" if is_machine else "person",
        name=user.username,
        user_id=user.pk,
        badge=user.badge or user.username,
        address=address,
        scopes=scopes,
        sites=granted.sites,
    )


def _granted(user: User) -> Granted:
    grants = list(Grant.objects.filter(user=user).select_related("site").order_by("id"))
    return Granted(
        scopes=tuple(
            Scope(role=Role(grant.role), site_id=grant.site_id, line_id=grant.line_id)
            for grant in grants
        ),
        sites=tuple({grant.site_id: grant.site for grant in grants}.values()),
    )


def actor_from(request: HttpRequest) -> Actor:
    """The request's actor, looked up once a request."""
    known: Actor | None = getattr(request, "_loupe_actor", None)
    if known is None:
        known = actor_of(request.user, address=address_of(request))
        request._loupe_actor = known  # type: ignore[attr-defined]  # noqa: SLF001  # as Django does
    return known


def address_of(request: HttpRequest) -> str:
    """Whose request it is, as the outermost of our own proxies saw him."""
    nearest: str = request.META.get("REMOTE_ADDR", "")
    proxies = settings.LOUPE.trusted_proxies
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    if not proxies or len(hops) < proxies:
        return nearest
    # Further left stands only what the client itself has sent.
    try:
        return str(ip_address(hops[-proxies].strip()))[:64]
    except ValueError:
        return nearest


def check_can(actor: Actor, capability: Capability) -> None:
    """Raise NotAllowed unless the actor holds the capability somewhere."""
    if not actor.can(capability):
        raise NotAllowed(
            _("You may not %(what)s. Ask an admin for the role.") % {"what": capability.label}
        )


def sites_for(actor: Actor, capability: Capability) -> QuerySet[Site]:
    """Sites where the actor holds the capability, for the whole site or a line of it."""
    return Site.objects.filter(pk__in={s.site_id for s in actor.scopes_for(capability)}).order_by(
        "code"
    )


def site_for(actor: Actor, capability: Capability, code: str | None = None) -> Site:
    """The named site, or the first one; Unknown when it is not the actor's."""
    check_can(actor, capability)
    within = {scope.site_id for scope in actor.scopes_for(capability)}
    sites = sorted((s for s in actor.sites if s.pk in within), key=lambda s: s.code)
    site = next((s for s in sites if not code or s.code == code), None)
    if site is None:
        raise Unknown(_("There is no site %(code)s for you.") % {"code": code or ""})
    return site


def check_covers(actor: Actor, capability: Capability, *, site: Site, line: Line | None) -> None:
    """Raise Unknown unless the actor holds the capability on this line of this site."""
    for scope in actor.scopes_for(capability):
        if scope.site_id == site.pk and scope.line_id in (None, line.pk if line else None):
            return
    raise Unknown(_("There is no such thing here for you."))
