"""Master data from the MES: one item, one transaction, in the order of the sender's own time.

What the MES says wins over what prediction events have said in passing, and every change of a
fact stands in the audit trail with what was before. Rows it names in passing (the lot of a unit)
are made bare, to be filled by an item of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django.db import OperationalError, models
from django.utils.translation import gettext as _

from governance.access import Actor, check_covers
from governance.audit import Trail, recorded
from governance.roles import Capability
from mes_integration import master_items
from mes_integration.master_items import (
    Item,
    LotItem,
    OrderItem,
    PartRevisionItem,
    SupplierItem,
    UnitItem,
)
from traceability import locks
from traceability.models import (
    Lot,
    PartNumber,
    PartRevision,
    Site,
    Supplier,
    Unit,
    WorkOrder,
)
from traceability.refusals import Conflict, Invalid, Refusal, Unavailable

MOST_ITEMS: Final = 500
Changes = Mapping[str, Mapping[str, Any]]


class Status(StrEnum):
    """What an item came to."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    STALE = "stale"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one item. `changed`: field to what was and what is."""

    kind: str
    key: str
    status: Status
    code: str = ""
    sentence: str = ""
    changed: Changes = field(default_factory=dict)
    refusal: Refusal | None = None


def supply(*, actor: Actor, site: Site, items: Sequence[object], at: datetime) -> list[Outcome]:
    """Take items as JSON objects (`master_items` says which), each in a transaction of its own.

    One that is wrong is refused alone. Unavailable when the database goes away: send all again,
    what was taken is then unchanged.
    """
    _check_may(actor, site)
    if not 1 <= len(items) <= MOST_ITEMS:
        raise Invalid(_("Send 1 to %(most)d items at a time.") % {"most": MOST_ITEMS})
    return [_outcome(actor, site, document, at=at) for document in items]


def _check_may(actor: Actor, site: Site) -> None:
    if actor.kind != "system":
        check_covers(actor, Capability.SUPPLY_MASTER_DATA, site=site, line=None)


def _outcome(actor: Actor, site: Site, document: object, *, at: datetime) -> Outcome:
    try:
        return supply_one(actor=actor, site=site, item=master_items.read(document, at=at), at=at)
    except Unavailable:
        raise
    except Refusal as refusal:
        kind, key = master_items.named(document)
        return Outcome(
            kind=kind,
            key=key,
            status=Status.REFUSED,
            code=refusal.reason,
            sentence=refusal.sentence,
            refusal=refusal,
        )


def supply_one(*, actor: Actor, site: Site, item: Item, at: datetime) -> Outcome:
    """Take one item; Conflict when it contradicts another one of the same time."""
    _check_may(actor, site)
    try:
        with recorded(actor=actor, at=at) as trail:
            return _TAKERS[type(item)](trail, site, item)
    except _Nothing as nothing:
        return nothing.outcome
    except OperationalError as error:
        raise Unavailable(_("The database does not answer; send the items again.")) from error


class _Nothing(Exception):
    """Undoes the transaction, with the rows that were made in passing."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.status)
        self.outcome = outcome


@dataclass(slots=True)
class _Row:
    """A locked row with what the item says of it, compared by what a person calls it."""

    item: Item
    row: Any
    is_new: bool
    values: dict[str, Any] = field(default_factory=dict)

    def say(self, name: str, value: Any, *, of: str | None = None) -> None:
        """Note that field `name` becomes `value`, if the item speaks of it (`of`: under which
        name)."""
        if self.item.says(of or name):
            self.values[name] = value

    def settle(self, trail: Trail, *, site: Site) -> Outcome:
        """Write what is different, audited; or say why nothing was written."""
        item, known_at = self.item, self.row.changed_at
        if known_at is not None and item.changed_at < known_at:
            sentence = _("Known as of %(time)s already; nothing was changed.")
            said = sentence % {"time": _plain(known_at)}
            raise _Nothing(self._came_to(Status.STALE, sentence=said))
        changed = {
            name: {"before": _plain(getattr(self.row, name)), "after": _plain(value)}
            for name, value in self.values.items()
            if getattr(self.row, name) != value
        }
        if known_at == item.changed_at:
            _check_same_time(self.row, changed)
        for name, value in self.values.items():
            setattr(self.row, name, value)
        self.row.changed_at = item.changed_at
        self.row.save(update_fields=[*self.values, "changed_at"])
        if not (changed or self.is_new):
            trail.nothing_changed()
            return self._came_to(Status.UNCHANGED)
        self._note(trail, changed, site=site)
        return self._came_to(Status.CREATED if self.is_new else Status.CHANGED, changed=changed)

    def _note(self, trail: Trail, changed: Changes, *, site: Site) -> None:
        trail.add(
            f"{self.item.kind}.supply",
            subject_kind=self.item.kind,
            subject=self.item.key,
            site_id=site.pk,
            detail={
                "changed": changed,
                "changed_at": _plain(self.item.changed_at),
                # What was known otherwise before, from events or from the MES itself.
                "overruled": sorted(n for n, was in changed.items() if was["before"] is not None),
            },
        )

    def _came_to(
        self, status: Status, *, sentence: str = "", changed: Changes | None = None
    ) -> Outcome:
        return Outcome(
            kind=self.item.kind,
            key=self.item.key,
            status=status,
            sentence=sentence,
            changed=changed or {},
        )


def _check_same_time(row: models.Model, changed: Changes) -> None:
    """Of two contents with one time nobody knows which is later; what was empty may be filled."""
    against = sorted(name for name, was in changed.items() if was["before"] is not None)
    if against:
        raise Conflict(
            _(
                "%(row)s is known as of this same time with another %(fields)s; "
                "send it with the time of its last change."
            )
            % {"row": row, "fields": ", ".join(against)},
            code="same_time",
        )


def _plain(value: Any) -> Any:
    """As JSON holds it; empty is null."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date | Decimal | models.Model):
        return str(value)
    return value or None


