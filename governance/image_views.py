"""Previews of captures, to those who may see the unit."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from traceability import images, previews
from traceability.images import PreviewPending
from traceability.models import Capture
from traceability.refusals import Unknown
from traceability.tasks import make_previews


@require_safe
@page(Capability.SEE_UNITS)
def image(request: HttpRequest, token: str) -> HttpResponse:
    """The preview behind a signed address; 503 with Retry-After while it is being made."""
    name = images.read_token(token, at=timezone.now())
    allowed = actor_from(request).within(Capability.SEE_UNITS, line="inspection__line_id")
    capture = Capture.objects.filter(allowed, uuid=name).first()
    if capture is None:
        raise Unknown(_("There is no such image for you."))
    try:
        data = images.preview(capture)
    except PreviewPending as pending:
        make_previews.delay([capture.pk])
        return HttpResponse(
            pending.sentence,
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": "1", "Cache-Control": "no-store"},
        )
    return HttpResponse(
        data,
        content_type=previews.MEDIA_TYPE,
        headers={"Cache-Control": "private, max-age=300, immutable"},
    )
