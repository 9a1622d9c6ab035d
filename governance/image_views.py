"""Pictures of captures, to those who may see the unit."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from governance.access import Actor, actor_from
from governance.pages import page
from governance.roles import Capability
from traceability import heat_maps, images, previews, pyramids
from traceability.addresses import HEAT_MAPS, TILES
from traceability.images import PreviewPending
from traceability.models import Capture, HeatMap, Prediction, Reference
from traceability.pyramids import TilesPending
from traceability.refusals import Unavailable, Unknown
from traceability.tasks import make_large, make_previews

KEPT: Final = {"Cache-Control": "private, max-age=300, immutable"}
# What a tile shows never changes, and its address holds as long.
TILE_KEPT: Final = {"Cache-Control": "private, max-age=43200, immutable"}


@require_safe
@page(Capability.SEE_UNITS)
def image(request: HttpRequest, token: str) -> HttpResponse:
    """The preview behind a signed address; 503 with Retry-After while it is being made."""
    capture = _capture(actor_from(request), images.read_token(token, at=timezone.now()))
    try:
        data = images.preview(capture)
    except PreviewPending as pending:
        make_previews.delay([capture.pk])
        return _later(pending)
    return HttpResponse(data, content_type=previews.MEDIA_TYPE, headers=KEPT)


@require_safe
@page(Capability.SEE_UNITS)
def about(request: HttpRequest, token: str) -> HttpResponse:
    """What there is of an image by now, for who came before its pictures were made; with
    `?sharper` for who looks closer than the preview can show."""
    at = timezone.now()
    capture = _capture(actor_from(request), images.read_token(token, at=at))
    if "sharper" in request.GET and pyramids.want_sharper(capture):
        make_large.delay()
    return JsonResponse(
        {
            "preview": capture.preview,
            "width": capture.width,
            "height": capture.height,
            "tiles": pyramids.shown_of(capture, at=at),
            "tiles_state": capture.tiles,
        },
        headers={"Cache-Control": "no-store"},
    )


@require_safe
@page(Capability.SEE_UNITS)
def heat_map(request: HttpRequest, heatmap: str) -> HttpResponse:
    """The heat map behind a signed address."""
    name = HEAT_MAPS.read(heatmap, at=timezone.now())
    allowed = actor_from(request).within(Capability.SEE_UNITS, line="capture__inspection__line_id")
    made = Prediction.objects.filter(allowed, uuid=name, heat_map__state=HeatMap.State.READY)
    if not made.exists():
        raise Unknown(_("There is no such heat map for you."))
    return HttpResponse(heat_maps.read(name), content_type=heat_maps.MEDIA_TYPE, headers=KEPT)


@require_safe
@page(Capability.SEE_UNITS)
def tile(request: HttpRequest, pyramid: str, level: int, column: int, row: int) -> HttpResponse:
    """One tile of a large or deep image; 503 with Retry-After while they are being cut."""
    capture = _capture(actor_from(request), TILES.read(pyramid, at=timezone.now()))
    try:
        data, media_type = pyramids.tile(capture, level=level, column=column, row=row)
    except TilesPending as pending:
        make_large.delay()
        return _later(pending)
    return HttpResponse(data, content_type=media_type, headers=TILE_KEPT)


def _capture(actor: Actor, name: UUID) -> Capture:
    """The capture if the actor sees its line, or it is a reference at a site he works at."""
    here = {scope.site_id for scope in actor.scopes_for(Capability.SEE_UNITS)}
    is_reference = Q(Exists(Reference.objects.filter(capture=OuterRef("pk"))), site_id__in=here)
    allowed = actor.within(Capability.SEE_UNITS, line="inspection__line_id")
    capture = Capture.objects.filter(allowed | is_reference, uuid=name).first()
    if capture is None:
        raise Unknown(_("There is no such image for you."))
    return capture


def _later(pending: Unavailable) -> HttpResponse:
    return HttpResponse(
        pending.sentence,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": "1", "Cache-Control": "no-store"},
    )