def _row(model: type[models.Model], item: Item, **key: Any) -> _Row:
    """Find or make by its key, and lock. NO KEY leaves alone who only points at the row."""
    rows = model._default_manager  # noqa: SLF001  # the documented way to a model's manager
    defaults = {"first_seen_at": key.pop("first_seen_at")} if "first_seen_at" in key else {}
    found, is_new = rows.get_or_create(**key, defaults=defaults)
    locked = rows.select_for_update(no_key=True).get(pk=found.pk)
    return _Row(item, locked, is_new)


# Suppliers, lots, parts, orders, units: the order in which the intake of predictions makes them
# too, so that two who make the same rows never wait for each other in a ring.
def _supplier(site: Site, code: str | None) -> Supplier | None:
    return Supplier.objects.get_or_create(site=site, code=code)[0] if code else None


def _lot(site: Site, code: str | None) -> Lot | None:
    return Lot.objects.get_or_create(site=site, code=code)[0] if code else None


def _part(site: Site, number: str | None, revision: str | None) -> PartRevision | None:
    if not number:
        return None
    part = PartNumber.objects.get_or_create(site=site, number=number)[0]
    return PartRevision.objects.get_or_create(
        part_number=part, revision=revision or "", defaults={"site": site}
    )[0]


def _order(site: Site, number: str | None) -> WorkOrder | None:
    return WorkOrder.objects.get_or_create(site=site, number=number)[0] if number else None


def _take_supplier(trail: Trail, site: Site, item: SupplierItem) -> Outcome:
    row = _row(Supplier, item, site=site, code=item.code)
    row.say("name", item.name or "")
    return row.settle(trail, site=site)


def _take_lot(trail: Trail, site: Site, item: LotItem) -> Outcome:
    supplier = _supplier(site, item.supplier)
    row = _row(Lot, item, site=site, code=item.code)
    row.say("supplier", supplier)
    row.say("part_revision", _part(site, item.part_number, item.part_revision), of="part_number")
    row.say("quantity", item.quantity)
    row.say("uom", item.uom or "")
    row.say("expires_on", item.expires_on)
    return row.settle(trail, site=site)


def _take_part_revision(trail: Trail, site: Site, item: PartRevisionItem) -> Outcome:
    part = PartNumber.objects.get_or_create(site=site, number=item.number)[0]
    row = _row(PartRevision, item, site=site, part_number=part, revision=item.revision)
    row.say("description", item.description or "")
    return row.settle(trail, site=site)


def _take_order(trail: Trail, site: Site, item: OrderItem) -> Outcome:
    lot = _lot(site, item.lot)
    part = _part(site, item.part_number, item.part_revision)
    row = _row(WorkOrder, item, site=site, number=item.number)
    row.say("part_revision", part, of="part_number")
    row.say("lot", lot)
    row.say("quantity", item.quantity)
    row.say("state", item.state or "")
    return row.settle(trail, site=site)


def _take_unit(trail: Trail, site: Site, item: UnitItem) -> Outcome:
    locks.take([locks.unit(site.code, item.serial)])
    supplier = _supplier(site, item.supplier)
    lot = _lot(site, item.lot)
    part = _part(site, item.part_number, item.part_revision)
    order = _order(site, item.order)
    row = _row(Unit, item, site=site, serial=item.serial, first_seen_at=trail.at)
    row.say("part_revision", part, of="part_number")
    row.say("lot", lot)
    row.say("supplier", supplier)
    row.say("work_order", order, of="order")
    return row.settle(trail, site=site)


_TAKERS: Final[Mapping[type[Item], Callable[[Trail, Site, Any], Outcome]]] = {
    SupplierItem: _take_supplier,
    LotItem: _take_lot,
    PartRevisionItem: _take_part_revision,
    OrderItem: _take_order,
    UnitItem: _take_unit,
}
