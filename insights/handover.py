"""The shift handover: what is open, and a lead's signature that he takes it over."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, cast
from uuid import UUID

from django.core import signing
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance import audit, confirmation, duty
from governance.access import Actor
from governance.models import Duty
from governance.roles import Capability
from insights import open_items
from insights.models import Handover
from insights.open_items import Place, moment
from traceability.models import Site
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown

LOOKED_BACK: Final = timedelta(hours=8)
STALE: Final = timedelta(minutes=30)
REMARK_LIMIT: Final = 1000
MEANING: Final = "I take over these open items."
# What the signature stands for. What comes and goes by itself is shown, and not part of it.
TAKEN_OVER: Final = (
    "holds",
    "for_leads",
    "approvals",
    "questions",
    "stuck",
    "calls",
    "checks",
    "opinions",
    "refused",
    "changes",
)
# Lists of units, and how many words of their keys come after the serial.
OF_UNITS: Final = {"holds": 1, "questions": 1, "for_leads": 2, "approvals": 2, "stuck": 2}
_SALT: Final = "insights.handover"


@dataclass(frozen=True)
class Document:
    """What a lead reads and signs; `content` is plain values alone, so that it can be kept."""

    content: dict[str, Any]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Everything the signature stands for."""
        return frozenset(
            f"{name} {key}" for name in TAKEN_OVER for key in self.listed(name)["keys"]
        )

    @cached_property
    def items(self) -> int:
        """How many things that is: a unit that stands in several lists is one."""
        units: set[str] = set()
        others = 0
        for name in TAKEN_OVER:
            keys = self.listed(name)["keys"]
            if name in OF_UNITS:
                units.update(key.rsplit(" ", OF_UNITS[name])[0] for key in keys)
            else:
                others += len(keys)
        return len(units) + others

    def listed(self, name: str) -> dict[str, Any]:
        """One list; empty where the document was signed before there was such a list."""
        found: dict[str, Any] = self.content.get(name, {"keys": [], "rows": []})
        return found

    @property
    def sha256(self) -> str:
        """Of the content as canonical JSON."""
        return hashlib.sha256(canonical(self.content).encode()).hexdigest()

    def sealed(self) -> str:
        """The content for the form's way to the browser and back, unalterable."""
        return signing.dumps(self.content, salt=_SALT, compress=True)


class NotRead(Conflict):
    """The list that was signed is not one the lead can have read just now."""

    code = "handover_not_read"


class Changed(Conflict):
    """The list is another than the lead has read: `new` he has not seen, `gone` is no more."""

    code = "handover_changed"

    def __init__(self, sentence: str, *, read: Document, now: Document) -> None:
        super().__init__(sentence)
        self.new = now.keys - read.keys
        self.gone = len(read.keys - now.keys)


def canonical(content: dict[str, Any]) -> str:
    """One text for the same content, whatever the order it was kept in."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def latest(site: Site) -> Handover | None:
    """The handover signed last at the site."""
    return Handover.objects.filter(site=site).select_related("incoming").order_by("-pk").first()


def document(*, actor: Actor, site: Site, at: datetime) -> Document:
    """What is open at the site, and what happened since the last handover (or in 8 hours)."""
    last = latest(site)
    since = last.signed_at if last else at - LOOKED_BACK
    return _document(Place(actor=actor, site=site, since=since, at=at), last)


def _document(place: Place, last: Handover | None) -> Document:
    owner = duty.owners_of([place.site.pk], at=place.at).get(place.site.pk)
    for_leads, escalated = open_items.for_leads(place)
    lists = {
        "holds": open_items.holds(place, owner=str(owner.user) if owner else ""),
        "for_leads": for_leads,
        "approvals": open_items.approvals(place),
        "questions": open_items.questions(place),
        "stuck": open_items.stuck(place, escalated=escalated),
        "calls": open_items.calls(place),
        "checks": open_items.checks(place),
        "opinions": open_items.opinions(place),
        "refused": open_items.write_backs(place, need_person=True),
        "unsent": open_items.write_backs(place, need_person=False),
        "changes": open_items.changes(place),
    }
    return Document(
        {
            "meaning": MEANING,
            "site": place.site.code,
            "since": moment(place.since),
            "at": moment(place.at),
            "previous": {"by": str(last.incoming), "uuid": str(last.uuid)} if last else None,
            "owner": {"name": str(owner.user), "since": moment(owner.since)} if owner else None,
            **{name: listed.plain() for name, listed in lists.items()},
            "tablets": open_items.tablets(place),
            "figures": open_items.figures(place),
            "controls": open_items.controls(place),
        }
    )


def why_not_sign(*, actor: Actor, site: Site) -> str:
    """Why this person cannot take the site's shift over; empty when he can."""
    scopes = actor.scopes_for(Capability.SIGN_HANDOVERS)
    if any(scope.site_id == site.pk and scope.line_id is None for scope in scopes):
        return ""
    return _("A shift is taken over by a lead of the whole site.")


