"""A tablet's own calls: badge in, badge out, the size of its screen, what it keeps unsent."""

from __future__ import annotations

from typing import Any

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import attendances, devices
from governance.authentication import DeviceAuthentication
from governance.models import Attendance, Device
from governance.permissions import RegisteredTablet
from governance.roles import Capability
from governance.standing import actor_at


class BadgeForm(serializers.Serializer[dict[str, Any]]):
    badge = serializers.CharField(max_length=64)
    pin = serializers.CharField(max_length=16, required=False)


class ScaleForm(serializers.Serializer[dict[str, Any]]):
    px_per_mm = serializers.FloatField()


class UnsentForm(serializers.Serializer[dict[str, Any]]):
    count = serializers.IntegerField()


class OperatorShown(serializers.Serializer[dict[str, Any]]):
    attendance = serializers.UUIDField()
    name = serializers.CharField()
    badge = serializers.CharField()
    until = serializers.DateTimeField()


class SignedIn(serializers.Serializer[dict[str, Any]]):
    operator = OperatorShown()


def operator_shown(attendance: Attendance) -> dict[str, Any]:
    """How a tablet is told who is at it."""
    return {
        "attendance": attendance.uuid,
        "name": str(attendance.user),
        "badge": attendance.user.badge,
        "until": attendance.until,
    }


class TabletCall(APIView):
    """What every call of a tablet asks for first."""

    capability = Capability.JUDGE_AT_LINE
    authentication_classes = (DeviceAuthentication,)
    permission_classes = (RegisteredTablet,)

    def tablet(self) -> Device:
        """The tablet that calls."""
        device = devices.device_of(self.request._request)  # noqa: SLF001  # set by the middleware
        if device is None:
            raise TypeError(device)
        return device


def read(form: type[serializers.Serializer[dict[str, Any]]], request: Request) -> dict[str, Any]:
    """The body as the form reads it; 422 when it does not."""
    given = form(data=request.data)
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = given.validated_data
    return found


class SignIn(TabletCall):
    """Somebody scans his badge."""

    @extend_schema(operation_id="line_sign_in", request=BadgeForm, responses=SignedIn)
    def post(self, request: Request) -> Response:
        """Badge and PIN; the badge alone for who was here before and has not signed out.

        403 with code `pin_needed`, `pin_wrong`, `pin_locked`, `badge_unknown` or `wait`.
        """
        given = read(BadgeForm, request)
        arrived = attendances.arrive(
            device=self.tablet(), badge=given["badge"], pin=given.get("pin"), at=timezone.now()
        )
        return Response({"operator": operator_shown(arrived)})


class SignOut(TabletCall):
    """Who is at the tablet goes. Its route is where what the tablet holds is given back first."""

    @extend_schema(operation_id="line_sign_out", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """To come back he needs his PIN."""
        attendances.leave(device=self.tablet(), at=timezone.now())
        return Response(status=204)


class Calibration(TabletCall):
    """How large a millimetre is on the tablet's screen."""

    @extend_schema(operation_id="line_calibration", request=ScaleForm, responses=ScaleForm)
    def put(self, request: Request) -> Response:
        """Measured with a bank card, once for each tablet."""
        device, at = self.tablet(), timezone.now()
        scale = read(ScaleForm, request)["px_per_mm"]
        actor = actor_at(device, at=at)
        devices.calibrate(actor=actor, device=device, px_per_mm=scale, at=at)
        return Response({"px_per_mm": device.px_per_mm})


class Unsent(TabletCall):
    """What the tablet keeps that the server has not answered for."""

    @extend_schema(operation_id="line_unsent", request=UnsentForm, responses={204: None})
    def post(self, request: Request) -> Response:
        """Shown to leads beside the tablet."""
        count = read(UnsentForm, request)["count"]
        devices.note_unsent(self.tablet(), count=count, at=timezone.now())
        return Response(status=204)


device_api_urls = [
    path("line/sign-in", SignIn.as_view(), name="line_sign_in"),
    path("line/calibration", Calibration.as_view(), name="line_calibration"),
    path("line/unsent", Unsent.as_view(), name="line_unsent"),
]
