"""Making an inspection a control: by API, and by a button on the unit's page."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from review import controls
from review.api import BenchView
from review.api_shapes import ControlShape
from review.models import ControlSample
from traceability.refusals import Refusal, Unknown


class AddedControl(serializers.Serializer[Any]):
    inspection = serializers.UUIDField()
    truth = ControlShape().fields["truth"]
    defect_class = serializers.CharField(allow_blank=True)


class Controls(BenchView):
    """Make an inspection with a settled verdict a control."""

    capability: ClassVar = Capability.REVIEW_ESCALATED

    @extend_schema(request=None, responses={201: AddedControl}, operation_id="add_control")
    def post(self, request: Request, inspection: UUID) -> Response:
        sample = controls.add(
            actor=self.actor(request), inspection_id=inspection, at=timezone.now()
        )
        return Response(_added(sample), status=status.HTTP_201_CREATED)


def _added(sample: ControlSample) -> dict[str, Any]:
    return {
        "inspection": str(sample.inspection.uuid),
        "truth": sample.truth,
        "defect_class": sample.defect_class,
    }


@require_POST
@page(Capability.REVIEW_ESCALATED)
def add_control(request: HttpRequest, inspection: UUID) -> HttpResponse:
    """From the unit's page, and back to it."""
    unit, site = request.POST.get("unit", ""), request.POST.get("site", "")
    try:
        controls.add(actor=actor_from(request), inspection_id=inspection, at=timezone.now())
    except Refusal as refusal:
        if not unit or isinstance(refusal, Unknown):
            raise
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, _("This inspection is a control now."))
    where = reverse("insights:unit", args=[unit]) if unit else reverse("insights:units")
    return redirect(f"{where}?{urlencode({'site': site})}" if site else where)
