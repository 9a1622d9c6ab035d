"""B2MML over HTTP: documents in, answers as documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from xml.sax.saxutils import escape

from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import actor_from
from governance.roles import Capability
from mes_integration import database_clock
from mes_integration.inbound_api import named_site
from mes_integration.models.outbox import DEFAULT_TARGET
from mes_integration.moments import moment
from traceability.refusals import Invalid, Unavailable

# Mirrored, not imported: reading XML needs a library that a plant without B2MML does not install.
LARGEST: Final = 4 * 1024 * 1024
_NAMESPACE: Final = "http://www.mesa.org/xml/B2MML"


def _needs_lxml(name: str) -> Any:
    try:
        return import_string(name)
    except ImportError as error:
        raise Unavailable(
            _(
                "B2MML needs a library that is not installed here: "
                "pip install -r requirements-adapters.txt"
            )
        ) from error


class XmlParser(BaseParser):
    """The bytes as they came, no more than can be a document."""

    media_type = "application/xml"

    def parse(self, stream: Any, media_type: str | None = None, context: Any = None) -> Any:
        payload: bytes = stream.read(LARGEST + 1)
        if len(payload) > LARGEST:
            raise Invalid(
                _("The document is larger than %(most)d MB; send it in parts.")
                % {"most": LARGEST // (1024 * 1024)}
            )
        return payload


class TextXmlParser(XmlParser):
    """Under its older name."""

    media_type = "text/xml"


class XmlRenderer(BaseRenderer):
    """A document as it is, and a refusal as a ConfirmBOD."""

    media_type = "application/xml"
    format = "xml"
    charset = None
    render_style = "binary"

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        if isinstance(data, bytes):
            return data
        said = data if isinstance(data, Mapping) else {}
        return _refusal(str(said.get("code", "refused")), str(said.get("detail", "")))


def _payload(parsed: Any) -> bytes:
    """What was sent; a request without a body is parsed as something else."""
    return parsed if isinstance(parsed, bytes) else b""


def _refusal(code: str, sentence: str) -> bytes:
    """For a document that could not be looked into, or a caller that was not let in."""
    said = escape("".join(c if c.isprintable() else " " for c in sentence))
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f'<ConfirmBOD xmlns="{_NAMESPACE}"><ApplicationArea>'
        f"<CreationDateTime>{moment(timezone.now())}</CreationDateTime></ApplicationArea>"
        "<DataArea><Confirm><ResponseCriteria>"
        '<ResponseExpression actionCode="Rejected">/</ResponseExpression>'
        f"<ChangeStatus><Code>{escape(code)}</Code><Reason>{said}</Reason></ChangeStatus>"
        f"</ResponseCriteria></Confirm><BOD><Description>{said}</Description></BOD></DataArea>"
        "</ConfirmBOD>"
    ).encode()


class B2mml(APIView):
    """Master data, acknowledgements and changes as B2MML V7."""

    capability: ClassVar = Capability.SUPPLY_MASTER_DATA
    parser_classes = (XmlParser, TextXmlParser)
    renderer_classes = (XmlRenderer,)

    @extend_schema(
        operation_id="mes_b2mml",
        parameters=[
            OpenApiParameter("site", str, description="May be left out by a machine of one site."),
            OpenApiParameter("target", str, description="Which MES of the settings it comes from."),
        ],
        request={"application/xml": OpenApiTypes.STR},
        responses={
            (200, "application/xml"): OpenApiTypes.STR,
            (207, "application/xml"): OpenApiTypes.STR,
            (422, "application/xml"): OpenApiTypes.STR,
        },
    )
    def post(self, request: Request) -> Response:
        """200: all taken; 207: some refused; 422: all refused, or not to be looked into."""
        actor = actor_from(request._request)  # noqa: SLF001  # Django's own request
        take = _needs_lxml("mes_integration.b2mml_inbound.take")
        taken = take(
            actor=actor,
            site=named_site(actor, self.capability, request.query_params.get("site")),
            target_name=request.query_params.get("target", DEFAULT_TARGET),
            payload=_payload(request.data),
            at=database_clock.read(),
        )
        status = 200
        if taken.refused:
            status = 422 if taken.refused == len(taken.results) else 207
        return Response(taken.answer, status=status)
