"""From the MES, over the API: master data, acknowledgements, and what was changed there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import OperationalError
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import Actor, actor_from, sites_for
from governance.roles import Capability
from mes_integration import changes, database_clock, inbound, master_data
from mes_integration.master_data import Outcome, Status
from mes_integration.models import MesChange
from mes_integration.models.outbox import DEFAULT_TARGET
from mes_integration.resolution import LINE
from traceability.models import Site, WorkOrder
from traceability.refusals import Invalid, Unavailable, Unknown

_SITE = "Code of the site; may be left out by a machine of one site."
_CHANGED_AT = "The MES's own time of the change; an older one than the last changes nothing."


class _Sent(serializers.Serializer[Any]):
    site = serializers.CharField(max_length=64, required=False, help_text=_SITE)
    changed_at = serializers.DateTimeField(help_text=_CHANGED_AT)


class SupplierShape(_Sent):
    name = serializers.CharField(max_length=200, required=False, allow_null=True)


class LotShape(_Sent):
    supplier = serializers.CharField(max_length=64, required=False, allow_null=True)
    part_number = serializers.CharField(max_length=64, required=False, allow_null=True)
    part_revision = serializers.CharField(max_length=32, required=False, allow_null=True)
    quantity = serializers.DecimalField(15, 3, min_value=0, required=False, allow_null=True)
    uom = serializers.CharField(max_length=16, required=False, allow_null=True)
    expires_on = serializers.DateField(required=False, allow_null=True)


class PartRevisionShape(_Sent):
    description = serializers.CharField(max_length=200, required=False, allow_null=True)


class OrderShape(_Sent):
    part_number = serializers.CharField(max_length=64, required=False, allow_null=True)
    part_revision = serializers.CharField(max_length=32, required=False, allow_null=True)
    lot = serializers.CharField(max_length=128, required=False, allow_null=True)
    quantity = serializers.DecimalField(15, 3, min_value=0, required=False, allow_null=True)
    state = serializers.ChoiceField(WorkOrder.State.choices, required=False, allow_null=True)


class UnitShape(_Sent):
    part_number = serializers.CharField(max_length=64, required=False, allow_null=True)
    part_revision = serializers.CharField(max_length=32, required=False, allow_null=True)
    lot = serializers.CharField(max_length=128, required=False, allow_null=True)
    supplier = serializers.CharField(max_length=64, required=False, allow_null=True)
    order = serializers.CharField(max_length=64, required=False, allow_null=True)


class MasterDataShape(serializers.Serializer[Any]):
    site = serializers.CharField(max_length=64, required=False, help_text=_SITE)
    items = serializers.ListField(
        child=serializers.DictField(),
        max_length=master_data.MOST_ITEMS,
        help_text="Each with “kind” (supplier, lot, part_revision, order, unit), its key and what "
        "a PUT of that kind takes.",
    )


class MasterDataOutcomeShape(serializers.Serializer[Any]):
    kind = serializers.CharField()
    key = serializers.CharField()
    status = serializers.ChoiceField([status.value for status in Status])
    code = serializers.CharField(help_text="why it was refused, for a program")
    detail = serializers.CharField(help_text="why it was refused or changed nothing")
    changed = serializers.DictField(help_text="field to what was before and what is after")


class MasterDataOutcomesShape(serializers.Serializer[Any]):
    results = MasterDataOutcomeShape(many=True)


class AcknowledgementShape(serializers.Serializer[Any]):
    target = serializers.SlugField(default=DEFAULT_TARGET, help_text="Which MES of the settings.")
    key = serializers.UUIDField(help_text="The idempotency key the disposition came with.")
    state = serializers.ChoiceField(["applied", "duplicate", "rejected"])
    reference = serializers.CharField(
        max_length=200, required=False, default="", help_text="Needed unless rejected."
    )
    reason = serializers.CharField(
        max_length=500, required=False, default="", help_text="Needed when rejected."
    )


class AcknowledgedShape(serializers.Serializer[Any]):
    is_new = serializers.BooleanField(help_text="false when this was known already")


class MesChangeShape(serializers.Serializer[Any]):
    site = serializers.CharField(max_length=64, required=False, help_text=_SITE)
    target = serializers.SlugField(default=DEFAULT_TARGET, help_text="Which MES of the settings.")
    event_id = serializers.CharField(max_length=150, help_text="Once for each change.")
    serial = serializers.CharField(max_length=128)
    disposition = serializers.JSONField(help_text="In the words of this target's mapping.")
    at = serializers.DateTimeField(help_text="The MES's own time of the change.")
    reference = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    by = serializers.CharField(max_length=150, required=False, default="", allow_blank=True)
    remark = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class MesChangeAnswerShape(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uuid")
    state = serializers.ChoiceField(MesChange.State.choices)
    means = serializers.CharField(source="kind", help_text="empty: the mapping does not say")
    ours = serializers.CharField(source="our_kind")


class _Upsert(APIView):
    """One row by PUT; a subclass names its kind and what its address holds."""

    capability: ClassVar = Capability.SUPPLY_MASTER_DATA
    kind: ClassVar[str]

    def taken(self, request: Request, **key: str) -> Response:
        """201 created, 200 changed or not, 4xx refused."""
        body = _object(request)
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        site = named_site(actor, Capability.SUPPLY_MASTER_DATA, body.pop("site", None))
        for name in body.keys() & {*key, "kind"}:
            raise Invalid(_("“%(field)s” stands in the address; leave it out.") % {"field": name})
        outcome = _supply(actor, site, [{"kind": self.kind, **key, **body}])[0]
        if outcome.refusal is not None:
            raise outcome.refusal
        status = 201 if outcome.status is Status.CREATED else 200
        return Response(_shown(outcome), status=status)


_ANSWERS = {201: MasterDataOutcomeShape, 200: MasterDataOutcomeShape}


class Suppliers(_Upsert):
    """Who delivers."""

    kind = "supplier"

    @extend_schema(operation_id="mes_supplier", request=SupplierShape, responses=_ANSWERS)
    def put(self, request: Request, code: str) -> Response:
        """Make or change a supplier."""
        return self.taken(request, code=code)


class Lots(_Upsert):
    """Units made or delivered together."""

    kind = "lot"

    @extend_schema(operation_id="mes_lot", request=LotShape, responses=_ANSWERS)
    def put(self, request: Request, code: str) -> Response:
        """Make or change a lot."""
        return self.taken(request, code=code)


class PartRevisions(_Upsert):
    """Drawing revisions of part numbers."""

    kind = "part_revision"

    @extend_schema(operation_id="mes_part_revision", request=PartRevisionShape, responses=_ANSWERS)
    def put(self, request: Request, number: str, revision: str) -> Response:
        """Make or change a part revision."""
        return self.taken(request, number=number, revision=revision)


class Orders(_Upsert):
    """What is to be made."""

    kind = "order"

    @extend_schema(operation_id="mes_order", request=OrderShape, responses=_ANSWERS)
    def put(self, request: Request, number: str) -> Response:
        """Make or change an order."""
        return self.taken(request, number=number)


class Units(_Upsert):
    """Serialised parts."""

    kind = "unit"

    @extend_schema(operation_id="mes_unit", request=UnitShape, responses=_ANSWERS)
    def put(self, request: Request, serial: str) -> Response:
        """Make or change a unit; what predictions have said of it gives way."""
        return self.taken(request, serial=serial)


class MasterData(APIView):
    """Up to 500 rows of any kind."""

    capability: ClassVar = Capability.SUPPLY_MASTER_DATA

    @extend_schema(
        operation_id="mes_master_data",
        request=MasterDataShape,
        responses={
            201: MasterDataOutcomesShape,
            200: MasterDataOutcomesShape,
            207: MasterDataOutcomesShape,
        },
    )
    def post(self, request: Request) -> Response:
        """201: something is new or changed; 200: nothing was; 207: some were refused."""
        body = _object(request)
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        site = named_site(actor, self.capability, body.get("site"))
        items = body.get("items")
        if not isinstance(items, list) or not body.keys() <= {"site", "items"}:
            raise Invalid(_('Send {"site": …, "items": [ … ]}.'))
        outcomes = _supply(actor, site, items)
        kinds = {outcome.status for outcome in outcomes}
        status = 201 if kinds & {Status.CREATED, Status.CHANGED} else 200
        if Status.REFUSED in kinds:
            status = 207
        return Response({"results": [_shown(each) for each in outcomes]}, status=status)


class Acknowledgements(APIView):
    """What became of a disposition, told later than in the answer to its delivery."""

    capability: ClassVar = Capability.REPORT_FROM_MES

    @extend_schema(
        operation_id="mes_acknowledge",
        request=AcknowledgementShape,
        responses={201: AcknowledgedShape, 200: AcknowledgedShape},
    )
    def post(self, request: Request) -> Response:
        """201: taken; 200: known already; 409: it contradicts, a person will look at it."""
        given = _valid(AcknowledgementShape, request)
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        is_new = inbound.acknowledge(
            actor=actor,
            within=actor.within(self.capability, line=LINE),
            target=given["target"],
            key=str(given["key"]),
            state=given["state"],
            reference=given["reference"],
            reason=given["reason"],
            at=database_clock.read(),
        )
        return Response({"is_new": is_new}, status=201 if is_new else 200)


class MesChanges(APIView):
    """What somebody has done with a unit in the MES."""

    capability: ClassVar = Capability.REPORT_FROM_MES

    @extend_schema(
        operation_id="mes_change",
        request=MesChangeShape,
        responses={201: MesChangeAnswerShape, 200: MesChangeAnswerShape},
    )
    def post(self, request: Request) -> Response:
        """201: taken, with what came of it; 200: known already."""
        given = _valid(MesChangeShape, request)
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        change, is_new = changes.record(
            actor=actor,
            site=named_site(actor, self.capability, given.get("site")),
            target_name=given["target"],
            said=changes.Said(
                event_id=given["event_id"],
                serial=given["serial"],
                word=given["disposition"],
                changed_at=given["at"],
                reference=given["reference"],
                by=given["by"],
                remark=given["remark"],
            ),
            at=timezone.now(),
        )
        return Response(MesChangeAnswerShape(change).data, status=201 if is_new else 200)


def named_site(actor: Actor, capability: Capability, code: object) -> Site:
    """The named site, or the machine's only one; Unknown when it is not the machine's."""
    sites = list(sites_for(actor, capability))
    if code is None:
        if len(sites) == 1:
            return sites[0]
        raise Invalid(_("Say which site: “site” is missing, and this machine is known at several."))
    found = next((site for site in sites if site.code == code), None)
    if found is None:
        raise Unknown(_("There is no site %(code)s for you.") % {"code": str(code)[:64]})
    return found


def _supply(actor: Actor, site: Site, items: Sequence[object]) -> list[Outcome]:
    try:
        return master_data.supply(actor=actor, site=site, items=items, at=timezone.now())
    except OperationalError as error:
        raise Unavailable(_("The database does not answer; send the items again.")) from error


def _shown(outcome: Outcome) -> dict[str, Any]:
    return {
        "kind": outcome.kind,
        "key": outcome.key,
        "status": outcome.status.value,
        "code": outcome.code,
        "detail": outcome.sentence,
        "changed": outcome.changed,
    }


def _object(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Invalid(_("The body is a JSON object."))
    return dict(request.data)


def _valid(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = shape(data=_object(request))
    unknown = sorted(given.initial_data.keys() - given.fields.keys())
    if unknown:
        raise Invalid(
            _("There is no field “%(field)s” here; there are: %(fields)s.")
            % {"field": str(unknown[0])[:80], "fields": ", ".join(given.fields)}
        )
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)