def sign(
    *, actor: Actor, site: Site, seen: str, password: str, remark: str, at: datetime
) -> Handover:
    """Take the shift over: exactly what he saw (`seen`, as Document.sealed gave it) is kept, once
    however often he sends it.

    Raises NotAllowed for the wrong password and while he has to wait after several, NotRead when
    he looked long ago, and Changed when something came or went since.
    """
    if why := why_not_sign(actor=actor, site=site):
        raise NotAllowed(why)
    remark = remark.strip()
    if len(remark) > REMARK_LIMIT:
        raise Invalid(_("The remark is longer than %(most)d characters.") % {"most": REMARK_LIMIT})
    read = _read(seen, site=site, at=at)
    confirmation.confirm(actor=actor, password=password, at=at)
    with audit.recorded(actor=actor, at=at) as trail:
        # Two leads sign one after the other. No key: what refers to the site does not wait.
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        if (done := _signed_before(read, actor=actor, site=site)) is not None:
            trail.nothing_changed()
            return done
        _check_unchanged(read, actor=actor, site=site, at=at)
        return _keep(trail, read, site=site, remark=remark)


def _read(seen: str, *, site: Site, at: datetime) -> Document:
    """What the lead had before him."""
    try:
        content = signing.loads(seen, salt=_SALT)
    except signing.BadSignature as error:
        raise NotRead(_("Read the list below, then sign it.")) from error
    is_old = at - datetime.fromisoformat(content["at"]) > STALE
    if content["site"] != site.code or is_old:
        raise NotRead(_("The list you looked at is too old. Read it again, then sign."))
    return Document(content)


def _signed_before(read: Document, *, actor: Actor, site: Site) -> Handover | None:
    """This very list, signed by him already; each is of a moment of its own."""
    same = Handover.objects.filter(site=site, content_sha256=read.sha256)
    return same.filter(incoming=actor.user_id).first()


def _check_unchanged(read: Document, *, actor: Actor, site: Site, at: datetime) -> None:
    # The shift he looked at, also where somebody signed in between.
    since = datetime.fromisoformat(read.content["since"])
    now = _document(Place(actor=actor, site=site, since=since, at=at), latest(site))
    if now.keys != read.keys:
        raise Changed(
            _("Nothing is signed yet: something came or went since you looked. Read it again."),
            read=read,
            now=now,
        )


def _keep(trail: audit.Trail, read: Document, *, site: Site, remark: str) -> Handover:
    before = duty.owners_of([site.pk], at=trail.at).get(site.pk)
    user_id = cast(int, trail.actor.user_id)
    taken = Duty.objects.create(site=site, user_id=user_id, began_at=trail.at)
    signed = Handover.objects.create(
        site=site,
        duty=taken,
        outgoing=before.user if before and before.since else None,
        incoming_id=user_id,
        since=datetime.fromisoformat(read.content["since"]),
        signed_at=trail.at,
        content=read.content,
        content_sha256=read.sha256,
        remark=remark,
    )
    trail.add(
        "handover.sign",
        subject_kind="handover",
        subject=signed.uuid,
        site_id=site.pk,
        detail={
            "meaning": MEANING,
            "content_sha256": signed.content_sha256,
            "items": read.items,
            "outgoing": signed.outgoing.username if signed.outgoing else None,
        },
        reason=remark,
    )
    return signed


def signed(*, actor: Actor, site: Site, before: str = "") -> QuerySet[Handover]:
    """The site's handovers, newest first; `before` is the id the page before ended with."""
    rows = _for(actor).filter(site=site)
    if before:
        rows = rows.filter(pk__lt=find(actor=actor, uuid=_uuid(before)).pk)
    return rows.order_by("-pk")


def find(*, actor: Actor, uuid: UUID) -> Handover:
    """One signed handover; Unknown when it is not for this actor."""
    found = _for(actor).filter(uuid=uuid).first()
    if found is None:
        raise Unknown(_("There is no such handover for you."))
    return found


def _for(actor: Actor) -> QuerySet[Handover]:
    """Of whole sites only: a handover is about every line."""
    rows = Handover.objects.filter(actor.within(open_items.SEE, line=None))
    return rows.select_related("incoming", "outgoing", "site")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(_("“before” is the id of a handover.")) from error


def is_untouched(handover: Handover) -> bool:
    """Whether the content is still the one that was signed."""
    return Document(handover.content).sha256 == handover.content_sha256
