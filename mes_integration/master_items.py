"""What the MES says of its master data, item by item: read and checked. Pure.

A field that an item leaves out stays as it is; one that is null is emptied.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from django.utils.translation import gettext as _
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from mes_integration import document_faults
from traceability.models import WorkOrder
from traceability.refusals import Invalid

FARTHEST_AHEAD: Final = timedelta(minutes=5)
"""How far the sender's clock may be ahead: a later time would shut out what comes after it."""


def _printable(text: str) -> str:
    if not text.isprintable():
        message = "holds characters that cannot be printed"
        raise ValueError(message)
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, strict=True), AfterValidator(_printable)
]
Code = Annotated[Text, Field(min_length=1, max_length=64)]
LongCode = Annotated[Text, Field(min_length=1, max_length=128)]
Revision = Annotated[Text, Field(max_length=32)]
Words = Annotated[Text, Field(max_length=200)]
ShortWord = Annotated[Text, Field(max_length=16)]
Quantity = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=3, allow_inf_nan=False)]


class Item(BaseModel):
    """One row the MES speaks of; `changed_at` is the MES's own time of the change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    KEY: ClassVar[tuple[str, ...]]

    kind: str
    changed_at: AwareDatetime

    @property
    def key(self) -> str:
        """By what the MES knows it, as one word."""
        return " ".join(str(getattr(self, name)) for name in self.KEY).strip()

    def says(self, name: str) -> bool:
        """Whether the item speaks of this field at all, be it null."""
        return name in self.model_fields_set


class SupplierItem(Item):
    """Who delivers."""

    KEY: ClassVar = ("code",)
    kind: Literal["supplier"]
    code: Code
    name: Words | None = None


class LotItem(Item):
    """Units made or delivered together."""

    KEY: ClassVar = ("code",)
    kind: Literal["lot"]
    code: LongCode
    supplier: Code | None = None
    part_number: Code | None = None
    part_revision: Revision | None = None
    quantity: Quantity | None = None
    uom: ShortWord | None = None
    expires_on: date | None = None


class PartRevisionItem(Item):
    """A drawing revision of a part number; the revision may be empty."""

    KEY: ClassVar = ("number", "revision")
    kind: Literal["part_revision"]
    number: Code
    revision: Revision = ""
    description: Words | None = None


class OrderItem(Item):
    """What is to be made."""

    KEY: ClassVar = ("number",)
    kind: Literal["order"]
    number: Code
    part_number: Code | None = None
    part_revision: Revision | None = None
    lot: LongCode | None = None
    quantity: Quantity | None = None
    state: WorkOrder.State | None = None


class UnitItem(Item):
    """One serialised part."""

    KEY: ClassVar = ("serial",)
    kind: Literal["unit"]
    serial: LongCode
    part_number: Code | None = None
    part_revision: Revision | None = None
    lot: LongCode | None = None
    supplier: Code | None = None
    order: Code | None = None


KINDS: Final[Mapping[str, type[Item]]] = {
    "supplier": SupplierItem,
    "lot": LotItem,
    "part_revision": PartRevisionItem,
    "order": OrderItem,
    "unit": UnitItem,
}


def read(document: object, *, at: datetime) -> Item:
    """One item as it was sent; Invalid says what is wrong with it and how to mend it."""
    if not isinstance(document, Mapping):
        raise Invalid(_("An item is an object with “kind”, its key and “changed_at”."))
    kind = document.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise Invalid(
            _("There is no kind “%(kind)s”; “kind” is one of: %(kinds)s.")
            % {"kind": str(kind)[:80], "kinds": ", ".join(KINDS)},
            code="unknown_kind",
        )
    try:
        item = model.model_validate(dict(document))
    except ValidationError as error:
        raise Invalid(_sentence(error, model)) from None
    _check_time(item.changed_at, at=at)
    if item.says("part_revision") and not item.says("part_number"):
        raise Invalid(_("“part_revision” says nothing without “part_number”; send both."))
    return item


def named(document: object) -> tuple[str, str]:
    """Kind and key of an item as far as they can be made out of a broken one."""
    if not isinstance(document, Mapping):
        return "", ""
    kind = str(document.get("kind", ""))[:40]
    names = KINDS[kind].KEY if kind in KINDS else ()
    return kind, " ".join(str(document.get(name, ""))[:128] for name in names).strip()


def _check_time(changed_at: datetime, *, at: datetime) -> None:
    if changed_at > at + FARTHEST_AHEAD:
        raise Invalid(
            _("“changed_at” is %(time)s, more than 5 minutes ahead; check the sender's clock.")
            % {"time": changed_at.astimezone(UTC).isoformat()},
            code="from_the_future",
        )


def _sentence(error: ValidationError, model: type[Item]) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    if first["type"] == "missing":
        return _("“%(field)s” is missing.") % {"field": where}
    if first["type"] == "extra_forbidden":
        return _("There is no field “%(field)s” here; there are: %(fields)s.") % {
            "field": where,
            "fields": ", ".join(model.model_fields),
        }
    return document_faults.said(error, under="")
